import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { at, flight, MSS, RTT, tenInFlight } from "../support/flight.ts";
import { randomOctets } from "../support/random.ts";

// Reductions that prove to have been for nothing: D-SACK (RFC 2883, 3708), Eifel (RFC 3522, 4015), as Linux does.

const INFINITE = 0x7fffffff;
const stamped: EngineOptions["settings"] = { tcpTimestamps: 1 };
const TS = { ts: [500, 0] as [number, number] };

const undos = (engine: { counters(): Readonly<Record<string, number>> }) => {
  const { TCPFullUndo, TCPPartialUndo, TCPDSACKUndo, TCPLossUndo, TCPSpuriousRTOs } = engine.counters();
  return { TCPFullUndo, TCPPartialUndo, TCPDSACKUndo, TCPLossUndo, TCPSpuriousRTOs };
};
const NONE = { TCPFullUndo: 0, TCPPartialUndo: 0, TCPDSACKUndo: 0, TCPLossUndo: 0, TCPSpuriousRTOs: 0 };

describe.each(["newreno", "cubic"] as const)("fast recovery, %s", (tcpCongestionControl) => {
  const settings = { tcpCongestionControl };

  it("[9438-11] is taken back when the peer tells that what was sent again came twice", async () => {
    const { connection, engine, sent, ack } = await tenInFlight(0, settings);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    expect(connection.info().caState).toBe(3);
    ack(5);
    expect(connection.info()).toMatchObject({ caState: 3 });
    ack(5, [1, 1]);
    expect(connection.info()).toMatchObject({ caState: 0, sndCwnd: 10, sndSsthresh: INFINITE });
    expect(undos(engine)).toEqual({ ...NONE, TCPDSACKUndo: 1 });
    // Once.
    ack(5, [1, 1]);
    expect(engine.counters().TCPDSACKUndo).toBe(1);
  });

  it("[9438-11] also when it is over by then", async () => {
    const { connection, engine, sent, ack } = await tenInFlight(0, settings);
    ack(1, [2, 4]);
    sent();
    ack(11);
    const { caState, sndSsthresh, sndCwnd } = connection.info();
    expect(caState).toBe(0);
    expect(sndCwnd).toBe(sndSsthresh);
    expect(sndSsthresh).toBeLessThan(8);
    ack(11, [1, 1]);
    expect(connection.info()).toMatchObject({ caState: 0, sndCwnd: 10, sndSsthresh: INFINITE });
    expect(undos(engine)).toEqual({ ...NONE, TCPDSACKUndo: 1 });
  });

  it("but not before all of it has come twice", async () => {
    const { connection, engine, sent, ack } = await tenInFlight(0, settings);
    ack(1, [3, 6]);
    ack(1, [3, 7]);
    ack(1, [3, 8]);
    expect(sent()).toEqual([1, 2]);
    ack(11);
    const { sndCwnd } = connection.info();
    ack(11, [1, 1]);
    expect(connection.info().sndCwnd).toBe(sndCwnd);
    expect(undos(engine)).toEqual(NONE);
    ack(11, [2, 2]);
    expect(connection.info()).toMatchObject({ sndCwnd: 10, sndSsthresh: INFINITE });
  });

  it("nor by duplicates of the network's making", async () => {
    const { engine, sent, ack } = await tenInFlight(0, settings);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    // Twice without having been sent twice; and then more duplicates than retransmissions.
    ack(1, [2, 2], [2, 5]);
    ack(11);
    ack(11, [5, 5]);
    expect(engine.counters().TCPDSACKRecv).toBe(2);
    expect(undos(engine)).toEqual(NONE);
  });

  it("nor by what was sent afterwards", async () => {
    const { connection, engine, sent, ack, peer } = await tenInFlight(0, settings);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    ack(11);
    connection.write(randomOctets(2 * MSS, 2));
    expect(sent()).toEqual([11, 12]);
    peer.wait(RTT);
    ack(13, [12, 12]);
    expect(engine.counters().TCPDSACKRecv).toBe(1);
    expect(undos(engine)).toEqual(NONE);
  });

  it("nor for the end of it alone", async () => {
    const { connection, engine, sent, ack } = await tenInFlight(0, settings);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    ack(11);
    expect(connection.info().sndSsthresh).toBeLessThan(8);
    expect(undos(engine)).toEqual(NONE);
  });

  it("is taken back when the ACK that ends it echoes what was sent before", async () => {
    for (const first of [true, false]) {
      const all = await tenInFlight(0, { ...settings, ...stamped }, TS);
      const { connection, engine, sent, ack, answer, stamps, peer } = all;
      peer.wait(1);
      ack(1, [2, 4]);
      expect(sent()).toEqual([1]);
      peer.wait(10);
      answer(11, stamps[first ? "first" : "last"].get(1));
      expect(connection.info().caState).toBe(0);
      if (first) expect(connection.info()).toMatchObject({ sndCwnd: 10, sndSsthresh: INFINITE });
      else expect(connection.info().sndSsthresh).toBeLessThan(8);
      expect(undos(engine)).toEqual({ ...NONE, TCPFullUndo: first ? 1 : 0 });
    }
  });

  it("is taken back in the middle when a hole is filled by what was late, and the others are given time", async () => {
    const all = await tenInFlight(0, { ...settings, ...stamped }, TS);
    const { connection, engine, sent, ack, answer, stamps, peer } = all;
    peer.wait(1);
    // Seven of ten are missing; three may be sent again at once.
    ack(1, [8, 10]);
    expect(sent()).toEqual([1, 2, 3]);
    expect(connection.info()).toMatchObject({ caState: 3, lost: 7, retrans: 3 });
    peer.wait(2);
    // Not while there is something in flight a second time.
    answer(3, stamps.first.get(1), [8, 10]);
    expect(connection.info().caState).toBe(3);
    sent();
    answer(7, stamps.first.get(3), [8, 10]);
    expect(connection.info()).toMatchObject({ caState: 1, lost: 0, sndCwnd: 10, sndSsthresh: INFINITE });
    expect(undos(engine)).toEqual({ ...NONE, TCPPartialUndo: 1 });
    expect(sent()).toEqual([]);
    peer.wait(2);
    answer(11, stamps.first.get(7));
    expect(connection.info().caState).toBe(0);
    expect(connection.info().totalRetrans).toBeLessThan(7);
  });

  it("is taken back before anything was sent again, if all arrives after all", async () => {
    const { connection, engine, peer } = await tenInFlight(0, settings);
    const block = (last: number): [number, number] => [at(2), at(last + 1)];
    const segment = { seq: 1, ack: 1, window: 60_000 };
    // One batch: nothing is sent in between.
    peer.send(
      { ...segment, options: { sack: [block(2)] } },
      { ...segment, options: { sack: [block(4)] } },
      { ...segment, ack: at(11) },
    );
    expect(connection.info()).toMatchObject({
      caState: 0,
      sndCwnd: 10,
      totalRetrans: 0,
      sndSsthresh: INFINITE,
    });
    expect(undos(engine)).toEqual({ ...NONE, TCPFullUndo: 1 });
  });
});

describe("recovery for a peer without SACK", () => {
  const withoutSack = { sackPermitted: undefined as unknown as true };

  it("is taken back by the echo of what was sent before", async () => {
    const all = await tenInFlight(0, stamped, { ...TS, ...withoutSack });
    const { connection, engine, sent, answer, stamps, peer } = all;
    peer.wait(1);
    // So many that the window they inflate is wider than it was.
    for (let i = 0; i < 9; i++) answer(1, stamps.first.get(1));
    expect(sent()).toContain(1);
    expect(connection.info()).toMatchObject({ caState: 3, sndCwnd: 14 });
    peer.wait(3);
    answer(6, stamps.first.get(1));
    expect(connection.info()).toMatchObject({ caState: 0, sndCwnd: 10, sndSsthresh: INFINITE });
    expect(undos(engine)).toEqual({ ...NONE, TCPPartialUndo: 1 });
  });

  it("is taken back at its end, too, and not by the echo of what was sent again", async () => {
    for (const first of [true, false]) {
      const all = await tenInFlight(0, stamped, { ...TS, ...withoutSack });
      const { connection, engine, sent, answer, stamps, peer } = all;
      peer.wait(1);
      for (let i = 0; i < 3; i++) answer(1, stamps.first.get(1));
      sent();
      peer.wait(3);
      answer(11, (first ? stamps.first : stamps.last).get(1));
      expect(connection.info().sndSsthresh).toBe(first ? INFINITE : 5);
      expect(engine.counters().TCPFullUndo).toBe(first ? 1 : 0);
    }
  });
});

describe("a timeout within a recovery, for a peer without SACK", () => {
  it("is not taken back by the echo of what the recovery had sent again", async () => {
    const options = { ...TS, sackPermitted: undefined as unknown as true };
    const { connection, engine, sent, answer, stamps, peer } = await tenInFlight(0, stamped, options);
    peer.wait(1);
    for (let i = 0; i < 3; i++) answer(1, stamps.first.get(1));
    sent();
    const again = stamps.last.get(1);
    peer.wait(400);
    sent();
    expect(connection.info().caState).toBe(4);
    answer(2, again);
    expect(undos(engine)).toEqual(NONE);
    expect(connection.info().caState).toBe(4);
  });
});

describe("a probe of the tail", () => {
  it("that made good a loss is no reduction to be taken back", async () => {
    const { sent, ack, peer, connection, engine } = await tenInFlight(0);
    // A recovery of which it is not known yet whether it had to be.
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    ack(11);
    connection.write(randomOctets(2 * MSS, 2));
    expect(sent()).toEqual([11, 12]);
    peer.wait(2 * RTT + 25);
    expect(sent()).toEqual([12]);
    peer.wait(RTT);
    ack(13);
    connection.write(randomOctets(MSS, 3));
    expect(sent()).toEqual([13]);
    peer.wait(RTT);
    ack(14);
    expect(engine.counters().TCPLossProbeRecovery).toBe(1);
    ack(14, [1, 1]);
    expect(undos(engine)).toEqual(NONE);
  });
});

describe("a timeout", () => {
  const untimed = { tcpEarlyRetrans: 0, tcpFrto: 0 };

  it.each(["newreno", "cubic"] as const)(
    "[9438-11] is taken back by an echo of the first copy, with the window and the timer, %s",
    async (tcpCongestionControl) => {
      const all = await tenInFlight(0, { ...untimed, ...stamped, tcpCongestionControl }, TS);
      const { connection, engine, sent, answer, stamps, peer } = all;
      peer.wait(300);
      expect(sent()).toEqual([1]);
      expect(connection.info()).toMatchObject({ caState: 4, sndCwnd: 1, backoff: 1 });
      expect(connection.info().sndSsthresh).toBeLessThan(8);
      peer.wait(20);
      answer(3, stamps.first.get(1));
      expect(connection.info()).toMatchObject({
        caState: 0,
        sndCwnd: 10,
        sndSsthresh: INFINITE,
        lost: 0,
        backoff: 0,
        retransmits: 0,
      });
      expect(undos(engine)).toEqual({ ...NONE, TCPLossUndo: 1 });
      peer.wait(1);
      answer(11, stamps.first.get(3));
      expect(sent()).toEqual([]);
      expect(connection.info().totalRetrans).toBe(1);
    },
  );

  it("is not taken back by an echo of what was sent again", async () => {
    const all = await tenInFlight(0, { ...untimed, ...stamped }, TS);
    const { connection, engine, sent, answer, stamps, peer } = all;
    peer.wait(300);
    sent();
    peer.wait(20);
    answer(3, stamps.last.get(1));
    expect(connection.info().caState).toBe(4);
    expect(undos(engine)).toEqual(NONE);
  });

  it("is taken back by what came twice, after it is over", async () => {
    const { connection, engine, sent, ack, peer } = await flight(1, untimed);
    sent();
    peer.wait(300);
    expect(sent()).toEqual([1]);
    ack(2);
    const { sndCwnd } = connection.info();
    expect(sndCwnd).toBeLessThan(10);
    ack(2, [1, 1]);
    expect(connection.info()).toMatchObject({ sndCwnd: 10, sndSsthresh: INFINITE });
    expect(undos(engine)).toEqual({ ...NONE, TCPDSACKUndo: 1 });
  });

  it("that was spurious lets the next round trip decide on the timer (RFC 4015 §3.4)", async () => {
    const all = await tenInFlight(0, { ...untimed, ...stamped }, TS);
    const { connection, sent, answer, stamps, peer } = all;
    peer.wait(300);
    sent();
    peer.wait(20);
    answer(11, stamps.first.get(1));
    connection.write(randomOctets(MSS, 2));
    expect(sent()).toEqual([11]);
    peer.wait(400);
    answer(12, stamps.first.get(11));
    const { rtt, rttvar, rto } = connection.info();
    expect(rtt).toBe(400_000);
    expect(rttvar).toBe(200_000);
    expect(rto).toBe(1_200_000);
  });

  it("after which the window has grown beyond what it was leaves it there", async () => {
    const { connection, sent, ack, peer, engine } = await flight(1, untimed);
    sent();
    peer.wait(300);
    sent();
    ack(2);
    let next = 2;
    while (connection.info().sndCwnd < 14) {
      connection.write(randomOctets(MSS * 30, next));
      const flying = sent();
      peer.wait(RTT);
      next = flying.at(-1)! + 1;
      ack(next);
    }
    const { sndCwnd, sndSsthresh } = connection.info();
    ack(next, [1, 1]);
    expect(engine.counters().TCPDSACKUndo).toBe(1);
    expect(connection.info()).toMatchObject({ sndCwnd, sndSsthresh });
  });
});
