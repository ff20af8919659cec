import { Seq } from "./seq.ts";
@unmanaged class R { a: Seq; t: f64; b: Seq; }
export function lt(a: u32, b: u32): bool { return Seq.of(a) < Seq.of(b); }
export function rec(p: usize): u32 { const r = changetype<R>(p); r.a = r.b.plus(1); if (r.a > r.b) return r.a.since(r.b); return offsetof<R>("b"); }
