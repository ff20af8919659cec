import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine } from "../support/engine.ts";
import { Peer, type Received, type Sent } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// RFC 3168. In tests' flags, E is ECE and C is CWR.

const asking: EngineOptions = { settings: { tcpEcn: 1 } };
const [ECT1, ECT0, CE] = [1, 2, 3];
const ecn = ({ tos }: Received) => tos & 3;
const echoes = ({ flags }: Received) => flags.includes("E");
const reduced = ({ flags }: Received) => flags.includes("C");

/** A connection whose peer has asked for ECN. */
const willing = (engine: EngineOptions = {}, syn: Sent = {}) =>
  connected({ engine, syn: { flags: "SEC", options: { mss: 1460 }, ...syn } });

describe("ECN, the handshake", () => {
  it("[3168-1] [3168-3] a SYN asks if that is set, and is not ECT", async () => {
    const engine = await makeEngine(asking);
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    const syn = peer.expect({ flags: "SEC" });
    expect(ecn(syn)).toBe(0);
    peer.send({ flags: "SAE", seq: 0, ack: 1, options: { mss: 1460 } });
    peer.expect({ flags: "A" });
    expect(connection.info().options & 8).toBe(8);
    connection.write(randomOctets(100, 1));
    expect(ecn(peer.expect({ text: 100 }))).toBe(ECT0);
  });

  it.each([
    ["no ECE", "SA", 0],
    ["ECE and CWR, by a peer that mirrors flags", "SAEC", 0],
    ["ECE", "SAE", 8],
  ])("[3168-4] a SYN,ACK with %s", async (_, flags, option) => {
    const engine = await makeEngine(asking);
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "SEC" });
    peer.send({ flags, seq: 0, ack: 1, options: { mss: 1460 } });
    peer.expect({ flags: "A" });
    expect(connection.info().options & 8).toBe(option);
    connection.write(randomOctets(100, 1));
    expect(ecn(peer.expect({ text: 100 }))).toBe(option ? ECT0 : 0);
  });

  it.each([
    ["an ECN-setup SYN", "SEC", 0, {}, true],
    ["a plain SYN", "S", 0, {}, false],
    ["a SYN with ECE alone", "SE", 0, {}, false],
    ["a SYN with CWR alone", "SC", 0, {}, false],
    ["an ECN-setup SYN that is ECT itself", "SEC", ECT0, {}, true],
    ["an ECN-setup SYN where ECN is off", "SEC", 0, { settings: { tcpEcn: 0 } }, false],
  ])("[3168-2] [3168-3] %s", async (_, flags, tos, options, granted) => {
    const engine = await makeEngine(options);
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags, seq: 0, tos, options: { mss: 1460 } });
    const synAck = peer.expect({ flags: granted ? "SAE" : "SA" });
    expect(ecn(synAck)).toBe(0);
  });

  it("by default is not asked for", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.expect({ flags: "S" });
  });

  it("[3168-13] a SYN that was lost is repeated without, unless that is switched off", async () => {
    for (const tcpEcnFallback of [1, 0]) {
      const engine = await makeEngine({ settings: { tcpEcn: 1, tcpEcnFallback } });
      const peer = new Peer(engine);
      const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
      peer.enginePort = connection.localPort;
      peer.expect({ flags: "SEC" });
      peer.expectWithin(1000, { flags: tcpEcnFallback ? "S" : "SEC" });
      peer.send({ flags: "SAE", seq: 0, ack: 1, options: { mss: 1460 } });
      peer.expect({ flags: "A" });
      expect(connection.info().options & 8).toBe(tcpEcnFallback ? 0 : 8);
    }
  });

  it("a cookie remembers it in its timestamp", async () => {
    const engine = await makeEngine({ settings: { tcpSyncookies: 2 } });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "SEC", seq: 0, options: { mss: 1460, ts: [10, 0] } });
    const { options } = peer.expect({ flags: "SAE" });
    // The ACK may come with text, which is ECT and may be marked.
    const ts: [number, number] = [11, options.ts![0]];
    peer.send({ flags: "A", seq: 1, ack: 1, text: "x", tos: CE, options: { ts } });
    expect(listener.accept()!.info().options & 8).toBe(8);
    expect(echoes(peer.expect({ ack: 2 }))).toBe(true);
  });
});

describe("ECN, what is sent", () => {
  it("[3168-5] [3168-9] new text is ECT(0), bare ACKs are not", async () => {
    const { peer, connection } = await willing();
    connection.write(randomOctets(4000, 1));
    expect(peer.take().map(ecn)).toEqual([ECT0, ECT0, ECT0]);
    peer.send({ seq: 1, ack: 4001, text: "x" });
    expect(ecn(peer.expect({ text: 0 }))).toBe(0);
    connection.shutdown();
    expect(ecn(peer.expect({ flags: "FA" }))).toBe(0);
  });

  it("[3168-4] without agreement nothing is", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(4000, 1));
    expect(peer.take().map(ecn)).toEqual([0, 0, 0]);
    peer.send({ seq: 1, ack: 1461, flags: "AE" });
    expect(connection.info().caState).toBe(0);
    peer.send({ seq: 1, ack: 1461, text: "x", tos: CE });
    expect(peer.take().some(echoes)).toBe(false);
  });

  it("[3168-10] text sent again is not ECT", async () => {
    const { peer, connection } = await willing();
    connection.write(randomOctets(100, 1));
    expect(ecn(peer.expect({ seq: 1 }))).toBe(ECT0);
    expect(ecn(peer.expectWithin(5000, { seq: 1 }))).toBe(0);
  });

  it("[3168-11] a probe of a shut window is not ECT and says nothing of a reduced window", async () => {
    const { peer, connection } = await willing();
    connection.write(randomOctets(5000, 1));
    peer.take();
    peer.send({ seq: 1, ack: 5001, window: 0, flags: "AE" });
    connection.write(randomOctets(100, 2));
    const probe = peer.expectWithin(10_000, { text: 0 });
    expect([ecn(probe), reduced(probe)]).toEqual([0, false]);
  });
});

describe("ECN, the receiver", () => {
  it("[3168-6] echoes on every ACK from a mark on until the sender says CWR", async () => {
    const { peer, connection } = await willing();
    peer.send({ seq: 1, ack: 1, text: "a", tos: ECT0 });
    expect(echoes(peer.expect({ ack: 2 }))).toBe(false);
    expect(connection.info().options & 16).toBe(16);
    peer.send({ seq: 2, ack: 1, text: "b", tos: CE });
    expect(echoes(peer.expect({ ack: 3 }))).toBe(true);
    peer.send({ seq: 3, ack: 1, text: "c", tos: ECT1 });
    expect(echoes(peer.expect({ ack: 4 }))).toBe(true);
    connection.write(randomOctets(10, 1));
    expect(echoes(peer.expect({ text: 10 }))).toBe(true);
    peer.send({ flags: "AC", seq: 4, ack: 11, text: "d", tos: ECT0 });
    expect(echoes(peer.expect({ ack: 5 }))).toBe(false);
    // A mark on the very segment that says CWR begins anew.
    peer.send({ flags: "AC", seq: 5, ack: 11, text: "e", tos: CE });
    expect(echoes(peer.expect({ ack: 6 }))).toBe(true);
  });

  it("[3168-10] takes no notice of a mark outside of the window, nor of one without text", async () => {
    const { peer } = await willing();
    peer.send({ seq: 200_000, ack: 1, text: "a", tos: CE });
    expect(echoes(peer.expect({ ack: 1 }))).toBe(false);
    peer.send({ seq: 1, ack: 1, tos: CE });
    peer.send({ seq: 1, ack: 1, text: "b", tos: ECT0 });
    expect(echoes(peer.expect({ ack: 2 }))).toBe(false);
  });

  it("takes notice of a mark on text out of order", async () => {
    const { peer } = await willing();
    peer.send({ seq: 11, ack: 1, text: "b", tos: CE });
    expect(echoes(peer.expect({ ack: 1 }))).toBe(true);
  });
});

describe("ECN, the sender", () => {
  /** Ten segments in flight. */
  async function flying() {
    const at = await willing();
    at.connection.write(randomOctets(30_000, 1));
    expect(at.peer.take().length).toBe(10);
    return at;
  }

  it("[3168-7] halves the window for an echo, once for what is in flight", async () => {
    const { peer, connection } = await flying();
    connection.setOption("congestionControl", "newreno");
    expect(connection.info()).toMatchObject({ sndCwnd: 10, caState: 0 });
    peer.send({ flags: "AE", seq: 1, ack: 1461 });
    expect(connection.info()).toMatchObject({ sndCwnd: 5, sndSsthresh: 5, caState: 2 });
    peer.silence();
    for (const ack of [2921, 4381, 5841, 7301]) peer.send({ flags: "AE", seq: 1, ack });
    expect(connection.info().sndCwnd).toBe(5);
    // What follows that flight may be echoed again.
    peer.take();
    peer.send({ flags: "A", seq: 1, ack: 14_601 });
    expect(connection.info()).toMatchObject({ sndCwnd: 5, caState: 0 });
    peer.take();
    peer.send({ flags: "AE", seq: 1, ack: 16_061 });
    expect(connection.info().caState).toBe(2);
    expect(connection.info().sndCwnd).toBeLessThan(5);
  });

  it("[3168-8] says CWR with the first new text after that, once", async () => {
    const { peer } = await flying();
    peer.send({ flags: "AE", seq: 1, ack: 1461 });
    peer.send({ flags: "AE", seq: 1, ack: 10_221 });
    const sent = peer.take();
    expect(sent.length).toBeGreaterThan(1);
    expect(sent.map(reduced)).toEqual([true, ...new Array(sent.length - 1).fill(false)]);
    expect(sent.map(ecn)).toEqual(new Array(sent.length).fill(ECT0));
  });

  it("a loss within an echoed flight is sent again without another reduction", async () => {
    const { peer, connection } = await flying();
    peer.send({ flags: "AE", seq: 1, ack: 1461 });
    const { sndSsthresh } = connection.info();
    for (let i = 0; i < 3; i++) peer.send({ flags: "AE", seq: 1, ack: 1461 });
    expect(peer.take().map(({ seq }) => seq)).toContain(1461);
    expect(connection.info()).toMatchObject({ caState: 3, sndSsthresh });
  });

  it("[3168-12] holds new text back until the retransmission timer expires, where the window is one segment", async () => {
    const { peer, connection } = await willing({ settings: { tcpWmem: [4096, 200_000, 400_000] } });
    connection.write(randomOctets(60_000, 1));
    let end = 1;
    const arrive = () => {
      for (const { seq, text } of peer.take()) end = Math.max(end, seq + text.length);
      peer.wait(100);
    };
    for (let rounds = 0; connection.info().sndCwnd > 1; rounds++) {
      expect(rounds).toBeLessThan(20);
      arrive();
      peer.send({ flags: "AE", seq: 1, ack: end });
    }
    arrive();
    for (let i = 0; i < 3; i++) {
      peer.wait(100);
      peer.send({ flags: "AE", seq: 1, ack: end });
      peer.silence();
      const { rto, sndCwnd } = connection.info();
      expect(sndCwnd).toBe(1);
      peer.wait(rto / 1000 - 1);
      peer.silence();
      peer.wait(2);
      const { seq, text } = peer.expect({ seq: end });
      peer.silence();
      end = seq + text.length;
    }
    expect(connection.info()).toMatchObject({ totalRetrans: 0, caState: 0 });
    // An ACK without an echo lets the next go at once.
    peer.wait(100);
    peer.send({ flags: "A", seq: 1, ack: end });
    expect(peer.take().length).toBeGreaterThan(0);
  });

  it("[3168-12] holds back what is written later, too, but no longer than that", async () => {
    const { peer, connection } = await willing();
    connection.write(randomOctets(14_600, 1));
    peer.take();
    let end = 14_601;
    for (let i = 0; i < 8; i++) {
      peer.wait(100);
      peer.send({ flags: "AE", seq: 1, ack: end });
      peer.wait(2000);
      connection.write(randomOctets(1460, i));
      const { seq, text } = peer.expect({ seq: end });
      end = seq + text.length;
    }
    expect(connection.info().sndCwnd).toBe(1);
    peer.wait(100);
    peer.send({ flags: "AE", seq: 1, ack: end });
    peer.wait(50);
    connection.write(randomOctets(1460, 9));
    connection.shutdown();
    peer.silence();
    peer.expectWithin(connection.info().rto / 1000 - 50, { seq: end, text: 1460 });
  });

  it("[3168-12] sends no probe of the tail, either, where something is still in flight", async () => {
    const { peer, connection } = await willing({}, { options: { mss: 1460, sackPermitted: true } });
    connection.setOption("noDelay", true);
    let end = 1;
    const write = (octets: number) => {
      connection.write(randomOctets(octets, end));
      for (const { seq, text } of peer.take()) end = Math.max(end, seq + text.length);
    };
    write(1460);
    peer.wait(100);
    peer.send({ flags: "AE", seq: 1, ack: end });
    expect(connection.info().sndCwnd).toBe(1);
    const first = end;
    write(100);
    write(100);
    peer.wait(10);
    peer.send({ flags: "AE", seq: 1, ack: first + 100 });
    connection.write(randomOctets(100, 9));
    const { rto } = connection.info();
    peer.wait(rto / 1000 - 1);
    peer.silence();
    peer.wait(2);
    // The timer was retransmission's.
    peer.expect({ seq: first + 100 });
  });

  it("a reduction that was for nothing is not told of, and one for an echo is no reduction for nothing", async () => {
    for (const echoed of [false, true]) {
      const { peer, connection, engine } = await willing({}, { options: { mss: 1460, sackPermitted: true } });
      connection.write(randomOctets(60_000, 1));
      expect(peer.take().length).toBe(10);
      peer.wait(100);
      const flags = echoed ? "AE" : "A";
      const sack: [number, number][] = [[1461, 5841]];
      peer.send({ flags, seq: 1, ack: 1, options: { sack } });
      expect(peer.take().map(({ seq }) => seq)).toContain(1);
      peer.send({ seq: 1, ack: 5841, options: { sack: [[1, 1461]] } });
      expect(engine.counters().TCPDSACKUndo).toBe(echoed ? 0 : 1);
      expect(connection.info().sndCwnd >= 10).toBe(!echoed);
      peer.send({ seq: 1, ack: 14_601 });
      expect(peer.take().some(reduced)).toBe(echoed);
    }
  });

  it("an echo is told of by CWR, though an earlier reduction proves to have been for nothing", async () => {
    const { peer, connection, engine } = await willing({}, { options: { mss: 1460, sackPermitted: true } });
    connection.write(randomOctets(16_060, 1));
    peer.take();
    peer.wait(100);
    peer.send({ seq: 1, ack: 1, options: { sack: [[1461, 5841]] } });
    expect(peer.take().map(({ seq }) => seq)).toContain(1);
    peer.send({ seq: 1, ack: 16_061 });
    connection.write(randomOctets(2920, 2));
    expect(peer.take().map(reduced)).toEqual([true, false]);
    peer.send({ flags: "AE", seq: 1, ack: 17_521 });
    peer.send({ seq: 1, ack: 18_981, options: { sack: [[1, 1461]] } });
    expect(engine.counters().TCPDSACKUndo).toBe(0);
    connection.write(randomOctets(1460, 3));
    expect(peer.take().map(reduced)).toEqual([true]);
  });

  it("a loss is told of by CWR too", async () => {
    const { peer } = await flying();
    for (let i = 0; i < 3; i++) peer.send({ seq: 1, ack: 1 });
    peer.send({ seq: 1, ack: 14_601 });
    peer.send({ seq: 1, ack: 17_521 });
    const sent = peer.take();
    // Limited transmit came before the loss was known; what is sent again never says it.
    expect(sent.map(({ seq }) => seq).slice(0, 3)).toEqual([14_601, 16_061, 1]);
    expect(sent.filter(reduced).map(({ seq }) => seq)).toEqual([17_521]);
  });
});
