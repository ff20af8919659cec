import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeEngine } from "../support/engine.ts";
import { MSS, Path, type PathOptions } from "../support/path.ts";
import { loadProbe } from "../support/probe.ts";
import { vectors } from "../support/vectors.ts";

// RFC 9438, CUBIC: the window over virtual time against the formulas of the RFC, written down as they stand there.

const SECOND = 1000;
const C = 0.4;
const BETA = 0.7;

/** Congestion avoidance as §4.2 to §4.5 have it, in segments and seconds, one ACK for each segment. */
class Oracle {
  epoch: number | undefined;
  k = 0;
  wEst = 0;
  clamped = 0;
  friendly = 0;
  acks = 0;
  cwnd: number;
  readonly wMax: number;
  readonly cwndPrior: number;

  constructor(cwnd: number, wMax: number, cwndPrior: number) {
    this.cwnd = cwnd;
    this.wMax = wMax;
    this.cwndPrior = cwndPrior;
  }

  curve(t: number): number {
    return C * (t - this.k) ** 3 + this.wMax;
  }

  ack(segments: number, now: number, rtt: number): void {
    if (this.epoch === undefined) {
      this.epoch = now;
      this.wEst = this.cwnd;
      this.k = Math.cbrt((this.wMax - this.cwnd) / C);
    }
    this.acks++;
    const t = now - this.epoch;
    const alpha = this.wEst >= this.cwndPrior ? 1 : (3 * (1 - BETA)) / (1 + BETA);
    this.wEst += (alpha * segments) / this.cwnd;
    if (this.curve(t) < this.wEst) {
      this.friendly++;
      this.cwnd = Math.max(this.cwnd, this.wEst);
      return;
    }
    let target = this.curve(t + rtt);
    if (target < this.cwnd) target = this.cwnd;
    if (target > 1.5 * this.cwnd) {
      target = 1.5 * this.cwnd;
      this.clamped++;
    }
    this.cwnd += ((target - this.cwnd) / this.cwnd) * segments;
  }
}

const ssthresh = (path: Path) => path.connection.info().sndSsthresh;

/** A path whose window has grown to `segments` in slow start, one was lost, and congestion avoidance is about to begin. */
async function afterLoss(segments: number, options: PathOptions = {}) {
  const path = await Path.open(options);
  path.until(() => path.cwnd >= segments);
  const { at, flight } = lose(path);
  return { path, at, flight };
}

/** Lose a segment; what the window was when that came out, and what is left once it is ssthresh again. */
function lose(path: Path) {
  let lost = false;
  path.lose = () => {
    path.lose = () => false;
    lost = true;
    return true;
  };
  path.until(() => lost);
  let before = path.connection.info();
  while (path.connection.info().caState !== 3) {
    before = path.connection.info();
    path.step();
  }
  const left = ssthresh(path);
  path.until(() => path.connection.info().caState === 0);
  path.until(() => path.cwnd >= left);
  // What duplicates have let go beyond the window does not count (RFC 5681 §3.2).
  return { at: before.sndCwnd, flight: Math.min(before.unacked, before.sndCwnd), left };
}

/** Lose whatever is sent until the timer expires, and nothing from then on. */
function timeout(path: Path) {
  path.lose = () => true;
  let before = path.connection.info();
  while (path.connection.info().caState !== 4) {
    before = path.connection.info();
    path.step(path.now + 10);
  }
  path.lose = () => false;
  expect(path.cwnd).toBe(1);
  return { at: before.sndCwnd, flight: before.unacked, left: ssthresh(path) };
}

/**
 * Let the path run beside the oracle. The window must be that of the oracle at every ACK, to a segment: the two may have
 * begun the epoch with an ACK's difference, which where the curve is steep comes to a fiftieth.
 */
function follow(path: Path, oracle: Oracle, duration: number): number[] {
  const windows: number[] = [];
  path.run(duration, ({ octets }) => {
    oracle.ack(octets / MSS, path.now / SECOND, path.connection.info().rtt / 1e6);
    windows.push(path.cwnd);
    if (Math.abs(path.cwnd - oracle.cwnd) > Math.max(1, oracle.cwnd / 50))
      expect.fail(`${path.cwnd} segments at ${path.now} ms, not ${oracle.cwnd}`);
  });
  return windows;
}

describe("the formulas", () => {
  it.each(vectors.cubic.filter((vector) => vector.W !== undefined))(
    "[9438-1] [9438-2] $id: the curve from $cwndEpoch to $wMax",
    async ({ wMax, cwndEpoch, K, W }) => {
      const { call } = await loadProbe();
      const k = call.timeToMax!(wMax!, cwndEpoch!);
      expect(k).toBeCloseTo(K!, 8);
      for (const { t, w } of W!) expect(call.wCubic!(t, k, wMax!)).toBeCloseTo(w, 8);
    },
  );

  it("[9438-4] [9438-5] [9438-9] alpha and W_max", async () => {
    const { call } = await loadProbe();
    const { alpha } = vectors.cubic.find(({ id }) => id === "cubic-alpha")!;
    expect(call.alpha!(9, 10)).toBeCloseTo(alpha!, 8);
    expect(call.alpha!(10, 10)).toBe(1);
    const vector = vectors.cubic.find(({ id }) => id === "cubic-fast-convergence")!;
    expect(call.nextWMax!(vector.cwnd!, vector.wMaxBefore!)).toBeCloseTo(vector.wMaxAfter!, 8);
    expect(call.nextWMax!(vector.wMaxBefore!, vector.cwnd!)).toBe(vector.wMaxBefore);
  });
});

describe("congestion avoidance", () => {
  it("[9438-1] [9438-2] [9438-6] rises to where the loss was, rests there, and rises on", async () => {
    const { path, at } = await afterLoss(100);
    expect(at).toBeGreaterThanOrEqual(50);
    const oracle = new Oracle(path.cwnd, at, at);
    const start = path.now;
    follow(path, oracle, 9.5 * SECOND);
    // Where the curve is flat Reno is ahead for a moment.
    expect(oracle.friendly).toBeLessThan(oracle.acks / 20);
    // The oracle is at the curve itself, too.
    const t = (path.now - start) / SECOND;
    expect(Math.abs(oracle.cwnd - oracle.curve(t))).toBeLessThan(10);
    expect(path.cwnd).toBeGreaterThan(at * 1.1);
  });

  it("[9438-6] is concave before K and convex after it", async () => {
    const { path, at } = await afterLoss(50);
    const k = Math.cbrt((at - path.cwnd) / C);
    const sizes = [path.cwnd];
    for (let i = 0; i < Math.floor(2 * k); i++) {
      path.run(SECOND);
      sizes.push(path.cwnd);
    }
    const steps = sizes.slice(1).map((size, i) => size - sizes[i]!);
    const middle = Math.floor(steps.length / 2);
    expect(Math.abs(sizes[Math.round(k)]! - at)).toBeLessThanOrEqual(2);
    expect(steps[0]!).toBeGreaterThan(10 * Math.max(1, steps[middle]!));
    expect(steps.at(-1)!).toBeGreaterThan(5 * Math.max(1, steps[middle]!));
  });

  it("[9438-6] one ACK for many segments opens as far as many ACKs do", async () => {
    const sizes = [];
    for (const every of [1, 8]) {
      const { path } = await afterLoss(50);
      path.every = every;
      path.run(6 * SECOND);
      sizes.push(path.cwnd);
    }
    expect(Math.abs(sizes[0]! - sizes[1]!)).toBeLessThanOrEqual(6);
  });

  it("[9438-3] never aims further than half of the window away", async () => {
    const { path, at } = await afterLoss(20, { rtt: 900 });
    const oracle = new Oracle(path.cwnd, at, at);
    let before = path.cwnd;
    for (let i = 0; i < 20; i++) {
      follow(path, oracle, 900);
      expect(path.cwnd).toBeLessThanOrEqual(1.5 * before + 1);
      before = path.cwnd;
    }
    expect(oracle.clamped).toBeGreaterThan(10);
  });

  it("[9438-4] [9438-5] is Reno's where that is faster: by 0.53 segments a round trip, by one beyond the loss", async () => {
    const rtt = 10;
    const { path, at } = await afterLoss(30, { rtt });
    const oracle = new Oracle(path.cwnd, at, at);
    const rounds = (to: number) => {
      const start = path.now;
      while (path.cwnd < to) follow(path, oracle, rtt);
      return (path.now - start) / rtt;
    };
    const slow = (at - path.cwnd) / rounds(at);
    expect(slow).toBeGreaterThan(0.48);
    expect(slow).toBeLessThan(0.58);
    const fast = 20 / rounds(at + 20);
    expect(fast).toBeGreaterThan(0.9);
    expect(fast).toBeLessThan(1.1);
    expect(oracle.friendly).toBeGreaterThan(1000);
  });

  it("[9438-1] [9438-4] [9438-6] over paths of any length the window is that of the formulas", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 5, max: 300 }),
        fc.integer({ min: 12, max: 120 }),
        fc.integer({ min: 0, max: 2 }),
        async (rtt, segments, gap) => {
          // A link so fast that no queue forms, but that spreads the flight.
          const { path, at } = await afterLoss(segments, { rtt, gap: (gap * rtt) / 2000 });
          follow(path, new Oracle(path.cwnd, at, at), Math.min(40 * rtt, 4 * SECOND));
        },
      ),
      { numRuns: 12, seed: 9438 },
    );
  });
});

describe("a loss", () => {
  it("[9438-7] leaves seven tenths of the flight", async () => {
    const { path, flight } = await afterLoss(50);
    expect(flight).toBeGreaterThanOrEqual(50);
    expect(ssthresh(path)).toBe(Math.floor(0.7 * flight));
  });

  it("[9438-7] leaves two segments at least", async () => {
    const path = await Path.open();
    path.supply = 2 * MSS;
    path.lose = () => true;
    path.pump();
    path.peer.wait(2 * SECOND);
    expect(ssthresh(path)).toBe(2);
  });

  it("[9438-8] counts what was in flight, not a window that was not used", async () => {
    const path = await Path.open();
    path.until(() => path.cwnd >= 60);
    path.supply = 0;
    path.until(() => path.connection.unacked === 0);
    const window = path.cwnd;
    for (let i = 0; i < 20; i++) {
      path.supply = 10 * MSS;
      path.run(100);
      expect(path.cwnd).toBe(window);
    }
    path.supply = 10 * MSS;
    let first = true;
    path.lose = () => {
      const lost = first;
      first = false;
      return lost;
    };
    path.until(() => path.connection.info().caState === 3);
    expect(ssthresh(path)).toBe(7);
  });

  it("[9438-9] that comes before the last one's window sets the next goal lower", async () => {
    const { path, at } = await afterLoss(50);
    path.until(() => path.cwnd >= 0.8 * at);
    const second = lose(path);
    expect(second.at).toBeLessThan(at);
    const oracle = new Oracle(path.cwnd, (second.at * (1 + BETA)) / 2, second.at);
    follow(path, oracle, 6 * SECOND);
    // And one that comes after it does not.
    const third = lose(path);
    expect(third.at).toBeGreaterThan(oracle.wMax);
    follow(path, new Oracle(path.cwnd, third.at, third.at), 3 * SECOND);
  });

  it("[9438-10] told by a timeout leaves one segment, seven tenths as ssthresh, and a curve that begins flat", async () => {
    const path = await Path.open();
    path.until(() => path.cwnd >= 60);
    const { at, left, flight } = timeout(path);
    expect(left).toBe(Math.floor(0.7 * flight));
    path.until(() => path.cwnd >= left);
    const oracle = new Oracle(left, left, at);
    const windows = follow(path, oracle, 6 * SECOND);
    // Flat at first, where after a loss it would be steep.
    expect(oracle.k).toBe(0);
    expect(windows[left * 5]! - left).toBeLessThanOrEqual(5);
  });
});

describe("an echo of congestion", () => {
  it("[9438-7] leaves seven tenths of the window, once for a flight", async () => {
    const path = await Path.open({ ecn: true });
    path.until(() => path.cwnd >= 100);
    const { unacked } = path.connection.info();
    path.echo = true;
    path.step();
    path.step();
    path.echo = false;
    expect(path.connection.info().caState).toBe(2);
    expect(path.cwnd).toBe(Math.floor(0.7 * unacked));
    expect(ssthresh(path)).toBe(path.cwnd);
  });

  it("[9438-7] may leave a single one", async () => {
    const path = await Path.open({ ecn: true });
    path.supply = MSS;
    path.pump();
    path.echo = true;
    path.step();
    expect(path.cwnd).toBe(1);
    expect(ssthresh(path)).toBe(2);
  });
});

describe("time in which the window is not used", () => {
  it("[9438-13] does not count: after ten seconds of silence", async () => {
    const { path, at } = await afterLoss(50, { engine: { settings: { tcpSlowStartAfterIdle: 0 } } });
    const oracle = new Oracle(path.cwnd, at, at);
    follow(path, oracle, 2 * SECOND);
    path.supply = 0;
    // The rest of what was written.
    const window = path.cwnd;
    path.until(() => path.connection.unacked === 0);
    path.peer.wait(10 * SECOND);
    path.supply = Infinity;
    const start = path.now;
    while (path.now < start + SECOND) path.run(100);
    // Without the silence it would be beyond the loss by now: 4.2 seconds are the way there.
    expect(path.cwnd).toBeLessThan(at + 1);
    expect(path.cwnd).toBeLessThan(window + 15);
  });

  it("[9438-13] [9438-8] does not count: after ten seconds of a trickle", async () => {
    const { path, at } = await afterLoss(50);
    const oracle = new Oracle(path.cwnd, at, at);
    follow(path, oracle, 2 * SECOND);
    path.supply = 0;
    path.until(() => path.connection.unacked === 0);
    const window = path.cwnd;
    for (let i = 0; i < 100; i++) {
      path.supply = 3 * MSS;
      path.run(100);
    }
    expect(path.cwnd).toBe(window);
    path.supply = Infinity;
    path.run(SECOND);
    expect(path.cwnd).toBeLessThan(at + 1);
    expect(path.cwnd).toBeGreaterThanOrEqual(window);
  });

  it("[6928-2] an idle RTO later the flight is the initial one, and slow start leads back to the curve", async () => {
    const { path, at } = await afterLoss(50);
    path.run(2 * SECOND);
    path.supply = 0;
    path.until(() => path.connection.unacked === 0);
    const left = ssthresh(path);
    path.peer.wait(10 * SECOND);
    path.supply = Infinity;
    path.pump();
    expect(path.connection.info().unacked).toBe(10);
    path.until(() => path.cwnd >= left);
    follow(path, new Oracle(left, at, at), 6 * SECOND);
  });
});

describe("the choice", () => {
  it.each([
    ["cubic", 7],
    ["newreno", 5],
    ["reno", 5],
  ] as const)(
    "[9293-MAY-18] %s, by an option of the connection, its listener or the setting",
    async (control, tenths) => {
      for (const options of [{ control }, { byListener: control }, { bySetting: control }]) {
        const path = await Path.open(options);
        path.until(() => path.cwnd >= 40);
        const { left, flight } = lose(path);
        expect(left).toBe(Math.floor((flight * tenths) / 10));
        // What holds for either: a timeout leaves one segment, and nothing lets more fly than the window.
        path.run(SECOND, () => expect(path.connection.info().unacked).toBeLessThanOrEqual(path.cwnd));
        timeout(path);
      }
    },
  );

  it("[9293-MAY-18] may change while text flies, to and fro", async () => {
    const path = await Path.open({ control: "newreno" });
    path.until(() => path.cwnd >= 40);
    for (const [control, tenths] of [
      ["cubic", 7],
      ["reno", 5],
      ["cubic", 7],
    ] as const) {
      path.connection.setOption("congestionControl", control);
      path.run(300);
      const { left, flight } = lose(path);
      // By now the window is no whole number of segments.
      expect(left).toBeGreaterThanOrEqual(Math.floor((flight * tenths) / 10));
      expect(left).toBeLessThanOrEqual(Math.floor(((flight + 1) * tenths) / 10));
      path.run(SECOND);
    }
  });

  it("is told what it cannot be", async () => {
    const { connection } = await Path.open();
    expect(() => connection.setOption("congestionControl", "vegas" as "cubic")).toThrow(
      /congestionControl.*"vegas"/,
    );
    await expect(makeEngine({ settings: { tcpCongestionControl: "vegas" as "cubic" } })).rejects.toThrow(
      /tcpCongestionControl.*"vegas"/,
    );
  });
});
