import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const offer = (value: number) => ({ options: { mss: 1460, ts: [value, 0] as [number, number] } });

/** A peer with timestamps, connected; its next TSval is 1000 and more. */
async function stamped(engine: EngineOptions = {}) {
  const made = await connected({ engine, syn: offer(1000) });
  return made;
}

describe("TS.Recent", () => {
  it("is that of the SYN repeated last, whose round trip the SYN,ACK would tell else", async () => {
    const engine = await makeEngine();
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, options: { mss: 1460, ts: [100, 0] } });
    expect(peer.expect({ flags: "SA" }).options.ts![1]).toBe(100);
    peer.send({ flags: "S", seq: 0, options: { mss: 1460, ts: [1100, 0] } });
    expect(peer.expect({ flags: "SA" }).options.ts![1]).toBe(1100);
  });

  it("is not taken from an ACK of what was never sent, which would shut out all that follows", async () => {
    const { peer, connection } = await connected({ syn: { options: { mss: 1460, ts: [100, 0] } } });
    peer.send({ seq: 1, ack: 500, options: { ts: [9999, 0] } });
    peer.take();
    peer.send({ seq: 1, ack: 1, text: "good", options: { ts: [101, 0] } });
    expect(peer.expect({ ack: 5 }).options.ts![1]).toBe(101);
    expect(connection.readable).toBe(4);
  });
});

describe("timestamps", () => {
  it("[7323-7] are offered with a SYN and used when the SYN,ACK has them", async () => {
    const engine = await makeEngine();
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, localPort: 40_000 });
    const peer = new Peer(engine, { enginePort: 40_000, peerPort: 80 });
    const syn = peer.expect({ flags: "S" });
    expect(syn.options.ts?.[1]).toBe(0);
    peer.send({ flags: "SA", ack: 1, options: { mss: 1460, ts: [77, syn.options.ts![0]] } });
    const ack = peer.expect({ flags: "A" });
    expect(ack.options.ts).toEqual([syn.options.ts![0], 77]);
    connection.write(randomOctets(2000, 1));
    const sent = peer.take();
    expect(sent.map(({ text }) => text.length)).toEqual([1448, 552]);
    for (const { options } of sent) expect(options.ts?.[1]).toBe(77);
    expect(connection.info().options & 1).toBe(1);
  });

  it("refuse a SYN,ACK that echoes what no SYN said, and go on with the one that is meant", async () => {
    const engine = await makeEngine();
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, localPort: 40_000 });
    const peer = new Peer(engine, { enginePort: 40_000, peerPort: 80 });
    const [said] = peer.expect({ flags: "S" }).options.ts!;
    peer.wait(1000);
    const [again] = peer.expect({ flags: "S" }).options.ts!;
    const synAck = (echo: number) =>
      peer.send({ flags: "SA", ack: 1, options: { mss: 1460, ts: [77, echo >>> 0] } });
    for (const echo of [said - 1, again + 1, said + 2 ** 31]) {
      synAck(echo);
      expect(peer.take().map(({ flags, seq }) => [flags, seq])).toEqual([["R", 1]]);
      expect(connection.state).toBe("SYN-SENT");
    }
    expect(engine.counters().PAWSActive).toBe(3);
    synAck(said);
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("take a SYN,ACK that echoes nothing, as some say who have rewritten it", async () => {
    const engine = await makeEngine();
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, localPort: 40_000 });
    const peer = new Peer(engine, { enginePort: 40_000, peerPort: 80 });
    peer.expect({ flags: "S" });
    peer.send({ flags: "SA", ack: 1, options: { mss: 1460, ts: [77, 0] } });
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("[7323-10] are left out when the peer has none, and when they are switched off", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(10, 1));
    expect(peer.expect().options.ts).toBeUndefined();
    const off = await connected({ engine: { settings: { tcpTimestamps: 0 } }, syn: offer(1000) });
    off.connection.write(randomOctets(10, 1));
    expect(off.peer.expect({ text: 10 }).options.ts).toBeUndefined();
  });

  it("[7323-17] [7323-18] advance by one a millisecond from a start that differs from peer to peer", async () => {
    const { peer, connection, engine, listener } = await stamped();
    connection.setOption("noDelay", true);
    const values: number[] = [];
    for (let i = 0; i < 3; i++) {
      connection.write(randomOctets(10, i));
      values.push(peer.expect({ text: 10 }).options.ts![0]);
      peer.send({ seq: 1, ack: 11 + i * 10, options: { ts: [1001 + i, values[i]!] } });
      peer.wait(25);
    }
    expect(values.map((value) => (value - values[0]!) >>> 0)).toEqual([0, 25, 50]);
    const other = new Peer(engine, { peerPort: 41_111, now: peer.now });
    const second = other.connect(listener, offer(5));
    second.write(randomOctets(10, 1));
    expect(Math.abs(other.expect({ text: 10 }).options.ts![0] - values[2]!)).toBeGreaterThan(1000);
  });

  it("[7323-12] [7323-14] echo that of the last segment that advanced what was acknowledged", async () => {
    const { peer, connection } = await stamped();
    connection.setOption("noDelay", true);
    peer.send({ seq: 1, ack: 1, text: "one", options: { ts: [1010, 0] } });
    expect(peer.expect({ ack: 4 }).options.ts?.[1]).toBe(1010);
    // Out of order: not taken, though it is newer.
    peer.send({ seq: 10, ack: 1, text: "later", options: { ts: [1050, 0] } });
    expect(peer.expect({ ack: 4 }).options.ts?.[1]).toBe(1010);
    peer.send({ seq: 4, ack: 1, text: "filler", options: { ts: [1060, 0] } });
    expect(peer.expect({ ack: 15 }).options.ts?.[1]).toBe(1060);
    expect(readAll(connection).toString()).toBe("onefillerlater");
  });

  it("[7323-13] [7323-15] tell an old duplicate that fits the window by its number: it is answered and dropped", async () => {
    const { engine, peer, connection } = await stamped();
    peer.send({ seq: 1, ack: 1, text: "new", options: { ts: [2000, 0] } });
    peer.take();
    peer.send({ seq: 4, ack: 1, text: "OLD", options: { ts: [1999, 0] } });
    peer.expect({ flags: "A", ack: 4 });
    expect(readAll(connection).toString()).toBe("new");
    expect(engine.counters().PAWSEstab).toBe(1);
    // A reset is judged by its number alone.
    peer.send({ seq: 4, flags: "R", options: { ts: [1, 0] } });
    expect(connection.state).toBe("CLOSED");
  });

  it("are taken from text that runs into a shut window, whatever came for another connection before", async () => {
    const engine = await makeEngine({ settings: { tcpRmem: [4096, 4096, 4096] } });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.connect(listener, offer(1000));
    for (let at = 0; at < 4096; at += 1024)
      peer.send({ seq: 1 + at, ack: 1, text: randomOctets(1024, 1), options: { ts: [1010, 0] } });
    const { window, options } = peer.take().at(-1)!;
    expect([window, options.ts![1]]).toEqual([0, 1010]);
    const other = new Peer(engine, { peerPort: 40_001, iss: peer.iss + 1_000_000, now: peer.now });
    other.connect(listener, offer(1)).close();
    other.send({ seq: 1, ack: 1, options: { ts: [2, 0] } });
    other.take();
    peer.send({ seq: 4097, ack: 1, text: "x", options: { ts: [1020, 0] } });
    expect(peer.expect({ flags: "A", ack: 4097, window: 0 }).options.ts![1]).toBe(1020);
  });

  it("compare modulo 2^32", async () => {
    const { peer, connection } = await connected({ syn: offer(0xfffffff0) });
    peer.send({ seq: 1, ack: 1, text: "over the top", options: { ts: [5, 0] } });
    peer.expect({ ack: 13 });
    expect(readAll(connection).toString()).toBe("over the top");
  });

  it("[7323-16] are forgotten after 24 days", async () => {
    const { peer, connection } = await stamped();
    peer.wait(25 * 86_400_000);
    peer.send({ seq: 1, ack: 1, text: "hello again", options: { ts: [3, 0] } });
    peer.expect({ ack: 12 });
    expect(readAll(connection).toString()).toBe("hello again");
  });

  it("[7323-11] measure the round trip of what was sent twice, which ends the backoff", async () => {
    const { peer, connection } = await stamped();
    connection.write(randomOctets(100, 1));
    peer.expect({ text: 100 });
    const again = peer.expectWithin(5000, { seq: 1, text: 100 });
    const third = peer.expectWithin(5000, { seq: 1, text: 100 });
    expect(connection.info().backoff).toBe(2);
    peer.wait(30);
    // The echo says that the second copy is what arrived.
    peer.send({ seq: 1, ack: 101, options: { ts: [1001, again.options.ts![0]] } });
    expect(connection.info().backoff).toBe(0);
    const measured = peer.now - again.at;
    expect(third.at).toBeGreaterThan(again.at);
    expect(connection.info().rtt / 1000).toBeGreaterThan(measured / 8 - 1);
  });

  it("tell no round trip with a D-SACK: the echo is of what came first, whose own ACK was lost", async () => {
    const { peer, connection } = await connected({
      syn: { options: { mss: 1460, ts: [100, 0], sackPermitted: true } },
    });
    const now = () => peer.expect({ seq: 1, text: "x" }).options.ts![0];
    connection.write(Buffer.from("x"));
    const first = now();
    peer.wait(1000);
    peer.wait(20);
    // It came both times.
    peer.send({ seq: 1, ack: 2, options: { ts: [1200, first], sack: [[1, 2]] } });
    const before = connection.info().rtt;
    expect(before).toBeLessThan(1000);
    connection.write(Buffer.from("y"));
    const third = peer.take().at(-1)!;
    peer.wait(20);
    peer.send({ seq: 1, ack: 3, options: { ts: [1220, third.options.ts![0]] } });
    // What was sent again was for nothing: the next round trip stands for itself (RFC 4015 §3.4).
    expect(connection.info().rtt).toBe(20_000);
  });

  it("[6191-1] let a newer SYN end TIME-WAIT, whatever its number, and an older one not", async () => {
    const { engine, listener, peer, connection } = await stamped();
    connection.close();
    peer.expect({ flags: "FA" });
    peer.send({ seq: 1, ack: 2, flags: "FA", options: { ts: [3000, 0] } });
    peer.take();
    expect(connection.state).toBe("TIME-WAIT");
    const again = (value: number) =>
      new Peer(engine, { iss: peer.iss - 5_000_000, now: peer.now }).send({ flags: "S", ...offer(value) });
    again(2999);
    expect(connection.state).toBe("TIME-WAIT");
    again(3001);
    expect(connection.state).toBe("CLOSED");
    expect(engine.connections().map(({ info }) => info.state)).toEqual(["SYN-RECEIVED"]);
    expect(engine.counters().TWRecycled).toBe(1);
    listener.close();
  });

  it("let connect take the port it is given from a TIME-WAIT, at once", async () => {
    for (const tcpTimestamps of [0, 1]) {
      const engine = await makeEngine({ settings: { tcpTimestamps } });
      const to = { remoteAddress: "192.0.2.2", remotePort: 80, localPort: 40_000 };
      const first = engine.connect(to);
      const peer = new Peer(engine, { enginePort: 40_000, peerPort: 80 });
      const syn = peer.expect({ flags: "S" });
      const ts = (value: number) => (tcpTimestamps ? { ts: [value, 0] as [number, number] } : {});
      peer.send({
        flags: "SA",
        ack: 1,
        options: { mss: 1460, ...(tcpTimestamps && { ts: [77, syn.options.ts![0]] }) },
      });
      peer.take();
      first.shutdown();
      peer.expect({ flags: "FA" });
      expect(() => engine.connect(to)).toThrow("EADDRINUSE");
      peer.send({ seq: 1, ack: 2, flags: "FA", options: ts(78) });
      peer.take();
      expect(first.state).toBe("TIME-WAIT");
      first.close();
      peer.flush();
      if (tcpTimestamps) {
        engine.connect(to);
        expect(peer.take().find(({ flags }) => flags === "S")?.seq).toBeGreaterThan(2);
      } else expect(() => engine.connect(to)).toThrow("EADDRINUSE");
    }
  });

  it("let connect choose the ports of a TIME-WAIT as old as tcpTwReuseDelay, from a range of its own", async () => {
    const engine = await makeEngine({ settings: { tcpTwReuse: 1, tcpTwReuseDelay: 20 } });
    const to = {
      remoteAddress: "192.0.2.2",
      remotePort: 80,
      localPortRange: [40_000, 40_000] as [number, number],
    };
    const first = engine.connect(to);
    const peer = new Peer(engine, { enginePort: 40_000, peerPort: 80 });
    const syn = peer.expect({ flags: "S" });
    peer.send({ flags: "SA", ack: 1, options: { mss: 1460, ts: [77, syn.options.ts![0]] } });
    peer.flush();
    first.close();
    peer.flush();
    peer.send({ seq: 1, ack: 2, flags: "FA", options: { ts: [78, 0] } });
    peer.take();
    peer.wait(19);
    expect(() => engine.connect(to)).toThrow("EADDRNOTAVAIL");
    peer.wait(1);
    engine.connect(to);
    expect(peer.take().map(({ flags }) => flags)).toEqual(["S"]);
    for (const localPortRange of [
      [0, 5],
      [6, 5],
      [1, 65536],
      [1.5, 3],
    ] as [number, number][])
      expect(() => engine.connect({ ...to, localPortRange })).toThrow("EINVAL");
  });

  it("let connect take the ports of a TIME-WAIT a second old, with tcpTwReuse, above its numbers", async () => {
    for (const tcpTwReuse of [0, 1]) {
      const engine = await makeEngine({ settings: { tcpTwReuse, ipLocalPortRange: [40_000, 40_000] } });
      const to = { remoteAddress: "192.0.2.2", remotePort: 80 };
      const first = engine.connect(to);
      const peer = new Peer(engine, { enginePort: 40_000, peerPort: 80 });
      const syn = peer.expect({ flags: "S" });
      peer.send({ flags: "SA", ack: 1, options: { mss: 1460, ts: [77, syn.options.ts![0]] } });
      peer.take();
      first.close();
      peer.expect({ flags: "FA" });
      peer.send({ seq: 1, ack: 2, flags: "FA", options: { ts: [78, 0] } });
      peer.take();
      expect(first.state).toBe("TIME-WAIT");
      expect(() => engine.connect(to)).toThrow("EADDRNOTAVAIL");
      peer.wait(1000);
      if (tcpTwReuse === 0) expect(() => engine.connect(to)).toThrow("EADDRNOTAVAIL");
      else {
        engine.connect(to);
        const second = peer.take().find(({ flags }) => flags === "S");
        expect(second?.seq).toBeGreaterThan(2);
      }
    }
  });
});
