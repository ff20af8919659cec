import { describe, expect, it } from "vitest";
import type { Connection } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine } from "../support/engine.ts";
import { Peer, type Received } from "../support/peer.ts";
import { loadProbe } from "../support/probe.ts";
import { randomOctets } from "../support/random.ts";
import { vectors } from "../support/vectors.ts";

// RFC 5681, 6298, 6582 and 6928: what bounds a sender, and when.

const MSS = 1000;
const SECOND = 1000;

/** A connection whose peer takes whatever the congestion window lets fly. */
async function fast() {
  const at = await connected({
    engine: { settings: { tcpWmem: [4096, 1 << 20, 1 << 20] } },
    syn: { options: { mss: MSS, ws: 7 } },
  });
  at.connection.setOption("congestionControl", "newreno");
  // The window it will keep: an ACK that changes it would be no duplicate.
  at.peer.send({ seq: 1, ack: 1, window: 8000 });
  at.peer.silence();
  return at;
}

const texts = (segments: Received[]) => segments.filter(({ text }) => text.length > 0);
const cwnd = (connection: Connection) => connection.info().sndCwnd;

/** Where the last of these segments ends. */
const end = (segments: Received[]) => Math.max(...segments.map(({ seq, text }) => seq + text.length));

/** A round trip in which all that flies arrives, one ACK each; returns where it ends. */
function round(peer: Peer, connection: Connection, flight: Received[]): Received[] {
  connection.write(randomOctets(200_000, 1));
  peer.wait(100);
  for (const { seq, text } of flight) peer.send({ seq: 1, ack: seq + text.length, window: 8000 });
  return texts(peer.take());
}

describe("congestion avoidance", () => {
  it("[5681-5] a timeout leaves half of what flew for ssthresh, and one segment", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(200_000, 1));
    const flight = texts(peer.take());
    expect(flight.length).toBe(10);
    peer.expectWithin(2 * SECOND, { seq: 1, text: MSS });
    peer.silence();
    expect(cwnd(connection)).toBe(1);
    expect(connection.info().sndSsthresh).toBe(5);
    // Slow start up to there, and from there on an extra segment for a window's worth.
    peer.send({ seq: 1, ack: 1 + MSS, window: 8000 });
    expect(cwnd(connection)).toBe(2);
  });

  it("[5681-5] leaves two segments at least", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(MSS, 1));
    peer.expect({ seq: 1 });
    peer.expectWithin(2 * SECOND, { seq: 1 });
    expect(connection.info().sndSsthresh).toBe(2);
  });

  it("[5681-15] it is half of what flew, not of the window", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(200_000, 1));
    let flight = texts(peer.take());
    flight = round(peer, connection, flight);
    flight = round(peer, connection, flight);
    while (connection.unacked > 0) {
      peer.send({ seq: 1, ack: end(flight), window: 8000 });
      flight = texts(peer.take());
    }
    const window = cwnd(connection);
    expect(window).toBeGreaterThan(30);
    connection.write(randomOctets(6 * MSS, 1));
    const [first, ...others] = texts(peer.take());
    expect(others.length).toBe(5);
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: first!.seq, window: 8000 });
    peer.expect({ seq: first!.seq });
    expect(connection.info().sndSsthresh).toBe(3);
  });

  it("[5681-4] grows by one segment a round trip", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(200_000, 1));
    peer.take();
    peer.expectWithin(2 * SECOND, { seq: 1 });
    expect(connection.info().sndSsthresh).toBe(5);
    // All the rest had arrived.
    peer.send({ seq: 1, ack: 1 + 10 * MSS, window: 8000 });
    let flight = texts(peer.take());
    while (cwnd(connection) < 5) flight = round(peer, connection, flight);
    const sizes = [cwnd(connection)];
    for (let i = 0; i < 12; i++) {
      flight = round(peer, connection, flight);
      sizes.push(cwnd(connection));
    }
    const steps = sizes.slice(1).map((size, i) => size - sizes[i]!);
    expect(Math.max(...steps)).toBe(1);
    expect(steps.reduce((sum, step) => sum + step, 0)).toBeGreaterThanOrEqual(10);
  });
});

describe("the retransmission timer", () => {
  it("[6298-9] never expires before an RTO has passed since the segment was sent", async () => {
    const { peer, connection } = await fast();
    // Round trips between 10 ms and half a second, each segment lost twice.
    let ack = 1;
    for (const trip of [10, 500, 40, 300, 90, 250]) {
      connection.write(randomOctets(300, trip));
      let sent = peer.expect({ seq: ack }).at;
      let rto = connection.info().rto / 1000;
      for (let again = 0; again < 2; again++) {
        const { at } = peer.expectWithin(20 * SECOND, { seq: ack });
        expect(at - sent).toBeGreaterThanOrEqual(rto - 0.001);
        sent = at;
        rto = connection.info().rto / 1000;
      }
      ack += 300;
      peer.wait(1);
      peer.send({ seq: 1, ack, window: 8000 });
      connection.write(randomOctets(300, trip));
      peer.expect({ seq: ack });
      ack += 300;
      peer.wait(Math.min(trip, connection.info().rto / 1000 - 1));
      peer.send({ seq: 1, ack, window: 8000 });
    }
  });
});

describe("NewReno", () => {
  it("[6582-1] recovers fast from a loss in the first flight", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(10 * MSS, 1));
    expect(texts(peer.take()).length).toBe(10);
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: 1, window: 8000 });
    peer.expect({ seq: 1, text: MSS });
    expect(connection.info().caState).toBe(3);
  });

  it("[6582-4] the full ACK sets off no burst", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(200_000, 1));
    let flight = texts(peer.take());
    flight = round(peer, connection, flight);
    const [first] = flight;
    const flew = connection.info().unacked;
    expect(flew).toBe(20);
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: first!.seq, window: 8000 });
    const recovered = [...flight, ...texts(peer.take())];
    expect(connection.info().caState).toBe(3);
    // Nothing of the window came through but these: with the full ACK nothing is left in flight.
    peer.send({ seq: 1, ack: end(recovered), window: 8000 });
    expect(connection.info().caState).toBe(0);
    expect(cwnd(connection)).toBeLessThanOrEqual(2);
    expect(texts(peer.take()).length).toBeLessThanOrEqual(2);
  });

  it("[6582-6] a timeout in recovery ends it, and duplicates of what flew then set off no other", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(200_000, 1));
    const flight = texts(peer.take());
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: 1, window: 8000 });
    // Each duplicate more is a segment that has left, and lets one go that is beyond what the recovery began with.
    for (let i = 0; i < 7; i++) peer.send({ seq: 1, ack: 1, window: 8000 });
    const sent = [...flight, ...texts(peer.take())];
    expect(end(sent)).toBeGreaterThan(end(flight) + 2 * MSS);
    expect(connection.info().caState).toBe(3);
    peer.expectWithin(3 * SECOND, { seq: 1 });
    expect(connection.info().caState).toBe(4);
    expect(cwnd(connection)).toBe(1);
    const { sndSsthresh } = connection.info();
    for (let i = 0; i < 4; i++) peer.send({ seq: 1, ack: 1, window: 8000 });
    peer.silence();
    expect(connection.info().caState).toBe(4);
    expect(connection.info().sndSsthresh).toBe(sndSsthresh);
    // What was sent before the timeout is what there is to recover, all of it: with its ACK the state is over.
    peer.send({ seq: 1, ack: end(sent) - MSS, window: 8000 });
    expect(connection.info().caState).toBe(4);
    peer.send({ seq: 1, ack: end(sent), window: 8000 });
    expect(connection.info().caState).toBe(0);
  });
});

describe("the initial window", () => {
  it.each(vectors.initialWindow)(
    "[6928-1] is $iw6928 octets for segments of $smss",
    async ({ smss, iw6928 }) => {
      const { call } = await loadProbe();
      expect(call.initialWindow!(smss)).toBe(iw6928);
      // And through a connection, as far as an MTU allows.
      const { peer, connection } = await connected({
        engine: { mtu: 10_000, settings: { tcpWmem: [4096, 1 << 20, 1 << 20] } },
        syn: { options: { mss: smss } },
      });
      connection.write(randomOctets(60_000, 1));
      const flight = texts(peer.take());
      expect(flight.reduce((sum, { text }) => sum + text.length, 0)).toBe(iw6928 - (iw6928 % smss));
    },
  );

  it("[6928-2] bounds the restart after idleness, and never lifts it", async () => {
    const { peer, connection } = await fast();
    connection.write(randomOctets(MSS, 1));
    peer.expect({ seq: 1 });
    for (let i = 0; i < 3; i++) peer.expectWithin(10 * SECOND, { seq: 1 });
    peer.send({ seq: 1, ack: 1 + MSS, window: 8000 });
    const small = cwnd(connection);
    expect(small).toBeLessThanOrEqual(2);
    peer.wait(60 * SECOND);
    connection.write(randomOctets(30 * MSS, 1));
    expect(texts(peer.take()).length).toBe(small);
  });

  it("[6928-3] survives one lost SYN, and not two", async () => {
    for (const [lost, segments] of [
      [1, 10],
      [2, 1],
    ] as const) {
      const engine = await makeEngine();
      const peer = new Peer(engine);
      const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40_000 });
      peer.enginePort = connection.localPort;
      peer.expect({ flags: "S" });
      for (let i = 0; i < lost; i++) peer.expectWithin(5 * SECOND, { flags: "S" });
      peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: MSS } });
      connection.write(randomOctets(12 * MSS, 1));
      expect(texts(peer.take()).length).toBe(segments);
    }
  });

  it("[6928-6] has its losses counted, for all and for each", async () => {
    const { peer, connection, engine } = await fast();
    connection.write(randomOctets(10 * MSS, 1));
    peer.take();
    peer.expectWithin(2 * SECOND, { seq: 1 });
    peer.send({ seq: 1, ack: 1 + 4 * MSS, window: 8000 });
    const again = 1 + texts(peer.take()).length;
    expect(again).toBeGreaterThan(2);
    const { TCPTimeouts, RetransSegs } = engine.counters();
    expect([TCPTimeouts, RetransSegs]).toEqual([1, again]);
    const { totalRetrans, bytesRetrans } = connection.info();
    expect([totalRetrans, bytesRetrans]).toEqual([again, again * MSS]);
  });
});
