import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { check } from "../support/datagrams.ts";
import { debugModule, makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { random, randomOctets } from "../support/random.ts";
import { packetOf, vectors } from "../support/vectors.ts";

/** Counters that say what became of a packet: each packet adds to one of them at least. */
const FATES = [
  "InHdrErrors",
  "InTruncatedPkts",
  "InAddrErrors",
  "InUnknownProtos",
  "InDiscards",
  "ReasmReqds",
  "InErrs",
  "InDelivers",
] as const;

/** Give the engine a packet and find it in the counters. */
function receive(engine: Engine, packet: Uint8Array, now: number): void {
  const before = engine.counters();
  engine.receive([packet], now);
  const after = engine.counters();
  expect(after.InReceives).toBe(before.InReceives! + 1);
  const fates = FATES.filter((name) => after[name]! > before[name]!);
  // A segment that is delivered although its options are impossible is in two.
  expect(fates.length, Buffer.from(packet).toString("hex")).toBeGreaterThanOrEqual(1);
  expect(fates.length).toBeLessThanOrEqual(2);
}

/** An engine with connections in several states, and packets that fit them. */
async function busy() {
  const engine = await makeEngine({ memory: 2 * 2 ** 20, wasm: await debugModule() });
  const listener = engine.listen({ port: 80 });
  const connections: Connection[] = [];
  const peers: Peer[] = [];
  const join = (after: (peer: Peer, connection: Connection) => void) => {
    const peer = new Peer(engine, { peerPort: 40_000 + peers.length, iss: 0xfffffff0 });
    const connection = peer.connect(listener, { options: { mss: 1460, ws: 7 } });
    after(peer, connection);
    peer.take();
    connections.push(connection);
    peers.push(peer);
  };
  join(() => {});
  join((_, connection) => connection.write(randomOctets(30_000, 1)));
  join((_, connection) => connection.shutdown());
  join((peer) => peer.send({ flags: "FA", seq: 1, ack: 1 }));
  join((peer) => peer.send({ seq: 100, ack: 1, text: "beyond a hole" }));
  const half = new Peer(engine, { peerPort: 50_000 });
  half.send({ flags: "S", options: { mss: 1460 } });
  half.take();
  const opening = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 50_001 });
  engine.transmit(1000);
  const valid = peers.flatMap((peer) => [
    peer.packet({ seq: 1, ack: 1, text: "in order" }),
    peer.packet({ seq: 500, ack: 1, text: "out of order" }),
    peer.packet({ seq: 1, ack: 2 }),
    peer.packet({ flags: "FA", seq: 1, ack: 1 }),
    peer.packet({ flags: "R", seq: 5 }),
    peer.packet({ flags: "S", seq: 0, options: { mss: 536, ws: 3, sackPermitted: true } }),
    peer.packet({ seq: 1, ack: 1, options: { sack: [[1, 100]], ts: [1, 2] } }),
  ]);
  return { engine, listener, connections, peers, opening, valid };
}

/** Put right the checksums that a mutation has spoilt, so that it gets past them. */
function mend(packet: Uint8Array): void {
  const version = packet[0]! >> 4;
  if (version !== 4 || packet.length < 40) return;
  const header = (packet[0]! & 15) * 4;
  if (header < 20 || packet.length < header + 20) return;
  const sum = (octets: number[]) => {
    let total = 0;
    for (let i = 0; i < octets.length; i += 2) total += (octets[i]! << 8) | (octets[i + 1] ?? 0);
    while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
    return ~total & 0xffff;
  };
  packet[10] = packet[11] = 0;
  const first = sum([...packet.subarray(0, header)]);
  packet[10] = first >> 8;
  packet[11] = first & 255;
  const length = Math.min((packet[2]! << 8) | packet[3]!, packet.length) - header;
  if (length < 20) return;
  packet[header + 16] = packet[header + 17] = 0;
  const tcp = packet.subarray(header, header + length);
  const second = sum([...packet.subarray(12, 20), 0, 6, length >> 8, length & 255, ...tcp]);
  packet[header + 16] = second >> 8;
  packet[header + 17] = second & 255;
}

/** A few octets changed, cut off, or put in. */
function mutate(packet: Uint8Array, next: () => number): Uint8Array {
  const octets = [...packet];
  for (let n = Math.floor(next() * 4); n >= 0; n--) {
    const at = Math.floor(next() * octets.length);
    const kind = next();
    if (kind < 0.4) octets[at] = Math.floor(next() * 256);
    else if (kind < 0.6) octets[at] = (octets[at] ?? 0) ^ (1 << Math.floor(next() * 8));
    else if (kind < 0.7) octets[at] = next() < 0.5 ? 0 : 255;
    else if (kind < 0.8) octets.length = at;
    else if (kind < 0.9)
      octets.splice(at, 0, ...Array.from({ length: Math.floor(next() * 8) }, () => next() * 256));
    else octets.splice(at, Math.floor(next() * 8));
  }
  const mutated = Uint8Array.from(octets);
  if (next() < 0.8) mend(mutated);
  return mutated;
}

describe("hostile input", () => {
  it("mutations of valid packets neither trap nor hang, and each packet is accounted for", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(0x7fffffff), async (chance) => {
        const next = random(chance);
        const { engine, listener, connections, valid } = await busy();
        const pool = [...valid, ...vectors.segments.map(packetOf)];
        let now = 1000;
        for (let round = 0; round < 60; round++) {
          const batch = Array.from({ length: next() < 0.5 ? 1 : 1 + Math.floor(next() * 8) }, () =>
            mutate(pool[Math.floor(next() * pool.length)]!, next),
          );
          if (batch.length === 1) receive(engine, batch[0]!, now);
          else {
            const { InReceives } = engine.counters();
            engine.receive(batch, now);
            expect(engine.counters().InReceives).toBe(InReceives! + batch.length);
          }
          if (next() < 0.5) now += next() * 1000;
          engine.advance(now);
          // Whatever it answers is well formed.
          for (const packet of engine.transmit(now)) check(packet);
          for (const connection of connections)
            if (!connection.error && connection.readable > 0 && next() < 0.3)
              connection.read(new Uint8Array(500));
          listener.accept();
          engine.poll();
        }
        // Time heals everything: once the peers are silent, nothing goes on for ever.
        for (let i = 0; engine.nextDeadline() !== undefined; i++) {
          now = Math.max(now, engine.nextDeadline()!);
          engine.advance(now);
          engine.transmit(now);
          expect(i).toBeLessThan(20_000);
          // Connections nobody closed may live on, but no timer may run for more than hours.
          if (now > 4 * 3_600_000) break;
        }
        expect(now).toBeLessThan(4 * 3_600_000);
        // And the engine still serves.
        const peer = new Peer(engine, { peerPort: 60_000, now });
        listener.accept();
        while (listener.accept());
        const connection = peer.connect(listener);
        peer.send({ flags: "PA", seq: 1, ack: 1, text: "hello" });
        expect(readAll(connection).toString()).toBe("hello");
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it("octets of no shape at all are dropped and counted", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 120 }), { minLength: 1, maxLength: 30 }),
        async (packets) => {
          const { engine } = await busy();
          for (const packet of packets) receive(engine, packet, 1000);
          engine.transmit(1000);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("a packet larger than any is refused without harm", async () => {
    const { engine, connections } = await busy();
    const huge = new Uint8Array(70_000);
    huge[0] = 0x45;
    const before = engine.counters().InReceives!;
    try {
      engine.receive([huge], 1000);
      expect(engine.counters().InReceives).toBe(before + 1);
    } catch (error) {
      expect((error as Error).message).toContain("70000");
    }
    expect(connections[0]!.state).toBe("ESTABLISHED");
  });

  it("as many holes as a peer likes cost a bounded amount of memory, and the text arrives all the same", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20, wasm: await debugModule() });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    const connection = peer.connect(listener, { options: { mss: 1460, ws: 4 } });
    const text = randomOctets(30_000, 1);
    // Every second octet first: 15,000 holes.
    for (let at = 1; at < text.length; at += 2)
      engine.receive([peer.packet({ seq: 1 + at, ack: 1, text: text.subarray(at, at + 1) })], peer.now);
    peer.take();
    expect(connection.readable).toBe(0);
    for (let at = 0; at < text.length; at += 1000) {
      peer.send({ seq: 1 + at, ack: 1, text: text.subarray(at, at + 1000) });
      peer.take();
    }
    expect(readAll(connection).equals(text)).toBe(true);
  });

  it("one peer that fills every buffer does not starve another", async () => {
    const engine = await makeEngine({
      memory: 2 * 2 ** 20,
      settings: { tcpRmem: [4096, 1 << 20, 1 << 20], somaxconn: 100 },
    });
    const listener = engine.listen({ port: 80 });
    const hogs: Peer[] = [];
    for (let i = 0; i < 20; i++) {
      const hog = new Peer(engine, { peerPort: 41_000 + i });
      hog.connect(listener, { options: { mss: 1460, ws: 7 } });
      let seq = 1;
      let edge = 60_000;
      for (let n = 0; n < 400 && seq + 1460 < edge; n++) {
        hog.send({ seq, ack: 1, text: randomOctets(1460, n) });
        seq += 1460;
        for (const { ack, window } of hog.take()) edge = Math.max(edge, ack + window * 128);
      }
      hogs.push(hog);
    }
    const peer = new Peer(engine, { peerPort: 50_000 });
    const connection = peer.connect(listener);
    let seq = 1;
    const got: Buffer[] = [];
    const text = randomOctets(20_000, 9);
    for (let round = 0; round < 200 && seq <= text.length; round++) {
      peer.send({ seq, ack: 1, text: text.subarray(seq - 1, seq - 1 + 1000) });
      peer.wait(600);
      got.push(readAll(connection));
      const last = peer.take().at(-1);
      if (last) seq = last.ack;
    }
    expect(Buffer.concat(got).equals(text)).toBe(true);
  });
});
