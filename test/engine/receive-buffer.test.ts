import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Settings } from "../../bindings/settings.ts";
import type { Connection, Engine } from "../../bindings/types.ts";
import { debugModule, makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const MIB = 2 ** 20;
const RTT = 100;
/** Octets of text in a segment with timestamps. */
const PIECE = 1448;
const [, FIRST, MOST] = [4096, 131_072, 6_291_456];
const TEXT = randomOctets(MIB, 1);

/** A peer a round trip away that sends what the window lets it. */
class Sender {
  readonly engine: Engine;
  readonly peer: Peer;
  readonly connection: Connection;
  readonly timestamps: boolean;
  readonly scale: number;
  seq = 1;
  ack = 1;
  /** Right edge of the window, and how it was moved. */
  edge = 0;
  readonly edges: number[] = [];
  echo = 0;

  constructor(engine: Engine, peer: Peer, connection: Connection, timestamps: boolean) {
    this.engine = engine;
    this.peer = peer;
    this.connection = connection;
    this.timestamps = timestamps;
    this.scale = 2 ** connection.info().rcvWscale;
  }

  static async open({
    settings = {},
    timestamps = true,
    memory = 64 * MIB,
  }: {
    settings?: Partial<Settings>;
    timestamps?: boolean;
    memory?: number;
  } = {}): Promise<Sender> {
    const engine = await makeEngine({ settings, memory, wasm: await debugModule() });
    return Sender.join(engine, timestamps, 40_000);
  }

  static join(engine: Engine, timestamps: boolean, peerPort: number): Sender {
    const listener = engine.listen({ port: peerPort });
    const peer = new Peer(engine, { peerPort, enginePort: peerPort });
    const options = { mss: 1460, ws: 7, ...(timestamps && { ts: [1, 0] as [number, number] }) };
    peer.send({ flags: "S", options });
    const [echo = 0] = peer.expect({ flags: "SA" }).options.ts ?? [];
    peer.wait(RTT);
    peer.send({ seq: 1, ack: 1, ...(timestamps && { options: { ts: [101, echo] } }) });
    const sender = new Sender(engine, peer, listener.accept()!, timestamps);
    sender.echo = echo;
    // Beyond the window, so that it says where that ends.
    peer.send({ seq: 0, ack: 1, ...sender.#options() });
    sender.hear();
    return sender;
  }

  #options() {
    return this.timestamps ? { options: { ts: [this.peer.now | 0, this.echo] as [number, number] } } : {};
  }

  hear(): void {
    for (const { ack, window, options } of this.peer.take()) {
      this.ack = ack;
      this.edge = ack + window * this.scale;
      this.edges.push(this.edge);
      this.echo = options.ts?.[0] ?? 0;
    }
  }

  get room(): number {
    return this.edge - this.seq;
  }

  /** Send this much, or as much as there is room for; what was sent. */
  send(octets: number): number {
    let left = Math.min(octets, this.room);
    const sent = left;
    const segments = [];
    while (left > 0) {
      const length = Math.min(left, PIECE);
      segments.push({ seq: this.seq, ack: 1, text: TEXT.subarray(0, length), ...this.#options() });
      this.seq += length;
      left -= length;
    }
    for (let i = 0; i < segments.length; i += 500) this.peer.send(...segments.slice(i, i + 500));
    return sent;
  }

  /** Send, have it read at once, hear the ACKs a round trip after. */
  round(octets: number): number {
    const sent = this.send(octets);
    readAll(this.connection);
    this.peer.flush();
    this.peer.wait(RTT);
    this.hear();
    // What memory had no room for is sent again.
    this.seq = this.ack;
    return sent;
  }

  get buffer(): number {
    return this.connection.info().rcvSsthresh;
  }
}

describe("the receive buffer", () => {
  it("grows ahead of a peer in slow start, from tcpRmem's default to its maximum and no further", async () => {
    const sender = await Sender.open();
    expect(sender.buffer).toBe(FIRST);
    expect(sender.room).toBeGreaterThan(FIRST - 4 * sender.scale);
    for (let flight = 10 * PIECE; flight < MOST / 2; flight *= 2) {
      // The window never is what stops it.
      expect(sender.round(flight)).toBe(flight);
      expect(sender.buffer).toBeLessThanOrEqual(Math.max(FIRST, 8 * flight));
    }
    sender.round(MOST);
    sender.round(MOST);
    expect(sender.buffer).toBe(MOST);
    expect(sender.room).toBeLessThanOrEqual(MOST);
    expect(sender.connection.info().rcvRtt).toBe(RTT * 1000);
  });

  it("is twice what is read in a round trip, once that has come to rest", async () => {
    const sender = await Sender.open();
    for (let flight = 10 * PIECE; flight < 400 * PIECE; flight *= 1.1) sender.round(Math.ceil(flight));
    for (let i = 0; i < 20; i++) sender.round(400 * PIECE);
    expect(sender.buffer).toBeGreaterThanOrEqual(2 * 400 * PIECE);
    expect(sender.buffer).toBeLessThan(2.5 * 400 * PIECE);
    expect(sender.connection.info().rcvSpace).toBe(400 * PIECE);
  });

  it("grows by the time a window takes where the peer has no timestamps", async () => {
    const settings = { tcpRmem: [4096, FIRST, MIB] as const };
    const sender = await Sender.open({ timestamps: false, settings });
    for (let i = 0; i < 12; i++) sender.round(MOST);
    expect(sender.connection.info().rcvRtt).toBe(RTT * 1000);
    expect(sender.buffer).toBe(MIB);
  });

  it("is looked at once in a round trip, not whenever something is read", async () => {
    const sender = await Sender.open();
    sender.round(20 * PIECE);
    sender.round(20 * PIECE);
    sender.round(20 * PIECE);
    expect(sender.buffer).toBe(FIRST);
    for (let i = 0; i < 9; i++) {
      sender.send(9 * PIECE);
      readAll(sender.connection);
      sender.peer.wait(RTT / 10);
      // What comes next echoes what came before, and tells of no round trip.
      const { echo } = sender;
      sender.hear();
      sender.echo = echo;
      expect(sender.buffer).toBe(FIRST);
    }
    sender.peer.wait(RTT / 5);
    sender.send(PIECE);
    readAll(sender.connection);
    expect(sender.buffer).toBeGreaterThan(2 * 8 * 9 * PIECE);
  });

  it("stays as it is for a user who reads little, however much the peer would send", async () => {
    const sender = await Sender.open();
    const into = new Uint8Array(10 * PIECE);
    for (let i = 0; i < 30; i++) {
      sender.send(MOST);
      sender.connection.read(into);
      sender.peer.flush();
      sender.peer.wait(RTT);
      sender.hear();
    }
    expect(sender.buffer).toBe(FIRST);
  });

  it.each([
    ["by tcpModerateRcvbuf", { tcpModerateRcvbuf: 0 }, undefined, FIRST],
    ["by a size of the user's", {}, 200_000, 200_000],
  ])("does not grow when that is switched off %s", async (_, settings, receiveBuffer, expected) => {
    const sender = await Sender.open({ settings });
    if (receiveBuffer) sender.connection.setOption("receiveBuffer", receiveBuffer);
    for (let i = 0; i < 10; i++) sender.round(MOST);
    expect(sender.buffer).toBe(expected);
    expect(sender.room).toBeLessThanOrEqual(expected);
  });

  it("does not grow where more than half of memory is in use", async () => {
    const crowded = await Sender.open({ memory: 4 * MIB, settings: { tcpRmem: [4096, 65_536, MOST] } });
    const others = Array.from({ length: 28 }, (_, i) => Sender.join(crowded.engine, true, 41_000 + i));
    // Nobody reads: they hold what their windows let them.
    for (const other of others) other.send(MOST);
    for (let i = 0; i < 10; i++) crowded.round(MOST);
    expect(crowded.buffer).toBe(65_536);
    for (const { connection } of others) connection.abort();
    for (let i = 0; i < 10; i++) crowded.round(MOST);
    expect(crowded.buffer).toBeGreaterThan(MIB);
  });

  it("takes an annex of memory only for a connection over which much comes", async () => {
    const sender = await Sender.open();
    for (let i = 0; i < 10; i++) sender.round(1460);
    expect(sender.connection.info().rcvSpace).toBe(0);
    sender.round(1);
    expect(sender.connection.info().rcvSpace).toBe(14_600);
  });

  it("of one who stopped reading takes no more than its share from others", async () => {
    const greedy = await Sender.open({ memory: 4 * MIB });
    for (let flight = 10 * PIECE; flight < MIB; flight *= 2) greedy.round(flight);
    expect(greedy.buffer).toBeGreaterThan(MIB);
    greedy.send(MOST);
    const held = greedy.connection.readable;
    expect(held).toBeGreaterThan(300_000);
    expect(held).toBeLessThan(MIB);
    const other = Sender.join(greedy.engine, true, 41_000);
    let octets = 0;
    for (let i = 0; i < 20; i++) octets += other.round(MIB / 4);
    expect(octets).toBeGreaterThan(2 * MIB);
    expect(other.connection.readable).toBe(0);
    expect(readAll(greedy.connection).length).toBe(held);
  });
});

describe("the window of a buffer whose size changes", () => {
  it("[9293-SHLD-14] never moves its right edge left, whether the buffer grows or is made smaller", async () => {
    const step = fc.record({
      flight: fc.integer({ min: 0, max: 60_000 }),
      read: fc.constantFrom(0, 1000, 50_000, 1_000_000),
      wait: fc.constantFrom(1, 10, RTT),
      size: fc.option(fc.integer({ min: 1024, max: 100_000 }), { freq: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, timestamps) => {
        const sender = await Sender.open({
          timestamps,
          memory: 8 * MIB,
          settings: { tcpRmem: [4096, 20_000, 400_000] },
        });
        for (const { flight, read, wait, size } of steps) {
          if (size !== null) sender.connection.setOption("receiveBuffer", size);
          const before = sender.connection.readable;
          // What a window once offered is taken.
          const sent = sender.send(flight);
          expect(sender.connection.readable).toBe(before + sent);
          sender.connection.read(new Uint8Array(read));
          sender.peer.flush();
          sender.peer.wait(wait);
          sender.hear();
        }
        expect(sender.edges).toEqual([...sender.edges].sort((a, b) => a - b));
      }),
      { numRuns: 40 },
    );
  });

  it("closes to what a smaller buffer has room for, and opens with a larger one", async () => {
    const sender = await Sender.open();
    sender.connection.setOption("receiveBuffer", 10_000);
    sender.send(FIRST);
    readAll(sender.connection);
    sender.peer.wait(RTT);
    sender.hear();
    expect(sender.room).toBeLessThanOrEqual(10_000);
    expect(sender.room).toBeGreaterThan(10_000 - 2 * PIECE);
    sender.connection.setOption("receiveBuffer", 3_000_000);
    sender.round(PIECE);
    expect(sender.room).toBeGreaterThan(2_900_000);
  });
});

describe("the window scale", () => {
  /** What a SYN,ACK says. */
  async function offered(tcpRmem: [number, number, number], memory = 64 * MIB, receiveBuffer?: number) {
    const engine = await makeEngine({ settings: { tcpRmem }, memory });
    const listener = engine.listen({ port: 80 });
    if (receiveBuffer) listener.setOption("receiveBuffer", receiveBuffer);
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460, ws: 7 } });
    const { window, options } = peer.expect({ flags: "SA" });
    engine.close();
    return { window, ws: options.ws };
  }

  it.each([
    [65_535, 0],
    [65_536, 1],
    [6_291_456, 7],
    [2 ** 24, 9],
    [2 ** 25, 10],
  ])("[7323-4] is the least by which the field can say tcpRmem's maximum: %i, %i", async (most, ws) => {
    expect(await offered([4096, 65_535, most])).toEqual({ window: 65_535, ws });
  });

  it("[7323-4] [7323-5] is 14 at most, for a gigabyte", async () => {
    expect(await offered([4096, 131_072, 2 ** 30])).toEqual({ window: 65_535, ws: 14 });
  });

  it("[7323-4] is that of a size set before the SYN has gone, on a listener or a connection", async () => {
    expect(await offered([4096, 131_072, MOST], 64 * MIB, 20_000)).toEqual({ window: 20_000, ws: 0 });
    expect(await offered([4096, 131_072, MOST], 64 * MIB, 2 ** 24)).toEqual({ window: 65_535, ws: 9 });
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: peer.peerPort });
    connection.setOption("receiveBuffer", 20_000);
    peer.enginePort = connection.localPort;
    expect(peer.expect({ flags: "S", window: 20_000 }).options.ws).toBe(0);
    // Told once; what is set now fills what the field can say.
    connection.setOption("receiveBuffer", 200_000);
    peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460, ws: 7 } });
    peer.expect({ flags: "A", window: 65_535 });
    expect(connection.info()).toMatchObject({ rcvWscale: 0, rcvSsthresh: 200_000 });
  });

  it("[7323-4] is that of the listener where its answer is a cookie", async () => {
    const engine = await makeEngine({ settings: { tcpSyncookies: 2 } });
    const listener = engine.listen({ port: 80 });
    listener.setOption("receiveBuffer", 100_000);
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460, ws: 7, ts: [1, 0] } });
    const { options, window } = peer.expect({ flags: "SA" });
    expect({ window, ws: options.ws }).toEqual({ window: 65_535, ws: 1 });
    peer.send({ seq: 1, ack: 1, options: { ts: [2, options.ts![0]] } });
    expect(listener.accept()!.info()).toMatchObject({ rcvWscale: 1, rcvSsthresh: 100_000 });
  });

  it.each([1023, 2 ** 30 + 1, 1.5, "1e5"])("no buffer has %s octets", async (size) => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    for (const option of ["receiveBuffer", "sendBuffer"] as const)
      expect(() => listener.setOption(option, size as number)).toThrow(
        new RegExp(`^EINVAL.*${option} must be an integer from 1024 to 1073741824`),
      );
  });
});
