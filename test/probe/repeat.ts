// Calls in a row, for the micro-benchmarks: the engine calls these from WASM too, and a call from JavaScript would cost
// as much as some of them do. Results are gathered so that no call is left out.
import { copySum, sum } from "../../assembly/checksum.ts";
import { hash4, hash6 } from "../../assembly/hash.ts";
import { isn } from "../../assembly/isn.ts";
import { md5Transform } from "../../assembly/md5.ts";

export function probe_repeatSum(times: u32, at: usize, length: u32): u32 {
  let gathered: u32 = 0;
  for (let i: u32 = 0; i < times; i++) gathered += sum(at, length);
  return gathered;
}

export function probe_repeatCopySum(times: u32, to: usize, from: usize, length: u32): u32 {
  let gathered: u32 = 0;
  for (let i: u32 = 0; i < times; i++) gathered += copySum(to, from, length);
  return gathered;
}

export function probe_repeatCopy(times: u32, to: usize, from: usize, length: u32): void {
  for (let i: u32 = 0; i < times; i++) memory.copy(to, from, length);
}

export function probe_repeatMd5(times: u32, state: usize, block: usize): void {
  for (let i: u32 = 0; i < times; i++) md5Transform(state, block);
}

export function probe_repeatIsn(times: u32, local: usize, remote: usize, secret: usize): u32 {
  let gathered: u32 = 0;
  for (let i: u32 = 0; i < times; i++) gathered += isn(4, local, i, remote, 80, secret, <f64>i);
  return gathered;
}

export function probe_repeatHash4(times: u32, key: usize): u32 {
  let gathered: u32 = 0;
  for (let i: u32 = 0; i < times; i++) gathered += hash4(key, 0x0a000001, 0x0a000002, i);
  return gathered;
}

export function probe_repeatHash6(times: u32, key: usize, remote: usize, local: usize): u32 {
  let gathered: u32 = 0;
  for (let i: u32 = 0; i < times; i++) gathered += hash6(key, remote, local, i);
  return gathered;
}
