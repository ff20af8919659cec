import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadProbe, type Probe } from "../support/probe.ts";

const MEMORY = 4 * 2 ** 20;
/** Octets after RCV.NXT that the bitmap covers. */
const SPAN = 400;

let probe: Probe["call"];
beforeAll(async () => {
  probe = (await loadProbe(MEMORY)).call;
});

/** Runs as the engine holds them, relative to `base`. */
function held(base: number): [number, number][] {
  return Array.from({ length: probe.runsCount!() }, (_, i) => [
    (probe.runsStart!(i) - base) >>> 0,
    (probe.runsEnd!(i) - base) >>> 0,
  ]);
}

/** Runs of ones in the bitmap. */
function runsOf(bitmap: readonly boolean[]): [number, number][] {
  const runs: [number, number][] = [];
  bitmap.forEach((present, i) => {
    if (present && !bitmap[i - 1]) runs.push([i, i]);
    if (present) runs.at(-1)![1] = i + 1;
  });
  return runs;
}

const isn = fc.oneof(
  fc.constantFrom(0, 1, 0x7fffff00, 0x80000000, 0xffffff00, 0xffffffff),
  fc.nat(0xffffffff),
);

const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("insert" as const),
      at: fc.integer({ min: 1, max: SPAN - 2 }),
      length: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 80 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("advance" as const),
      at: fc.nat(20),
      length: fc.constant(0),
    }),
  },
);

describe("reassembly", () => {
  it("[9293-SHLD-31] holds the runs that a bitmap holds, and gives up those that became contiguous", () => {
    fc.assert(
      fc.property(isn, fc.array(operation, { maxLength: 60 }), (start, operations) => {
        probe.runsInit!(MEMORY);
        let base = start >>> 0;
        let touched: number[] = [];
        let bitmap = new Array<boolean>(SPAN).fill(false);
        for (const { op, at, length } of operations) {
          if (op === "insert") {
            const end = Math.min(at + length, SPAN - 1);
            const covered = bitmap.slice(at, end).every(Boolean);
            expect(probe.runsCovers!(base, base + at, base + end)).toBe(Number(covered));
            expect(probe.runsHasRoom!()).toBe(1);
            probe.runsInsert!(base, base + at, base + end);
            bitmap.fill(true, at, end);
            const merged = runsOf(bitmap).find(([left, right]) => left <= at && right >= end)!;
            // Whoever is named in the run that grew gives way; four names are kept.
            const others = touched.filter((one) => one < merged[0] || one >= merged[1]);
            touched = [at, ...others.slice(0, 3)];
            expect((probe.runsLatest!(base) - base) >>> 0).toBe(merged[0]);
          } else {
            // RCV.NXT moves by text that came in order, then over whatever that has met.
            let next = at;
            for (const [left, right] of runsOf(bitmap)) if (left <= next) next = Math.max(next, right);
            expect((probe.runsTake!(base, base + at) - base) >>> 0).toBe(next);
            base = (base + next) >>> 0;
            touched = touched.map((one) => one - next).filter((one) => one >= 0);
            bitmap = [...bitmap.slice(next), ...new Array<boolean>(next).fill(false)];
          }
          const runs = runsOf(bitmap);
          expect(held(base)).toEqual(runs);
          // Last touched first, then the others in their order.
          const recent = touched.map((one) => runs.find(([left, right]) => left <= one && right > one)![0]);
          const order = [...recent, ...runs.map(([left]) => left).filter((left) => !recent.includes(left))];
          expect(order.map((_, turn) => (probe.runsRecent!(base, turn) - base) >>> 0)).toEqual(order);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("is bounded, and returns its memory with the last run", () => {
    probe.runsInit!(MEMORY);
    const before = probe.blocksLeft!();
    const most = probe.runsMax!();
    const base = 0xfffff000;
    for (let i = 0; i < most; i++) {
      expect(probe.runsHasRoom!()).toBe(1);
      probe.runsInsert!(base, base + 10 + 2 * i, base + 11 + 2 * i);
    }
    expect(probe.runsCount!()).toBe(most);
    expect(probe.runsHasRoom!()).toBe(0);
    expect(probe.blocksLeft!()).toBe(before - 1);
    expect((probe.runsTake!(base, base + 10 + 2 * most) - base) >>> 0).toBe(10 + 2 * most);
    expect(probe.runsCount!()).toBe(0);
    expect(probe.blocksLeft!()).toBe(before);
  });
});
