import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flight, RTT } from "../support/flight.ts";
import { type Acked, MSS, Path, type PathOptions } from "../support/path.ts";

// RFC 9406, HyStart++: the window at every ACK of the first slow start against the algorithm as §4.2 has it.

const UNBOUNDED = 0x7fffffff;
const SECOND = 1000;

/** §4.2 in milliseconds and octets. */
class Oracle {
  cwnd: number;
  windowEnd: number;
  rounds = 0;
  lastRoundMinRtt = Infinity;
  currentRoundMinRtt = Infinity;
  rttSampleCount = 0;
  cssBaselineMinRtt = Infinity;
  cssRounds = 0;
  css = false;
  over = false;
  entered = 0;
  resumed = 0;

  constructor(cwnd: number, windowEnd: number) {
    this.cwnd = cwnd;
    this.windowEnd = windowEnd;
  }

  ack({ octets, ack, sent, rtt }: Acked): void {
    if (this.over) return;
    if (ack > this.windowEnd) this.turn(sent);
    if (this.over) return;
    this.currentRoundMinRtt = Math.min(this.currentRoundMinRtt, rtt);
    this.rttSampleCount++;
    if (this.rttSampleCount >= 8 && !this.css && this.lastRoundMinRtt !== Infinity) {
      const threshold = Math.max(4, Math.min(this.lastRoundMinRtt / 8, 16));
      if (this.currentRoundMinRtt >= this.lastRoundMinRtt + threshold) {
        this.cssBaselineMinRtt = this.currentRoundMinRtt;
        this.css = true;
        this.cssRounds = 0;
        this.entered++;
      }
    } else if (this.rttSampleCount >= 8 && this.css && this.currentRoundMinRtt < this.cssBaselineMinRtt) {
      this.cssBaselineMinRtt = Infinity;
      this.css = false;
      this.resumed++;
    }
    this.cwnd += octets / (this.css ? 4 : 1);
  }

  /** The first ACK of the next round. */
  turn(sent: number): void {
    this.rounds++;
    this.windowEnd = sent;
    this.lastRoundMinRtt = this.currentRoundMinRtt;
    this.currentRoundMinRtt = Infinity;
    this.rttSampleCount = 0;
    if (this.css && ++this.cssRounds === 5) this.over = true;
  }
}

const ssthresh = (path: Path) => path.connection.info().sndSsthresh;

async function begin(options: PathOptions = {}) {
  const path = await Path.open({ rtt: 40, timestamps: true, ...options });
  path.pump();
  const oracle = new Oracle(10 * MSS, 1 + 10 * MSS);
  /** The next ACK, of which engine and oracle must make the same; what it came to. */
  const step = () => {
    const before = path.cwnd;
    const acked = path.step()!;
    oracle.ack(acked);
    if (path.cwnd !== Math.floor(oracle.cwnd / MSS))
      expect.fail(`${path.cwnd} segments at ${path.now}, not ${oracle.cwnd / MSS}\n${path.peer.tail(8)}`);
    expect(ssthresh(path)).toBe(oracle.over ? path.cwnd : UNBOUNDED);
    return path.cwnd - before;
  };
  /** All ACKs of this round, and no more. */
  const round = () => {
    const { rounds } = oracle;
    while (oracle.rounds === rounds) step();
  };
  return { path, oracle, step, round };
}

describe("rounds", () => {
  it("[9406-1] end with the ACK of what had been sent when they began", async () => {
    const { path, oracle, round, step } = await begin();
    for (let i = 0; i < 4; i++) round();
    // From here on trips are longer: the alarm comes in the round that they are all of, with its eighth sample.
    path.rtt = 50;
    while (!oracle.css) step();
    expect(oracle.rttSampleCount).toBe(8);
    expect(oracle.rounds).toBeGreaterThanOrEqual(5);
  });

  it("[9406-2] are judged by the least of eight round trips at least", async () => {
    const { path, oracle, round, step } = await begin();
    for (let i = 0; i < 2; i++) round();
    path.rtt = 60;
    for (let i = 0; i < 2; i++) round();
    while (!oracle.css && oracle.rttSampleCount < 7) expect(step()).toBe(1);
    expect(path.cwnd).toBe(Math.floor(oracle.cwnd / MSS));
    if (!oracle.css) step();
    expect(oracle.css).toBe(true);
    expect(oracle.rttSampleCount).toBe(8);
  });

  it("[9406-2] of fewer tell nothing: five ACKs a round for eight segments each", async () => {
    const { oracle, round, path } = await begin({ every: 8 });
    for (let i = 0; i < 3; i++) round();
    path.rtt = 80;
    for (let i = 0; i < 2; i++) round();
    expect(oracle.entered).toBe(0);
    expect(ssthresh(path)).toBe(UNBOUNDED);
  });
});

describe("the alarm", () => {
  it.each([
    ["an eighth", 40, 44, 45],
    ["but 4 ms at least", 16, 19, 20],
    ["and 16 ms at most", 300, 315, 316],
  ])("[9406-3] is a rise by %s", async (_, rtt, below, above) => {
    for (const [to, alarmed] of [
      [below, 0],
      [above, 1],
    ] as const) {
      const { oracle, round, path } = await begin({ rtt });
      for (let i = 0; i < 2; i++) round();
      path.rtt = to;
      for (let i = 0; i < 3; i++) round();
      expect(oracle.entered, `${to} ms`).toBe(alarmed);
    }
  });

  it("[9406-4] slows the window to a quarter of its pace", async () => {
    const { path, oracle, round } = await begin();
    for (let i = 0; i < 2; i++) round();
    path.rtt = 60;
    while (!oracle.css) round();
    const before = path.cwnd;
    const flying = path.connection.info().unacked;
    let acked = 0;
    while (acked < flying) {
      acked += 1;
      oracle.ack(path.step()!);
    }
    expect(Math.abs(path.cwnd - before - flying / 4)).toBeLessThanOrEqual(1);
  });

  it("[9406-5] was false where round trips are short again, and slow start goes on", async () => {
    const { path, oracle, round } = await begin();
    for (let i = 0; i < 2; i++) round();
    path.rtt = 60;
    while (!oracle.css) round();
    path.rtt = 40;
    while (oracle.css) round();
    expect([oracle.entered, oracle.resumed]).toEqual([1, 1]);
    const before = path.cwnd;
    const flying = path.connection.info().unacked;
    for (let i = 0; i < flying; i++) oracle.ack(path.step()!);
    expect(path.cwnd - before).toBe(flying);
    // And it is not deaf to the next.
    path.rtt = 60;
    while (!oracle.css) round();
    expect(oracle.entered).toBe(2);
  });

  it("[9406-6] [9438-12] that lasts five rounds ends slow start, where CUBIC begins flat", async () => {
    const { path, oracle, round } = await begin();
    for (let i = 0; i < 2; i++) round();
    path.rtt = 60;
    while (!oracle.over) round();
    expect(oracle.cssRounds).toBe(5);
    expect(ssthresh(path)).toBe(path.cwnd);
    const { sndCwnd, totalRetrans } = path.connection.info();
    expect(totalRetrans).toBe(0);
    // W_max is where it ended: t cubed is nothing yet, and Reno's segment a round trip is what there is.
    path.run(SECOND);
    const grown = path.cwnd - sndCwnd;
    expect(grown).toBeGreaterThanOrEqual(13);
    expect(grown).toBeLessThanOrEqual(17);
  });

  it("[9438-12] saves a link with a queue from what slow start would lose", async () => {
    const lost = [];
    for (const timestamps of [true, false]) {
      // A link of a segment every three milliseconds, before it a long queue. No train of ACKs comes through it, and without
      // timestamps there are too few round trips.
      const path = await Path.open({ rtt: 120, gap: 3, timestamps });
      path.queue = 450;
      path.run(4 * SECOND);
      lost.push(path.dropped);
    }
    expect(lost[0]).toBe(0);
    expect(lost[1]).toBeGreaterThan(100);
  });
});

describe("a train of ACKs", () => {
  /** The slow start of a path whose link takes `gap` milliseconds for a segment, ACK for ACK. */
  async function slowStart(rtt: number, gap: number) {
    const path = await Path.open({ rtt, gap });
    path.pump();
    const acks: { at: number; cwnd: number; over: boolean }[] = [];
    while (acks.length < 200) {
      path.step();
      acks.push({ at: path.now, cwnd: path.cwnd, over: ssthresh(path) !== UNBOUNDED });
    }
    return acks;
  }

  it("for half of the least round trip ends slow start, as in Linux", async () => {
    const acks = await slowStart(40, 1);
    const last = acks.findIndex(({ over }) => over);
    // In the rounds before, trains were of 10 and of 20 ACKs.
    const { at, cwnd } = acks[last]!;
    expect(at - acks[30]!.at).toBe(21);
    expect(cwnd).toBe(10 + last);
    // Twice as much would have been on its way by the end of the round.
    expect(acks[10 + 20 + 40]!.cwnd).toBeLessThan(cwnd + 3);
  });

  it("that is interrupted for more than two milliseconds tells nothing", async () => {
    const acks = await slowStart(84, 2.1);
    // Beyond the 40 segments that the path holds.
    expect(acks.find(({ cwnd }) => cwnd === 160)?.over).toBe(false);
  });

  it("is not interrupted where segments overtake each other: what tells of a hole is one of its ACKs", async () => {
    const { connection, ack, peer, sent } = await flight(200, {
      tcpCongestionControl: "cubic",
      tcpWmem: [4096, 1 << 20, 1 << 20],
    });
    let next = 1;
    for (const segments of [10, 20]) {
      expect(sent()).toHaveLength(segments);
      peer.wait(RTT);
      for (let i = 0; i < segments; i++) ack(++next);
    }
    expect(sent()).toHaveLength(40);
    peer.wait(RTT);
    const end = next + 40;
    const begun = peer.now;
    while (next < end && connection.info().sndSsthresh === UNBOUNDED) {
      peer.wait(1.5);
      ack(next, [next + 1, next + 1]);
      peer.wait(1.5);
      next += 2;
      ack(next);
      sent();
    }
    // The round began with the first ACK that moved SND.UNA; the first one more than half a round trip later ends it.
    expect(peer.now - begun).toBe(3 + RTT / 2 + 1);
  });
});

describe("a peer with SACK", () => {
  it("[9406-2] needs no timestamps, and each ACK counts once if it has them", async () => {
    for (const timestamps of [false, true]) {
      const { path, oracle, round } = await begin({ timestamps, sack: true });
      for (let i = 0; i < 2; i++) round();
      path.rtt = 60;
      while (!oracle.over) round();
      expect(ssthresh(path)).toBe(path.cwnd);
    }
  });
});

describe("one ACK", () => {
  it("for sixteen segments opens the window by sixteen, as in Linux", async () => {
    const { path, round, step } = await begin();
    for (let i = 0; i < 2; i++) round();
    path.every = 16;
    expect(step()).toBe(16);
  });
});

describe("what ends it", () => {
  it("[9406-9] a loss in slow start is a loss like any other", async () => {
    const { path, round } = await begin();
    for (let i = 0; i < 2; i++) round();
    const flight = lose(path);
    expect(ssthresh(path)).toBe(Math.floor(0.7 * flight));
  });

  it("[9406-9] so is one in Conservative Slow Start", async () => {
    const { path, oracle, round } = await begin();
    for (let i = 0; i < 2; i++) round();
    path.rtt = 60;
    while (!oracle.css) round();
    const flight = lose(path);
    expect(ssthresh(path)).toBe(Math.floor(0.7 * flight));
  });

  it("[9406-9] an echo of congestion ends it, too", async () => {
    const { path, round } = await begin({ ecn: true });
    for (let i = 0; i < 2; i++) round();
    const { unacked } = path.connection.info();
    path.echo = true;
    path.step();
    expect(path.cwnd).toBe(Math.floor(0.7 * unacked));
    expect(ssthresh(path)).toBe(path.cwnd);
  });

  it("[9406-8] slow start after a timeout is the standard one", async () => {
    const { path, round } = await begin();
    for (let i = 0; i < 3; i++) round();
    path.lose = () => true;
    while (path.connection.info().caState !== 4) path.step(path.now + 10);
    path.lose = () => false;
    const left = ssthresh(path);
    expect(path.cwnd).toBe(1);
    expect(left).toBeGreaterThan(40);
    path.until(() => path.connection.info().caState === 0);
    // Longer round trips do not slow it.
    path.rtt = 150;
    while (path.cwnd < left) {
      const before = path.cwnd;
      const { octets } = path.step()!;
      expect(path.cwnd - before).toBe(Math.min(octets / MSS, left - before));
    }
    expect(ssthresh(path)).toBe(left);
  });
});

describe("whatever round trips do", () => {
  it("[9406-1] [9406-2] [9406-3] [9406-4] [9406-5] [9406-6] the window is that of the algorithm", async () => {
    let entered = 0;
    let resumed = 0;
    let over = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 5, max: 190 }),
        fc.array(
          // No longer than the retransmission timeout, whatever came before.
          fc.record({ acks: fc.integer({ min: 1, max: 80 }), rtt: fc.integer({ min: 5, max: 190 }) }),
          { minLength: 3, maxLength: 20 },
        ),
        async (rtt, changes) => {
          const { path, oracle, step } = await begin({ rtt });
          for (const change of changes) {
            path.rtt = change.rtt;
            for (let i = 0; i < change.acks && !oracle.over && path.cwnd < 800; i++) step();
          }
          entered += oracle.entered;
          resumed += oracle.resumed;
          over += Number(oracle.over);
        },
      ),
      { numRuns: 60, seed: 9406 },
    );
    // All of it has happened.
    expect(Math.min(entered, resumed, over)).toBeGreaterThan(0);
  });

  it("a peer without SACK or timestamps gives one round trip in a round, and slow start is the standard one", async () => {
    const path = await Path.open({ rtt: 40 });
    path.until(() => path.cwnd >= 40);
    path.rtt = 120;
    path.until(() => path.cwnd >= 300);
    expect(ssthresh(path)).toBe(UNBOUNDED);
  });
});

/** Lose a segment; what was in flight when the third duplicate told of it, but for what the others had let go. */
function lose(path: Path): number {
  path.lose = () => {
    path.lose = () => false;
    return true;
  };
  let flight = 0;
  while (path.connection.info().caState !== 3) {
    const { unacked, sndCwnd } = path.connection.info();
    flight = Math.min(unacked, sndCwnd);
    path.step();
  }
  return flight;
}
