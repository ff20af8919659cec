import { describe, expect, it } from "vitest";
import { makeEngine, seed } from "../support/engine.ts";
import { flight, RTT, tenInFlight } from "../support/flight.ts";
import { randomOctets } from "../support/random.ts";
import { Wire } from "../support/wire.ts";

// F-RTO, RFC 5682: what an ACK after a timeout tells of what was in flight.

const INFINITE = 0x7fffffff;
const settings = { tcpEarlyRetrans: 0 };
const BUFFER: [number, number, number] = [4096, 500_000, 500_000];

describe.each([
  ["with SACK", {}],
  ["without", { sackPermitted: undefined as unknown as true }],
])("F-RTO, %s", (_, options) => {
  /** Ten segments in flight, the first of them sent again after a timeout. */
  async function timedOut(more = 20, other = {}) {
    const all = await tenInFlight(more, { ...settings, ...other }, options);
    all.peer.wait(300);
    expect(all.sent()).toEqual([1]);
    expect(all.connection.info()).toMatchObject({ caState: 4, sndCwnd: 1, backoff: 1 });
    return all;
  }

  it("[5682-1] [5682-2] [5682-4] a path that stood still costs one segment, and the window is what it was", async () => {
    const { connection, engine, sent, ack, peer } = await timedOut();
    ack(2);
    expect(sent()).toEqual([11, 12]);
    peer.wait(5);
    ack(3);
    expect(connection.info()).toMatchObject({
      caState: 0,
      sndCwnd: 10,
      sndSsthresh: INFINITE,
      backoff: 0,
      lost: 0,
    });
    expect(engine.counters()).toMatchObject({ TCPSpuriousRTOs: 1, TCPLossUndo: 1, TCPTimeouts: 1 });
    for (let n = 4; n <= 13; n++) ack(n);
    expect(sent().every((n) => n > 12)).toBe(true);
    expect(connection.info().totalRetrans).toBe(1);
  });

  it("[5682-3] an ACK of all that was in flight is followed by slow start", async () => {
    // All of it was sent again in time, for all anybody knows.
    const { connection, engine, sent, ack } = await timedOut(0);
    ack(2);
    // No new text: nothing can be told.
    expect(sent()).toEqual([2, 3]);
    ack(11);
    expect(connection.info().caState).toBe(0);
    expect(connection.info().sndSsthresh).toBe(5);
    expect(engine.counters().TCPSpuriousRTOs).toBe(0);
  });

  it("[5682-3] so is one of the first segment where a FIN was sent, which is no new text", async () => {
    const all = await flight(10, settings, options);
    const { connection, sent, ack, peer } = all;
    connection.shutdown();
    sent();
    peer.wait(RTT + 300);
    expect(sent()).toEqual([1]);
    ack(2);
    expect(sent()).toEqual([2, 3]);
  });

  it("[5682-5] new text that arrives before the old proves the loss: it is sent again", async () => {
    const { connection, engine, sent, ack } = await timedOut();
    ack(2);
    expect(sent()).toEqual([11, 12]);
    ack(2, [11, 11]);
    const { sndCwnd, caState } = connection.info();
    expect(caState).toBe(4);
    expect(sndCwnd).toBeLessThanOrEqual(3);
    expect(sent()[0]).toBe(2);
    expect(engine.counters().TCPSpuriousRTOs).toBe(0);
  });

  it("[5682-6] another timeout begins it again", async () => {
    const { connection, engine, sent, ack, peer } = await timedOut();
    peer.wait(600);
    expect(sent()).toEqual([1]);
    ack(2);
    expect(sent()).toEqual([11, 12]);
    // In the middle, too.
    peer.wait(1500);
    expect(sent()[0]).toBe(2);
    expect(connection.info()).toMatchObject({ caState: 4, sndCwnd: 1 });
    ack(3);
    expect(sent()).toEqual([13, 14]);
    ack(4);
    expect(connection.info().caState).toBe(0);
    expect(engine.counters().TCPSpuriousRTOs).toBe(1);
  });

  it("can be switched off", async () => {
    const { sent, ack, engine } = await timedOut(20, { tcpFrto: 0 });
    ack(2);
    expect(sent()).toEqual([2, 3]);
    ack(4);
    expect(engine.counters().TCPSpuriousRTOs).toBe(0);
  });

  it("needs a window for new text", async () => {
    const { sent, peer } = await timedOut();
    peer.send({ seq: 1, ack: 1001, window: (9000 >> 7) & 0xffff });
    expect(sent()).toEqual([2, 3]);
  });
});

describe("F-RTO without SACK", () => {
  it("[5682-3] a duplicate first means a loss", async () => {
    const all = await tenInFlight(20, settings, { sackPermitted: undefined as unknown as true });
    const { sent, ack, peer } = all;
    peer.wait(300);
    expect(sent()).toEqual([1]);
    ack(1);
    ack(2);
    expect(sent()).toEqual([2, 3]);
  });
});

describe("F-RTO without SACK, whose first ACK is for many", () => {
  it("[5682-5] goes on with three segments at most once a duplicate has come", async () => {
    const all = await tenInFlight(20, settings, { sackPermitted: undefined as unknown as true });
    const { sent, ack, peer, connection } = all;
    peer.wait(300);
    sent();
    ack(5);
    expect(sent()).toEqual([11, 12]);
    expect(connection.info().sndCwnd).toBe(5);
    ack(5);
    expect(connection.info().sndCwnd).toBe(3);
    expect(sent()).toEqual([5, 6, 7]);
  });
});

describe("F-RTO with SACK", () => {
  it("[5682-4] a block of what was sent once proves it at once", async () => {
    const { sent, ack, peer, connection, engine } = await tenInFlight(20, settings);
    peer.wait(250);
    expect(sent()).toEqual([1]);
    ack(1, [2, 2]);
    expect(engine.counters().TCPSpuriousRTOs).toBe(1);
    expect(connection.info()).toMatchObject({ caState: 1, sndCwnd: 10, lost: 0 });
    // What is in flight is in time: none of it is sent again.
    ack(3);
    expect(sent().every((n) => n > 10)).toBe(true);
  });

  it("is not for a timeout within a recovery, which has sent again already", async () => {
    const { sent, ack, peer, connection, engine } = await tenInFlight(20, settings);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    expect(connection.info().caState).toBe(3);
    peer.wait(400);
    sent();
    expect(connection.info().caState).toBe(4);
    ack(1, [2, 6]);
    expect(engine.counters().TCPSpuriousRTOs).toBe(0);
    expect(connection.info().caState).toBe(4);
  });

  it("after a loss probe, and with the timer's first segment lost indeed, recovers as ever", async () => {
    const { sent, ack, peer, connection, engine } = await tenInFlight(0, { tcpEarlyRetrans: 3 });
    peer.wait(RTT + 2);
    expect(sent()).toEqual([10]);
    peer.wait(400);
    expect(sent()).toEqual([1]);
    const again: number[] = [];
    let next = 2;
    for (let round = 0; connection.unacked > 0 && round < 20; round++) {
      ack(next);
      peer.wait(RTT);
      const now = sent();
      again.push(...now);
      next = Math.max(next, ...now.map((n) => n + 1));
    }
    expect(connection.unacked).toBe(0);
    expect(new Set(again)).toEqual(new Set([2, 3, 4, 5, 6, 7, 8, 9, 10]));
    expect(engine.counters()).toMatchObject({ TCPSpuriousRTOs: 0, TCPTimeouts: 1 });
  });
});

describe("a path that stands still for a second", () => {
  it("costs neither the window nor what is in flight", async () => {
    for (const tcpTimestamps of [0, 1]) {
      const settings = { tcpTimestamps, tcpRmem: BUFFER, tcpWmem: BUFFER };
      const engine = (n: number) => makeEngine({ addresses: [`192.0.2.${n}`], seed: seed(n), settings });
      const [a, b] = [await engine(1), await engine(2)];
      const wire = new Wire(a, b);
      const listener = b.listen({ port: 80 });
      const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
      const chunk = randomOctets(100_000, 1);
      const into = new Uint8Array(100_000);
      let theirs: ReturnType<typeof listener.accept>;
      let end = Infinity;
      wire.app = () => {
        if (ours.state === "ESTABLISHED" && wire.now < end) while (ours.write(chunk) > 0);
        theirs ??= listener.accept();
        while (theirs && theirs.read(into) > 0);
      };
      wire.delay = 20;
      wire.run(400);
      const before = ours.info();
      // Whatever is sent now comes late, and in its order.
      const opens = wire.now + 1000;
      wire.rule = ({ now }) => [{ after: Math.max(20, opens - now) }];
      wire.run(990);
      expect(ours.info().caState).toBe(4);
      expect(ours.info().sndCwnd).toBeLessThan(before.sndCwnd / 2);
      wire.run(200);
      const after = ours.info();
      expect(a.counters().TCPTimeouts).toBeGreaterThan(0);
      expect(a.counters().TCPLossUndo).toBe(1);
      expect(after.sndCwnd).toBeGreaterThanOrEqual(before.sndCwnd);
      expect(after.sndSsthresh).toBe(before.sndSsthresh);
      expect(after.backoff).toBe(0);
      // The first segment at each timeout, and the probe before.
      const { TCPTimeouts, TCPLossProbes, RetransSegs } = a.counters();
      expect(RetransSegs).toBeLessThanOrEqual(TCPTimeouts! + TCPLossProbes!);
      end = wire.now;
      wire.run(2000);
      expect(ours.unacked).toBe(0);
    }
  });
});
