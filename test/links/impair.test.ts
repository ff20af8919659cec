import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import type { CodelOptions } from "../../bindings/links/codel.ts";
import { type ImpairOptions, impair } from "../../bindings/links/impair.ts";
import type { PacketSink } from "../../bindings/links/link.ts";
import type { GilbertElliott } from "../../bindings/links/loss.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { Prng } from "../../bindings/links/prng.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { type Arrival, notebook, numbered, numberOf, send } from "../support/notebook.ts";

const probability = fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }));
const disciplined = fc.record<ImpairOptions>({
  rate: fc.integer({ min: 1e6, max: 1e8 }),
  queue: fc.integer({ min: 1500, max: 60_000 }),
  discipline: fc.oneof(
    fc.record({ kind: fc.constant("codel" as const), target: fc.constant(1), interval: fc.constant(5) }),
    fc.record({ kind: fc.constant("red" as const), weight: fc.constantFrom(0.01, 0.5, 1) }),
  ),
  ecn: fc.boolean(),
});
const options = fc.record<ImpairOptions>(
  {
    seed: fc.maxSafeNat(),
    loss: fc.oneof(probability, fc.record({ goodToBad: probability, badToGood: probability })),
    duplicate: probability,
    reorder: probability,
    corrupt: probability,
    delay: fc.integer({ min: 30, max: 50 }),
    jitter: fc.integer({ min: 0, max: 30 }),
    rate: fc.integer({ min: 1e6, max: 1e9 }),
    capacity: fc.constantFrom(65536, 1 << 20),
  },
  { requiredKeys: ["seed", "delay", "capacity"] },
);
const sends = fc.array(
  fc.record({
    wait: fc.integer({ min: 0, max: 20 }),
    lengths: fc.array(fc.integer({ min: 4, max: 1500 }), { maxLength: 64 }),
  }),
  { maxLength: 30 },
);

function play(settings: ImpairOptions, list: { wait: number; lengths: number[] }[]) {
  const clock = new VirtualClock();
  const below = notebook(clock);
  const link = impair(below, { ...settings, clock });
  let number = 0;
  const conserved = () => {
    const s = link.stats;
    expect(s.sent + s.duplicated).toBe(s.delivered + s.lost + s.queueDrops + s.earlyDrops + s.inFlight);
    expect(s.delivered).toBe(below.arrivals.length);
    expect(s.sent).toBe(number);
  };
  for (const { wait, lengths } of list) {
    clock.run(clock.now() + wait);
    send(link, number, lengths);
    number += lengths.length;
    conserved();
  }
  clock.run();
  conserved();
  expect(link.stats.inFlight).toBe(0);
  return { arrivals: below.arrivals, stats: link.stats };
}

describe("impair", () => {
  test("loses, doubles and drops no packet it does not count, and damages only those it counts", () => {
    fc.assert(
      fc.property(options, sends, (settings, list) => {
        const { arrivals, stats } = play(settings, list);
        const lengths = list.flatMap((s) => s.lengths);
        let damaged = 0;
        for (const { bytes, length } of arrivals) {
          // The number itself may be hit: the packet is whichever one of that length differs by no or one bit.
          const own = numberOf(bytes);
          let least = lengths[own] === length ? distance(bytes, numbered(length, own)) : 99;
          for (let i = 0; i < lengths.length && least > 0; i++)
            if (lengths[i] === length) least = Math.min(least, distance(bytes, numbered(length, i)));
          expect(least).toBeLessThanOrEqual(1);
          damaged += least;
        }
        expect(damaged).toBeLessThanOrEqual(stats.corrupted);
        if (settings.corrupt === undefined) expect(damaged).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("accounts for every packet, whoever drops or marks it", () => {
    fc.assert(
      fc.property(options, disciplined, sends, (settings, queue, list) => {
        const { stats } = play({ ...settings, ...queue }, list);
        expect(stats.delivered).toBeGreaterThanOrEqual(stats.marked);
      }),
      { numRuns: 60 },
    );
  });

  test("the same seed gives the same fates, another seed others", () => {
    fc.assert(
      fc.property(options, sends, (settings, list) => {
        const [a, b] = [play(settings, list), play(settings, list)];
        expect(a.stats).toEqual(b.stats);
        const trace = (arrivals: Arrival[]) =>
          arrivals.map((x) => `${x.time} ${Buffer.from(x.bytes).toString("latin1")}`).join("\n");
        expect(trace(a.arrivals) === trace(b.arrivals)).toBe(true);
      }),
      { numRuns: 30 },
    );
    const list = [{ wait: 0, lengths: new Array(60).fill(100) }];
    const numbers = (seed: number) =>
      play({ seed, loss: 0.5, capacity: 65536 }, list).arrivals.map((a) => a.number);
    expect(numbers(1)).not.toEqual(numbers(2));
    expect(numbers(1)).not.toEqual(numbers(2 ** 32 + 1));
  });

  test("keeps the order while nothing is held back, whatever the jitter", () => {
    fc.assert(
      fc.property(options, sends, (settings, list) => {
        const { arrivals, stats } = play({ ...settings, reorder: 0, corrupt: 0 }, list);
        expect(stats.reordered).toBe(0);
        for (let i = 1; i < arrivals.length; i++) {
          expect(arrivals[i].number).toBeGreaterThanOrEqual(arrivals[i - 1].number);
          expect(arrivals[i].time).toBeGreaterThanOrEqual(arrivals[i - 1].time);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a packet held back is overtaken by those of the next reorderDelay and by no others", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    const link = impair(below, { clock, seed: 5, reorder: 0.1, delay: 20, reorderDelay: 8 });
    for (let i = 0; i < 2000; i++) {
      clock.run(i);
      send(link, i, [100]);
    }
    clock.run();
    const late = below.arrivals.filter((a) => a.time !== a.number + 20);
    expect(late.length).toBe(link.stats.reordered);
    expect(late.length).toBeGreaterThan(120);
    expect(late.length).toBeLessThan(290);
    for (const a of late) {
      expect(a.time).toBeGreaterThan(a.number + 20);
      expect(a.time).toBeLessThanOrEqual(a.number + 28);
    }
    expect(below.arrivals.some((a, i) => i > 0 && a.number < below.arrivals[i - 1].number)).toBe(true);
  });

  test("delay is exact, jitter stays within its bounds", () => {
    const clock = new VirtualClock(1000);
    const below = notebook(clock);
    const link = impair(below, { clock, delay: 20.25 });
    send(link, 0, [100, 1500]);
    clock.run(1003);
    send(link, 2, [50]);
    clock.run();
    expect(below.arrivals.map((a) => [a.number, a.time])).toEqual([
      [0, 1020.25],
      [1, 1020.25],
      [2, 1023.25],
    ]);

    const shaky = impair(below, { clock, seed: 3, delay: 20, jitter: 5 });
    below.arrivals.length = 0;
    const start = clock.now();
    for (let i = 0; i < 1000; i++) {
      clock.run(start + i * 20);
      send(shaky, i, [100]);
    }
    clock.run();
    const delays = below.arrivals.map((a) => a.time - start - a.number * 20);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(15);
    expect(Math.min(...delays)).toBeLessThan(15.2);
    expect(Math.max(...delays)).toBeLessThan(25);
    expect(Math.max(...delays)).toBeGreaterThan(24.8);
    expect(delays.reduce((a, b) => a + b) / delays.length).toBeCloseTo(20, 0);
  });

  test("rate spaces packets by their length, the queue drops at its tail to the octet", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    // 12 Mbit/s: 1,500 octets a millisecond.
    const link = impair(below, { clock, rate: 12e6, queue: 15000, delay: 3 });
    send(link, 0, new Array(13).fill(1500));
    expect(link.stats).toMatchObject({ sent: 13, queueDrops: 3, inFlight: 10 });
    clock.run(4.5);
    // 5.5 packets' worth is left on the line.
    expect(below.arrivals.length).toBe(1);
    send(link, 20, [1500]);
    expect(link.stats.queueDrops).toBe(3);
    clock.run();
    expect(below.arrivals.map((a) => a.number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20]);
    below.arrivals.forEach((a, i) => {
      expect(a.time).toBeCloseTo(i + 1 + 3, 9);
    });
    expect(clock.now()).toBeCloseTo(14, 9);

    // An idle line takes up again at once.
    clock.run(100);
    send(link, 30, [750]);
    clock.run();
    expect(below.arrivals.at(-1)!.time).toBe(103.5);
  });

  test("a full queue makes room octet by octet", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    const link = impair(below, { clock, rate: 8e6, queue: 1500 });
    send(link, 0, [1000, 500, 4]);
    expect(link.stats.queueDrops).toBe(1);
    clock.run(0.25);
    send(link, 3, [251, 250]);
    expect(link.stats.queueDrops).toBe(2);
    clock.run();
    expect(below.arrivals.map((a) => [a.number, a.time])).toEqual([
      [0, 1],
      [1, 1.5],
      [4, 1.75],
    ]);
  });

  test("a bounded capacity is a counted drop, and the ring comes round with every packet whole", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    const link = impair(below, { clock, delay: 1, capacity: 65536, reorder: 0.3, reorderDelay: 3, seed: 8 });
    let number = 0;
    for (let round = 0; round < 400; round++) {
      const lengths = Array.from(
        { length: 1 + ((round * 7) % 40) },
        (_, i) => 4 + ((round * 31 + i * 97) % 1497),
      );
      send(link, number, lengths);
      number += lengths.length;
      clock.run(clock.now() + 1);
    }
    clock.run();
    const { delivered, queueDrops, sent } = link.stats;
    expect(queueDrops).toBeGreaterThan(0);
    expect(delivered).toBeGreaterThan(1000);
    expect(delivered + queueDrops).toBe(sent);
    for (const a of below.arrivals)
      expect(Buffer.compare(a.bytes, numbered(a.length, a.number)), `packet ${a.number}`).toBe(0);
    expect(new Set(below.arrivals.map((a) => a.number)).size).toBe(delivered);
  });

  test("without delay packets pass at once", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    const link = impair(below, { clock, loss: 0.5, seed: 4 });
    send(link, 0, new Array(60).fill(40));
    expect(clock.pending).toBe(0);
    expect(below.arrivals.length).toBe(link.stats.delivered);
    expect(link.stats.lost).toBe(60 - below.arrivals.length);
    expect(below.arrivals.length).toBeGreaterThan(10);
    expect(below.arrivals.length).toBeLessThan(50);
  });

  test("a link that answers within send does not disturb the batch under way", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    let answers = 0;
    const note = below.send;
    below.send = (sent) => {
      if (answers++ < 3) link.send(sent);
      note.call(below, sent);
    };
    const link = impair(below, { clock });
    send(link, 0, [10, 20, 30]);
    expect(below.arrivals.map((a) => a.length)).toEqual([10, 20, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30]);
  });

  test("what arrives passes untouched; closing loses what is under way and closes the link below", async () => {
    const clock = new VirtualClock();
    const [left, right] = pipe({ manual: true });
    const link = impair(left, { clock, loss: 1, delay: 5 });
    const other = impair(right, { clock, delay: 5 });
    let got = 0;
    const sink: PacketSink = (b) => {
      got += b.count;
    };
    link.onReceive(sink);
    send(other, 0, [50, 60]);
    clock.run();
    left.deliver();
    expect(got).toBe(2);
    send(other, 2, [50]);
    other.close();
    other.close();
    await other.closed;
    send(other, 3, [50]);
    expect(clock.pending).toBe(0);
    expect(other.stats).toMatchObject({ sent: 3, delivered: 2, lost: 1, inFlight: 0 });
  });

  test("asks for checksums only when it damages packets", () => {
    const clock = new VirtualClock();
    expect(impair(notebook(clock), { clock, loss: 1 }).checksum).toBe("none");
    expect(impair(notebook(clock), { clock, corrupt: 0.1 }).checksum).toBe("full");
  });

  test.each<[ImpairOptions, string]>([
    [{ loss: 1.01 }, "1.01"],
    [{ loss: -0.1 }, "-0.1"],
    [{ loss: "often" as unknown as number }, "often"],
    [{ loss: { goodToBad: 1.5, badToGood: 0.5 } }, "goodToBad must be a probability from 0 to 1, not 1.5"],
    [
      { loss: { goodToBad: 0.5 } as GilbertElliott },
      "badToGood must be a probability from 0 to 1, not undefined",
    ],
    [{ loss: { goodToBad: 0, badToGood: 1, lossGood: -1 } }, "lossGood"],
    [{ loss: { goodToBad: 0, badToGood: 1, lossBad: 2 } }, "2"],
    [{ duplicate: Number.NaN }, "NaN"],
    [{ reorder: "0.5" as unknown as number }, "0.5"],
    [{ corrupt: 2 }, "2"],
    [{ delay: -1 }, "-1"],
    [{ delay: Number.POSITIVE_INFINITY }, "Infinity"],
    [{ delay: 5, jitter: 6 }, "6"],
    [{ reorderDelay: -2 }, "-2"],
    [{ rate: 0 }, "0"],
    [{ queue: 5000 }, "5000"],
    [{ rate: 1e6, queue: 1499 }, "1499"],
    [{ capacity: 100 }, "100"],
    [{ discipline: { kind: "codel" } }, "nothing queues without a rate: queue undefined, discipline codel"],
    [{ rate: 1e6, discipline: "head" as "tail" }, "head"],
    [{ rate: 1e6, discipline: { kind: "pie" } as unknown as CodelOptions }, "pie"],
    [{ rate: 1e6, discipline: { kind: "codel", target: 0 } }, "target must be milliseconds above 0"],
    [{ rate: 1e6, discipline: { kind: "codel", interval: -3 } }, "-3"],
    [{ rate: 1e6, discipline: { kind: "red" } }, "minThreshold must be an integer"],
    [{ rate: 1e6, queue: 9000, discipline: { kind: "red", minThreshold: -1 } }, "-1"],
    [{ rate: 1e6, queue: 9000, discipline: { kind: "red", minThreshold: 5000 } }, "4500"],
    [{ rate: 1e6, queue: 9000, discipline: { kind: "red", maxProbability: 7 } }, "7"],
    [
      { rate: 1e6, queue: 9000, discipline: { kind: "red", weight: 0 } },
      "weight must be a probability above 0",
    ],
    [{ rate: 1e6, ecn: true }, "ecn must be false, or true with a discipline: true"],
    [
      { rate: 1e6, discipline: { kind: "codel" }, ecn: 1 as unknown as boolean },
      "ecn must be false, or true with a discipline: 1",
    ],
    [{ seed: -1 }, "-1"],
    [{ seed: 0.5 }, "0.5"],
  ])("refuses %j, naming the value", (settings, named) => {
    const make = () => impair(notebook(new VirtualClock()), settings);
    expect(make).toThrow(SynwaveError);
    expect(make).toThrow(named);
  });
});

describe("Prng", () => {
  test("is even over its bits and its seeds", () => {
    for (const seed of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const prng = new Prng(seed);
      const ones = new Array(32).fill(0);
      for (let i = 0; i < 4000; i++) {
        const value = prng.next();
        for (let bit = 0; bit < 32; bit++) ones[bit] += (value >>> bit) & 1;
      }
      // Five standard deviations.
      for (const n of ones) expect(Math.abs(n - 2000)).toBeLessThan(160);
    }
    const first = new Set(Array.from({ length: 1000 }, (_, seed) => new Prng(seed).next()));
    expect(first.size).toBe(1000);
  });

  test("never says yes to 0 nor no to 1", () => {
    const prng = new Prng(9);
    for (let i = 0; i < 1000; i++) {
      expect(prng.chance(0)).toBe(false);
      expect(prng.chance(1)).toBe(true);
      expect(prng.below(7)).toBeLessThan(7);
    }
  });
});

/** Bits in which two packets differ. */
function distance(a: Uint8Array, b: Uint8Array): number {
  let bits = 0;
  for (let i = 0; i < a.length && bits < 2; i++) for (let x = a[i] ^ b[i]; x !== 0; x &= x - 1) bits++;
  return bits;
}
