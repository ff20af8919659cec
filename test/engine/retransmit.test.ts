import { describe, expect, it } from "vitest";
import type { Connection } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { errorCode, makeEngine } from "../support/engine.ts";
import { Peer, type Received } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";
import { Wire } from "../support/wire.ts";

const MSS = 1460;
const SECOND = 1000;

/** Sequence numbers of the segments with text. */
const seqs = (segments: Received[]) => segments.filter(({ text }) => text.length > 0).map(({ seq }) => seq);

/** Acknowledge whatever is in flight for so many round trips, so that the congestion window has opened. */
function warmUp(peer: Peer, connection: Connection, octets: number): number {
  let end = 1;
  let left = octets;
  while (left > 0 || connection.unacked > 0) {
    left -= connection.write(randomOctets(Math.min(left, 50_000), left));
    for (const { seq, text } of peer.take()) end = Math.max(end, seq + text.length);
    peer.wait(100);
    peer.send({ seq: 1, ack: end, window: 65535 });
  }
  return end;
}

describe("retransmission timer", () => {
  it("[6298-10] [6298-11] [9293-MUST-19] sends the first unacknowledged segment again, with doubling gaps", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(5 * MSS, 1));
    expect(seqs(peer.take()).length).toBe(5);
    const times = [peer.now];
    const rto = connection.info().rto / 1000;
    for (let i = 0; i < 6; i++) {
      const again = peer.expectWithin(200 * SECOND, { seq: 1, text: MSS });
      peer.silence();
      times.push(again.at);
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32].map((n) => n * rto));
    expect(connection.info()).toMatchObject({ sndCwnd: 1, totalRetrans: 6, backoff: 6 });
  });

  it("[6298-5] stops doubling at a cap of at least 60 s, and [9293-SHLD-11] gives up after at least 100 s", async () => {
    const { peer, connection } = await connected();
    const start = peer.now;
    connection.write(Buffer.from("hello"));
    peer.take();
    peer.waitUntil(start + 100 * SECOND);
    expect(connection.state).toBe("ESTABLISHED");
    peer.waitUntil(start + 7200 * SECOND);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    expect(peer.eventTypes()).toContain("timedOut");
    const times = peer.take().map(({ at }) => at);
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(Math.max(...gaps)).toBeGreaterThanOrEqual(60 * SECOND);
    expect(gaps.at(-1)).toBe(gaps.at(-2));
    // Linux's tcp_retries2.
    expect(times.length).toBe(15);
    expect(peer.engine.nextDeadline()).toBeUndefined();
    expect(() => connection.write(Buffer.from("x"))).toThrow("ETIMEDOUT");
  });

  it("gives up after as many as tcpRetries2 says", async () => {
    const { peer, connection } = await connected({ engine: { settings: { tcpRetries2: 3 } } });
    connection.write(Buffer.from("hello"));
    peer.take();
    peer.wait(1000 * SECOND);
    expect(peer.take().length).toBe(3);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("[6298-6] [9293-MUST-18] takes no measurement from what was sent twice", async () => {
    const { peer, connection } = await connected();
    const end = warmUp(peer, connection, 3 * MSS);
    const { rtt } = connection.info();
    expect(rtt).toBeGreaterThan(0);
    connection.write(Buffer.from("hello"));
    peer.expect({ seq: end });
    peer.expectWithin(10 * SECOND, { seq: end, text: "hello" });
    peer.wait(700);
    peer.take();
    peer.send({ seq: 1, ack: end + 5, window: 65535 });
    expect(connection.info().rtt).toBe(rtt);
    // What is sent once is measured again.
    connection.write(Buffer.from("world"));
    peer.expect({ seq: end + 5 });
    peer.wait(150);
    peer.send({ seq: 1, ack: end + 10, window: 65535 });
    expect(connection.info().rtt).not.toBe(rtt);
  });

  it("[6298-7] follows the round trip as it changes", async () => {
    const { peer, connection } = await connected();
    let end = 1;
    for (const trip of [...new Array(30).fill(40), ...new Array(60).fill(400)]) {
      connection.write(Buffer.from("x"));
      peer.take();
      peer.wait(trip);
      peer.take();
      end++;
      peer.send({ seq: 1, ack: end });
      // The handshake took no time, which counts for a little still.
      if (end === 31) expect(connection.info().rtt / 1000).toBeGreaterThan(38);
    }
    expect(connection.info().rtt / 1000).toBeGreaterThan(380);
    expect(connection.info().rto / 1000).toBeGreaterThanOrEqual(400);
  });

  it("[6298-8] starts again when a part is acknowledged, and stops when all is", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(3 * MSS, 1));
    peer.take();
    const rto = connection.info().rto / 1000;
    peer.wait(rto - 10);
    peer.silence();
    peer.send({ seq: 1, ack: 1 + MSS });
    const sent = peer.now;
    const rtoNow = connection.info().rto / 1000;
    const again = peer.expectWithin(10 * SECOND, { seq: 1 + MSS });
    expect(again.at - sent).toBeCloseTo(rtoNow, 3);
    peer.send({ seq: 1, ack: 1 + 3 * MSS });
    peer.wait(1000 * SECOND);
    peer.silence();
  });

  it("[6298-4] does not stall when the round trip is shorter than any clock tick", async () => {
    const { peer, connection } = await connected();
    let end = 1;
    for (let i = 0; i < 50; i++) {
      connection.write(randomOctets(MSS, i));
      peer.expect({ seq: end });
      end += MSS;
      peer.send({ seq: 1, ack: end });
    }
    expect(connection.info().rtt).toBeLessThanOrEqual(1000);
    connection.write(Buffer.from("lost"));
    peer.expect({ seq: end });
    const sent = peer.now;
    const { at } = peer.expectWithin(2 * SECOND, { seq: end });
    expect(at - sent).toBeGreaterThanOrEqual(200);
  });

  it("[6298-12] [5681-2] begins with 3 s and one segment when its SYN had to be repeated twice", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    peer.expectWithin(2 * SECOND, { flags: "S" });
    peer.expectWithin(3 * SECOND, { flags: "S" });
    peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: MSS } });
    peer.expect({ flags: "A" });
    connection.write(randomOctets(5 * MSS, 1));
    peer.expect({ seq: 1, text: MSS });
    peer.silence();
    const sent = peer.now;
    const { at } = peer.expectWithin(10 * SECOND, { seq: 1 });
    expect(at - sent).toBe(3 * SECOND);
  });

  it("sends again all that was lost, one window after the other", async () => {
    const { peer, connection } = await connected();
    const text = randomOctets(8 * MSS, 1);
    connection.write(text);
    expect(seqs(peer.take()).length).toBe(8);
    peer.expectWithin(10 * SECOND, { seq: 1, text: MSS });
    peer.send({ seq: 1, ack: 1 + MSS });
    expect(seqs(peer.take())).toEqual([1 + MSS, 1 + 2 * MSS]);
    peer.send({ seq: 1, ack: 1 + 3 * MSS });
    const rest = peer.take();
    expect(seqs(rest)[0]).toBe(1 + 3 * MSS);
    expect(rest.length).toBeLessThanOrEqual(4);
    for (const { seq, text: piece } of rest)
      expect(Buffer.from(piece).equals(text.subarray(seq - 1, seq - 1 + piece.length))).toBe(true);
    peer.send({ seq: 1, ack: 1 + 8 * MSS });
    expect(connection.unacked).toBe(0);
    peer.wait(100 * SECOND);
    peer.silence();
  });

  it("goes on at once with what lies beyond when an ACK covers the lost flight", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(20 * MSS, 1));
    const flight = seqs(peer.take()).length;
    expect(flight).toBe(10);
    peer.expectWithin(10 * SECOND, { seq: 1 });
    peer.send({ seq: 1, ack: 1 + flight * MSS });
    expect(seqs(peer.take())[0]).toBe(1 + flight * MSS);
  });
});

describe("fast retransmit", () => {
  it("[5681-7] [5681-9] the third duplicate ACK brings the lost segment back, the first two a new one each", async () => {
    const { peer, connection } = await connected();
    const base = warmUp(peer, connection, 40 * MSS);
    connection.write(randomOctets(44 * MSS, 1));
    const flight = seqs(peer.take());
    expect(flight.length).toBeGreaterThan(10);
    const next = flight.at(-1)! + MSS;
    const fast = peer.engine.counters().TCPFastRetrans!;
    peer.send({ seq: 1, ack: base, window: 65535 });
    const first = seqs(peer.take());
    peer.send({ seq: 1, ack: base, window: 65535 });
    const second = seqs(peer.take());
    // The window of 65,535 may leave no room for new ones; what goes must be new.
    expect([...first, ...second]).toEqual([next, next + MSS].slice(0, first.length + second.length));
    peer.send({ seq: 1, ack: base, window: 65535 });
    expect(seqs(peer.take())[0]).toBe(base);
    expect(peer.engine.counters().TCPFastRetrans).toBe(fast + 1);
  });

  it("[5681-10] halves the window, and returns to half of the flight after the full ACK", async () => {
    const { peer, connection } = await connected();
    connection.setOption("congestionControl", "newreno");
    const base = warmUp(peer, connection, 40 * MSS);
    connection.write(randomOctets(44 * MSS, 1));
    const flight = seqs(peer.take());
    const end = flight.at(-1)! + MSS;
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: base, window: 65535 });
    peer.take();
    const { sndSsthresh } = connection.info();
    expect(sndSsthresh).toBeGreaterThanOrEqual(Math.floor(flight.length / 2) - 1);
    expect(sndSsthresh).toBeLessThanOrEqual(Math.ceil(flight.length / 2) + 1);
    peer.send({ seq: 1, ack: end, window: 65535 });
    expect(connection.info().sndCwnd).toBeLessThanOrEqual(sndSsthresh);
  });

  it("[5681-8] is not set off by ACKs that change the window, carry text, or come with nothing in flight", async () => {
    const { peer, connection } = await connected();
    const base = warmUp(peer, connection, 10 * MSS);
    for (let i = 0; i < 5; i++) peer.send({ seq: 1, ack: base, window: 65535 });
    peer.silence();
    connection.write(randomOctets(4 * MSS, 1));
    expect(seqs(peer.take()).length).toBe(4);
    for (let i = 1; i <= 5; i++) peer.send({ seq: 1, ack: base, window: 65535 - i });
    for (let i = 0; i < 5; i++) peer.send({ seq: 1 + i, ack: base, window: 65530, text: "x" });
    expect(seqs(peer.take())).toEqual([]);
    for (let i = 0; i < 2; i++) peer.send({ seq: 6, ack: base, window: 65530 });
    expect(seqs(peer.take())).toEqual([]);
    peer.send({ seq: 6, ack: base, window: 65530 });
    expect(seqs(peer.take())).toEqual([base]);
  });

  it("[6582-3] [6582-5] a partial ACK brings the next hole at once, and recovery ends with the full one", async () => {
    const { peer, connection } = await connected();
    const base = warmUp(peer, connection, 20 * MSS);
    connection.write(randomOctets(12 * MSS, 1));
    expect(seqs(peer.take()).length).toBe(12);
    // Segments 0, 4 and 8 are lost.
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: base, window: 65535 });
    expect(seqs(peer.take())).toEqual([base]);
    for (let i = 0; i < 6; i++) peer.send({ seq: 1, ack: base, window: 65535 });
    expect(seqs(peer.take())).toEqual([]);
    peer.wait(50);
    peer.send({ seq: 1, ack: base + 4 * MSS, window: 65535 });
    expect(seqs(peer.take())).toEqual([base + 4 * MSS]);
    peer.wait(50);
    peer.send({ seq: 1, ack: base + 8 * MSS, window: 65535 });
    expect(seqs(peer.take())).toEqual([base + 8 * MSS]);
    peer.send({ seq: 1, ack: base + 12 * MSS, window: 65535 });
    peer.wait(10 * SECOND);
    peer.silence();
    expect(connection.unacked).toBe(0);
    expect(connection.info().totalRetrans).toBe(3);
  });

  it("[6582-2] duplicates of our own resending after a timeout set off nothing", async () => {
    const { peer, connection } = await connected();
    const base = warmUp(peer, connection, 20 * MSS);
    connection.write(randomOctets(6 * MSS, 1));
    expect(seqs(peer.take()).length).toBe(6);
    peer.expectWithin(10 * SECOND, { seq: base });
    const before = peer.engine.counters().TCPFastRetrans!;
    for (let i = 0; i < 5; i++) peer.send({ seq: 1, ack: base, window: 65535 });
    peer.take();
    expect(peer.engine.counters().TCPFastRetrans).toBe(before);
  });
});

describe("congestion window", () => {
  it("[5681-1] begins with what RFC 6928 allows", async () => {
    for (const [mss, most] of [
      [536, 10],
      [1460, 10],
      [100, 10],
    ] as const) {
      const { peer, connection } = await connected({ syn: { options: { mss } } });
      connection.write(randomOctets(60_000, 1));
      expect(seqs(peer.take()).length).toBe(most);
    }
    const { peer, connection } = await connected({
      engine: { mtu: 9000 },
      syn: { options: { mss: 8960 } },
    });
    connection.write(randomOctets(60_000, 1));
    expect(seqs(peer.take()).length).toBe(2);
  });

  it("[5681-3] grows by what is acknowledged, not by the number of ACKs", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(60 * MSS, 1));
    expect(seqs(peer.take()).length).toBe(10);
    for (let i = 1; i <= 10; i++) peer.send({ seq: 1, ack: 1 + i * 146, window: 65535 });
    peer.take();
    expect(connection.info().sndCwnd).toBe(11);
  });

  it("[9293-MUST-19] doubles each round trip in slow start, then grows by one segment", async () => {
    const { peer, connection } = await connected({
      engine: { settings: { tcpWmem: [4096, 1 << 20, 1 << 20] } },
      syn: { options: { mss: 1000, ws: 7 } },
      window: 65535,
    });
    const round = () => {
      connection.write(randomOctets(400_000, 1));
      const flight = seqs(peer.take());
      peer.wait(100);
      for (const seq of flight) peer.send({ seq: 1, ack: seq + 1000, window: 8000 });
      return flight.length;
    };
    // The second round's segments leave while the first's are acknowledged, so rounds are counted by cwnd.
    const cwnd = () => connection.info().sndCwnd;
    expect(cwnd()).toBe(10);
    round();
    expect(cwnd()).toBe(20);
    round();
    expect(cwnd()).toBeGreaterThanOrEqual(36);
    // A timeout: ssthresh is half the flight, and slow start begins with one segment.
    connection.write(randomOctets(400_000, 1));
    const flight = seqs(peer.take());
    const last = flight.at(-1)! + 1000;
    peer.wait(1500);
    peer.take();
    expect(cwnd()).toBe(1);
    const { sndSsthresh } = connection.info();
    expect(sndSsthresh).toBeGreaterThan(5);
    peer.send({ seq: 1, ack: last, window: 8000 });
    for (let i = 0; i < 200 && cwnd() < sndSsthresh; i++) round();
    const at = cwnd();
    round();
    round();
    round();
    expect(cwnd() - at).toBeGreaterThanOrEqual(1);
    expect(cwnd() - at).toBeLessThanOrEqual(4);
  });

  it("[5681-6] two timeouts in a row halve it once", async () => {
    const { peer, connection } = await connected();
    connection.setOption("congestionControl", "newreno");
    warmUp(peer, connection, 40 * MSS);
    connection.write(randomOctets(20 * MSS, 1));
    const flight = seqs(peer.take()).length;
    peer.expectWithin(10 * SECOND);
    const { sndSsthresh } = connection.info();
    expect(sndSsthresh).toBe(Math.floor(flight / 2));
    peer.expectWithin(10 * SECOND);
    expect(connection.info().sndSsthresh).toBe(sndSsthresh);
  });

  it("[5681-11] begins anew after an idle time", async () => {
    const { peer, connection } = await connected();
    const end = warmUp(peer, connection, 60 * MSS);
    expect(connection.info().sndCwnd).toBeGreaterThan(20);
    peer.wait(60 * SECOND);
    peer.send({ seq: 1, ack: end, window: 65535 });
    connection.write(randomOctets(40 * MSS, 1));
    expect(seqs(peer.take()).length).toBe(10);
  });

  it("recovers the throughput of a line that loses one segment in a hundred", async () => {
    const [a, b] = await Promise.all([
      makeEngine({ addresses: ["192.0.2.1"] }),
      makeEngine({ addresses: ["192.0.2.2"] }),
    ]);
    const wire = new Wire(a, b);
    wire.record = false;
    wire.rule = ({ from, dataIndex, packet }) =>
      from === "a" && packet.text.length > 0 && dataIndex % 100 === 50 ? [] : undefined;
    const listener = b.listen({ port: 80 });
    const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    const into = new Uint8Array(1 << 18);
    const text = randomOctets(500_000, 1);
    let written = 0;
    let read = 0;
    let theirs: Connection | undefined;
    wire.app = () => {
      if (ours.state === "ESTABLISHED" && written < text.length)
        written += ours.write(text.subarray(written));
      theirs ??= listener.accept();
      for (let n = theirs?.read(into) ?? 0; n > 0; n = theirs!.read(into)) read += n;
    };
    wire.until(() => read === text.length, 60_000);
    // 343 segments over a round trip of 20 ms: timeouts of a second each would take far longer.
    expect(wire.now).toBeLessThan(4000);
    expect(ours.info().totalRetrans).toBeLessThan(20);
  });
});
