// From application to application: connections between two engines in one thread, no link between them, virtual time.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { TwoEngines } from "./two-engines.mjs";

/** What an application writes at a time. */
const CHUNK = 64 * 1024;
/** As the C reference's rings. */
const BUFFER = 256 * 1024;
/** Chunks written each way before packets are exchanged: a buffer full, of one connection or of several. */
const CHUNKS = BUFFER / CHUNK;
/**
 * Chunks that a connection gets in its turn, with so many octets in a segment: what one segment has room for is acknowledged late
 * (RFC 9293 §3.8.6.3), by when the application has come round again.
 */
export const chunksInTurn = (size) => (2 * size > CHUNK ? 2 : 1);
/** Virtual milliseconds from one exchange of packets to the next. */
const TICK = 0.05;
const PORT = 9;
/** IPv4's and TCP's, without options. */
export const HEADERS = 40;

/** Turns without a packet or an octet after which the engines are taken to have stopped. */
const PATIENCE = 1000;

/** One direction of all the connections: who writes, who reads. */
class Way {
  sent = 0;
  received = 0;
  /** Chunks written. */
  chunks = 0;

  constructor(from, to, inTurn) {
    this.from = from;
    this.to = to;
    this.inTurn = inTurn;
  }

  /** The connection that is written to next. */
  get next() {
    return Math.floor(this.chunks / this.inTurn) % this.from.length;
  }
}

export class Flows {
  into = new Uint8Array(CHUNK);

  /**
   * @param {{ mtu: number, flows: number, both: boolean, shared: boolean }} what so many connections, established, with text
   *   one way or both
   */
  static async make({ mtu, flows, both, shared }) {
    const settings = { tcpRmem: [4096, BUFFER, BUFFER], tcpWmem: [4096, BUFFER, BUFFER] };
    const it = new Flows();
    it.engines = await TwoEngines.make({ mtu, shared, settings });
    const near = [];
    const far = [];
    for (let i = 0; i < flows; i++) {
      const ends = it.engines.connect(PORT + i);
      near.push(ends.near);
      far.push(ends.far);
      ends.near.context = i;
      ends.far.context = i;
      assert.equal(ends.near.state, "ESTABLISHED");
      assert.equal(ends.far.state, "ESTABLISHED");
    }
    const inTurn = chunksInTurn(mtu - HEADERS);
    it.ways = [new Way(near, far, inTurn), ...(both ? [new Way(far, near, inTurn)] : [])];
    return it;
  }

  /** Chunks to the connections whose turn it is. */
  #write(way, length, chunk, written) {
    for (let i = 0; i < CHUNKS && way.sent < length; i++) {
      const flow = way.next;
      const sender = way.from[flow];
      if (sender.writable < CHUNK) return;
      written?.(way, flow, way.sent);
      const taken = sender.write(chunk);
      if (taken !== CHUNK) throw new Error(`write took ${taken} of ${CHUNK} octets that were writable`);
      way.sent += taken;
      way.chunks++;
    }
  }

  /** All that has arrived at one side, told of by its events; returns the octets. */
  #read(engine, way, read) {
    let octets = 0;
    for (const { type, connection } of engine.poll()) {
      if (type !== "readable" || way === undefined) continue;
      for (let count = this.into.length; count === this.into.length; ) {
        count = connection.read(this.into);
        if (count < 0) throw new Error("the stream ended early");
        if (count > 0) read?.(way, connection.context, this.into.subarray(0, count));
        octets += count;
      }
    }
    if (way !== undefined) way.received += octets;
    return octets;
  }

  /**
   * Move `length` octets each way, a multiple of 64 KiB.
   *
   * @param {Uint8Array} chunk what is written, again and again
   * @param {{ written?: (way: Way, flow: number, offset: number) => void,
   *   read?: (way: Way, flow: number, bytes: Uint8Array) => void }} [watch]
   */
  move(length, chunk, { written, read } = {}) {
    const { engines, ways } = this;
    const [there, back] = ways;
    for (const way of ways) {
      way.sent = 0;
      way.received = 0;
    }
    for (let idle = 0; there.received < length || (back && back.received < length); ) {
      for (const way of ways) this.#write(way, length, chunk, written);
      const packets = engines.turn(TICK);
      const octets = this.#read(engines.server, there, read) + this.#read(engines.client, back, read);
      idle = packets === 0 && octets === 0 ? idle + 1 : 0;
      if (idle > PATIENCE) throw new Error(`nothing moves after ${there.received} octets`);
      if (idle > 0) this.#wait();
    }
    for (const { received } of ways)
      if (received !== length) throw new Error(`${received} octets arrived of ${length}`);
  }

  /** Nothing moved: on to the next deadline. */
  #wait() {
    const { engines } = this;
    const deadlines = [engines.client.nextDeadline(), engines.server.nextDeadline()].filter(
      (at) => at !== undefined,
    );
    if (deadlines.length === 0) throw new Error("the transfer stopped for ever");
    engines.now = Math.max(engines.now, Math.min(...deadlines));
  }

  /** Move `length` octets each way of which every chunk differs, hashed at both ends of each connection. */
  check(length) {
    const chunk = new Uint8Array(CHUNK);
    const words = new Uint32Array(chunk.buffer);
    const hashes = new Map(
      this.ways.map((way) => [
        way,
        way.from.map(() => ({ into: createHash("sha256"), out: createHash("sha256") })),
      ]),
    );
    this.move(length, chunk, {
      written: (way, flow, offset) => {
        const seed = offset + this.ways.indexOf(way);
        for (let i = 0; i < words.length; i++) words[i] = Math.imul(seed + i, 2654435761);
        hashes.get(way)[flow].into.update(chunk);
      },
      read: (way, flow, bytes) => hashes.get(way)[flow].out.update(bytes),
    });
    for (const each of hashes.values())
      for (const { into, out } of each) assert.equal(out.digest("hex"), into.digest("hex"));
    for (const engine of [this.engines.client, this.engines.server]) {
      const { RetransSegs } = engine.counters();
      assert.equal(RetransSegs, 0, `${RetransSegs} segments were sent again though none was lost`);
    }
  }
}
