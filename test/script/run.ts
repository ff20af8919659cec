import { runSource } from "../../bindings/script/index.ts";

/** For scripts of a few lines. */
export const engine = { memory: 8 * 2 ** 20 };
export const run = (source: string, options: Partial<Parameters<typeof runSource>[1]> = {}) =>
  runSource(source, { name: "test.pkt", engine, ...options });

export const BIND = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
`;
export const LISTEN = `${BIND}+0 listen(3, 1) = 0
`;
export const CONNECTED = `${LISTEN}+0 < S 0:0(0) win 65535 <mss 1460>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
`;
export const passed = { status: "passed" };
