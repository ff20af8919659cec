import { describe, expect, it } from "vitest";
import { TCB_CA_STATE, TCB_CWND, TCB_SND_NXT, TCB_SND_UNA } from "../../assembly/shared/tcb-layout.ts";
import { loadProbe } from "../support/probe.ts";
import { random } from "../support/random.ts";

// What the blocks of a peer that means ill may cost: each record of a segment in flight is looked at when something becomes of
// it, and for the rest an ACK costs a binary search. Segments are the smallest there are.

const MEMORY = 64 * 2 ** 20;
const MSS = 48;
const MILLISECOND = 1000;
const NONE = 0xffffffff;

/** `segments` in flight for a round trip of 100 ms. */
async function flying(segments: number) {
  const { call, bytes } = await loadProbe(MEMORY);
  call.layOut!(MEMORY);
  const at = call.newSender!(MSS);
  const view = new DataView(bytes.buffer);
  const field = (name: number) => view.getUint32(at + name, true);
  const set = (name: number, value: number) => view.setUint32(at + name, value, true);
  let now = 1000 * MILLISECOND;
  let worst = 0;
  let total = 0;
  call.setNow!(now);
  expect(call.fly!(at, segments)).toBe(1);
  const fates = () => [call.lostOctets!(at), call.sackedOctets!(at), field(TCB_SND_UNA)];
  return {
    call,
    at,
    field,
    set,
    now: () => now,
    pass(micros: number) {
      now += micros;
      call.setNow!(now);
    },
    fly: (count: number) => call.fly!(at, count),
    /** An ACK of the first `una` segments with blocks of whole segments, each [first, last]. Returns what it cost. */
    ack(una: number, ...blocks: [number, number][]) {
      for (const [i, [first, last]] of blocks.entries()) call.block!(i, first * MSS, (last + 1) * MSS);
      const before = fates();
      const looks = call.ackScored!(at, una * MSS, blocks.length);
      const changed = fates().reduce((sum, value, i) => sum + Math.abs(value - before[i]!) / MSS, 0);
      total += looks;
      worst = Math.max(worst, looks - 8 * changed);
      return looks;
    },
    resend: (most: number) => call.resendLost!(at, most),
    next: () => {
      const seq = call.nextLost!(at) >>> 0;
      return seq === NONE ? undefined : seq / MSS;
    },
    /** The most that an ACK has cost beside what became of segments by it; and what all have cost. */
    worst: () => worst,
    total: () => total,
  };
}

type Side = Awaited<ReturnType<typeof flying>>;

/** Blocks as an attacker would choose them, for `n` segments in flight. */
const attacks: Record<string, (side: Side, n: number) => void> = {
  "holes of one segment, as many as can be": (side, n) => {
    side.pass(100 * MILLISECOND);
    for (let i = 1; i + 6 < n; i += 6) side.ack(0, [i, i], [i + 2, i + 2], [i + 4, i + 4]);
  },
  "holes from the end to the beginning": (side, n) => {
    side.pass(100 * MILLISECOND);
    for (let i = n - 1; i > 6; i -= 6) side.ack(0, [i, i], [i - 2, i - 2], [i - 4, i - 4]);
  },
  "all and nothing, again and again": (side, n) => {
    side.pass(100 * MILLISECOND);
    for (let i = 0; i < 1000; i++) side.ack(0, [1, n - 1], [1, n - 2], [n >> 1, n - 1], [n, n + 5]);
  },
  "blocks that overlap, at random": (side, n) => {
    const next = random(5);
    side.pass(100 * MILLISECOND);
    for (let i = 0; i < 2000; i++) {
      const block = (): [number, number] => {
        const first = Math.floor(next() * n);
        return [first, first + Math.floor(next() * next() * 20)];
      };
      side.ack(0, block(), block(), block(), block());
      side.resend(2);
      side.pass(100);
    }
  },
  "late segments, so that all are given time": (side, n) => {
    side.pass(100 * MILLISECOND);
    side.ack(0, [2, 3]);
    side.ack(4, [1, 1]);
    for (let i = 0; i < 1000; i++) {
      side.pass(1);
      side.ack(4, [n - 2 - 2 * i, n - 2 - 2 * i]);
    }
  },
  "duplicates of what was sent once": (side, n) => {
    side.pass(100 * MILLISECOND);
    side.ack(5);
    for (let i = 0; i < 1000; i++) side.ack(5, [i % 5, i % 5], [6, n - 1]);
    for (let i = 0; i < 1000; i++) side.ack(5, [8 + i, 8 + i], [6, n - 1]);
  },
  "what was sent again is lost again, one at a time": (side, n) => {
    side.pass(100 * MILLISECOND);
    side.ack(0, [n - 3, n - 1]);
    side.set(TCB_CWND, 0x40000000);
    // Half of what is lost is sent again, then one after the other, and something new behind each.
    side.resend(10);
    const fresh: number[] = [];
    for (let i = 0; i < 400; i++) {
      side.pass(250);
      side.set(TCB_CWND, 0x40000000);
      expect(side.resend(1)).toBeLessThan(12);
      side.pass(1);
      fresh.push(side.field(TCB_SND_NXT) / MSS);
      side.fly(1);
    }
    side.set(TCB_CWND, 0x40000000);
    side.resend(n >> 1);
    for (const segment of fresh) {
      side.pass(251);
      side.ack(0, [segment, segment]);
      side.set(TCB_CWND, 0x40000000);
      expect(side.resend(2)).toBeLessThan(24);
    }
  },
};

describe.each(Object.keys(attacks))("SACK, %s", (name) => {
  it("costs an ACK no more than a search, however much is in flight", async () => {
    const costs: number[] = [];
    for (const n of [2 ** 12, 2 ** 14, 2 ** 17]) {
      const side = await flying(n);
      attacks[name]!(side, n);
      costs.push(side.worst());
      expect(side.call.sackedRuns!(side.at)).toBeLessThanOrEqual(side.call.runsMax!());
      // Blocks of the pool, where more is in flight than it has room for records of, would have been refused.
      expect(side.field(TCB_CA_STATE)).toBeLessThan(5);
    }
    // Five more steps of a search for each of four blocks, and of two things each is looked for by.
    expect(costs[2]! - costs[0]!).toBeLessThanOrEqual(4 * 2 * 5);
    expect(costs[2]).toBeLessThan(160);
  });
});

describe("a million segments in flight", () => {
  it("are more than there are records for: the scoreboard ends, and gives back what it held", async () => {
    const { call, at } = await flying(1);
    expect(call.fly!(at, 2 ** 20)).toBe(0);
    for (let i = 0; i < 3; i++) {
      const other = call.newSender!(MSS);
      expect(call.fly!(other, 2 ** 17)).toBe(1);
      for (let una = 1; una <= 2 ** 17; una <<= 1) call.ackScored!(other, una * MSS, 0);
    }
  });
});

describe("what waits to be sent again", () => {
  it("goes in the order of sequence numbers, and first what was lost again", async () => {
    const side = await flying(64);
    side.pass(100 * MILLISECOND);
    side.ack(0, [30, 40]);
    expect(side.next()).toBe(0);
    side.set(TCB_CWND, 0x40000000);
    side.resend(10);
    expect(side.next()).toBe(10);
    side.pass(1);
    side.fly(1);
    side.pass(100 * MILLISECOND);
    side.ack(0, [30, 40], [64, 64]);
    const order = [];
    for (let next = side.next(); next !== undefined; next = side.next()) {
      order.push(next);
      side.set(TCB_CWND, 0x40000000);
      side.resend(1);
    }
    const lost = Array.from({ length: 64 }, (_, n) => n).filter((n) => n < 30 || n > 40);
    expect(order).toEqual(lost);
  });
});

describe("runs of what was SACKed", () => {
  it("are forgotten when they are acknowledged, though something is always in flight", async () => {
    const side = await flying(100);
    const room = side.call.runsMax!();
    for (let i = 0; i < 2 * room; i++) {
      side.pass(MILLISECOND);
      side.fly(4);
      const una = 4 * i;
      side.ack(una, [una + 1, una + 1], [una + 3, una + 3]);
      side.ack(una + 4);
      expect(side.call.sackedRuns!(side.at)).toBe(0);
    }
  });
});
