import { describe, expect, it } from "vitest";
import { seed } from "../support/engine.ts";
import { flight, RTT } from "../support/flight.ts";
import { Line, type LineOptions, PACKET, TEXT } from "../support/line.ts";

// BBR version 3, draft-ietf-ccwg-bbr, over a line of a rate that has a queue before it, in virtual time.

const MBIT = 1e6;
/** What of a rate is left for text. */
const GOODPUT = TEXT / PACKET;

interface Course extends Partial<LineOptions> {
  mbit?: number;
  /** Of the path's product of rate and delay; at least a few packets. */
  queues?: number;
}

/** A path, by default 10 Mbit/s and 40 ms with a queue of once that. */
function open({ mbit = 10, rtt = 40, queues = 1, ...options }: Course = {}) {
  const rate = mbit * MBIT;
  const queue = Math.max((queues * rate * rtt) / 8000, 4 * PACKET);
  return Line.open({ rate, rtt, queue, jitter: 0.5, ...options });
}

describe("Startup and Drain", () => {
  it("find the rate of the line within as many rounds as it takes to double the window to it, and a few", async () => {
    const path = await open({ mbit: 100, queues: 10 });
    const start = path.now + path.rtt;
    const connection = path.connect();
    const doublings = Math.log2(path.bdp / (10 * PACKET));
    path.until(() => connection.info().deliveryRate * 8 > 0.9 * GOODPUT * path.rate, 1000);
    expect((path.now - start) / path.rtt).toBeLessThan(doublings + 4);
    expect(path.dropped).toBe(0);
  });

  it("leave a queue of no more than the window allows, and none when they are over", async () => {
    const path = await open({ queues: 10 });
    path.connect();
    path.run(500);
    expect(path.deepest).toBeGreaterThan(0.5 * path.bdp);
    expect(path.deepest).toBeLessThan(1.5 * path.bdp);
    path.run(200);
    path.deepest = 0;
    path.run(500);
    expect(path.deepest).toBeLessThan(4 * PACKET);
  });

  it("send the first window at its pace, not at once", async () => {
    const path = await open();
    path.departures = [];
    path.connect();
    path.run(path.rtt);
    const spread = path.departures.at(-1)!.at - path.departures[0]!.at;
    // 10 segments at 2.77 windows a round trip, less the quantum that leaves ahead.
    expect(path.departures).toHaveLength(10);
    expect(spread).toBeGreaterThan(0.25 * path.rtt);
    expect(spread).toBeLessThan(0.4 * path.rtt);
  });

  it("end where losses are more than a path should have, although the rate still seems to grow", async () => {
    const path = await open({ mbit: 50, queues: 0.1 });
    const connection = path.connect();
    path.run(1000);
    expect(path.dropped).toBeGreaterThan(20);
    path.dropped = 0;
    path.run(1000);
    expect(path.dropped).toBe(0);
    expect(connection.info().caState).toBe(0);
  });
});

describe("steady goodput", () => {
  for (const queues of [1, 0.5])
    for (const mbit of [1, 10, 50, 100])
      for (const rtt of [5, 40, 200])
        it(`is nine tenths of ${mbit} Mbit/s over ${rtt} ms with ${queues} of their product queueing`, async () => {
          const path = await open({ mbit, rtt, queues });
          const connection = path.connect();
          path.run(Math.max(1500, 20 * rtt));
          const goodput = path.measure(connection, Math.max(3000, 25 * rtt));
          expect(goodput / (GOODPUT * path.rate)).toBeGreaterThan(0.9);
        });

  // So few losses put CUBIC out of action where much must fly. What keeps BBR from all of the rate is its own rule: of the
  // packets that fly here a few lost are more than the fiftieth that it puts down to chance.
  it.each([
    { mbit: 10, rtt: 10, share: 0.9, cubics: 1 },
    { mbit: 50, rtt: 200, share: 0.75, cubics: 0.1 },
    { mbit: 10, rtt: 40, share: 0.7, cubics: 0.45 },
    { mbit: 50, rtt: 40, share: 0.7, cubics: 0.1 },
  ])(
    "survives a hundredth of all packets lost by chance: $mbit Mbit/s, $rtt ms",
    async ({ mbit, rtt, share, cubics }) => {
      const reached: Record<string, number> = {};
      for (const congestionControl of ["bbr", "cubic"] as const) {
        const path = await open({ mbit, rtt, loss: 0.01 });
        const connection = path.connect(Infinity, { congestionControl });
        path.run(2000 + 10 * rtt);
        reached[congestionControl] = path.measure(connection, 15_000) / (GOODPUT * path.rate);
      }
      expect(reached.bbr).toBeGreaterThan(share);
      expect(reached.cubic).toBeLessThan(cubics);
    },
  );
});

describe("the queue", () => {
  it("stays short where there is room for a long one, which CUBIC fills", async () => {
    const srtt: Record<string, number> = {};
    for (const congestionControl of ["bbr", "cubic"] as const) {
      const path = await open({ queues: 10 });
      const connection = path.connect(Infinity, { congestionControl });
      path.run(1000);
      let sum = 0;
      let times = 0;
      path.run(20_000, () => {
        sum += connection.info().rtt / 1000;
        times++;
      });
      srtt[congestionControl] = sum / times;
    }
    expect(srtt.bbr).toBeLessThan(1.25 * 40);
    expect(srtt.cubic).toBeGreaterThan(3 * 40);
  });

  it("is shared by two, the later of which gets as much as the earlier", async () => {
    const path = await open({ mbit: 20, queues: 2 });
    const first = path.connect();
    path.run(3000);
    const second = path.connect();
    path.run(20_000);
    const before = [path.goodput(first), path.goodput(second)];
    path.run(30_000);
    const share = path.goodput(first) - before[0]!;
    const other = path.goodput(second) - before[1]!;
    expect(share / (share + other)).toBeGreaterThan(0.35);
    expect(share / (share + other)).toBeLessThan(0.65);
    expect(((share + other) * 8) / 30 / (GOODPUT * path.rate)).toBeGreaterThan(0.9);
  });
});

describe("ProbeRTT", () => {
  it("comes after ten seconds without a shorter round trip, halves what flies for 200 ms, and no more", async () => {
    const path = await open({ queues: 4 });
    const connection = path.connect();
    const bdp = path.bdp / PACKET;
    path.run(9500);
    let from = Infinity;
    let to = 0;
    path.run(2000, () => {
      if (connection.info().unacked > 0.6 * bdp) return;
      from = Math.min(from, path.now);
      to = path.now;
    });
    expect(from).toBeGreaterThan(10_000);
    expect(from).toBeLessThan(10_400);
    expect(to - from).toBeGreaterThan(190);
    expect(to - from).toBeLessThan(320);
    expect(path.measure(connection, 2000) / (GOODPUT * path.rate)).toBeGreaterThan(0.9);
  });

  it("finds that the path has become three times as long", async () => {
    const path = await open();
    const connection = path.connect();
    path.run(3000);
    path.rtt = 120;
    path.queue *= 3;
    path.run(1000);
    const before = path.measure(connection, 5000) / (GOODPUT * path.rate);
    path.run(5000);
    const after = path.measure(connection, 5000) / (GOODPUT * path.rate);
    // Until then the window is that of a path that was shorter.
    expect(before).toBeLessThan(0.8);
    expect(after).toBeGreaterThan(0.9);
  });
});

describe("an application that sends little", () => {
  it("does not make the line seem slow", async () => {
    const path = await open({ queues: 2 });
    const connection = path.connect(4e6);
    path.run(6000);
    expect(path.goodput(connection)).toBe(4e6);
    const known = connection.info();
    for (let i = 0; i < 300; i++) {
      path.give(connection, 2000);
      path.run(20);
    }
    expect(connection.info().deliveryRate).toBeGreaterThan(0.85 * known.deliveryRate);
    expect(connection.info().pacingRate).toBeGreaterThan(0.85 * known.pacingRate);
    path.give(connection, 1e7);
    path.run(2 * path.rtt);
    expect(path.measure(connection, 400) / (GOODPUT * path.rate)).toBeGreaterThan(0.9);
  });

  it("begins again after a pause with its window, at the line's pace", async () => {
    const path = await open({ queues: 2 });
    const connection = path.connect(4e6);
    path.run(9000);
    path.departures = [];
    path.give(connection, 1e6);
    path.run(path.rtt);
    // The first round trip is full already, and it waited in the engine, not before the line.
    expect(path.departures.length).toBeGreaterThan(0.8 * (path.bdp / PACKET));
    expect(path.departures.length).toBeLessThan(1.2 * (path.bdp / PACKET));
    expect(path.waiting).toBeLessThan(4 * PACKET);
  });
});

describe("loss", () => {
  it("of everything for a second leaves the window as it was", async () => {
    const path = await open({ queues: 4 });
    const connection = path.connect();
    path.run(2000);
    const { sndCwnd } = connection.info();
    path.cut = true;
    path.run(1000);
    expect(connection.info()).toMatchObject({ caState: 4 });
    expect(connection.info().sndCwnd).toBeLessThan(4);
    path.cut = false;
    path.until(() => connection.info().caState === 0);
    path.run(path.rtt * 2);
    expect(connection.info().sndCwnd).toBeGreaterThan(0.6 * sndCwnd);
    expect(path.measure(connection, 3000) / (GOODPUT * path.rate)).toBeGreaterThan(0.85);
  });

  it("told by an echo bounds the queue as a drop does", async () => {
    const path = await open({ queues: 10, engine: { settings: { tcpEcn: 1 } } });
    path.mark = path.bdp / 4;
    const connection = path.connect();
    path.run(2000);
    let sum = 0;
    let times = 0;
    path.deepest = 0;
    const goodput = path.measure(connection, 8000, () => {
      sum += path.waiting;
      times++;
    });
    expect(path.dropped).toBe(0);
    expect(sum / times).toBeLessThan(path.bdp / 4);
    expect(path.deepest).toBeLessThan(path.bdp);
    expect(goodput / (GOODPUT * path.rate)).toBeGreaterThan(0.85);
  });
});

describe("chance", () => {
  async function departures(n: number) {
    const path = await open({ queues: 2, engine: { seed: seed(n) } });
    path.departures = [];
    path.connect();
    path.run(8000);
    return path.departures.map(({ at }) => at);
  }

  it("is the engine's: the same seed sends the same, another probes at other times", async () => {
    const once = await departures(1);
    expect(await departures(1)).toEqual(once);
    expect(await departures(3)).not.toEqual(once);
  });
});

describe("a loss that was none", () => {
  it("gives the window back that a timeout took, at once", async () => {
    const settings = {
      tcpCongestionControl: "bbr",
      tcpTimestamps: 1,
      tcpEarlyRetrans: 0,
      tcpFrto: 0,
    } as const;
    const { connection, engine, sent, answer, stamps, peer } = await flight(40, settings, { ts: [500, 0] });
    const flying: number[] = [];
    for (let i = 0; i < RTT; i++) {
      flying.push(...sent());
      peer.wait(1);
    }
    expect(flying).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    peer.wait(300);
    expect(sent()).toEqual([1]);
    expect(connection.info()).toMatchObject({ caState: 4, sndCwnd: 1 });
    answer(3, stamps.first.get(1));
    expect(connection.info()).toMatchObject({ caState: 0, sndCwnd: 12 });
    expect(engine.counters().TCPLossUndo).toBe(1);
  });
});

describe("a connection", () => {
  it("may take up BBR while text flies, and leave it again", async () => {
    const path = await open({ queues: 10 });
    const connection = path.connect(Infinity, { congestionControl: "cubic" });
    path.run(3000);
    expect(connection.info().rtt).toBeGreaterThan(100_000);
    connection.setOption("congestionControl", "bbr");
    path.run(12_000);
    expect(connection.info().rtt).toBeLessThan(60_000);
    for (const congestionControl of ["newreno", "bbr", "cubic"] as const) {
      connection.setOption("congestionControl", congestionControl);
      path.loss = 0.02;
      path.run(500);
      path.loss = 0;
      expect(path.measure(connection, 6000) / (GOODPUT * path.rate)).toBeGreaterThan(0.8);
    }
    connection.setOption("congestionControl", "cubic");
    path.run(20_000);
    expect(connection.info().rtt).toBeGreaterThan(100_000);
  });

  it("whose peer has no SACK does as NewReno, unpaced", async () => {
    const path = await open({ queues: 100, sack: false });
    path.departures = [];
    const connection = path.connect();
    // The first window leaves at once.
    expect(path.departures).toHaveLength(10);
    path.run(3000);
    expect(connection.info().rtt).toBeGreaterThan(100_000);
    expect(connection.info().deliveryRate).toBe(0);
    expect(path.measure(connection, 3000) / (GOODPUT * path.rate)).toBeGreaterThan(0.9);
  });
});
