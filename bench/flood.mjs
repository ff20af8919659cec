// SYNs from addresses that nobody has: what each costs once they are answered with cookies, and who gets through.
import assert from "node:assert/strict";
import { acknowledge, pushSyn, SERVER_ADDRESS, SERVER_PORT } from "./crafted-peer.mjs";
import { loadLibrary } from "./dist.mjs";

const BATCH = 256;
const BACKLOG = 256;
/** Of the check: spoofed and honest SYNs, of which the latter are one in a hundred. */
const SYNS = 100_000;
const HONEST = 100;
/** So small that a slot for each SYN would soon be missed. */
const MEMORY = 4 * 2 ** 20;
/** Runs of a benchmark in one sample. */
const RUNS = 16;

class Flood {
  now = 0;
  next = 0;

  static async make(shared) {
    const { createEngine, PacketBatch } = await loadLibrary();
    const flood = new Flood();
    flood.syns = Array.from({ length: RUNS }, () => new PacketBatch(BATCH, BATCH * 64));
    flood.sent = new PacketBatch(BATCH, BATCH * 128);
    flood.answers = new PacketBatch(BATCH, BATCH * 128);
    flood.engine = await createEngine({
      addresses: [SERVER_ADDRESS],
      memory: MEMORY,
      shared,
      seed: new Uint8Array(32).fill(1),
      // A send buffer larger than the pool: how much it takes tells what is left of the pool.
      settings: { tcpMaxSynBacklog: BACKLOG, tcpWmem: [4096, 2 * MEMORY, 2 * MEMORY] },
    });
    flood.listener = flood.engine.listen({ port: SERVER_PORT });
    return flood;
  }

  /** Fresh SYNs for the next `run`. */
  prepare() {
    for (const batch of this.syns) {
      batch.clear();
      while (pushSyn(batch, this.next % 2 ** 24)) this.next++;
    }
    this.now += 1;
  }

  /** RUNS batches of SYNs, and what is said to them. */
  run() {
    for (const batch of this.syns) {
      this.engine.receiveBatch(batch, this.now);
      while (this.engine.transmitBatch(this.sent, this.now) > 0);
    }
  }

  /** The SYN queue is full, and stays so. */
  fill() {
    this.prepare();
    this.run();
    const { SyncookiesSent } = this.engine.counters();
    assert.ok(SyncookiesSent > 0);
  }

  /** Octets that a new connection can queue before memory ends. */
  room(index) {
    const connection = this.#honest(index);
    const chunk = new Uint8Array(65536);
    let room = 0;
    for (let taken = connection.write(chunk); taken > 0; taken = connection.write(chunk)) room += taken;
    connection.abort();
    while (this.engine.transmitBatch(this.sent, this.now) > 0);
    this.engine.poll();
    return room;
  }

  /** A connection of an honest peer. */
  #honest(index) {
    this.syns[0].clear();
    pushSyn(this.syns[0], index);
    this.engine.receiveBatch(this.syns[0], this.now);
    this.#answer((peer) => peer === index);
    const connection = this.listener.accept();
    assert.equal(connection?.state, "ESTABLISHED");
    return connection;
  }

  #answer(isHonest) {
    let honest = 0;
    while (this.engine.transmitBatch(this.sent, this.now) > 0) {
      this.answers.clear();
      honest += acknowledge(this.sent, this.answers, isHonest);
      this.engine.receiveBatch(this.answers, this.now);
    }
    return honest;
  }

  /** Every honest client connects, and nobody else takes anything. */
  check() {
    this.fill();
    const before = this.room(2 ** 24 - 1);
    const open = this.engine.connections().length;
    let honest = 0;
    let connected = 0;
    for (let done = 0; done < SYNS; done += BATCH) {
      const [batch] = this.syns;
      batch.clear();
      for (; pushSyn(batch, this.next); this.next++) if (this.next % HONEST === 0) honest++;
      this.engine.receiveBatch(batch, this.now);
      assert.ok(this.#answer((peer) => peer % HONEST === 0) > 0);
      for (let served = this.listener.accept(); served; served = this.listener.accept()) {
        served.abort();
        connected++;
      }
      while (this.engine.transmitBatch(this.sent, this.now) > 0);
      this.engine.poll();
    }
    const { SyncookiesRecv, SyncookiesFailed } = this.engine.counters();
    assert.equal(connected, honest);
    assert.equal(SyncookiesFailed, 0);
    assert.equal(SyncookiesRecv, connected + 1);
    assert.equal(this.engine.connections().length, open);
    assert.equal(this.room(2 ** 24 - 2), before);
  }
}

/** @returns {Promise<import("./measure.mjs").Benchmark[]>} */
export async function flood() {
  const benchmarks = [];
  for (const memory of ["shared", "unshared"]) {
    const flood = await Flood.make(memory === "shared");
    benchmarks.push({
      name: "spoofed SYN answered with a cookie",
      memory,
      count: BATCH * RUNS,
      reference: "md5Block",
      limit: 8,
      check: () => flood.check(),
      prepare: () => flood.prepare(),
      run: () => flood.run(),
    });
  }
  return benchmarks;
}
