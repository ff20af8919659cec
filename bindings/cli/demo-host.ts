import { createHash } from "node:crypto";
import type { Clock, ClockEntry } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import type { Link } from "../links/link.ts";
import { Prng } from "../links/prng.ts";
import { PacketBatch } from "../packet-batch.ts";
import type { Connection, Engine, EngineEvent } from "../types.ts";

const CHUNK = 64 * 1024;

/** Octets made from a seed, as many as asked for, and their hash. */
class Source {
  readonly #hash = createHash("sha256");
  readonly #prng: Prng;
  readonly #words = new Uint32Array(CHUNK / 4);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  #made: number;
  /** Of the chunk: taken so far, and how many there are to take. */
  #at = 0;
  #end = 0;

  constructor(seed: number, length: number) {
    this.#prng = new Prng(seed);
    this.#made = length;
  }

  /** Hand octets to `take`, which says how many it took, until it takes fewer than it was given or all are gone. */
  feed(take: (bytes: Uint8Array) => number): void {
    for (;;) {
      if (this.#at === this.#end && !this.#refill()) return;
      const taken = take(this.#bytes.subarray(this.#at, this.#end));
      this.#at += taken;
      if (this.#at < this.#end) return;
    }
  }

  get exhausted(): boolean {
    return this.#made === 0 && this.#at === this.#end;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  #refill(): boolean {
    if (this.#made === 0) return false;
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = this.#prng.next();
    this.#at = 0;
    this.#end = Math.min(CHUNK, this.#made);
    this.#made -= this.#end;
    this.#hash.update(this.#bytes.subarray(0, this.#end));
    return true;
  }
}

/** One side of the demonstration: an engine on a link, sending what a seed yields and hashing what arrives. */
export class DemoHost {
  readonly engine: Engine;
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #source: Source;
  readonly #received = createHash("sha256");
  readonly #into = new Uint8Array(4 * CHUNK);
  readonly #batch = new PacketBatch();
  readonly #wake = () => {
    this.#entry = undefined;
    this.engine.advance(this.#clock.now());
    this.drain();
  };
  #entry: ClockEntry | undefined;
  #connection: Connection | undefined;
  #writable = true;
  #finished = false;
  /** Octets that have arrived. */
  octets = 0;
  /** When the last of them did, in the clock's milliseconds; undefined before the end of the stream. */
  ended: number | undefined;
  /** Nothing more will happen. */
  closed = false;

  /**
   * @param seed of the octets it sends
   * @param length how many
   */
  constructor(engine: Engine, link: Link, clock: Clock, seed: number, length: number) {
    this.engine = engine;
    this.#link = link;
    this.#clock = clock;
    this.#source = new Source(seed, length);
    link.onReceive((batch) => {
      this.engine.receiveBatch(batch, this.#clock.now());
      this.drain();
    });
  }

  connect(remoteAddress: string, remotePort: number): void {
    this.#connection = this.engine.connect({ remoteAddress, remotePort });
    this.drain();
  }

  /** Hashes of what was sent and of what arrived; once. */
  digests(): { sent: string; received: string } {
    return { sent: this.#source.digest(), received: this.#received.digest("hex") };
  }

  /** After any change: what happened, what can be read and written, what is to be sent, and when to look again. */
  drain(): void {
    for (const event of this.engine.poll()) this.#handle(event);
    this.#write();
    const now = this.#clock.now();
    while (this.engine.transmitBatch(this.#batch, now) > 0) this.#link.send(this.#batch);
    const deadline = this.engine.nextDeadline();
    if (this.#entry !== undefined) {
      if (this.#entry.when === deadline) return;
      this.#clock.cancel(this.#entry);
      this.#entry = undefined;
    }
    if (deadline !== undefined) this.#entry = this.#clock.at(deadline, this.#wake);
  }

  #handle(event: EngineEvent): void {
    switch (event.type) {
      case "accepted":
        this.#connection ??= event.listener.accept();
        this.#read();
        break;
      case "readable":
        this.#read();
        break;
      case "writable":
        this.#writable = true;
        break;
      case "closed":
        this.closed = true;
        break;
      case "reset":
      case "timedOut":
        throw event.connection.error ?? new SynwaveError("ECONNRESET", "the connection ended early");
    }
  }

  #read(): void {
    if (this.#connection === undefined || this.ended !== undefined) return;
    for (;;) {
      const count = this.#connection.read(this.#into);
      if (count === 0) return;
      if (count < 0) {
        this.ended = this.#clock.now();
        return;
      }
      this.octets += count;
      this.#received.update(this.#into.subarray(0, count));
    }
  }

  #write(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.state === "SYN-SENT" || this.#finished || !this.#writable)
      return;
    this.#source.feed((bytes) => {
      const taken = connection.write(bytes);
      this.#writable = taken === bytes.length;
      return taken;
    });
    if (!this.#source.exhausted) return;
    this.#finished = true;
    connection.shutdown();
  }
}
