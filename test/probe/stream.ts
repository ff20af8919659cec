import { blocksLeft, blocksTotal, layOut, staging } from "../../assembly/pool.ts";
import { Seq } from "../../assembly/seq.ts";
import { Stream } from "../../assembly/stream.ts";

/** Streams side by side in one pool, so that one that reaches into another's blocks shows. */
const COUNT: u32 = 3;
const streams = memory.data(COUNT * offsetof<Stream>(), 8);

function stream(index: u32): Stream {
  return changetype<Stream>(streams + usize(index) * offsetof<Stream>());
}

/** Begin anew with a pool in `octets` of linear memory. */
export function probe_streamInit(octets: u32): void {
  layOut(octets);
  memory.fill(streams, 0, COUNT * offsetof<Stream>());
}

/** Where text goes in and comes out: 64 KiB. */
export function probe_streamStaging(): usize {
  return staging;
}

export function probe_streamPut(index: u32, low: u32, at: u32, length: u32): u32 {
  return stream(index).put(Seq.of(low), Seq.of(at), staging, length);
}

export function probe_streamGet(index: u32, at: u32, length: u32): void {
  stream(index).get(Seq.of(at), staging, length);
}

export function probe_streamTrim(index: u32, from: u32, to: u32): void {
  stream(index).trim(Seq.of(from), Seq.of(to));
}

export function probe_streamClear(index: u32): void {
  stream(index).clear();
}

export function probe_streamBlocks(index: u32): u32 {
  return stream(index).blocks;
}

export function probe_blocksLeft(): u32 {
  return blocksLeft();
}

export function probe_blocksTotal(): u32 {
  return blocksTotal();
}
