import { type Clock, systemClock } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import type { PacketBatch } from "../packet-batch.ts";
import type { Direction } from "../pcap/format.ts";
import { PcapngWriter } from "../pcap/write.ts";
import { requireInteger } from "../validate.ts";
import type { Link, PacketSink } from "./link.ts";
import { type ByteSink, Outlet } from "./outlet.ts";

export interface CaptureOptions {
  /** Default: real time. */
  clock?: Clock;
  /** What the clock's zero is in milliseconds since 1970. Default: right for real time, 0 for any other clock. */
  epoch?: number;
  /** Octets kept of each packet; 0 for all of them. Default 0. */
  snaplen?: number;
  /** A remark for the file. */
  comment?: string;
  /** The interface's name in the file. Default "synwave". */
  name?: string;
  /** Octets held for a sink that is slow; packets beyond them are missing in the file, not on the link. Default 16 MiB. */
  buffer?: number;
}

export interface CaptureStats {
  /** Packets that passed. */
  packets: number;
  /** Those that are missing in the file, because the sink was too slow or failed. */
  missing: number;
  /** Octets given to the sink. */
  octets: number;
}

export interface CaptureLink extends Link {
  readonly stats: Readonly<CaptureStats>;
  /** What the sink failed with; the link goes on without it. */
  readonly failure: Error | undefined;
  /** Close the link below, complete the file and close the sink. Rejects with `failure`. */
  close(): Promise<void>;
}

class Capture implements CaptureLink {
  readonly mtu: number;
  readonly checksum: "full" | "none";
  readonly gso: number;
  readonly stats: CaptureStats = { packets: 0, missing: 0, octets: 0 };
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #epoch: number;
  readonly #writer: PcapngWriter;
  readonly #outlet: Outlet;
  readonly #start: number;
  #closing: Promise<void> | undefined;

  constructor(link: Link, sink: ByteSink | WritableStream<Uint8Array>, options: CaptureOptions) {
    const snaplen = requireInteger("snaplen", options.snaplen ?? 0, 0, 0x7fffffff);
    const buffer = requireInteger("buffer", options.buffer ?? 16 * 2 ** 20, 0, Number.MAX_SAFE_INTEGER);
    for (const name of ["comment", "name"] as const)
      if (options[name] !== undefined && options[name].length > 16384)
        throw new SynwaveError("EINVAL", `${name} has ${options[name].length} characters, more than 16384`);
    this.#clock = options.clock ?? systemClock;
    const epoch = options.epoch ?? (this.#clock === systemClock ? performance.timeOrigin : 0);
    if (!Number.isFinite(epoch) || epoch < 0)
      throw new SynwaveError("EINVAL", `epoch must be milliseconds since 1970, not ${String(epoch)}`);
    this.mtu = link.mtu;
    this.checksum = link.checksum ?? "full";
    this.gso = link.gso ?? 0;
    this.#link = link;
    this.#epoch = epoch;
    this.#writer = new PcapngWriter(snaplen);
    this.#outlet = new Outlet(sink, buffer);
    this.#start = this.#time();
    const { comment, name = "synwave" } = options;
    this.#write(PcapngWriter.header({ snaplen, comment, name }));
  }

  get closed(): Promise<void> {
    return this.#link.closed;
  }

  get failure(): Error | undefined {
    return this.#outlet.failure;
  }

  /** Microseconds since 1970; the file cannot say what was before. */
  #time(): number {
    return Math.max(0, Math.round((this.#clock.now() + this.#epoch) * 1000));
  }

  #write(chunk: Uint8Array): void {
    this.stats.octets += chunk.length;
    this.#outlet.write(chunk);
  }

  #record(batch: PacketBatch, direction: Direction): void {
    const { count } = batch;
    if (count === 0) return;
    this.stats.packets += count;
    // The blocks' lengths are not known yet; what the packets take is near enough for a limit.
    if (this.#closing === undefined && this.#outlet.takes(batch.used))
      this.#write(this.#writer.packets(batch, this.#time(), direction));
    else this.stats.missing += count;
  }

  send(batch: PacketBatch): void {
    this.#record(batch, "outbound");
    this.#link.send(batch);
  }

  onReceive(sink: PacketSink | undefined): void {
    this.#link.onReceive(
      sink === undefined
        ? undefined
        : (batch) => {
            this.#record(batch, "inbound");
            sink(batch);
          },
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    const { packets, missing } = this.stats;
    this.#write(PcapngWriter.statistics(packets, missing, this.#start, this.#time()));
    // The file is completed even when the link below fails to close.
    const [below, sink] = await Promise.allSettled([this.#link.close(), this.#outlet.close()]);
    for (const result of [below, sink]) if (result.status === "rejected") throw result.reason;
  }
}

/**
 * Record what passes a link, both ways, as pcapng: raw IP packets with their time and direction.
 *
 * @param sink takes the file's bytes, a chunk for each batch
 * @throws SynwaveError EINVAL for an option out of range
 */
export function capture(
  link: Link,
  sink: ByteSink | WritableStream<Uint8Array>,
  options: CaptureOptions = {},
): CaptureLink {
  return new Capture(link, sink, options);
}
