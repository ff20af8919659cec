import { readFileSync } from "node:fs";
import { instantiate } from "../../bindings/wasm.ts";

/** Exports of test/probe/ that these suites call. Numbers come back as WebAssembly's i32: unsigned ones need `>>> 0`. */
export interface Probe {
  probe_add(a: number, b: number): number;
  probe_copySum(to: number, from: number, length: number): number;
  probe_finish(sum: number): number;
  probe_sum(at: number, length: number): number;
  probe_swap(a: number): number;
  probe_update(checksum: number, oldField: number, newField: number): number;
  probe_hash4(key: number, remote: number, local: number, ports: number): number;
  probe_sipHash(key: number, first: number, second: number, length: number): bigint;
  probe_hash6(key: number, remote: number, local: number, ports: number): number;
  probe_isn(
    family: number,
    local: number,
    localPort: number,
    remote: number,
    remotePort: number,
    secret: number,
    micros: number,
  ): number;
  probe_md5(to: number, from: number, length: number): void;
  probe_md5Initial(state: number): void;
  probe_md5Transform(state: number, block: number): void;
  probe_seqLt(a: number, b: number): number;
  probe_seqLe(a: number, b: number): number;
  probe_seqGt(a: number, b: number): number;
  probe_seqGe(a: number, b: number): number;
  probe_seqEq(a: number, b: number): number;
  probe_seqNe(a: number, b: number): number;
  probe_seqPlus(a: number, n: number): number;
  probe_seqMinus(a: number, n: number): number;
  probe_seqSince(a: number, from: number): number;
  probe_acceptable(segSeq: number, segLen: number, rcvNxt: number, rcvWnd: number): number;
}

/** Above what the probe keeps for itself, on a page of its own. */
export const FREE = 65536;

/** The probe with assertions on, and one view of its memory, free from `FREE` up. */
export async function loadProbe(): Promise<{ probe: Probe; bytes: Uint8Array }> {
  const wasm = readFileSync(new URL("../../build/probe.wasm", import.meta.url));
  const { exports, memory } = await instantiate<Probe>({ wasm, memory: 16 * 65536 });
  return { probe: exports, bytes: new Uint8Array(memory.buffer) };
}
