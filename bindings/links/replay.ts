import { CHECKSUM_VERIFIED } from "../../assembly/shared/marks.ts";
import { type Clock, type ClockEntry, systemClock } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import { PacketBatch } from "../packet-batch.ts";
import type { CapturedPacket, Direction } from "../pcap/format.ts";
import { readCapture } from "../pcap/read.ts";
import { requireInteger } from "../validate.ts";
import { type Deferred, deferred } from "./deferred.ts";
import type { Link, PacketSink } from "./link.ts";

/** A packet to replay: `time` in milliseconds from any origin. */
export type ReplayedPacket = Pick<CapturedPacket, "time" | "data"> &
  Partial<Pick<CapturedPacket, "direction">>;

export interface ReplayOptions {
  /** Default: real time. */
  clock?: Clock;
  /** How many times faster than it happened; Infinity for as fast as it goes. Default 1. */
  speed?: number;
  /** Deliver only packets of this direction and those whose direction the capture does not tell. Default: all. */
  direction?: Direction;
  /** Default 65535. */
  mtu?: number;
  /** "none": checksums are taken for right, as those of packets that were captured before they were complete. Default "full". */
  checksum?: "full" | "none";
}

export interface ReplayStats {
  /** Packets delivered. */
  delivered: number;
  /** Packets passed over because of their direction or because no batch could hold them. */
  skipped: number;
  /** Packets sent to the link, which go nowhere. */
  sent: number;
  /** Their octets. */
  sentOctets: number;
}

export interface ReplayLink extends Link {
  readonly stats: Readonly<ReplayStats>;
  /** Resolves when the last packet has been delivered, or the link closed; rejects where the capture is broken. */
  readonly finished: Promise<void>;
}

class Replay implements ReplayLink {
  readonly mtu: number;
  readonly checksum: "full" | "none";
  readonly gso = 0;
  readonly stats: ReplayStats = { delivered: 0, skipped: 0, sent: 0, sentOctets: 0 };
  readonly #packets: Iterator<ReplayedPacket>;
  readonly #clock: Clock;
  readonly #speed: number;
  readonly #direction: Direction | undefined;
  readonly #batch = new PacketBatch();
  readonly #closed: Deferred<void> = deferred();
  readonly #finished: Deferred<void> = deferred();
  readonly #wake = () => this.#deliver();
  #next: ReplayedPacket | undefined;
  #sink: PacketSink | undefined;
  #entry: ClockEntry | undefined;
  #started = false;
  /** When, by the clock, the capture's time `#from` is. */
  #origin = 0;
  #from = 0;
  /** When the packet before was due: a capture's times may step back, its order does not. */
  #due = Number.NEGATIVE_INFINITY;

  constructor(source: Uint8Array | Iterable<ReplayedPacket>, options: ReplayOptions) {
    this.mtu = requireInteger("mtu", options.mtu ?? 65535, 68, 65535);
    this.checksum = options.checksum ?? "full";
    this.#clock = options.clock ?? systemClock;
    this.#speed = options.speed ?? 1;
    if (typeof this.#speed !== "number" || !(this.#speed > 0))
      throw new SynwaveError("EINVAL", `speed must be a positive number, not ${String(this.#speed)}`);
    this.#direction = options.direction;
    if (this.#direction !== undefined && this.#direction !== "inbound" && this.#direction !== "outbound")
      throw new SynwaveError(
        "EINVAL",
        `direction must be "inbound" or "outbound", not ${String(this.#direction)}`,
      );
    const packets = source instanceof Uint8Array ? readCapture(source) : source;
    this.#packets = packets[Symbol.iterator]();
    // Whoever does not look at the promises still finds what was delivered in `stats`.
    this.#closed.promise.catch(() => {});
    this.#finished.promise.catch(() => {});
    this.#advance();
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Find the next packet to deliver. */
  #advance(): void {
    for (;;) {
      const { value, done } = this.#packets.next();
      if (done === true) {
        this.#next = undefined;
        return;
      }
      const wanted =
        this.#direction === undefined || (value.direction ?? this.#direction) === this.#direction;
      if (wanted && value.data.length <= this.#batch.bytes.length) {
        this.#next = value;
        return;
      }
      this.stats.skipped++;
    }
  }

  onReceive(sink: PacketSink | undefined): void {
    this.#sink = sink;
    if (this.#started || sink === undefined) return;
    this.#started = true;
    this.#origin = this.#clock.now();
    this.#from = this.#next?.time ?? 0;
    this.#arm();
  }

  #arm(): void {
    if (this.#next === undefined) {
      this.#finished.resolve();
      return;
    }
    const due = this.#origin + (this.#next.time - this.#from) / this.#speed;
    this.#due = Math.max(this.#due, due);
    this.#entry = this.#clock.at(this.#due, this.#wake);
  }

  /** A batch of what is due; more of it waits for the next wake-up, so that a whole capture does not go in one turn. */
  #deliver(): void {
    this.#entry = undefined;
    const batch = this.#batch;
    const now = this.#clock.now();
    batch.clear();
    try {
      while (this.#next !== undefined) {
        const due = this.#origin + (this.#next.time - this.#from) / this.#speed;
        if (due > now || !batch.push(this.#next.data)) break;
        if (this.checksum === "none") batch.checksums[batch.count - 1] = CHECKSUM_VERIFIED;
        this.#due = Math.max(this.#due, due);
        this.#advance();
      }
    } catch (error) {
      this.#next = undefined;
      this.#finished.reject(error);
      this.#closed.reject(error);
    }
    if (batch.count > 0 && this.#sink !== undefined) {
      this.stats.delivered += batch.count;
      this.#sink(batch);
    }
    // The sink may have closed the link.
    if (this.#started) this.#arm();
  }

  send(batch: PacketBatch): void {
    this.stats.sent += batch.count;
    for (let i = 0; i < batch.count; i++) this.stats.sentOctets += batch.table[i * 2 + 1];
  }

  close(): void {
    this.#started = false;
    this.#sink = undefined;
    this.#next = undefined;
    if (this.#entry !== undefined) this.#clock.cancel(this.#entry);
    this.#entry = undefined;
    this.#finished.resolve();
    this.#closed.resolve();
  }
}

/**
 * A link that delivers a capture's packets with the time between them that they had, from when it is first given a
 * taker; what is sent to it is counted and goes nowhere. Packets that arrive while it has no taker any more are dropped.
 *
 * @param source a pcap or pcapng file, or packets in order
 * @throws SynwaveError EINVAL for an option out of range, ERR_CAPTURE_FORMAT for a file that is no capture
 */
export function replay(
  source: Uint8Array | Iterable<ReplayedPacket>,
  options: ReplayOptions = {},
): ReplayLink {
  return new Replay(source, options);
}
