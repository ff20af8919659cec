import { describe, expect, it } from "vitest";
import { at, flight, MSS, RTT, tenInFlight } from "../support/flight.ts";
import { randomOctets } from "../support/random.ts";

// Recovery with a peer that tells of holes: RFC 2018, 2883, 6675 as RFC 8985 and 6937 have it.

describe("the scoreboard", () => {
  it("[2018-7] [6675-1] [6675-2] [6675-4] [6675-11] [8985-4] sends the hole again at the third segment beyond it, and no other", async () => {
    const { connection, sent, ack } = await tenInFlight();
    ack(1, [2, 2]);
    ack(1, [2, 3]);
    // A new segment for each that has left the network.
    expect(sent()).toEqual([11, 12]);
    expect(connection.info().caState).toBe(1);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    expect(connection.info()).toMatchObject({ caState: 3, sndSsthresh: 5 });
    expect(connection.info()).toMatchObject({ sacked: 3, lost: 1, retrans: 1, delivered: 3, reordering: 3 });
    ack(1, [2, 5]);
    ack(1, [2, 6]);
    ack(1, [2, 10]);
    expect(sent().every((n) => n > 12)).toBe(true);
  });

  it("[3042-1] an ACK that tells nothing new lets nothing go", async () => {
    const { sent, ack } = await tenInFlight();
    ack(1, [2, 2]);
    expect(sent()).toEqual([11]);
    for (let i = 0; i < 5; i++) ack(1, [2, 2]);
    ack(1);
    expect(sent()).toEqual([]);
  });

  it("[6675-10] what was SACKed below counts no more once it is acknowledged", async () => {
    const { sent, ack } = await tenInFlight();
    ack(1, [2, 3]);
    sent();
    ack(4);
    sent();
    ack(4, [5, 5]);
    expect(sent()).not.toContain(4);
  });

  it("[2018-10] takes no notice of blocks of what was never sent, was acknowledged, or stands on its head", async () => {
    const { engine, sent, ack, connection } = await tenInFlight(0);
    ack(4);
    ack(4, [12, 14]);
    ack(4, [9, 11]);
    ack(4, [7, 5]);
    ack(4, [200, 100]);
    expect(sent()).toEqual([]);
    expect(connection.info().caState).toBe(0);
    expect(engine.counters().TCPSACKDiscard).toBeGreaterThan(0);
    ack(4, [5, 7]);
    expect(sent()).toEqual([4]);
  });

  it("[2018-9] [2018-8] keeps what was SACKED until it is acknowledged, and sends it again if its peer has dropped it", async () => {
    const { sent, ack, peer, connection } = await tenInFlight(0);
    ack(1, [2, 10]);
    expect(sent()).toEqual([1]);
    // The peer reneges: segment 2 is not there any more.
    ack(2);
    expect(sent()).toEqual([]);
    const again: number[] = [];
    let next = 2;
    for (let round = 0; connection.unacked > 0 && round < 40; round++) {
      peer.wait(again.length ? RTT : 1000);
      again.push(...sent());
      while (again.includes(next)) next++;
      ack(next);
    }
    expect(connection.unacked).toBe(0);
    expect(again[0]).toBe(2);
    expect(new Set(again)).toEqual(new Set([2, 3, 4, 5, 6, 7, 8, 9, 10]));
  });

  it("a segment of which only a part is SACKed is not taken for arrived", async () => {
    const { peer, sent, ack } = await tenInFlight(0);
    peer.send({ seq: 1, ack: 1, window: 60_000, options: { sack: [[at(2) + 500, at(5)]] } });
    ack(1, [2, 5]);
    expect(sent()).toEqual([1]);
  });
});

describe("RACK", () => {
  it("[8985-1] is not used for a peer without SACK: three duplicates count", async () => {
    const { sent, ack } = await flight(20, {}, { sackPermitted: undefined as unknown as true });
    sent();
    for (let i = 0; i < 2; i++) ack(1);
    expect(sent()).not.toContain(1);
    ack(1);
    expect(sent()).toContain(1);
  });

  it("[8985-6] finds by time that what was sent again is lost again", async () => {
    const { sent, ack, peer, connection } = await tenInFlight();
    ack(1, [2, 4]);
    expect(sent()[0]).toBe(1);
    peer.wait(RTT / 2);
    ack(1, [2, 10]);
    const fresh = sent();
    expect(fresh.length).toBeGreaterThan(0);
    expect(fresh).not.toContain(1);
    // What was sent after the hole was sent again arrives: the hole has been lost twice.
    peer.wait(RTT / 2 + 50);
    ack(1, [2, Math.max(...fresh)]);
    expect(sent()).toContain(1);
    expect(connection.info().backoff).toBe(0);
  });

  it("what was sent again is not lost again for a first copy of the same instant", async () => {
    // No time passes between sending and SACK.
    const { sent, ack, connection } = await flight(10);
    expect(sent().length).toBe(10);
    ack(1, [2, 4]);
    expect(sent()).toContain(1);
    for (let last = 5; last <= 10; last++) ack(1, [2, last]);
    expect(sent()).not.toContain(1);
    expect(connection.info().totalRetrans).toBe(1);
  });

  it("what was sent again is lost again when a segment that left right behind it has arrived", async () => {
    // No time passes here either.
    const { sent, ack, connection } = await flight(40);
    sent();
    ack(1, [2, 8]);
    expect(sent()).toEqual([1, 11, 12]);
    ack(1, [2, 8], [12, 12]);
    expect(sent()[0]).toBe(1);
    expect(connection.info().totalRetrans).toBeGreaterThan(1);
  });

  it("[8985-3] [8985-4] [8985-7] where reordering was seen waits a quarter of the least round trip", async () => {
    const { sent, ack, peer, connection, engine } = await tenInFlight(0);
    // Segment 1 was late, not lost.
    ack(1, [2, 3]);
    ack(4);
    expect(engine.counters().TCPSACKReorder).toBe(1);
    ack(4, [5, 7]);
    expect(sent()).toEqual([]);
    expect(connection.info().caState).toBe(1);
    peer.wait(24);
    expect(sent()).toEqual([]);
    peer.wait(1.1);
    expect(sent()).toEqual([4]);
    expect(connection.info().caState).toBe(3);
  });

  it("where more than three segments were late lets the window grow with what is SACKed", async () => {
    const { ack, connection } = await tenInFlight(30);
    const cwnd = () => connection.info().sndCwnd;
    ack(1, [10, 10]);
    expect(cwnd()).toBe(10);
    // Seven segments late.
    ack(1, [4, 4], [10, 10]);
    expect(connection.info().reordering).toBe(7);
    expect(cwnd()).toBe(11);
    ack(1, [4, 5], [10, 10]);
    expect(cwnd()).toBe(12);
    // An ACK that tells nothing new.
    ack(1, [4, 5], [10, 10]);
    expect(cwnd()).toBe(12);
    // What was SACKed counts once.
    ack(11);
    expect(cwnd()).toBe(19);
  });

  it("where no more were late does not", async () => {
    const { ack, connection } = await tenInFlight(30);
    ack(1, [5, 5]);
    // Three.
    ack(1, [3, 3], [5, 5]);
    expect(connection.info().reordering).toBe(3);
    expect(connection.info().sndCwnd).toBe(10);
  });

  it("a late segment that arrives in time is not sent again", async () => {
    const { sent, ack, peer, connection } = await tenInFlight(0);
    ack(1, [2, 3]);
    ack(4);
    ack(4, [5, 7]);
    peer.wait(20);
    ack(8);
    peer.wait(50);
    expect(sent()).toEqual([]);
    expect(connection.info()).toMatchObject({ caState: 0, totalRetrans: 0 });
  });

  it("[8985-5] [2883-5] duplicates that the peer tells of widen that, once a round trip", async () => {
    const { sent, ack, peer, engine } = await tenInFlight(30);
    // Told of a second time what was acknowledged: the block lies behind this segment's own ACK.
    ack(4, [2, 2]);
    ack(4, [2, 2]);
    sent();
    expect(engine.counters().TCPDSACKRecv).toBe(2);
    ack(4, [5, 7]);
    peer.wait(26);
    expect(sent()).not.toContain(4);
    peer.wait(25);
    expect(sent()).toContain(4);
  });

  it("[5681-15] what was sent in place of what was SACKed meanwhile does not raise ssthresh", async () => {
    const { sent, ack, peer, connection } = await tenInFlight(40, { tcpWmem: [4096, 200_000, 400_000] });
    ack(4, [2, 2]);
    // The peer tells of the others one by one, and for each another goes.
    sent();
    const { sndCwnd, unacked } = connection.info();
    expect([sndCwnd, unacked]).toEqual([13, 13]);
    for (let n = 5; n <= 10; n++) ack(4, [5, n]);
    sent();
    expect(connection.info()).toMatchObject({ caState: 1, sndCwnd, unacked: 19 });
    peer.wait(51);
    expect(sent()[0]).toBe(4);
    expect(connection.info()).toMatchObject({ caState: 3, sndSsthresh: 6 });
  });

  it("what is sent again first has an RTO of its own to be answered, with what round trips have grown by", async () => {
    const { sent, ack, peer, connection, engine } = await tenInFlight(0, { tcpEarlyRetrans: 0 });
    expect(connection.info().rto).toBe(300_000);
    // The queue has filled: the first word of a hole comes just before that.
    peer.wait(190);
    ack(1, [2, 4]);
    expect(sent()).toEqual([1]);
    // It is now at 290 ms, of which SRTT has yet to hear, but not for more than twice what that is.
    const rto = connection.info().rto / 1000 + RTT;
    peer.wait(rto - 1);
    expect(sent()).toEqual([]);
    expect(engine.counters().TCPTimeouts).toBe(0);
    peer.wait(2);
    expect(sent()).toEqual([1]);
    expect(engine.counters().TCPTimeouts).toBe(1);
  });

  it("[8985-5] and sixteen recoveries later no longer do", async () => {
    const { sent, ack, peer, connection } = await tenInFlight(0);
    let end = 10;
    /** Writes until the window lets five segments go at once, which are then a round trip old. */
    const five = () => {
      for (let rounds = 0; rounds < 20; rounds++) {
        connection.write(randomOctets(MSS * 5, end));
        let flight = sent();
        peer.wait(RTT);
        if (flight.length === 5) return end + 1;
        end += 5;
        for (; flight.length > 0; peer.wait(RTT)) {
          ack(flight.at(-1)! + 1);
          flight = sent();
        }
      }
      throw new Error("the window never opened");
    };
    /** How long the first hole of a flight waits, in steps of 5 ms; the flight is over then. */
    const waits = () => {
      const next = five();
      ack(next, [next + 1, next + 3]);
      let steps = 0;
      while (!sent().includes(next) && steps < 20) {
        peer.wait(5);
        steps++;
      }
      peer.wait(RTT);
      end += 5;
      ack(end + 1);
      return steps * 5;
    };
    ack(2, [1, 1]);
    ack(11);
    sent();
    const waited = Array.from({ length: 17 }, waits);
    expect(waited.slice(0, 16)).toEqual(new Array(16).fill(50));
    expect(waited[16]).toBe(25);
  });

  it("[2883-5] an old ACK that was overtaken tells of no duplicate", async () => {
    const { sent, ack, engine } = await tenInFlight(0);
    ack(6);
    ack(1, [2, 3]);
    sent();
    expect(engine.counters().TCPDSACKRecv).toBe(0);
  });

  it("[8985-2] takes no round trip from a copy whose original may have arrived", async () => {
    const { sent, ack, peer } = await tenInFlight(10);
    ack(1, [2, 4]);
    expect(sent()[0]).toBe(1);
    // Much sooner than any round trip: this was the original.
    peer.wait(1);
    ack(5);
    // Had the copy's time counted, all that was sent before it would be lost by now.
    expect(sent().filter((n) => n <= 10)).toEqual([]);
  });

  it("[8985-2] nor from one whose ACK echoes the original", async () => {
    for (const original of [true, false]) {
      const { sent, ack, answer, stamps, peer } = await tenInFlight(
        10,
        { tcpTimestamps: 1 },
        { ts: [500, 0] },
      );
      peer.wait(1);
      ack(1, [2, 4]);
      expect(sent()[0]).toBe(1);
      // As long as a round trip after the copy was sent; the echo says which of the two it was.
      peer.wait(RTT);
      answer(2, (original ? stamps.first : stamps.last).get(1), [2, 4]);
      expect(sent().includes(5)).toBe(!original);
    }
  });

  it("[8985-8] at a timeout only what was sent as long ago is lost", async () => {
    const { peer, sent, ack, connection } = await flight(1, { tcpEarlyRetrans: 0 });
    sent();
    peer.wait(RTT);
    ack(2);
    connection.write(randomOctets(MSS * 3, 2));
    expect(sent()).toEqual([2, 3, 4]);
    peer.wait(250);
    connection.write(randomOctets(MSS * 2, 2));
    expect(sent()).toEqual([5, 6]);
    peer.wait(52);
    expect(sent()).toEqual([2]);
    peer.wait(RTT / 2);
    ack(3);
    // 3 and 4 are as old as 2 was; 5 and 6 may still arrive.
    expect(sent()).toEqual([3]);
    ack(4);
    expect(sent()).toEqual([4]);
    ack(5);
    expect(sent()).toEqual([]);
  });

  it("[6675-9] no recovery begins within what a timeout began with", async () => {
    const { peer, sent, ack, connection } = await tenInFlight(20, { tcpEarlyRetrans: 0, tcpFrto: 0 });
    peer.wait(300);
    expect(sent()).toEqual([1]);
    const { sndSsthresh } = connection.info();
    ack(1, [3, 5]);
    ack(2, [3, 6]);
    expect(connection.info()).toMatchObject({ caState: 4, sndSsthresh });
  });
});

describe("proportional rate reduction", () => {
  it("[6937-1] [6937-4] [6675-3] [6675-5] [8985-14] sends half of what is delivered while more is in the network than will be", async () => {
    const { connection, sent, ack } = await flight(60, { tcpWmem: [4096, 200_000, 400_000] });
    sent();
    for (let n = 2; n <= 11; n++) ack(n);
    const inFlight = 20;
    expect(connection.info().sndCwnd).toBe(inFlight);
    sent();
    const { sndCwnd } = connection.info();
    let out = 0;
    for (let last = 12; last <= 26; last++) {
      ack(11, [12, last]);
      const now = sent();
      out += now.length;
      if (last >= 14) {
        // Recovery: delivered octets times ssthresh over what was in flight when it began, rounded up.
        const delivered = last - 13;
        const limited = 2;
        expect(out - limited).toBeGreaterThanOrEqual(Math.floor((delivered * 10) / sndCwnd));
        expect(out - limited).toBeLessThanOrEqual(Math.ceil((delivered * 10) / sndCwnd) + 1);
      }
    }
  });

  it("[6937-2] [6937-3] below that sends no more than is delivered, and one more while nothing else is lost", async () => {
    const { sent, ack, connection } = await tenInFlight(40, { tcpWmem: [4096, 200_000, 400_000] });
    // Seven of ten are lost.
    ack(1, [8, 10]);
    expect(sent()).toEqual([1, 2, 3]);
    expect(connection.info().caState).toBe(3);
    ack(2, [8, 10]);
    expect(sent()).toEqual([4, 5]);
    ack(4, [8, 10]);
    expect(sent()).toEqual([6, 7, 11]);
  });

  it("[6675-6] holes in their order first, then new text", async () => {
    const { sent, ack } = await tenInFlight(40, { tcpWmem: [4096, 200_000, 400_000] });
    ack(1, [3, 3], [5, 5], [7, 10]);
    const order = [...sent()];
    ack(2, [3, 3], [5, 5], [7, 10]);
    order.push(...sent());
    ack(4, [5, 5], [7, 10]);
    order.push(...sent());
    expect(order.filter((n) => n <= 10)).toEqual([1, 2, 4, 6]);
    expect(order.slice(order.indexOf(6) + 1).every((n) => n > 10)).toBe(true);
  });

  it("[6937-5] [6675-8] ends with the window that was halved, when all that was in flight has arrived", async () => {
    const { sent, ack, connection } = await tenInFlight(40, { tcpWmem: [4096, 200_000, 400_000] });
    ack(1, [2, 4]);
    ack(1, [2, 10]);
    expect(sent()).toEqual([1, 11, 12, 13, 14]);
    ack(11, [13, 13]);
    const { caState, sndCwnd, sndSsthresh } = connection.info();
    expect([caState, sndSsthresh]).toEqual([1, 5]);
    expect(sndCwnd - sndSsthresh).toBeLessThanOrEqual(1);
    sent();
    // What is known of beyond is known still.
    ack(11, [13, 15]);
    expect(sent()).toEqual([11]);
    ack(12, [13, 15]);
    expect(sent()[0]).toBe(12);
  });
});

describe("tail loss probe", () => {
  it("[8985-9] [8985-10] [8985-11] [6675-7] [8985-12] two round trips after the last segment sends it again, and then times out", async () => {
    const { sent, peer, connection, engine } = await flight(3);
    expect(sent()).toEqual([1, 2, 3]);
    peer.wait(2 * RTT + 1.9);
    expect(sent()).toEqual([]);
    peer.wait(0.1);
    expect(sent()).toEqual([3]);
    expect(connection.info()).toMatchObject({ caState: 0, sndCwnd: 10 });
    expect(engine.counters()).toMatchObject({ TCPLossProbes: 1, TCPTimeouts: 0 });
    // No second one: the timer is retransmission's.
    peer.wait(299.9);
    expect(sent()).toEqual([]);
    peer.wait(0.2);
    expect(sent()).toEqual([1]);
    expect(engine.counters()).toMatchObject({ TCPLossProbes: 1, TCPTimeouts: 1 });
  });

  it("[8985-9] waits 200 ms more for a single segment, and a second without any measurement", async () => {
    const { sent, peer } = await flight(1, { tcpRtoMinUs: 1_000_000 });
    expect(sent()).toEqual([1]);
    peer.wait(399);
    expect(sent()).toEqual([]);
    peer.wait(1.1);
    expect(sent()).toEqual([1]);
  });

  it("[8985-11] is new text if there is some", async () => {
    const { sent, peer, connection } = await flight(12);
    expect(sent().length).toBe(10);
    peer.wait(2 * RTT + 3);
    expect(sent()).toEqual([11]);
    expect(connection.info().totalRetrans).toBe(0);
  });

  it("[8985-13] that made good a loss costs half the window; one that the peer has twice costs nothing", async () => {
    for (const twice of [false, true]) {
      const { sent, ack, peer, connection, engine } = await flight(3);
      sent();
      peer.wait(2 * RTT + 3);
      expect(sent()).toEqual([3]);
      peer.wait(RTT - 10);
      if (twice) ack(4, [3, 3]);
      else ack(4);
      connection.write(randomOctets(MSS, 2));
      expect(sent()).toEqual([4]);
      peer.wait(RTT);
      ack(5);
      expect(engine.counters().TCPLossProbeRecovery).toBe(twice ? 0 : 1);
      if (twice) expect(connection.info().sndCwnd).toBe(10);
      else expect(connection.info().sndCwnd).toBeLessThan(10);
    }
  });

  it("makes a lost tail cost about two round trips, and no timeout", async () => {
    const { sent, ack, peer, connection, engine } = await flight(10);
    sent();
    peer.wait(RTT);
    ack(8);
    peer.wait(2 * RTT + 2);
    expect(sent()).toEqual([10]);
    peer.wait(RTT);
    ack(8, [10, 10]);
    // RACK knows the rest.
    peer.wait(RTT / 4 + 1);
    expect(sent()).toEqual([8]);
    peer.wait(RTT);
    ack(9, [10, 10]);
    expect(sent()).toEqual([9]);
    peer.wait(RTT);
    ack(11);
    expect(connection.unacked).toBe(0);
    expect(engine.counters().TCPTimeouts).toBe(0);
  });

  it("[8985-10] is followed by no other while it is unanswered, whatever else is acknowledged", async () => {
    const { sent, ack, peer, engine } = await flight(10);
    sent();
    peer.wait(2 * RTT + 2);
    expect(sent()).toEqual([10]);
    peer.wait(50);
    ack(3);
    peer.wait(2 * RTT + 20);
    expect(sent()).toEqual([]);
    expect(engine.counters().TCPLossProbes).toBe(1);
  });

  it("[8985-9] is not sent any more once a recovery has begun, whose last segment has arrived long since", async () => {
    const { sent, ack, peer, engine, connection } = await flight(10);
    sent();
    peer.wait(RTT);
    ack(1, [8, 10]);
    expect(sent()).toContain(1);
    // What was sent again is lost as well: only the timer goes on.
    peer.wait(2 * RTT + 2);
    expect(engine.counters().TCPLossProbes).toBe(0);
    const again: number[] = [];
    for (let round = 0; connection.unacked > 0 && round < 20; round++) {
      peer.wait(1000);
      again.push(...sent());
      for (let next = Math.min(...again); again.includes(next); next++)
        ack(next === 7 ? 11 : next + 1, [8, 10]);
    }
    expect(connection.unacked).toBe(0);
    expect(again).not.toContain(10);
    expect(engine.counters().TCPLossProbes).toBe(0);
  });

  it("can be switched off", async () => {
    const { sent, peer, engine } = await flight(3, { tcpEarlyRetrans: 0 });
    sent();
    peer.wait(299);
    expect(sent()).toEqual([]);
    peer.wait(2);
    expect(sent()).toEqual([1]);
    expect(engine.counters().TCPLossProbes).toBe(0);
  });
});
