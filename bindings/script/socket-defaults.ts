import type { Dialect } from "./dialect.ts";

/** What a socket begins with, where a setting of the kernel's says it. */
export interface SocketDefaults {
  readonly dialect: Dialect;
  /** Connections have no options but the MSS: TCP_NOOPT. */
  withoutOptions: boolean;
  /** Seconds. */
  keepIdle: number;
  keepInterval: number;
  keepCount: number;
  /** Seconds in which a connection must come about; 0: as long as it is retried. */
  keepInit: number;
  /** Octets; of each, what getsockopt() says of a socket that never set it. */
  receiveBuffer: number;
  sendBuffer: number;
  notsentLowat: number;
  /** Of a send buffer that grows, where the script says how it begins: as Linux counts; 0: as the engine does. */
  sendSpace: number;
  /** How far it grows. */
  sendMost: number;
}

export function socketDefaults(dialect: Dialect): SocketDefaults {
  const bsd = dialect === "bsd";
  return {
    dialect,
    withoutOptions: false,
    keepIdle: 7200,
    keepInterval: 75,
    keepCount: bsd ? 8 : 9,
    keepInit: bsd ? 75 : 0,
    receiveBuffer: bsd ? 65536 : 131072,
    sendBuffer: bsd ? 32768 : 16384,
    notsentLowat: 0,
    sendSpace: 0,
    sendMost: 0,
  };
}

type Value = Exclude<keyof SocketDefaults, "dialect" | "withoutOptions">;

const triple = (text: string) => Number(text.split(/[\s,]+/)[1]);
const most = (text: string) => Number(text.split(/[\s,]+/)[2]);

/** The setting behind each value. Those that concern nothing but sockets made later may change at any time. */
const KEYS: Readonly<
  Record<string, readonly [value: Value, read: (text: string) => number, alone: boolean]>
> = {
  tcp_keepalive_time: ["keepIdle", Number, true],
  tcp_keepalive_intvl: ["keepInterval", Number, true],
  tcp_keepalive_probes: ["keepCount", Number, true],
  keepinit: ["keepInit", (text) => Math.round(Number(text) / 1000), true],
  tcp_notsent_lowat: ["notsentLowat", Number, true],
  recvspace: ["receiveBuffer", Number, false],
  sendspace: ["sendBuffer", Number, false],
  tcp_rmem: ["receiveBuffer", triple, false],
  tcp_wmem: ["sendBuffer", triple, false],
  own_wmem: ["sendSpace", triple, true],
  own_wmem_most: ["sendMost", most, true],
};

/** Whether a setting says nothing to the engine, and only to the sockets made after it. */
export function concernsSocketsOnly(key: string): boolean {
  return Object.hasOwn(KEYS, key) && KEYS[key]![2];
}

/** Take a setting into what later sockets begin with, where it belongs there. */
export function setDefault(defaults: SocketDefaults, key: string, text: string): void {
  if (!Object.hasOwn(KEYS, key)) return;
  const [value, read] = KEYS[key]!;
  const number = read(text);
  if (Number.isFinite(number)) defaults[value] = number;
}
