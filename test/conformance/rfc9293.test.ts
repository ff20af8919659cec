import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { errorCode, makeEngine, readAll } from "../support/engine.ts";
import { parse } from "../support/packet.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";
import { alterTcp4, icmpError, withIpOptions } from "../support/raw.ts";
import { chance, Wire } from "../support/wire.ts";

const MSS = 1460;

/** Everything two engines send each other over a bad line: opened, used both ways, closed; and a refusal. */
async function conversation(family: 4 | 6) {
  const net = family === 4 ? ["192.0.2.1", "192.0.2.2"] : ["2001:db8::1", "2001:db8::2"];
  const [a, b] = await Promise.all([
    makeEngine({ addresses: [net[0]!] }),
    makeEngine({ addresses: [net[1]!], settings: { tcpRmem: [4096, 8192, 8192] } }),
  ]);
  const wire = new Wire(a, b);
  wire.rule = chance(7, { loss: 0.05, reorder: 0.1, duplicate: 0.02 });
  const listener = b.listen({ port: 80 });
  a.connect({ remoteAddress: net[1]!, remotePort: 81 });
  const ours = a.connect({ remoteAddress: net[1]!, remotePort: 80 });
  wire.until(() => ours.state === "ESTABLISHED");
  wire.run(10_000);
  const theirs = listener.accept()!;
  const text = randomOctets(100_001, 1);
  let written = 0;
  let read = 0;
  wire.app = () => {
    if (written < text.length) written += ours.write(text.subarray(written));
    const got = readAll(theirs);
    if (got.length > 0 && theirs.state === "ESTABLISHED") theirs.write(got.subarray(0, 1 + (got.length % 7)));
    read += got.length;
    readAll(ours);
  };
  wire.until(() => read === text.length);
  wire.app = () => {};
  wire.run(10_000);
  ours.shutdown();
  wire.run(10_000);
  theirs.abort();
  wire.run(10_000);
  return wire.seen;
}

describe("what is sent", () => {
  it.each([4, 6] as const)(
    "[9293-MUST-2] [9293-X-1] [9293-SHLD-13] [9293-SHLD-23] IPv%i: checksums right, reserved bits zero, no URG, one DSCP",
    async (family) => {
      const seen = await conversation(family);
      expect(seen.length).toBeGreaterThan(100);
      // An odd length, a retransmission, a reset and a FIN are among them.
      expect(seen.some(({ packet }) => packet.text.length % 2 === 1)).toBe(true);
      for (const flag of "SFRP") expect(seen.some(({ packet }) => packet.flags.includes(flag))).toBe(true);
      const starts = seen.map(({ from, packet }) => `${from} ${packet.seq} ${packet.text.length > 0}`);
      expect(new Set(starts.filter((start) => start.endsWith("true"))).size).toBeLessThan(
        starts.filter((start) => start.endsWith("true")).length,
      );
      for (const { octets, packet } of seen) {
        const damaged = octets.slice();
        damaged[damaged.length - 1]! ^= 1;
        expect(() => parse(damaged)).toThrow("TCP checksum");
        expect([packet.reserved, packet.urgent, packet.tos]).toEqual([0, 0, 0]);
        expect(packet.flags).not.toContain("U");
      }
    },
  );

  it("[9293-MUST-44] [9293-MUST-45] comes from the first address of the family, to the end of the connection", async () => {
    const engine = await makeEngine({ addresses: ["2001:db8::1", "192.0.2.1/24", "198.51.100.1/24"] });
    const listener = engine.listen({ port: 80 });
    let now = 1000;
    for (const [peerAddress, own] of [
      ["192.0.2.2", "192.0.2.1"],
      ["198.51.100.2", "192.0.2.1"],
      ["2001:db8::2", "2001:db8::1"],
    ] as const) {
      const peer = new Peer(engine, { peerAddress, engineAddress: own, now });
      now += 20_000;
      const connection = peer.accept();
      connection.write(randomOctets(5000, 1));
      connection.close();
      peer.flush();
      peer.wait(10_000);
      const sent = peer.take();
      expect(sent.length).toBeGreaterThan(5);
      for (const { src } of sent) expect(src).toBe(own);
      peer.send({ flags: "R", seq: 1, ack: 1 });
    }
    // Who was called by its second name answers by it.
    const peer = new Peer(engine, { engineAddress: "198.51.100.1", now: 100_000 });
    const connection = peer.connect(listener);
    connection.write(randomOctets(3000, 1));
    connection.abort();
    const sent = peer.take();
    expect(sent.at(-1)!.flags).toContain("R");
    for (const { src } of sent) expect(src).toBe("198.51.100.1");
  });

  it.each(["192.0.2.1", "2001:db8::1"])(
    "[9293-MUST-48] [9293-SHLD-21] [9293-SHLD-22] from %s bears the DSCP that is set, unchanged, from then on",
    async (engineAddress) => {
      const engine = await makeEngine();
      const peerAddress = engineAddress === "192.0.2.1" ? "192.0.2.2" : "2001:db8::2";
      const peer = new Peer(engine, { engineAddress, peerAddress });
      const connection = engine.connect({ remoteAddress: peerAddress, remotePort: 40_000 });
      const other = engine.connect({ remoteAddress: peerAddress, remotePort: 40_001 });
      connection.setOption("dscp", 46);
      peer.enginePort = connection.localPort;
      expect(peer.take().map(({ dstPort, tos }) => [dstPort, tos])).toEqual([
        [40_000, 46 << 2],
        [40_001, 0],
      ]);
      other.abort();
      peer.send({ flags: "SA", seq: 0, ack: 1 });
      expect(peer.expect({ flags: "A" }).tos).toBe(46 << 2);
      connection.setOption("dscp", 10);
      connection.write(Buffer.from("x"));
      expect(peer.expect({ text: "x" }).tos).toBe(10 << 2);
      expect(peer.expectWithin(5000, { text: "x" }).tos).toBe(10 << 2);
      connection.abort();
      const reset = peer.expect({ flags: "RA" });
      expect(reset.tos).toBe(10 << 2);
      for (const wrong of [-1, 64, 1.5])
        expect(() => connection.setOption("dscp", wrong)).toThrow(String(wrong));
    },
  );

  it.each(["192.0.2.1", "2001:db8::1"])(
    "[9293-MUST-49] from %s bears the hop limit that is set, for all or for one",
    async (engineAddress) => {
      const engine = await makeEngine({ settings: { ipDefaultTtl: 99 } });
      const peerAddress = engineAddress === "192.0.2.1" ? "192.0.2.2" : "2001:db8::2";
      const peer = new Peer(engine, { engineAddress, peerAddress });
      peer.send({ flags: "S", seq: 0 });
      expect(peer.expect({ flags: "RA" }).ttl).toBe(99);
      const usual = new Peer(engine, { engineAddress, peerAddress, peerPort: 40_002 });
      const untouched = engine.connect({ remoteAddress: peerAddress, remotePort: 40_002 });
      expect(usual.expect({ flags: "S" }).ttl).toBe(99);
      untouched.abort();
      const next = new Peer(engine, { engineAddress, peerAddress });
      const connection = engine.connect({ remoteAddress: peerAddress, remotePort: 40_000 });
      connection.setOption("hopLimit", 17);
      next.enginePort = connection.localPort;
      expect(next.expect({ flags: "S" }).ttl).toBe(17);
      next.send({ flags: "SA", seq: 0, ack: 1 });
      connection.write(Buffer.from("x"));
      connection.abort();
      const sent = next.take();
      expect(sent.length).toBeGreaterThan(1);
      for (const { ttl } of sent) expect(ttl).toBe(17);
      const { ttl } = parse((await synOfPlainEngine(engineAddress, peerAddress))[0]!);
      expect(ttl).toBe(64);
    },
  );

  it("[9293-MAY-3] [9293-MAY-4] carries MSS even where it is the default, and is never to be fragmented", async () => {
    const engine = await makeEngine({ addresses: ["192.0.2.1"], mtu: 576 });
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40_000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S", options: { mss: 536 } });
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    connection.write(randomOctets(100, 1));
    peer.flush();
    peer.wait(10_000);
    // RFC 6864 §4: the identification of such datagrams means nothing, also when a segment comes again.
    const sent = peer.take();
    expect(sent.filter(({ text }) => text.length > 0).length).toBeGreaterThan(2);
    for (const { dontFragment } of sent) expect(dontFragment).toBe(true);
  });

  it("[9293-SHLD-27] [9293-MAY-16] puts writes that had to wait into one segment, with one PSH", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("a"));
    peer.expect({ flags: "PA", text: "a" });
    connection.write(Buffer.from("b"));
    connection.write(Buffer.from("c"));
    peer.silence();
    peer.send({ seq: 1, ack: 2 });
    peer.expect({ flags: "PA", seq: 2, text: "bc" });
    peer.silence();
  });
});

/** The SYN of an engine nobody told anything about hop limits. */
async function synOfPlainEngine(own: string, remoteAddress: string): Promise<Uint8Array[]> {
  const engine = await makeEngine({ addresses: [own] });
  engine.connect({ remoteAddress, remotePort: 1 });
  return engine.transmit(0);
}

describe("what arrives", () => {
  it("[9293-X-1] may have reserved bits set", async () => {
    const { peer, connection } = await connected();
    const packet = alterTcp4(peer.packet({ seq: 1, ack: 1, text: "hello" }), (tcp) => {
      tcp[12]! |= 0x0f;
    });
    peer.deliver(packet);
    peer.expect({ flags: "A", ack: 6 });
    expect(readAll(connection).toString()).toBe("hello");
  });

  it.each([
    ["record route", [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["timestamp", [68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["router alert", [148, 4, 0, 0]],
    ["one nobody knows", [0x9e, 6, 1, 2, 3, 4]],
    ["no operation", [1, 1, 1, 1]],
  ] as const)("[9293-MUST-50] [9293-MAY-10] [9293-MAY-11] may carry an IP option: %s", async (_, options) => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.deliver(withIpOptions(peer.packet({ flags: "S", seq: 0, options: { mss: 700 } }), options));
    peer.expect({ flags: "SA", ack: 1 });
    peer.deliver(withIpOptions(peer.packet({ seq: 1, ack: 1, text: "hello" }), options));
    peer.expect({ flags: "A", ack: 6 });
    const connection = listener.accept()!;
    expect(readAll(connection).toString()).toBe("hello");
    connection.write(randomOctets(2000, 1));
    expect(peer.take().map(({ text }) => text.length)).toEqual([700, 700, 600]);
  });

  it("[9293-MUST-69] may have anything behind the end of the option list", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    // What stands behind EOL looks like another MSS.
    const rawOptions = [2, 4, 700 >> 8, 700 & 255, 0, 2, 4, 255, 255, 255, 255, 255];
    const connection = peer.connect(listener, { options: {}, rawOptions });
    connection.write(randomOctets(1400, 1));
    expect(peer.take().map(({ text }) => text.length)).toEqual([700, 700]);
  });

  it("[9293-MAY-13] above a gap is acknowledged at once, one ACK for each", async () => {
    const { peer } = await connected();
    for (let i = 0; i < 3; i++) {
      peer.send({ seq: 101 + 100 * i, ack: 1, text: "x".repeat(100) });
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      peer.silence();
    }
  });

  it("[7323-6] up to an edge that was ever offered is taken, however windows were rounded since", async () => {
    const { peer, connection } = await connected({
      engine: { settings: { tcpRmem: [4096, 100_000, 6_291_456] } },
      syn: { options: { mss: MSS, ws: 7 } },
    });
    const scale = 2 ** connection.info().rcvWscale;
    expect(scale).toBeGreaterThan(1);
    let edge = 0;
    let seq = 1;
    const note = () => {
      for (const { ack, window } of peer.take()) edge = Math.max(edge, ack + window * scale);
    };
    for (let i = 0; i < 40; i++) {
      peer.send({ seq, ack: 1, text: "x".repeat(333 + i) });
      seq += 333 + i;
      peer.wait(200);
      note();
    }
    expect(edge - seq).toBeGreaterThan(MSS);
    while (seq < edge) {
      const length = Math.min(MSS, edge - seq);
      peer.send({ seq, ack: 1, text: "y".repeat(length) });
      seq += length;
      peer.wait(200);
    }
    expect(peer.take().at(-1)!.ack).toBe(edge);
    expect(readAll(connection).length).toBe(edge - 1);
  });

  it("[7323-10] may carry timestamps nobody agreed on", async () => {
    const { peer, connection } = await connected();
    peer.send({ seq: 1, ack: 1, text: "hello", options: { ts: [1000, 0] } });
    expect(peer.expect({ ack: 6 }).options.ts).toBeUndefined();
    peer.send({ seq: 6, ack: 1, text: " again", options: { ts: [1, 0] } });
    peer.expect({ ack: 12 });
    expect(readAll(connection).toString()).toBe("hello again");
  });
});

describe("failures", () => {
  it("[9293-MUST-20] [9293-SHLD-9] [9293-SHLD-10] are told of at R1, once, and end the connection at R2", async () => {
    const { peer, connection } = await connected({ engine: { settings: { tcpRetries2: 6 } } });
    connection.write(randomOctets(100, 1));
    peer.expect({ text: 100 });
    peer.eventTypes();
    for (let sent = 1; sent <= 6; sent++) {
      peer.expectWithin(100_000, { seq: 1, text: 100 });
      expect(peer.eventTypes()).toEqual(sent === 3 ? ["retrying"] : []);
      expect(connection.state).toBe("ESTABLISHED");
    }
    peer.wait(100_000);
    peer.silence();
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    expect(peer.eventTypes()).toEqual(["timedOut"]);
  });

  it("[9293-MUST-20] are told of anew after progress", async () => {
    const { peer, connection } = await connected({ engine: { settings: { tcpRetries1: 4 } } });
    connection.write(randomOctets(100, 1));
    for (const ack of [51, 101]) {
      for (let sent = 0; sent < 4; sent++) {
        expect(peer.eventTypes()).not.toContain("retrying");
        peer.take();
        peer.expectWithin(100_000);
      }
      expect(peer.eventTypes()).toContain("retrying");
      peer.send({ seq: 1, ack });
      if (ack === 51) peer.take();
    }
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("[9293-MUST-22] of a SYN are told of at R1 too", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40_000 });
    peer.expect({ flags: "S" });
    for (let sent = 1; sent <= 7; sent++) {
      peer.expectWithin(200_000, { flags: "S" });
      expect(peer.eventTypes()).toEqual(sent === 3 ? ["retrying"] : []);
    }
    peer.wait(200_000);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("[9293-MUST-55] a source quench changes nothing", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(30 * MSS, 1));
    const [first] = peer.take();
    connection.write(randomOctets(30 * MSS, 2));
    const before = connection.info();
    peer.deliver(icmpError("192.0.2.254", "192.0.2.1", 4, 0, first!.octets));
    peer.silence();
    expect(connection.info()).toEqual(before);
    peer.send({ seq: 1, ack: 1 + 10 * MSS });
    connection.write(randomOctets(30 * MSS, 3));
    expect(peer.take().length).toBe(20);
  });

  it.each([
    ["network unreachable", 3, 0],
    ["host unreachable", 3, 1],
    ["source route failed", 3, 5],
    ["time exceeded in transit", 11, 0],
    ["time exceeded in reassembly", 11, 1],
    ["parameter problem", 12, 0],
  ] as const)("[9293-MUST-56] %s ends nothing", async (_, type, code) => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(100, 1));
    const { octets } = peer.expect({ text: 100 });
    for (let i = 0; i < 10; i++) peer.deliver(icmpError("192.0.2.254", "192.0.2.1", type, code, octets));
    expect(connection.state).toBe("ESTABLISHED");
    peer.send({ seq: 1, ack: 101 });
    expect(connection.unacked).toBe(0);
    expect(connection.write(randomOctets(50, 2))).toBe(50);
    peer.expect({ seq: 101, text: 50 });
  });
});

describe("an orphan", () => {
  it("whose peer keeps its window shut is probed up to the longest interval, and no longer", async () => {
    const { peer, connection, engine } = await connected({ window: 0 });
    connection.write(Buffer.from("last words"));
    connection.close();
    peer.silence();
    let last = peer.now;
    let gap = 0;
    while (engine.connections().length > 0) {
      peer.wait(1000);
      for (const { at } of peer.take()) {
        gap = at - last;
        last = at;
        peer.send({ seq: 1, ack: 1, window: 0 });
      }
      if (peer.now > 3_600_000) throw new Error("never");
    }
    expect(gap).toBeGreaterThanOrEqual(100_000);
    expect(peer.now - last).toBeLessThanOrEqual(121_000);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("whose peer opens its window in time still says all it had to say", async () => {
    const { peer, connection } = await connected({ window: 0 });
    connection.write(Buffer.from("last words"));
    connection.close();
    peer.silence();
    peer.wait(60_000);
    expect(peer.take().length).toBeGreaterThan(3);
    peer.send({ seq: 1, ack: 1, window: 1000 });
    peer.expect({ flags: "FPA", text: "last words" });
  });

  it("whose peer says nothing is given up after eight retransmissions, or as many as are set", async () => {
    for (const [tcpOrphanRetries, times] of [
      [0, 8],
      [3, 3],
    ] as const) {
      const { peer, connection, engine } = await connected({ engine: { settings: { tcpOrphanRetries } } });
      connection.close();
      peer.expect({ flags: "FA" });
      peer.wait(1_000_000);
      expect(peer.take().length).toBe(times);
      expect(engine.connections()).toEqual([]);
    }
  });
});
