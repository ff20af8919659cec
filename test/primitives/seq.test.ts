import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadProbe } from "./probe.ts";
import { vectors } from "./vectors.ts";

const { probe } = await loadProbe();

const HALF = 2 ** 31;
const lt = (a: number, b: number) => probe.probe_seqLt(a, b) !== 0;
const le = (a: number, b: number) => probe.probe_seqLe(a, b) !== 0;
const gt = (a: number, b: number) => probe.probe_seqGt(a, b) !== 0;
const ge = (a: number, b: number) => probe.probe_seqGe(a, b) !== 0;
const eq = (a: number, b: number) => probe.probe_seqEq(a, b) !== 0;
const ne = (a: number, b: number) => probe.probe_seqNe(a, b) !== 0;
const plus = (a: number, n: number) => probe.probe_seqPlus(a, n) >>> 0;
const minus = (a: number, n: number) => probe.probe_seqMinus(a, n) >>> 0;
const since = (a: number, from: number) => probe.probe_seqSince(a, from) >>> 0;

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.constantFrom(0, 1, HALF - 1, HALF, HALF + 1, 2 ** 32 - 1),
);
/** Distances for which two numbers have an order. */
const near = fc.oneof(fc.integer({ min: 1, max: HALF - 1 }), fc.constantFrom(1, HALF - 1));

describe("[RFC 9293 §3.4] Seq", () => {
  test.each(vectors.seqCompare)("$id: $a < $b is $lt", ({ a, b, lt: expected, undefined: unordered }) => {
    expect(lt(a, b)).toBe(expected);
    expect(gt(b, a)).toBe(expected);
    if (unordered) expect([le(a, b), ge(a, b), gt(a, b), eq(a, b)]).toEqual([false, false, false, false]);
  });

  test("[RFC 7323 §5.2] a number comes before the 2^31 - 1 numbers after it, wherever it lies", () => {
    fc.assert(
      fc.property(u32, near, (a, distance) => {
        const b = (a + distance) % 2 ** 32;
        expect([lt(a, b), le(a, b), gt(a, b), ge(a, b), eq(a, b), ne(a, b)]).toEqual([
          true,
          true,
          false,
          false,
          false,
          true,
        ]);
        expect([lt(b, a), le(b, a), gt(b, a), ge(b, a), eq(b, a), ne(b, a)]).toEqual([
          false,
          false,
          true,
          true,
          false,
          true,
        ]);
      }),
      { numRuns: 500 },
    );
  });

  test("a number equals itself and nothing 2^31 away is ordered", () => {
    fc.assert(
      fc.property(u32, (a) => {
        expect([lt(a, a), le(a, a), gt(a, a), ge(a, a), eq(a, a), ne(a, a)]).toEqual([
          false,
          true,
          false,
          true,
          true,
          false,
        ]);
        const b = (a + HALF) % 2 ** 32;
        expect([lt(a, b), le(a, b), gt(a, b), ge(a, b), eq(a, b)]).toEqual(new Array(5).fill(false));
      }),
    );
  });

  test("the order is kept when both sides move by the same distance", () => {
    fc.assert(
      fc.property(u32, u32, u32, (a, b, by) => {
        expect(lt(plus(a, by), plus(b, by))).toBe(lt(a, b));
        expect(ge(minus(a, by), minus(b, by))).toBe(ge(a, b));
      }),
    );
  });

  test("plus, minus and since undo each other modulo 2^32", () => {
    fc.assert(
      fc.property(u32, u32, (a, n) => {
        expect(plus(a, n)).toBe((a + n) % 2 ** 32);
        expect(minus(plus(a, n), n)).toBe(a);
        expect(since(plus(a, n), a)).toBe(n);
        expect(plus(a, since(n, a))).toBe(n);
      }),
    );
  });
});

describe("[RFC 9293 §3.10.7.4] acceptable", () => {
  test.each(vectors.acceptability)(
    "$id: SEG.SEQ $segSeq SEG.LEN $segLen RCV.NXT $rcvNxt RCV.WND $rcvWnd",
    (vector) => {
      const { segSeq, segLen, rcvNxt, rcvWnd } = vector;
      expect(probe.probe_acceptable(segSeq, segLen, rcvNxt, rcvWnd) !== 0).toBe(vector.acceptable);
    },
  );

  test("equals table 6 written with sets", () => {
    const offset = fc.integer({ min: -40, max: 40 });
    const count = fc.nat(30);
    fc.assert(
      fc.property(u32, offset, count, count, (rcvNxt, before, segLen, rcvWnd) => {
        const window = new Set(Array.from({ length: rcvWnd }, (_, i) => (rcvNxt + i) % 2 ** 32));
        const segSeq = (rcvNxt + before + 2 ** 32) % 2 ** 32;
        const last = (segSeq + segLen - 1 + 2 ** 32) % 2 ** 32;
        let expected: boolean;
        if (segLen === 0) expected = rcvWnd === 0 ? segSeq === rcvNxt : window.has(segSeq);
        else expected = window.has(segSeq) || window.has(last);
        expect(probe.probe_acceptable(segSeq, segLen, rcvNxt, rcvWnd) !== 0).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});
