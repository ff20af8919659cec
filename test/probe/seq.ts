import { acceptable } from "../../assembly/acceptable.ts";
import { Seq } from "../../assembly/seq.ts";

export function probe_seqLt(a: u32, b: u32): bool {
  return Seq.of(a) < Seq.of(b);
}

export function probe_seqLe(a: u32, b: u32): bool {
  return Seq.of(a) <= Seq.of(b);
}

export function probe_seqGt(a: u32, b: u32): bool {
  return Seq.of(a) > Seq.of(b);
}

export function probe_seqGe(a: u32, b: u32): bool {
  return Seq.of(a) >= Seq.of(b);
}

export function probe_seqEq(a: u32, b: u32): bool {
  return Seq.of(a) == Seq.of(b);
}

export function probe_seqNe(a: u32, b: u32): bool {
  return Seq.of(a) != Seq.of(b);
}

export function probe_seqPlus(a: u32, n: u32): u32 {
  return Seq.of(a).plus(n).u32;
}

export function probe_seqMinus(a: u32, n: u32): u32 {
  return Seq.of(a).minus(n).u32;
}

export function probe_seqSince(a: u32, from: u32): u32 {
  return Seq.of(a).since(Seq.of(from));
}

export function probe_acceptable(segSeq: u32, segLen: u32, rcvNxt: u32, rcvWnd: u32): bool {
  return acceptable(Seq.of(segSeq), segLen, Seq.of(rcvNxt), rcvWnd);
}
