import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { Wheel } from "../../bindings/wheel.ts";

/** The oracle: a list sorted by time, then by order of arming. */
class SortedList {
  readonly entries: { slot: number; when: number; order: number }[] = [];
  #orders = 0;

  arm(slot: number, when: number): void {
    this.cancel(slot);
    this.entries.push({ slot, when, order: this.#orders++ });
    this.entries.sort((a, b) => a.when - b.when || a.order - b.order);
  }

  cancel(slot: number): void {
    const at = this.entries.findIndex((entry) => entry.slot === slot);
    if (at >= 0) this.entries.splice(at, 1);
  }

  advance(now: number): number[] {
    const due = this.entries.filter((entry) => entry.when <= now).map((entry) => entry.slot);
    this.entries.splice(0, due.length);
    return due;
  }
}

function drain(wheel: Wheel, now: number, due: Int32Array): number[] {
  const slots: number[] = [];
  for (let n = wheel.advance(now, due); n > 0; n = wheel.advance(now, due)) slots.push(...due.subarray(0, n));
  return slots;
}

const SLOTS = 24;

/** Distances that matter: within a tick, a digit, across digits, at powers of 64 and their neighbours, and years. */
const distance = fc.oneof(
  fc.constantFrom(
    0,
    0.25,
    0.5,
    1,
    63,
    63.75,
    64,
    65,
    4095,
    4096,
    4096.5,
    2 ** 18,
    2 ** 30 - 1,
    2 ** 30,
    2 ** 36,
  ),
  fc.double({ min: -5, max: 5, noNaN: true }),
  fc.double({ min: 0, max: 5000, noNaN: true }),
  fc.double({ min: 0, max: 2 ** 31, noNaN: true }),
  fc.double({ min: 0, max: 2 ** 38, noNaN: true }),
  fc.integer({ min: 0, max: 300 }),
);

const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant("arm"), slot: fc.nat(SLOTS - 1), distance }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("cancel"), slot: fc.nat(SLOTS - 1), distance: fc.constant(0) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("advance"), slot: fc.constant(0), distance }) },
);

const start = fc.oneof(
  fc.constant(0),
  fc.constantFrom(2 ** 30 - 1.5, 2 ** 36 - 1, 2 ** 36 - 64.5, 1.75e12, -3.5),
  fc.double({ min: 0, max: 2 ** 37, noNaN: true }),
);

describe("wheel against a sorted list", () => {
  it("arms, moves, cancels, peeks and fires as the list does", () => {
    fc.assert(
      fc.property(
        start,
        fc.integer({ min: 1, max: 6 }),
        fc.array(operation, { maxLength: 120 }),
        (origin, room, operations) => {
          const wheel = new Wheel(SLOTS, origin);
          const list = new SortedList();
          const due = new Int32Array(room);
          let now = origin;
          for (const { op, slot, distance } of operations) {
            if (op === "arm") {
              wheel.arm(slot, now + distance);
              list.arm(slot, now + distance);
            } else if (op === "cancel") {
              wheel.cancel(slot);
              list.cancel(slot);
            } else {
              now += Math.max(0, distance);
              expect(drain(wheel, now, due)).toEqual(list.advance(now));
            }
            expect(wheel.size).toBe(list.entries.length);
            expect(wheel.earliest()).toBe(list.entries[0]?.when ?? Infinity);
            expect(wheel.peek()).toBe(list.entries[0]?.slot ?? -1);
          }
          for (let slot = 0; slot < SLOTS; slot++) {
            const entry = list.entries.find((candidate) => candidate.slot === slot);
            expect(wheel.isArmed(slot)).toBe(entry !== undefined);
            expect(wheel.when(slot)).toBe(entry?.when ?? Infinity);
          }
          expect(drain(wheel, 2 ** 52, due)).toEqual(list.advance(2 ** 52));
          expect(wheel.size).toBe(0);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it("fires piece by piece in the same order, with entries armed for any time in between", () => {
    const time = fc.constantFrom(7, 7.25, 7.5, 8, 63.5, 70, 70.5, 9000.125);
    fc.assert(
      fc.property(
        fc.array(time, { minLength: 1, maxLength: 60 }),
        fc.array(fc.record({ slot: fc.nat(59), when: time }), { maxLength: 20 }),
        (times, again) => {
          const wheel = new Wheel(60);
          const list = new SortedList();
          times.forEach((when, slot) => {
            wheel.arm(slot, when);
            list.arm(slot, when);
          });
          const due = new Int32Array(3);
          for (let i = 0; ; i++) {
            const count = wheel.advance(75, due);
            const expected = list.entries.filter((entry) => entry.when <= 75).slice(0, 3);
            expect([...due.subarray(0, count)]).toEqual(expected.map((entry) => entry.slot));
            for (const { slot } of expected) list.cancel(slot);
            if (count === 0) break;
            const rearmed = again[i];
            if (rearmed === undefined) continue;
            wheel.arm(rearmed.slot, rearmed.when);
            list.arm(rearmed.slot, rearmed.when);
            expect(wheel.peek()).toBe(list.entries[0]!.slot);
          }
          expect(wheel.size).toBe(list.entries.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("keeps the order of arming among equal times, whatever levels they came through", () => {
    const wheel = new Wheel(300);
    const due = new Int32Array(300);
    const order: number[] = [];
    // Slot s is armed for one and the same instant at time 20 * s: from level 2, then 1, then 0.
    for (let slot = 0; slot < 300; slot++) {
      expect(wheel.advance(slot * 20, due)).toBe(0);
      wheel.arm(slot, 6000.5);
      order.push(slot);
    }
    expect(wheel.advance(6000.25, due)).toBe(0);
    expect(wheel.advance(6000.5, due)).toBe(300);
    expect([...due]).toEqual(order);
  });
});

describe("wheel: edges", () => {
  it("fires at the exact fraction, not at the tick", () => {
    const wheel = new Wheel(2);
    const due = new Int32Array(2);
    wheel.arm(0, 10.75);
    wheel.arm(1, 10.5);
    expect(wheel.advance(10.25, due)).toBe(0);
    expect(wheel.advance(10.5, due)).toBe(1);
    expect(due[0]).toBe(1);
    expect(wheel.advance(10.625, due)).toBe(0);
    expect(wheel.advance(10.75, due)).toBe(1);
    expect(due[0]).toBe(0);
  });

  it("takes a clock that steps back for one that stands still", () => {
    const wheel = new Wheel(1, 100);
    const due = new Int32Array(1);
    wheel.arm(0, 50);
    expect(wheel.advance(40, due)).toBe(0);
    expect(wheel.advance(100, due)).toBe(1);
  });

  it("refuses slots, times and sizes that make no sense, naming them", () => {
    const wheel = new Wheel(4);
    for (const slot of [-1, 4, 0.5, Number.NaN]) {
      expect(() => wheel.arm(slot, 1)).toThrow(`not ${slot}`);
      expect(() => wheel.cancel(slot)).toThrow(SynwaveError);
      expect(() => wheel.isArmed(slot)).toThrow(SynwaveError);
      expect(() => wheel.when(slot)).toThrow(SynwaveError);
    }
    expect(() => wheel.arm(0, Number.NaN)).toThrow("not NaN");
    expect(() => wheel.arm(0, Infinity)).toThrow("not Infinity");
    expect(() => wheel.advance(Number.NaN, new Int32Array(1))).toThrow("not NaN");
    expect(() => wheel.advance(1, new Int32Array(0))).toThrow("at least one slot");
    for (const capacity of [0, -1, 1.5, 2 ** 31])
      expect(() => new Wheel(capacity)).toThrow(`not ${capacity}`);
    expect(() => new Wheel(1, Infinity)).toThrow("not Infinity");
    expect(wheel.size).toBe(0);
  });
});

describe("wheel: work", () => {
  const MILLION = 1_000_000;

  it("inspects no entry of a million while none is due", () => {
    const wheel = new Wheel(MILLION);
    for (let slot = 0; slot < MILLION; slot++) wheel.arm(slot, 300_000 + (slot % 7_000_000));
    const due = new Int32Array(64);
    const before = wheel.inspected;
    let fired = 0;
    for (let now = 0; now < 200_000; now += 1.5) fired += wheel.advance(now, due);
    expect(fired).toBe(0);
    expect(wheel.earliest()).toBe(300_000);
    expect(wheel.inspected - before).toBe(0);
  });

  it("looks at each of a million entries a bounded number of times until all have fired", () => {
    const wheel = new Wheel(MILLION);
    for (let slot = 0; slot < MILLION; slot++) wheel.arm(slot, (slot * 7919) % 5_000_011);
    const due = new Int32Array(4096);
    let fired = 0;
    let last = -1;
    let ordered = true;
    for (let n = wheel.advance(6e6, due); n > 0; n = wheel.advance(6e6, due)) {
      fired += n;
      for (const slot of due.subarray(0, n)) {
        const when = (slot * 7919) % 5_000_011;
        ordered &&= when >= last;
        last = when;
      }
    }
    expect(ordered).toBe(true);
    expect(fired).toBe(MILLION);
    // Down through four levels, a scan for a minimum and the ordering of a tick.
    expect(wheel.inspected).toBeLessThan(8 * MILLION);
  });

  it("jumps over years instead of ticking through them", () => {
    const wheel = new Wheel(3);
    const due = new Int32Array(3);
    const year = 365.25 * 86_400_000;
    wheel.arm(0, 1.5);
    wheel.arm(1, 10 * year);
    wheel.arm(2, 90 * year + 0.25);
    expect(wheel.advance(90 * year, due)).toBe(2);
    expect([...due.subarray(0, 2)]).toEqual([0, 1]);
    expect(wheel.earliest()).toBe(90 * year + 0.25);
    expect(wheel.advance(1000 * year, due)).toBe(1);
    expect(wheel.inspected).toBeLessThan(60);
  });
});
