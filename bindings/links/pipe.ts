import type { Clock } from "../clock.ts";
import { nextTurn } from "../clock-turn.ts";
import { sharedCopy } from "../copy.ts";
import { PacketBatch } from "../packet-batch.ts";
import { requireChecksum, requireInteger } from "../validate.ts";
import { type Deferred, deferred } from "./deferred.ts";
import type { Link, PacketSink } from "./link.ts";

export interface PipeOptions {
  /** Largest packet, octets; larger ones are dropped. Default 1500. */
  mtu?: number;
  /** "none": packets whose checksums are not complete pass as they are, and their taker need not verify them. Default "full". */
  checksum?: "full" | "none";
  /** Octets up to which packets of several segments pass uncut, at most 65535. Default 0: none do. */
  gso?: number;
  /** Octets that may wait in each direction; what does not fit is dropped. Default 4 MiB. */
  capacity?: number;
  /** Deliver only when `deliver()` is called. */
  manual?: boolean;
  /** Deliver as wake-ups of this clock, at the time of sending, instead of in microtasks: for a virtual clock. */
  clock?: Clock;
}

/** What one end sent: `sent` = `delivered` + `dropped` + what still waits. */
export interface PipeStats {
  /** Packets given to `send`. */
  sent: number;
  /** Those the other end's taker has got. */
  delivered: number;
  /** Those that were too large, did not fit or found no taker. */
  dropped: number;
}

export interface PipeEnd extends Link {
  readonly stats: Readonly<PipeStats>;
  /** Hand what waits for this end to its taker now; returns how many packets. */
  deliver(): number;
}

/** Smallest average packet for which the tables have room when the bytes are full. */
const OCTETS_PER_ENTRY = 64;

/** Deliveries by microtask in a row before timers and I/O get their turn. */
const MICROTASKS_IN_A_ROW = 64;

/**
 * One way of the pipe. Two batches change places: one is filled by the sender while the other is in the taker's hands,
 * so a delivery copies nothing and what the taker sends in answer cannot disturb what it reads.
 */
class Way {
  readonly stats: PipeStats = { sent: 0, delivered: 0, dropped: 0 };
  readonly #mtu: number;
  readonly #gso: number;
  readonly #manual: boolean;
  readonly #clock: Clock | undefined;
  /** What is sent may stand in an engine's memory. */
  readonly #copy = sharedCopy();
  readonly #run = () => {
    this.#scheduled = false;
    this.#postponed = false;
    this.deliver();
  };
  #filling: PacketBatch;
  #draining: PacketBatch;
  #sink: PacketSink | undefined;
  #open = true;
  #scheduled = false;
  /** The scheduled delivery waits for a turn of the event loop. */
  #postponed = false;
  #delivering = false;
  #row = 0;

  constructor(options: PipeOptions, mtu: number, gso: number, capacity: number) {
    this.#mtu = mtu;
    this.#gso = gso;
    this.#manual = options.manual ?? false;
    this.#clock = options.clock;
    const entries = Math.ceil(capacity / OCTETS_PER_ENTRY);
    this.#filling = new PacketBatch(entries, capacity);
    this.#draining = new PacketBatch(entries, capacity);
  }

  send(batch: PacketBatch): void {
    const { count, used, table, segments, checksums } = batch;
    this.stats.sent += count;
    if (!this.#open) {
      this.stats.dropped += count;
      return;
    }
    const into = this.#filling;
    let whole = into.used + used <= into.bytes.length && into.count + count <= into.capacity;
    for (let i = 0; i < count && whole; i++) whole = table[i * 2 + 1] <= this.#most(segments[i]);
    if (whole) {
      const base = into.used;
      const first = into.count * 2;
      this.#copy(into.bytes, batch.views.of(0, used), base);
      for (let i = 0; i < count * 2; i += 2) {
        into.table[first + i] = base + table[i];
        into.table[first + i + 1] = table[i + 1];
      }
      for (let i = 0; i < count; i++) {
        into.segments[into.count + i] = segments[i];
        into.checksums[into.count + i] = checksums[i];
      }
      into.count += count;
      into.used += used;
    } else {
      for (let i = 0; i < count; i++) {
        const length = table[i * 2 + 1];
        if (
          length > this.#most(segments[i]) ||
          !into.pushFrom(batch.bytes, table[i * 2], length, segments[i], checksums[i])
        )
          this.stats.dropped++;
      }
    }
    if (into.count > 0) this.#schedule();
  }

  #most(segments: number): number {
    return segments > 0 ? this.#gso : this.#mtu;
  }

  #schedule(): void {
    if (this.#manual) return;
    if (this.#scheduled) {
      // Whoever sends from microtasks alone gives no turn; better no turn than drops.
      if (this.#postponed && this.#filling.used > this.#filling.bytes.length / 2) {
        this.#postponed = false;
        queueMicrotask(this.#run);
      }
      return;
    }
    this.#scheduled = true;
    if (this.#clock !== undefined) this.#clock.at(this.#clock.now(), this.#run);
    else if (++this.#row < MICROTASKS_IN_A_ROW) queueMicrotask(this.#run);
    else {
      this.#row = 0;
      this.#postponed = true;
      nextTurn(this.#run);
    }
  }

  deliver(): number {
    if (this.#delivering) return 0;
    const batch = this.#filling;
    const { count } = batch;
    if (count === 0) return 0;
    if (this.#sink === undefined) {
      this.stats.dropped += count;
      batch.clear();
      return 0;
    }
    this.#filling = this.#draining;
    this.#draining = batch;
    this.stats.delivered += count;
    this.#delivering = true;
    try {
      this.#sink(batch);
    } finally {
      this.#delivering = false;
      batch.clear();
    }
    return count;
  }

  onReceive(sink: PacketSink | undefined): void {
    if (this.#open) this.#sink = sink;
  }

  /** The taker has gone: drop what waits, let go of the buffers. */
  close(): void {
    this.#open = false;
    this.#sink = undefined;
    this.stats.dropped += this.#filling.count;
    this.#filling = new PacketBatch(1, 8);
    this.#draining = this.#filling;
  }
}

class End implements PipeEnd {
  readonly mtu: number;
  readonly checksum: "full" | "none";
  readonly gso: number;
  readonly borrows = true;
  readonly #out: Way;
  readonly #in: Way;
  readonly #closed: Deferred<void> = deferred();
  #open = true;

  constructor(mtu: number, checksum: "full" | "none", gso: number, out: Way, into: Way) {
    this.mtu = mtu;
    this.checksum = checksum;
    this.gso = gso;
    this.#out = out;
    this.#in = into;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get stats(): Readonly<PipeStats> {
    return this.#out.stats;
  }

  send(batch: PacketBatch): void {
    if (this.#open) this.#out.send(batch);
  }

  onReceive(sink: PacketSink | undefined): void {
    this.#in.onReceive(sink);
  }

  deliver(): number {
    return this.#in.deliver();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#in.close();
    this.#closed.resolve();
  }
}

/**
 * Two joined links: what one end sends, the other receives, in order. `send` only copies; delivery happens in a
 * microtask, by `clock` or by `deliver()`. All memory is taken here and stays as it is.
 *
 * @throws SynwaveError EINVAL for an option out of range
 */
export function pipe(options: PipeOptions = {}): [PipeEnd, PipeEnd] {
  const mtu = requireInteger("mtu", options.mtu ?? 1500, 68, 65535);
  const checksum = requireChecksum(options.checksum ?? "full");
  const gso = requireInteger("gso", options.gso ?? 0, 0, 65535);
  const least = Math.max(mtu, gso) + 7;
  const capacity = requireInteger("capacity", options.capacity ?? 4 * 2 ** 20, least, 2 ** 30);
  const toRight = new Way(options, mtu, gso, capacity);
  const toLeft = new Way(options, mtu, gso, capacity);
  return [new End(mtu, checksum, gso, toRight, toLeft), new End(mtu, checksum, gso, toLeft, toRight)];
}
