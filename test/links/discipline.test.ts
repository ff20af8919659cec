import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Codel } from "../../bindings/links/codel.ts";
import { DROP, HIT, PASS } from "../../bindings/links/discipline.ts";
import { isEcnCapable, markCongestion } from "../../bindings/links/ecn.ts";
import { type ImpairOptions, impair } from "../../bindings/links/impair.ts";
import { Prng } from "../../bindings/links/prng.ts";
import { Red, type RedOptions } from "../../bindings/links/red.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { notebook, send } from "../support/notebook.ts";

const MTU = 1500;

/** RFC 8289 §5, told as it stands there, with a queue of [number, length, time]; returns the numbers that were dropped. */
function codelOracle(
  arrivals: [time: number, length: number][],
  rate: number,
  target: number,
  interval: number,
) {
  const queue: [number: number, length: number, time: number][] = [];
  const dropped: number[] = [];
  let [firstAbove, dropNext, count, lastCount, dropping] = [0, 0, 0, 0, false];
  const dodequeue = (now: number) => {
    const packet = queue.shift();
    let ok = false;
    if (packet === undefined) firstAbove = 0;
    else if (now - packet[2] < target || queue.reduce((sum, [, length]) => sum + length, 0) <= MTU)
      firstAbove = 0;
    else if (firstAbove === 0) firstAbove = now + interval;
    else ok = now >= firstAbove;
    return { packet, ok };
  };
  const controlLaw = (time: number) => time + interval / Math.sqrt(count);
  const dequeue = (now: number) => {
    let r = dodequeue(now);
    if (dropping) {
      if (!r.ok) dropping = false;
      while (now >= dropNext && dropping) {
        dropped.push(r.packet![0]);
        count++;
        r = dodequeue(now);
        if (r.ok) dropNext = controlLaw(dropNext);
        else dropping = false;
      }
    } else if (r.ok) {
      dropped.push(r.packet![0]);
      r = dodequeue(now);
      dropping = true;
      const delta = count - lastCount;
      count = delta > 1 && now - dropNext < 16 * interval ? delta : 1;
      dropNext = controlLaw(now);
      lastCount = count;
    }
    return r.packet;
  };
  let free = 0;
  const serve = (until: number) => {
    while (queue.length > 0 && free <= until) {
      const start = Math.max(free, queue[0][2]);
      const packet = dequeue(start);
      if (packet !== undefined) free = start + packet[1] * (8000 / rate);
    }
  };
  arrivals.forEach(([time, length], number) => {
    serve(time);
    queue.push([number, length, time]);
    serve(time);
  });
  serve(Number.POSITIVE_INFINITY);
  return dropped;
}

function lengths(count: number, length: number): number[] {
  return new Array(count).fill(length);
}

describe("CoDel", () => {
  test("[RFC 8289 §5] drops what its pseudocode drops", () => {
    const arrival = fc.record({
      wait: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 }), fc.constant(80)),
      lengths: fc.array(fc.integer({ min: 40, max: MTU }), { minLength: 1, maxLength: 30, size: "max" }),
    });
    let drops = 0;
    fc.assert(
      fc.property(
        fc.array(arrival, { minLength: 100, maxLength: 200, size: "max" }),
        fc.constantFrom(10, 40),
        (list, interval) => {
          const clock = new VirtualClock(1);
          const below = notebook(clock);
          const rate = 10e6;
          const link = impair(below, { clock, rate, discipline: { kind: "codel", target: 2, interval } });
          const arrivals: [number, number][] = [];
          for (const { wait, lengths } of list) {
            clock.run(clock.now() + wait);
            send(link, arrivals.length, lengths);
            for (const length of lengths) arrivals.push([clock.now(), length]);
          }
          clock.run();
          const came = new Set(below.arrivals.map(({ number }) => number));
          const dropped = arrivals.map((_, number) => number).filter((number) => !came.has(number));
          expect(dropped).toEqual(codelOracle(arrivals, rate, 2, interval));
          expect(link.stats.earlyDrops).toBe(dropped.length);
          drops += dropped.length;
        },
      ),
      { numRuns: 100 },
    );
    expect(drops).toBeGreaterThan(1000);
  });

  test("[RFC 8289 §4.3] drops after an interval / sqrt(count) each while waits stay long", () => {
    const codel = new Codel({ kind: "codel", target: 5, interval: 100 }, MTU);
    const hits: number[] = [];
    for (let now = 0; now < 2000; now += 0.01) if (codel.leaves(now, 50, 50 * MTU)) hits.push(now);
    expect(hits[0]).toBeCloseTo(100, 1);
    expect(hits.length).toBeGreaterThan(80);
    let expected = hits[0];
    hits.slice(1).forEach((hit, i) => {
      expected += 100 / Math.sqrt(i + 1);
      expect(hit).toBeGreaterThanOrEqual(expected - 1e-6);
      expect(hit).toBeLessThan(expected + 0.011);
    });
  });

  test("goes on where it was when waits are long again soon, and from the beginning later", () => {
    const gap = (pause: number) => {
      const codel = new Codel({ kind: "codel", target: 5, interval: 10 }, MTU);
      const run = (from: number, to: number) => {
        const hits: number[] = [];
        for (let now = from; now < to; now += 0.01) if (codel.leaves(now, 9, 50 * MTU)) hits.push(now);
        return hits;
      };
      const began = run(0, 100).length;
      expect(began).toBeGreaterThan(20);
      codel.leaves(100, 1, 50 * MTU);
      const again = run(100 + pause, 130 + pause);
      return again[1] - again[0];
    };
    expect(gap(1)).toBeLessThan(2.5);
    expect(gap(200)).toBeCloseTo(10, 1);
  });

  test("lets a short wait and a last packet pass", () => {
    const codel = new Codel({ kind: "codel" }, MTU);
    for (let now = 0; now < 1000; now++) {
      expect(codel.leaves(now, 4.99, 1e6)).toBe(false);
      expect(codel.leaves(now, 500, MTU)).toBe(false);
    }
  });
});

describe("RED", () => {
  const shareOf = (options: Omit<RedOptions, "kind">, backlog: number, verdict: number) => {
    const red = new Red({ kind: "red", ...options }, 0, 1, new Prng(4));
    let hits = 0;
    for (let i = 0; i < 200_000; i++) if (red.arrives(backlog, -1) === verdict) hits++;
    return hits / 200_000;
  };
  const options = { minThreshold: 10_000, maxThreshold: 30_000, maxProbability: 0.2, weight: 1 };

  test.each([
    [9_999, 0],
    [10_000, 0],
    [12_000, 0.02],
    [20_000, 0.1],
    [25_000, 0.15],
    [29_999, 0.2],
  ])("of an average of %i octets hits with a probability of %d, evenly spaced", (backlog, p) => {
    // One of 1 to 1 / p packets, each as likely: (1 / p + 1) / 2 on average, but that 1 / p is no whole number.
    const last = p === 0 ? 0 : Math.ceil(1 / p - 1e-9);
    let mean = 0;
    for (let n = 1; n <= last; n++) mean += n * (n < last ? p : 1 - p * (last - 1));
    expect(shareOf(options, backlog, HIT)).toBeCloseTo(p === 0 ? 0 : 1 / mean, 2);
    expect(shareOf(options, backlog, DROP)).toBe(0);
  });

  test.each([
    [45_000, 0.6],
    [60_000, 1],
    [90_000, 1],
  ])("of an average of %i octets drops with a probability of %d, marked or not", (backlog, p) => {
    // 0.6 of the time the next one, else the one behind it.
    expect(shareOf(options, backlog, DROP)).toBeCloseTo(1 / (p + 2 * (1 - p)), 2);
    expect(shareOf(options, backlog, HIT)).toBe(0);
  });

  test("spaces hits uniformly over 1 / p packets", () => {
    const red = new Red({ kind: "red", ...options }, 0, 1, new Prng(6));
    const times = new Array(12).fill(0);
    let [last, hits] = [-1, 0];
    for (let i = 0; i < 220_000; i++)
      if (red.arrives(20_000, -1) === HIT) {
        times[i - last]++;
        last = i;
        hits++;
      }
    expect(times[0] + times[11]).toBe(0);
    for (let n = 1; n <= 10; n++) expect(times[n] / hits).toBeCloseTo(0.1, 2);
  });

  test("follows the queue by its weight, and forgets it while the line idles", () => {
    const wake = (idle: number) => {
      const red = new Red({ kind: "red", ...options, weight: 0.1 }, 0, 2, new Prng(1));
      const verdicts = Array.from({ length: 60 }, () => red.arrives(100_000, -1));
      return { verdicts, later: red.arrives(0, idle) };
    };
    const { verdicts, later } = wake(1);
    // 1 - 0.9^n of 100,000 octets: 10,000 after the first, 60,000 after the ninth.
    expect(verdicts[0]).toBe(PASS);
    expect(verdicts.slice(8)).toEqual(lengths(52, DROP));
    expect(later).toBe(DROP);
    // 0.9^50 of it are 515 octets.
    expect(wake(100).later).toBe(PASS);
  });

  test("holds a queue between its thresholds where a tail drop fills it", () => {
    const fill = (discipline: NonNullable<ImpairOptions["discipline"]>) => {
      const clock = new VirtualClock();
      const link = impair(notebook(clock), { clock, seed: 1, rate: 12e6, queue: 150_000, discipline });
      const chance = new Prng(7);
      let most = 0;
      for (let i = 0; i < 40_000; i++) {
        // One packet a millisecond is what the line takes; five per cent more come.
        clock.run(clock.now() + 2 * chance.fraction() * (1 / 1.05));
        send(link, i, [MTU]);
        if (i > 5000) most = Math.max(most, link.stats.inFlight);
      }
      return { ...link.stats, most };
    };
    const tail = fill("tail");
    // A hundred and what is left of the one on the line.
    expect(tail.most).toBe(101);
    expect(tail.queueDrops).toBeGreaterThan(1000);
    const red = fill({ kind: "red" });
    expect(red.queueDrops).toBe(0);
    expect(red.earlyDrops).toBeGreaterThan(1000);
    expect(red.most).toBeLessThan(80);
  });
});

/** A packet of 40 octets and more: version 4 with a right checksum, or 6, and an ECN field. */
function packet(version: 4 | 6, ecn: number, fill: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill);
  if (version === 6) {
    bytes[0] = 0x60 | (fill & 15);
    bytes[1] = (ecn << 4) | (fill & 0xcf);
    return bytes;
  }
  bytes[0] = 0x45;
  bytes[1] = (fill & 0xfc) | ecn;
  bytes[10] = bytes[11] = 0;
  const sum = 0xffff - headerSum(bytes);
  bytes[10] = sum >> 8;
  bytes[11] = sum & 0xff;
  return bytes;
}

function headerSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

describe("ECN", () => {
  test("[RFC 3168 §5] a mark changes the ECN field and keeps IPv4's checksum right", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 6 as const),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 255 }),
        (version, ecn, fill) => {
          const before = packet(version, ecn, fill);
          const bytes = new Uint8Array(80).fill(9);
          bytes.set(before, 8);
          expect(isEcnCapable(bytes, 8, 60)).toBe(true);
          markCongestion(bytes, 8);
          const after = bytes.slice(8, 68);
          expect(after).toEqual(packet(version, 3, fill));
          if (version === 4) expect(headerSum(after)).toBe(0xffff);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("what its sender does not understand, or is no IP packet, cannot be marked", () => {
    expect(isEcnCapable(packet(4, 0, 0xff), 0, 60)).toBe(false);
    expect(isEcnCapable(packet(6, 0, 0xff), 0, 60)).toBe(false);
    expect(isEcnCapable(packet(4, 1, 0), 0, 19)).toBe(false);
    expect(isEcnCapable(new Uint8Array(60).fill(0x55), 0, 60)).toBe(false);
  });

  test.each([
    ["CoDel", { kind: "codel", target: 2, interval: 10 }],
    ["RED", { kind: "red", minThreshold: 4000, maxThreshold: 500_000, weight: 1, maxProbability: 0.5 }],
  ] as const)("%s marks packets that can be and drops others, each copy for itself", (_, discipline) => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    const link = impair(below, { clock, seed: 2, rate: 10e6, discipline, ecn: true, duplicate: 0.5 });
    const batch = new PacketBatch(64, 128 * 1024);
    for (let i = 0; i < 600; i++) {
      batch.clear();
      batch.push(packet(i % 2 ? 4 : 6, 2, 7, 1000));
      batch.push(packet(i % 2 ? 6 : 4, 0, 9, 1000));
      link.send(batch);
      clock.run(clock.now() + 1);
    }
    clock.run();
    const ecn = ({ bytes }: { bytes: Uint8Array }) =>
      bytes[0] >> 4 === 4 ? bytes[1] & 3 : (bytes[1] >> 4) & 3;
    const { sent, duplicated, delivered, earlyDrops, marked } = link.stats;
    const fields = below.arrivals.map(ecn);
    expect(marked).toBeGreaterThan(20);
    expect(fields.filter((field) => field === 3).length).toBe(marked);
    expect(earlyDrops).toBeGreaterThan(20);
    expect(delivered + earlyDrops).toBe(sent + duplicated);
    const capable = below.arrivals.filter(({ bytes }) => bytes[bytes.length - 1] === 7);
    expect(capable.every((arrival) => ecn(arrival) >= 2)).toBe(true);
    expect(fields.filter((field) => field === 0).length).toBe(delivered - capable.length);
    for (const { bytes } of below.arrivals) if (bytes[0] >> 4 === 4) expect(headerSum(bytes)).toBe(0xffff);
    // Without ECN the same packets are dropped.
    expect(capable.length).toBeGreaterThan(delivered - capable.length);
  });
});
