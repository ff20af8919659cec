import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer, type Received, type Sent } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

interface Vector {
  id: string;
  rcvNxtStart: number;
  segments: [from: number, to: number][];
  acks: { ack: number; sack: [from: number, to: number][] }[];
}
const vectors = (
  JSON.parse(readFileSync(new URL("../spec/vectors.json", import.meta.url), "utf8")) as {
    sackReceiver: Vector[];
  }
).sackReceiver;

const plain: EngineOptions = { settings: { tcpTimestamps: 0 } };
const SACK: Sent = { options: { mss: 1460, sackPermitted: true } };

async function sacking(engine: EngineOptions = plain, syn: Sent = SACK) {
  return connected({ engine, syn });
}

/** SACK blocks of a segment, relative to the peer's numbers. */
const blocks = (peer: Peer, { options }: Received) =>
  (options.sack ?? []).map(([left, right]) => [(left - peer.iss) | 0, (right - peer.iss) | 0]);

const text = (seq: number, length: number): Sent => ({ seq, ack: 1, text: randomOctets(length, seq) });

/** The ids that each family of vectors proves. */
const proves = (id: string) => (id.startsWith("dsack") ? "[2883-1] [2883-3] [2883-4]" : "[2018-4]");

describe("SACK vectors", () => {
  it.each(vectors.map((vector) => [proves(vector.id), vector.id, vector] as const))(
    "%s %s",
    async (_, __, { rcvNxtStart, segments, acks }) => {
      const { peer } = await sacking(plain, { ...SACK });
      const shift = rcvNxtStart - 1;
      for (const [i, [from, to]] of segments.entries()) {
        peer.send(text(from - shift, to - from));
        const ack = peer.expect({ ack: acks[i]!.ack - shift });
        expect(blocks(peer, ack)).toEqual(acks[i]!.sack.map((edges) => edges.map((edge) => edge - shift)));
      }
      peer.silence();
      expect(segments.length).toBe(acks.length);
    },
  );

  it("are all there", () => {
    expect(vectors.length).toBeGreaterThan(8);
  });
});

describe("SACK, receiver", () => {
  it("[2018-1] is offered on a SYN, and granted only to one that offers it", async () => {
    const engine = await makeEngine(plain);
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, ...SACK });
    expect(peer.expect({ flags: "SA" }).options.sackPermitted).toBe(true);
    const other = new Peer(engine, { peerPort: 2 });
    other.send({ flags: "S", seq: 0 });
    expect(other.expect({ flags: "SA" }).options.sackPermitted).toBeUndefined();
    engine.connect({ remoteAddress: "192.0.2.2", remotePort: 3 });
    const third = new Peer(engine, { peerPort: 3 });
    third.flush();
    const syn = third.take()[0] ?? other.take()[0]!;
    expect(syn.options.sackPermitted).toBe(true);
  });

  it("[2018-2] tells nothing of holes to a peer that did not offer it", async () => {
    const { peer } = await sacking(plain, { options: { mss: 1460 } });
    peer.send(text(101, 100));
    expect(peer.expect({ ack: 1 }).options.sack).toBeUndefined();
  });

  it("can be switched off", async () => {
    const { peer, connection } = await sacking({ settings: { tcpTimestamps: 0, tcpSack: 0 } });
    expect(connection.info().options & 2).toBe(0);
    peer.send(text(101, 100));
    expect(peer.expect({ ack: 1 }).options.sack).toBeUndefined();
  });

  it("[2018-3] [2018-5] tells of the run that has just grown first, then of those before it", async () => {
    const { peer, connection } = await sacking();
    expect(connection.info().options & 2).toBe(2);
    peer.send(text(101, 100));
    expect(blocks(peer, peer.expect({ ack: 1 }))).toEqual([[101, 201]]);
    peer.send(text(301, 100));
    expect(blocks(peer, peer.expect({ ack: 1 }))).toEqual([
      [301, 401],
      [101, 201],
    ]);
    peer.send(text(201, 50));
    expect(blocks(peer, peer.expect({ ack: 1 }))).toEqual([
      [101, 251],
      [301, 401],
    ]);
    // The hole is filled: nothing but the far run is left to tell of.
    peer.send(text(1, 100));
    expect(blocks(peer, peer.expect({ ack: 251 }))).toEqual([[301, 401]]);
    peer.send(text(251, 50));
    expect(blocks(peer, peer.expect({ ack: 401 }))).toEqual([]);
    expect(readAll(connection).length).toBe(400);
  });

  it.each([
    ["four blocks alone", {}, 4],
    ["three beside timestamps", { ts: [1, 0] as [number, number] }, 3],
  ])("[2018-6] %s", async (_, options, most) => {
    const { peer } = await sacking({}, { options: { mss: 1460, sackPermitted: true, ...options } });
    const ts = "ts" in options ? { options: { ts: [2, 0] as [number, number] } } : {};
    for (let i = 0; i < 6; i++) peer.send({ ...text(101 + 200 * i, 100), ...ts });
    const last = peer.take().at(-1)!;
    const expected = [5, 4, 3, 2].slice(0, most).map((i) => [101 + 200 * i, 201 + 200 * i]);
    expect(blocks(peer, last)).toEqual(expected);
  });

  it("goes with text as well, which is that much shorter", async () => {
    const { peer, connection } = await sacking();
    peer.send(text(101, 100));
    peer.expect({ ack: 1 });
    connection.write(randomOctets(4000, 1));
    const sent = peer.take();
    expect(sent.length).toBe(3);
    for (const packet of sent) {
      expect(blocks(peer, packet)).toEqual([[101, 201]]);
      expect(packet.length).toBeLessThanOrEqual(1500);
    }
    expect(sent.map(({ text }) => text.length)).toEqual([1448, 1448, 1104]);
  });
});

describe("duplicate SACK, receiver", () => {
  it("[2883-2] tells once of text that was acknowledged and has come again", async () => {
    const { peer, engine } = await sacking();
    peer.send(text(1, 100));
    peer.expect({ ack: 101 });
    peer.send(text(1, 100));
    expect(blocks(peer, peer.expect({ ack: 101 }))).toEqual([[1, 101]]);
    peer.send(text(101, 10));
    expect(blocks(peer, peer.expect({ ack: 111 }))).toEqual([]);
    expect(engine.counters().TCPDSACKOldSent).toBe(1);
  });

  it("[2883-3] puts the run that holds it second", async () => {
    const { peer, engine } = await sacking();
    peer.send(text(101, 300));
    peer.send(text(601, 100));
    peer.take();
    peer.send(text(201, 100));
    expect(blocks(peer, peer.expect({ ack: 1 }))).toEqual([
      [201, 301],
      [101, 401],
      [601, 701],
    ]);
    expect(engine.counters().TCPDSACKOfoSent).toBe(1);
  });

  it("[2883-4] tells of the part that was there before", async () => {
    const { peer } = await sacking();
    peer.send(text(1, 100));
    peer.expect({ ack: 101 });
    peer.send(text(51, 100));
    expect(blocks(peer, peer.expect({ ack: 151 }))).toEqual([[51, 101]]);
    peer.send(text(201, 100));
    peer.take();
    peer.send(text(251, 100));
    expect(blocks(peer, peer.expect({ ack: 151 }))).toEqual([
      [251, 301],
      [201, 351],
    ]);
  });

  it("tells of runs that a segment in order has covered, the first of them", async () => {
    const { peer } = await sacking();
    peer.send(text(101, 100));
    peer.send(text(401, 100));
    peer.take();
    peer.send(text(1, 300));
    expect(blocks(peer, peer.expect({ ack: 301 }))).toEqual([
      [101, 201],
      [401, 501],
    ]);
  });

  it("tells nothing any more once the FIN has come", async () => {
    const { peer } = await sacking();
    peer.send(text(1, 100));
    peer.expect({ ack: 101 });
    // In one batch: the copy is told of by its own ACK, not by that of the FIN.
    peer.send(text(51, 60), { flags: "FA", seq: 111, ack: 1 });
    expect(blocks(peer, peer.take().at(-1)!)).toEqual([]);
  });

  it("[2883-6] tells of what PAWS has dropped", async () => {
    const ts = (value: number) => ({ options: { ts: [value, 0] as [number, number] } });
    const { peer } = await sacking({}, { options: { mss: 1460, sackPermitted: true, ts: [100, 0] } });
    peer.send({ ...text(1, 100), ...ts(101) });
    peer.take();
    peer.send({ ...text(1, 100), ...ts(50) });
    expect(blocks(peer, peer.expect({ ack: 101 }))).toEqual([[1, 101]]);
  });

  it("tells of a FIN that has come again, but not of a keepalive probe", async () => {
    const { peer } = await sacking();
    peer.send({ flags: "A", seq: 0, ack: 1 });
    expect(blocks(peer, peer.expect({ ack: 1 }))).toEqual([]);
    peer.send({ flags: "FA", seq: 1, ack: 1 });
    peer.expect({ ack: 2 });
    peer.send({ flags: "FA", seq: 1, ack: 1 });
    expect(blocks(peer, peer.expect({ ack: 2 }))).toEqual([[1, 2]]);
  });

  it("can be switched off", async () => {
    const { peer } = await sacking({ settings: { tcpTimestamps: 0, tcpDsack: 0 } });
    peer.send(text(1, 100));
    peer.expect({ ack: 101 });
    peer.send(text(1, 100));
    expect(blocks(peer, peer.expect({ ack: 101 }))).toEqual([]);
  });
});
