import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { addressOctets } from "../support/addresses.ts";
import { connected } from "../support/connected.ts";
import { makeEngine } from "../support/engine.ts";
import { build } from "../support/packet.ts";
import { Peer, type Received } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const LOOSE = 131;
const STRICT = 137;
const on: EngineOptions = { settings: { acceptSourceRoute: 1 } };

/** A source route as it stands in a packet; `next` is the number of its address that is to be visited next. */
const route = (addresses: string[], next = 0, kind = LOOSE) => [
  kind,
  3 + 4 * addresses.length,
  4 + 4 * next,
  ...addresses.flatMap((address) => [...addressOctets(address)]),
  0,
];
/** One that has been followed to its end. */
const followed = (addresses: string[], kind = LOOSE) => route(addresses, addresses.length, kind);

const A = "198.51.100.1";
const B = "198.51.100.2";
const C = "198.51.100.3";
const PEER = "192.0.2.2";

/** Where a packet goes first, and the route it has before it. */
const way = ({ dst, ipOptions }: Received) => [dst, ipOptions];

describe("a source route given by the user", () => {
  it("[9293-MUST-51] goes with every packet, the first hop in the header and the peer last", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({
      remoteAddress: PEER,
      remotePort: 40000,
      sourceRoute: [A, B],
    });
    peer.enginePort = connection.localPort;
    // parse() checks both checksums, TCP's with the peer's address.
    expect(way(peer.expect({ flags: "S" }))).toEqual([A, route([B, PEER])]);
    peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 } });
    expect(way(peer.expect({ flags: "A" }))).toEqual([A, route([B, PEER])]);
    // The option makes segments shorter: RFC 9293 MUST-16.
    expect(connection.info().sndMss).toBe(1460 - 12);
    connection.write(randomOctets(3000, 1));
    for (const packet of peer.take()) {
      expect(way(packet)).toEqual([A, route([B, PEER])]);
      expect(packet.length).toBeLessThanOrEqual(1500);
    }
  });

  it("may be as long as nine routers, and no longer", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const nine = Array.from({ length: 9 }, (_, i) => `198.51.100.${i + 1}`);
    engine.connect({ remoteAddress: PEER, remotePort: 40000, sourceRoute: nine });
    const syn = peer.expect({ flags: "S" });
    expect(way(syn)).toEqual([nine[0], route([...nine.slice(1), PEER])]);
    const refused = (options: object, what: RegExp) =>
      expect(() => engine.connect({ remoteAddress: PEER, remotePort: 1, ...options })).toThrow(what);
    refused({ sourceRoute: [...nine, A] }, /sourceRoute.*10/);
    refused({ sourceRoute: ["2001:db8::7"] }, /sourceRoute.*2001:db8::7/);
    refused({ sourceRoute: ["nowhere"] }, /sourceRoute.*nowhere/);
    refused({ remoteAddress: "2001:db8::2", sourceRoute: [A] }, /IPv6/);
  });

  it("[9293-MUST-52] is kept whatever way the peer's packets come", async () => {
    const engine = await makeEngine(on);
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: PEER, remotePort: 40000, sourceRoute: [A] });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    peer.send({ flags: "SA", seq: 0, ack: 1, ipOptions: followed([C, B]) });
    expect(way(peer.expect({ flags: "A" }))).toEqual([A, route([PEER])]);
    peer.send({ flags: "PA", seq: 1, ack: 1, text: "hi", ipOptions: followed([B]) });
    expect(way(peer.expect({ flags: "A", ack: 3 }))).toEqual([A, route([PEER])]);
  });

  it("holds no memory once its connection is over", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    // As many routes would fill linear memory twice.
    for (let i = 0; i < 20_000; i++) {
      const connection = engine.connect({ remoteAddress: PEER, remotePort: 1, sourceRoute: [A] });
      peer.take();
      connection.abort();
    }
    expect(engine.connections()).toEqual([]);
  });
});

describe("a source route that packets came by", () => {
  it("[9293-MUST-53] is gone back by every segment of the connection", async () => {
    const engine = await makeEngine(on);
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, options: { mss: 1460 }, ipOptions: followed([A, B, C]) });
    const back = [C, route([B, A, PEER])];
    expect(way(peer.expect({ flags: "SA" }))).toEqual(back);
    // The SYN,ACK again, and all that follows, also where the peer's segments come straight.
    expect(way(peer.expectWithin(1000, { flags: "SA" }))).toEqual(back);
    peer.send({ flags: "A", seq: 1, ack: 1 });
    const connection = listener.accept()!;
    connection.write(randomOctets(4000, 1));
    const sent = peer.take();
    expect(sent.length).toBe(3);
    for (const packet of sent) {
      expect(way(packet)).toEqual(back);
      expect(packet.length).toBeLessThanOrEqual(1500);
    }
  });

  it("may be strict, and then is on its way back", async () => {
    const engine = await makeEngine(on);
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, ipOptions: [1, ...followed([A, B], STRICT)] });
    expect(way(peer.expect({ flags: "SA" }))).toEqual([B, route([A, PEER], 0, STRICT)]);
  });

  it("[9293-SHLD-24] gives way to a later one, if the segment is acceptable", async () => {
    const { peer } = await connected({ engine: on, syn: { ipOptions: followed([A]) } });
    peer.send({ flags: "PA", seq: 1, ack: 1, text: "x", ipOptions: followed([B, C]) });
    expect(way(peer.expect({ ack: 2 }))).toEqual([C, route([B, PEER])]);
    // From somewhere beyond the window: answered, not believed.
    peer.send({ flags: "PA", seq: 100_000, ack: 1, text: "x", ipOptions: followed([A]) });
    expect(way(peer.expect({ ack: 2 }))).toEqual([C, route([B, PEER])]);
  });

  it("is refused, and counted, unless it is asked for", async () => {
    const engine = await makeEngine();
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, ipOptions: followed([A]) });
    peer.silence();
    expect(engine.counters().InDiscards).toBe(1);
    // Other options are none of our business.
    peer.send({ flags: "S", seq: 0, ipOptions: [148, 4, 0, 0] });
    expect(peer.expect({ flags: "SA" }).ipOptions).toEqual([]);
  });

  it("not yet at its end is not for us; one that is malformed for nobody", async () => {
    const engine = await makeEngine(on);
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, ipOptions: route([A, B], 1) });
    peer.silence();
    expect(engine.counters().InAddrErrors).toBe(1);
    for (const ipOptions of [
      [LOOSE, 1],
      [LOOSE, 0],
      [LOOSE],
      [LOOSE, 2, 4],
      [LOOSE, 200, 4, 0],
      [7, 60, 4, 0],
    ]) {
      if (ipOptions.length === 1) ipOptions.unshift(1, 1, 1);
      peer.send({ flags: "S", seq: 0, ipOptions });
      peer.silence();
    }
    const twice = [...followed([A]).slice(0, 7), ...followed([B])];
    peer.send({ flags: "S", seq: 0, ipOptions: twice });
    peer.silence();
    expect(engine.counters().InHdrErrors).toBe(7);
    expect(engine.connections()).toEqual([]);
  });

  it("does not stay behind for the next packet", async () => {
    const engine = await makeEngine(on);
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    const other = { src: "192.0.2.9", dst: "192.0.2.1", srcPort: 7, dstPort: 80, flags: "S", seq: 1 };
    const routed = peer.packet({ flags: "S", seq: 0, ipOptions: followed([A]) });
    engine.receive([routed, build(other)], 1000);
    const ways = peer.take().map(({ dst, ipOptions }) => [dst, ipOptions.length]);
    expect(ways).toEqual([
      [A, 8],
      ["192.0.2.9", 0],
    ]);
  });

  it("is taken back by the reset of an aborted connection", async () => {
    const { peer, connection } = await connected({ engine: on, syn: { ipOptions: followed([A, B]) } });
    connection.abort();
    expect(way(peer.expect({ flags: "RA" }))).toEqual([B, route([A, PEER])]);
  });
});
