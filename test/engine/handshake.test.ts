import { describe, expect, it } from "vitest";
import type { Engine } from "../../bindings/types.ts";
import { errorCode, makeEngine, readAll, seed } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { Wire } from "../support/wire.ts";

const six = { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" };

describe("text with the SYN of a simultaneous open", () => {
  it("waits for the connection and is then read, once", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    peer.send({ flags: "S", seq: 0, text: "abc" });
    peer.expect({ flags: "SA", seq: 0, ack: 1 });
    expect(connection.readable).toBe(0);
    peer.send({ flags: "A", seq: 4, ack: 1 });
    peer.silence();
    peer.expectWithin(499, { flags: "A", seq: 1, ack: 4 });
    expect(readAll(connection).toString()).toBe("abc");
    peer.send({ flags: "A", seq: 1, ack: 1, text: "abcd" });
    peer.expect({ ack: 5 });
    expect(readAll(connection).toString()).toBe("d");
  });
});

describe("passive open", () => {
  it.each([
    ["IPv4", {}, 1460],
    ["IPv6", six, 1440],
  ] as const)(
    "[9293-SHLD-5] [9293-MUST-67] %s: answers SYN with SYN,ACK and its MSS",
    async (_, addresses, mss) => {
      const engine = await makeEngine();
      const listener = engine.listen({ port: 80 });
      const peer = new Peer(engine, addresses);
      peer.send({ flags: "S", options: { mss: 1460 } });
      peer.expect({ flags: "SA", seq: 0, ack: 1, options: { mss } });
      expect(listener.accept()).toBeUndefined();
      peer.send({ flags: "A", seq: 1, ack: 1 });
      peer.silence();
      expect(peer.eventTypes()).toContain("accepted");
      const connection = listener.accept()!;
      expect(connection).toMatchObject({
        state: "ESTABLISHED",
        localAddress: peer.engineAddress,
        localPort: 80,
        remoteAddress: peer.peerAddress,
        remotePort: 40000,
        error: undefined,
      });
      expect(listener.accept()).toBeUndefined();
    },
  );

  it("[seed-21] takes text with the third ACK", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "PA", seq: 1, ack: 1, text: "hello" });
    const connection = listener.accept()!;
    expect(connection.readable).toBe(5);
    expect(readAll(connection).toString()).toBe("hello");
    peer.expectWithin(499, { flags: "A", ack: 6 });
  });

  it("[seed-22] takes text when the third ACK was lost", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "A", seq: 6, ack: 1, text: "world" }, { flags: "A", seq: 1, ack: 1, text: "hello" });
    expect(readAll(listener.accept()!).toString()).toBe("helloworld");
    expect(peer.take().at(-1)?.ack).toBe(11);
  });

  it("[9293-X-17] delivers text that came with the SYN once the handshake is done", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", text: "hello" });
    const { ack } = peer.expect({ flags: "SA" });
    expect([1, 6]).toContain(ack);
    peer.send({ flags: "A", seq: ack, ack: 1, text: "hello".slice(ack - 1) });
    expect(readAll(listener.accept()!).toString()).toBe("hello");
  });

  it("completes when its SYN,ACK was lost and the SYN comes again", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA", seq: 0, ack: 1 });
    peer.wait(500);
    peer.send({ flags: "S" });
    for (const { flags, ack } of peer.take()) {
      expect(flags).not.toContain("R");
      expect(ack).toBe(1);
    }
    peer.send({ flags: "A", seq: 1, ack: 1 });
    expect(listener.accept()?.state).toBe("ESTABLISHED");
  });

  it("[seed-10] [6298-11] repeats SYN,ACK five times with doubling gaps, then forgets it", async () => {
    const engine = await makeEngine();
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.wait(300_000);
    const times = peer.take().map((packet) => {
      expect(packet).toMatchObject({ flags: "SA", seq: 0, ack: 1 });
      return packet.at - 1000;
    });
    expect(times).toEqual([0, 1000, 3000, 7000, 15_000, 31_000]);
    expect(engine.connections()).toEqual([]);
    expect(engine.nextDeadline()).toBeUndefined();
    peer.send({ flags: "A", seq: 1, ack: 1 });
    peer.expect({ flags: "R", seq: 1 });
  });

  it("[9293-MUST-11] returns to LISTEN without a word when SYN-RECEIVED is reset", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "R", seq: 1 });
    peer.silence();
    expect(peer.eventTypes()).toEqual([]);
    expect(engine.connections()).toEqual([]);
    peer.wait(100_000);
    peer.silence();
    const again = new Peer(engine, { peerPort: 40001, now: peer.now });
    expect(again.connect(listener).state).toBe("ESTABLISHED");
  });

  it("refuses the third ACK that acknowledges what was never sent", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    for (const ack of [0, 2]) {
      peer.send({ flags: "A", seq: 1, ack });
      peer.expect({ flags: "R", seq: ack });
    }
    expect(listener.accept()).toBeUndefined();
    peer.send({ flags: "A", seq: 1, ack: 1 });
    expect(listener.accept()?.state).toBe("ESTABLISHED");
  });

  it("[9293-MUST-43] listens on one address only when told so", async () => {
    const engine = await makeEngine({ addresses: ["192.0.2.1/24", "192.0.2.9/24"] });
    engine.listen({ port: 80, address: "192.0.2.9" });
    new Peer(engine).send({ flags: "S" });
    const other = new Peer(engine, { engineAddress: "192.0.2.9" });
    expect(other.take()).toEqual([]);
    other.send({ flags: "S" });
    other.expect({ flags: "SA" });
    const first = new Peer(engine);
    first.send({ flags: "S" });
    first.expect({ flags: "RA", ack: 1 });
  });
});

describe("active open", () => {
  it.each([
    ["IPv4", {}, 1460],
    ["IPv6", six, 1440],
  ] as const)("%s: SYN, SYN,ACK, ACK", async (_, addresses, mss) => {
    const engine = await makeEngine();
    const peer = new Peer(engine, addresses);
    const connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: 40000 });
    expect(connection.state).toBe("SYN-SENT");
    peer.enginePort = connection.localPort;
    expect(peer.expect({ flags: "S", options: { mss } }).srcPort).toBe(connection.localPort);
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    peer.expect({ flags: "A", seq: 1, ack: 1 });
    peer.silence();
    expect(connection.state).toBe("ESTABLISHED");
    expect(peer.eventTypes()).toContain("established");
    expect(connection.localAddress).toBe(peer.engineAddress);
  });

  it("[9293-MUST-10] opens at the same time as the peer", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S", seq: 0 });
    peer.send({ flags: "S", seq: 0 });
    peer.expect({ flags: "SA", seq: 0, ack: 1 });
    expect(connection.state).toBe("SYN-RECEIVED");
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    for (const { flags } of peer.take()) expect(flags).toBe("A");
    expect(connection.state).toBe("ESTABLISHED");
    expect(peer.eventTypes()).toContain("established");
    connection.write(Buffer.from("hello"));
    peer.expect({ flags: "PA", seq: 1, ack: 1, text: "hello" });
  });

  it("[9293-MUST-10] two engines that open to each other meet in one connection", async () => {
    const [a, b] = await both();
    const wire = new Wire(a, b);
    const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 2222, localPort: 1111 });
    const theirs = b.connect({ remoteAddress: "192.0.2.1", remotePort: 1111, localPort: 2222 });
    wire.until(() => ours.state === "ESTABLISHED" && theirs.state === "ESTABLISHED", 500);
    ours.write(Buffer.from("ping"));
    theirs.write(Buffer.from("pong"));
    wire.until(() => ours.readable === 4 && theirs.readable === 4, 1000);
    expect(readAll(ours).toString()).toBe("pong");
    expect(readAll(theirs).toString()).toBe("ping");
    expect(wire.seen.some(({ packet }) => packet.flags.includes("R"))).toBe(false);
  });

  it("[9293-X-8] answers SYN,ACK for another SYN with RST and goes on trying", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    for (const ack of [0, 2, -1000]) {
      peer.send({ flags: "SA", seq: 0, ack });
      peer.expect({ flags: "R", seq: ack });
      expect(connection.state).toBe("SYN-SENT");
    }
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    peer.expect({ flags: "A", seq: 1, ack: 1 });
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("[5961-4] believes a RST only if it acknowledges the SYN, and then reports refusal", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    peer.send({ flags: "R", seq: 0 }, { flags: "RA", seq: 0, ack: 0 }, { flags: "RA", seq: 0, ack: 2 });
    peer.silence();
    expect(connection.state).toBe("SYN-SENT");
    peer.send({ flags: "RA", seq: 0, ack: 1 });
    peer.silence();
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ECONNREFUSED");
    expect(peer.eventTypes()).toEqual(["reset"]);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-MUST-11] reports refusal when SYN-RECEIVED after its own SYN is reset", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    peer.send({ flags: "S", seq: 0 });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "R", seq: 1 });
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ECONNREFUSED");
  });

  it("[6298-1] [6298-11] [9293-MUST-22] [9293-MUST-23] repeats SYN for three minutes, then ETIMEDOUT", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.flush();
    peer.wait(1_000_000);
    const times = peer.take().map((packet) => {
      expect(packet).toMatchObject({ flags: "S", seq: 0 });
      return packet.at - 1000;
    });
    expect(times.slice(0, 6)).toEqual([0, 1000, 3000, 7000, 15_000, 31_000]);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    const events = peer.events.map((event) => event.type);
    expect(events).toEqual(["retrying", "timedOut"]);
    expect(() => connection.read(new Uint8Array(1))).toThrow("ETIMEDOUT");
    expect(engine.nextDeadline()).toBeUndefined();
    expect(engine.connections()).toEqual([]);
  });

  it("repeats its first SYNs at one interval where that is set, and SYN,ACKs never", async () => {
    const engine = await makeEngine({ settings: { tcpSynLinearTimeouts: 2 } });
    const peer = new Peer(engine);
    engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.flush();
    peer.wait(20_000);
    expect(peer.take().map(({ at }) => at - 1000)).toEqual([0, 1000, 2000, 3000, 5000, 9000, 17_000]);
    engine.listen({ port: 80 });
    const other = new Peer(engine, { now: peer.now, peerPort: 41_000 });
    other.send({ flags: "S", seq: 0 });
    const asked = other.now;
    other.wait(10_000);
    expect(other.take().map(({ at }) => at - asked)).toEqual([0, 1000, 3000, 7000]);
  });

  it("drops a SYN with FIN where that is set, in whatever state, and counts it", async () => {
    for (const tcpDropSynfin of [0, 1]) {
      const engine = await makeEngine({ settings: { tcpDropSynfin } });
      const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
      const peer = new Peer(engine, { enginePort: connection.localPort });
      peer.expect({ flags: "S" });
      peer.send({ flags: "SF", seq: 0 });
      expect(peer.take().length).toBe(tcpDropSynfin ? 0 : 1);
      expect(connection.state).toBe(tcpDropSynfin ? "SYN-SENT" : "SYN-RECEIVED");
      expect(engine.counters().InErrs).toBe(tcpDropSynfin);
    }
  });

  it("[9293-MUST-23] does not give up before 180 s", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.flush();
    peer.wait(180_000);
    expect(connection.state).toBe("SYN-SENT");
    expect(connection.error).toBeUndefined();
  });

  it.each(["255.255.255.255", "224.0.0.1", "192.0.2.255", "0.0.0.0", "ff02::1", "::"])(
    "[9293-MUST-46] refuses to open to %s",
    async (remoteAddress) => {
      const engine = await makeEngine();
      expect(() => engine.connect({ remoteAddress, remotePort: 80 })).toThrow(remoteAddress);
      expect(engine.transmit(1)).toEqual([]);
    },
  );

  it("[9293-MUST-43] sends from the address it is told to", async () => {
    const engine = await makeEngine({ addresses: ["192.0.2.1/24", "192.0.2.9/24"] });
    const peer = new Peer(engine, { engineAddress: "192.0.2.9" });
    engine.connect({
      remoteAddress: "192.0.2.2",
      remotePort: 80,
      localAddress: "192.0.2.9",
      localPort: 5555,
    });
    expect(peer.expect({ flags: "S" })).toMatchObject({ src: "192.0.2.9", srcPort: 5555 });
    expect(() =>
      engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, localAddress: "192.0.2.7" }),
    ).toThrow("EADDRNOTAVAIL");
  });
});

describe("initial sequence numbers", () => {
  /** The ISS in answer to a SYN at `now`. */
  function issAt(engine: Engine, now: number): number {
    const peer = new Peer(engine, { now });
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "R", seq: 1 });
    return peer.engineIss;
  }

  it("[9293-MUST-8] [6528-4] [seed-15] rise by 250,000 a second for the same tuple", async () => {
    const engine = await makeEngine();
    engine.listen({ port: 80 });
    const first = issAt(engine, 1000);
    expect((issAt(engine, 2000) - first) >>> 0).toBe(250_000);
    expect((issAt(engine, 2000.004) - first) >>> 0).toBe(250_001);
  });

  it("[9293-MUST-9] [6528-2] differ without relation when the secret differs", async () => {
    const isses = new Set<number>();
    for (let n = 0; n < 8; n++) {
      const engine = await makeEngine({ seed: seed(n) });
      engine.listen({ port: 80 });
      isses.add(issAt(engine, 1000));
    }
    const sorted = [...isses].sort((x, y) => x - y);
    expect(sorted.length).toBe(8);
    // Eight numbers within a thousandth of the space would be no chance.
    expect(sorted.at(-1)! - sorted[0]!).toBeGreaterThan(2 ** 32 / 1000);
  });

  it("[6528-3] differ between engines that were given no seed", async () => {
    const isses = new Set<number>();
    for (let n = 0; n < 2; n++) {
      const engine = await makeEngine({ seed: crypto.getRandomValues(new Uint8Array(32)) });
      engine.listen({ port: 80 });
      isses.add(issAt(engine, 1000));
    }
    expect(isses.size).toBe(2);
  });
});

describe("closed ports", () => {
  it("[9293-X-6] [9293-X-7] answer SYN with RST,ACK, ACK with RST, RST with nothing", async () => {
    const peer = new Peer(await makeEngine(), { enginePort: 81 });
    peer.send({ flags: "S", seq: 0, text: "data" });
    peer.expect({ flags: "RA", seq: 0, ack: 5 });
    peer.send({ flags: "A", seq: 9, ack: 77 });
    peer.expect({ flags: "R", seq: 77 });
    peer.send({ flags: "FA", seq: 9, ack: 78, text: "x" });
    peer.expect({ flags: "R", seq: 78 });
    peer.send({ flags: "F", seq: 9 });
    peer.expect({ flags: "RA", seq: 0, ack: 10 });
    peer.send({ flags: "R", seq: 9 }, { flags: "RA", seq: 9, ack: 9 });
    peer.silence();
    expect(peer.engine.nextDeadline()).toBeUndefined();
  });

  it("settle a connect between two engines at once", async () => {
    const [a, b] = await both();
    const wire = new Wire(a, b);
    const connection = a.connect({ remoteAddress: "192.0.2.2", remotePort: 81 });
    wire.until(() => connection.state === "CLOSED", 100);
    expect(errorCode(connection)).toBe("ECONNREFUSED");
    expect(wire.seen.map(({ packet }) => packet.flags)).toEqual(["S", "RA"]);
  });
});

function both(): Promise<[Engine, Engine]> {
  return Promise.all([
    makeEngine({ addresses: ["192.0.2.1/24"], seed: seed(1) }),
    makeEngine({ addresses: ["192.0.2.2/24"], seed: seed(2) }),
  ]);
}
