import { type Clock, type ClockEntry, systemClock } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import type { PacketBatch } from "../packet-batch.ts";
import { requireInteger, requireNumber, requireProbability, requireTime } from "../validate.ts";
import { Codel, type CodelOptions } from "./codel.ts";
import { type Discipline, DROP, HIT, PASS } from "./discipline.ts";
import { isEcnCapable } from "./ecn.ts";
import { Flight } from "./flight.ts";
import type { Link, PacketSink } from "./link.ts";
import { type GilbertElliott, Loss } from "./loss.ts";
import { Prng } from "./prng.ts";
import { Red, type RedOptions } from "./red.ts";

export interface ImpairOptions {
  /** Default: real time. */
  clock?: Clock;
  /** Integer from 0 to 2^53 - 1; the same seed and the same packets at the same times fare the same. Default 0. */
  seed?: number;
  /** Probability that a packet vanishes before it comes to the line, or how it does so in bursts. */
  loss?: number | GilbertElliott;
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
  /** With `rate`: who drops packets before the queue is full. Default "tail": nobody. */
  discipline?: "tail" | RedOptions | CodelOptions;
  /** With a `discipline`: mark packets whose sender understands it instead of dropping them early (RFC 3168). */
  ecn?: boolean;
  /** Octets of packets that may be under way, allocated at once; others are dropped. Default 32 MiB. */
  capacity?: number;
}

/** `sent` + `duplicated` = `delivered` + `lost` + `queueDrops` + `earlyDrops` + `inFlight`. */
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
  /** Packets that the `discipline` dropped. */
  earlyDrops: number;
  /** Packets that it marked. */
  marked: number;
  /** Packets that wait or are under way. */
  inFlight: number;
}

export interface ImpairedLink extends Link {
  /** A snapshot. */
  readonly stats: ImpairStats;
}

class Impaired implements ImpairedLink {
  readonly mtu: number;
  readonly checksum: "full" | "none";
  /** Segments are lost one by one, so packets of several are not taken. */
  readonly gso = 0;
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #chance: Prng;
  readonly #flight: Flight;
  readonly #loss: Loss;
  readonly #duplicate: number;
  readonly #reorder: number;
  readonly #reorderDelay: number;
  readonly #corrupt: number;
  readonly #delay: number;
  readonly #jitter: number;
  readonly #msPerOctet: number;
  readonly #queue: number;
  readonly #discipline: Discipline | undefined = undefined;
  readonly #ecn: boolean;
  readonly #stats = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    queueDrops: 0,
    earlyDrops: 0,
    marked: 0,
  };
  readonly #wake = () => {
    this.#entry = undefined;
    this.#release();
  };
  #entry: ClockEntry | undefined;
  #open = true;
  #releasing = false;
  /** When the line has sent all that was let onto it. */
  #lineFree = Number.NEGATIVE_INFINITY;
  /** Octets that wait for the line, without the packet on it. */
  #backlog = 0;
  /** When the latest packet that was not held back is due. */
  #lastDue = Number.NEGATIVE_INFINITY;

  constructor(link: Link, options: ImpairOptions) {
    this.#link = link;
    this.#clock = options.clock ?? systemClock;
    this.#chance = new Prng(options.seed ?? 0);
    this.#loss = new Loss(options.loss ?? 0, this.#chance);
    this.#duplicate = requireProbability("duplicate", options.duplicate ?? 0);
    this.#reorder = requireProbability("reorder", options.reorder ?? 0);
    this.#corrupt = requireProbability("corrupt", options.corrupt ?? 0);
    this.#delay = requireTime("delay", options.delay ?? 0);
    this.#jitter = requireTime("jitter", options.jitter ?? 0, this.#delay);
    this.#reorderDelay = requireTime("reorderDelay", options.reorderDelay ?? Math.max(1, this.#delay / 4));
    const none = Number.POSITIVE_INFINITY;
    const rate = requireNumber("rate", options.rate ?? none, none, true, "bits per second");
    this.#msPerOctet = 8000 / rate;
    const { queue, discipline = "tail", ecn = false } = options;
    const kind: string = (discipline as RedOptions | CodelOptions)?.kind ?? discipline;
    if (rate === none && (queue !== undefined || discipline !== "tail"))
      throw new SynwaveError("EINVAL", `nothing queues without a rate: queue ${queue}, discipline ${kind}`);
    this.#queue =
      queue === undefined ? none : requireInteger("queue", queue, link.mtu, Number.MAX_SAFE_INTEGER);
    if (kind === "red")
      this.#discipline = new Red(
        discipline as RedOptions,
        this.#queue,
        link.mtu * this.#msPerOctet,
        this.#chance,
      );
    else if (kind === "codel") this.#discipline = new Codel(discipline as CodelOptions, link.mtu);
    else if (discipline !== "tail")
      throw new SynwaveError("EINVAL", `discipline must be tail, red or codel, not ${kind}`);
    if (typeof ecn !== "boolean" || (ecn && discipline === "tail"))
      throw new SynwaveError("EINVAL", `ecn must be false, or true with a discipline: ${ecn}`);
    this.#ecn = ecn;
    const capacity = requireInteger("capacity", options.capacity ?? 32 * 2 ** 20, 65536, 2 ** 30);
    this.#flight = new Flight(capacity);
    this.mtu = link.mtu;
    // Only a checksum finds the flipped bit.
    this.checksum = this.#corrupt > 0 ? "full" : (link.checksum ?? "full");
  }

  get closed(): Promise<void> {
    return this.#link.closed;
  }

  get stats(): ImpairStats {
    return { ...this.#stats, inFlight: this.#flight.count };
  }

  send(batch: PacketBatch): void {
    if (!this.#open) return;
    const now = this.#clock.now();
    const { bytes, table, checksums, count } = batch;
    this.#stats.sent += count;
    // Whose turn was before now does not wait for those that come now.
    this.#serve(now);
    const base = this.#flight.store(bytes, 0, batch.used);
    for (let i = 0; i < count * 2; i += 2) {
      const checksum = checksums[i >> 1];
      if (base >= 0) this.#enter(base + table[i], table[i + 1], now, checksum);
      else {
        const at = this.#flight.store(bytes, table[i], table[i + 1]);
        if (at < 0) this.#stats.queueDrops++;
        else {
          this.#enter(at, table[i + 1], now, checksum);
          this.#flight.seal();
        }
      }
    }
    if (base >= 0) this.#flight.seal();
    this.#release();
  }

  #enter(at: number, length: number, now: number, checksum: number): void {
    if (this.#loss.hits()) {
      this.#stats.lost++;
      return;
    }
    const twice = this.#chance.chance(this.#duplicate);
    this.#carry(at, length, now, checksum);
    if (twice) {
      this.#stats.duplicated++;
      this.#carry(at, length, now, checksum);
    }
  }

  #carry(at: number, length: number, now: number, checksum: number): void {
    const idle = now - this.#lineFree;
    // To the octet: rounding errors of the times must not decide whether the last packet fits.
    const waiting = this.#backlog + (idle < 0 ? Math.round(-idle / this.#msPerOctet) : 0);
    let verdict = this.#discipline?.arrives?.(waiting, idle) ?? PASS;
    if (verdict === HIT && !this.#mark(at, length)) verdict = DROP;
    if (verdict === DROP) this.#stats.earlyDrops++;
    else if (!this.#flight.hasRoom || waiting + length > this.#queue) this.#stats.queueDrops++;
    else {
      if (verdict === HIT) this.#stats.marked++;
      this.#flight.enter(at, length, now, verdict === HIT, checksum);
      this.#backlog += length;
      this.#serve(now);
    }
  }

  /** Whether a packet that was hit may be marked instead of dropped. */
  #mark(at: number, length: number): boolean {
    return this.#ecn && isEcnCapable(this.#flight.out.bytes, at, length);
  }

  /** Let those onto the line whose turn has come by `now`. */
  #serve(now: number): void {
    const flight = this.#flight;
    while (flight.waiting > 0 && this.#lineFree <= now) {
      const since = flight.firstSince;
      const start = Math.max(since, this.#lineFree);
      const length = flight.firstLength;
      this.#backlog -= length;
      const hit = this.#discipline?.leaves?.(start, start - since, this.#backlog) ?? false;
      if (hit && !this.#mark(flight.firstAt, length)) {
        this.#stats.earlyDrops++;
        flight.discard();
        continue;
      }
      if (hit) this.#stats.marked++;
      this.#lineFree = start + length * this.#msPerOctet;
      this.#depart(length, hit);
    }
  }

  #depart(length: number, marked: boolean): void {
    const chance = this.#chance;
    let due = this.#lineFree + this.#delay;
    if (this.#jitter > 0) due += (chance.fraction() * 2 - 1) * this.#jitter;
    if (due < this.#lastDue) due = this.#lastDue;
    if (chance.chance(this.#reorder)) {
      this.#stats.reordered++;
      due += (1 - chance.fraction()) * this.#reorderDelay;
    } else this.#lastDue = due;
    let flip = -1;
    if (length > 0 && chance.chance(this.#corrupt)) {
      this.#stats.corrupted++;
      flip = chance.below(length * 8);
    }
    this.#flight.depart(due, marked, flip);
  }

  /** Send on what is due, and ask to be woken for the rest. A link that answers at once may call `send` meanwhile. */
  #release(): void {
    if (this.#releasing) return;
    const flight = this.#flight;
    this.#releasing = true;
    try {
      for (;;) {
        const now = this.#clock.now();
        this.#serve(now);
        if (flight.take(now) === 0) break;
        this.#stats.delivered += flight.out.count;
        this.#link.send(flight.out);
      }
    } finally {
      this.#releasing = false;
    }
    let { due } = flight;
    // One wake-up for both the line's turn and the arrival: nobody can tell when the turn was taken.
    if (flight.waiting > 0)
      due = Math.min(
        due,
        this.#lineFree + flight.firstLength * this.#msPerOctet + this.#delay - this.#jitter,
      );
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
      this.#stats.lost += this.#flight.count;
      this.#backlog = 0;
      this.#flight.clear();
    }
    return this.#link.close();
  }
}

/**
 * A bad network in front of a link: what is sent through it is lost, doubled, held back, damaged, delayed, slowed and
 * queued as asked, in that order: loss, duplication, queue and line, then the way with its delays and damages. What arrives passes untouched; wrap the other end as well for that. Packets under way are lost when it closes.
 *
 * @throws SynwaveError EINVAL for an option out of range, naming its value
 */
export function impair(link: Link, options: ImpairOptions = {}): ImpairedLink {
  return new Impaired(link, options);
}
