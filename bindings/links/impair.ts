import { type Clock, type ClockEntry, systemClock } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import type { PacketBatch } from "../packet-batch.ts";
import { Flight } from "./flight.ts";
import type { Link, PacketSink } from "./link.ts";
import { Prng } from "./prng.ts";
import { requireInteger, requireProbability, requireTime } from "./validate.ts";

export interface ImpairOptions {
  /** Default: real time. */
  clock?: Clock;
  /** Integer from 0 to 2^53 - 1; the same seed and the same packets at the same times fare the same. Default 0. */
  seed?: number;
  /** Probability that a packet vanishes. */
  loss?: number;
  /** Probability that a packet is carried twice, each copy with a fate of its own from there on. */
  duplicate?: number;
  /** Probability that a packet is held back, so that those sent up to `reorderDelay` later overtake it. */
  reorder?: number;
  /** Most by which a held-back packet is late, milliseconds, drawn uniformly. Default: a quarter of `delay`, at least 1. */
  reorderDelay?: number;
  /** Probability that one bit of a packet, chosen at random, is flipped. */
  corrupt?: number;
  /** Milliseconds under way. Default 0. */
  delay?: number;
  /** Most by which a packet's delay differs from `delay`, milliseconds, drawn uniformly; at most `delay`. A packet
   * never overtakes an earlier one by jitter: it waits for it. Default 0. */
  jitter?: number;
  /** Bits per second at which packets enter the path, one after another. Default: no limit. */
  rate?: number;
  /** With `rate`: octets that may wait for the line, the packet on it included; others are dropped at the tail.
   * At least the link's MTU. Default: bounded by `capacity` only. */
  queue?: number;
  /** Octets of packets that may be under way, allocated at once; others are dropped. Default 32 MiB. */
  capacity?: number;
}

/** `sent` + `duplicated` = `delivered` + `lost` + `queueDrops` + `inFlight`. */
export interface ImpairStats {
  /** Packets given to `send`. */
  sent: number;
  /** Packets given to the link below. */
  delivered: number;
  lost: number;
  /** Second copies made. */
  duplicated: number;
  /** Packets held back. */
  reordered: number;
  corrupted: number;
  /** Packets that found `queue` or `capacity` full. */
  queueDrops: number;
  /** Packets under way. */
  inFlight: number;
}

export interface ImpairedLink extends Link {
  /** A snapshot. */
  readonly stats: ImpairStats;
}

class Impaired implements ImpairedLink {
  readonly mtu: number;
  readonly checksum: "full" | "none";
  readonly gso = 0;
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #chance: Prng;
  readonly #flight: Flight;
  readonly #loss: number;
  readonly #duplicate: number;
  readonly #reorder: number;
  readonly #reorderDelay: number;
  readonly #corrupt: number;
  readonly #delay: number;
  readonly #jitter: number;
  readonly #msPerOctet: number;
  readonly #queue: number;
  readonly #wake = () => {
    this.#entry = undefined;
    this.#release();
  };
  #entry: ClockEntry | undefined;
  #open = true;
  #releasing = false;
  /** When the line has sent all that was let onto it. */
  #lineFree = Number.NEGATIVE_INFINITY;
  /** When the latest packet that was not held back is due. */
  #lastDue = Number.NEGATIVE_INFINITY;
  #sent = 0;
  #delivered = 0;
  #lost = 0;
  #duplicated = 0;
  #reordered = 0;
  #corrupted = 0;
  #queueDrops = 0;

  constructor(link: Link, options: ImpairOptions) {
    this.#link = link;
    this.#clock = options.clock ?? systemClock;
    this.#chance = new Prng(options.seed ?? 0);
    this.#loss = requireProbability("loss", options.loss ?? 0);
    this.#duplicate = requireProbability("duplicate", options.duplicate ?? 0);
    this.#reorder = requireProbability("reorder", options.reorder ?? 0);
    this.#corrupt = requireProbability("corrupt", options.corrupt ?? 0);
    this.#delay = requireTime("delay", options.delay ?? 0);
    this.#jitter = requireTime("jitter", options.jitter ?? 0, this.#delay);
    this.#reorderDelay = requireTime("reorderDelay", options.reorderDelay ?? Math.max(1, this.#delay / 4));
    const rate = options.rate ?? Number.POSITIVE_INFINITY;
    if (typeof rate !== "number" || !(rate > 0))
      throw new SynwaveError(
        "EINVAL",
        `rate must be a positive number of bits per second, not ${String(rate)}`,
      );
    this.#msPerOctet = 8000 / rate;
    if (options.queue !== undefined && rate === Number.POSITIVE_INFINITY)
      throw new SynwaveError("EINVAL", `queue is ${options.queue}, but nothing queues without a rate`);
    this.#queue =
      options.queue === undefined
        ? Number.POSITIVE_INFINITY
        : requireInteger("queue", options.queue, link.mtu, Number.MAX_SAFE_INTEGER);
    const capacity = requireInteger("capacity", options.capacity ?? 32 * 2 ** 20, 65536, 2 ** 30);
    this.#flight = new Flight(capacity);
    this.mtu = link.mtu;
    // Only a checksum finds the flipped bit.
    this.checksum = this.#corrupt > 0 ? "full" : link.checksum;
  }

  get closed(): Promise<void> {
    return this.#link.closed;
  }

  get stats(): ImpairStats {
    return {
      sent: this.#sent,
      delivered: this.#delivered,
      lost: this.#lost,
      duplicated: this.#duplicated,
      reordered: this.#reordered,
      corrupted: this.#corrupted,
      queueDrops: this.#queueDrops,
      inFlight: this.#flight.count,
    };
  }

  send(batch: PacketBatch): void {
    if (!this.#open) return;
    const now = this.#clock.now();
    const { bytes, table, count } = batch;
    this.#sent += count;
    const base = this.#flight.store(bytes, 0, batch.used);
    for (let i = 0; i < count * 2; i += 2) {
      if (base >= 0) this.#enter(base + table[i], table[i + 1], now);
      else {
        const at = this.#flight.store(bytes, table[i], table[i + 1]);
        if (at < 0) this.#queueDrops++;
        else {
          this.#enter(at, table[i + 1], now);
          this.#flight.seal();
        }
      }
    }
    if (base >= 0) this.#flight.seal();
    this.#release();
  }

  #enter(at: number, length: number, now: number): void {
    const chance = this.#chance;
    if (chance.chance(this.#loss)) {
      this.#lost++;
      return;
    }
    const twice = chance.chance(this.#duplicate);
    this.#carry(at, length, now);
    if (twice) {
      this.#duplicated++;
      this.#carry(at, length, now);
    }
  }

  #carry(at: number, length: number, now: number): void {
    const chance = this.#chance;
    const start = Math.max(now, this.#lineFree);
    // To the octet: rounding errors of the times must not decide whether the last packet fits.
    const waiting = start > now ? Math.round((start - now) / this.#msPerOctet) : 0;
    if (!this.#flight.hasRoom || waiting + length > this.#queue) {
      this.#queueDrops++;
      return;
    }
    this.#lineFree = start + length * this.#msPerOctet;
    let due = this.#lineFree + this.#delay;
    if (this.#jitter > 0) due += (chance.fraction() * 2 - 1) * this.#jitter;
    if (due < this.#lastDue) due = this.#lastDue;
    if (chance.chance(this.#reorder)) {
      this.#reordered++;
      due += (1 - chance.fraction()) * this.#reorderDelay;
    } else this.#lastDue = due;
    let flip = -1;
    if (length > 0 && chance.chance(this.#corrupt)) {
      this.#corrupted++;
      flip = chance.below(length * 8);
    }
    this.#flight.enter(at, length, due, flip);
  }

  /** Send on what is due, and ask to be woken for the rest. A link that answers at once may call `send` meanwhile. */
  #release(): void {
    if (this.#releasing) return;
    const flight = this.#flight;
    this.#releasing = true;
    try {
      while (flight.take(this.#clock.now()) > 0) {
        this.#delivered += flight.out.count;
        this.#link.send(flight.out);
      }
    } finally {
      this.#releasing = false;
    }
    const { due } = flight;
    if (this.#entry !== undefined) {
      if (this.#entry.when === due) return;
      this.#clock.cancel(this.#entry);
      this.#entry = undefined;
    }
    if (due !== Number.POSITIVE_INFINITY) this.#entry = this.#clock.at(due, this.#wake);
  }

  onReceive(sink: PacketSink | undefined): void {
    this.#link.onReceive(sink);
  }

  close(): void | Promise<void> {
    if (this.#open) {
      this.#open = false;
      if (this.#entry !== undefined) this.#clock.cancel(this.#entry);
      this.#entry = undefined;
      this.#lost += this.#flight.count;
      this.#flight.clear();
    }
    return this.#link.close();
  }
}

/**
 * A bad network in front of a link: what is sent through it is lost, doubled, held back, damaged, delayed and slowed as
 * asked. What arrives passes untouched; wrap the other end as well for that. Packets under way are lost when it closes.
 *
 * @throws SynwaveError EINVAL for an option out of range, naming its value
 */
export function impair(link: Link, options: ImpairOptions = {}): ImpairedLink {
  return new Impaired(link, options);
}
