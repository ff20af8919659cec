import type { PacketBatch } from "../packet-batch.ts";

/** Whoever takes the packets a link delivers; the batch is valid during the call only. */
export type PacketSink = (batch: PacketBatch) => void;

/** Something that carries IP packets. A stack drives an engine from one; links wrap links. */
export interface Link {
  /** Largest IP packet it carries, in octets. */
  readonly mtu: number;
  /**
   * "none": it takes packets whose TCP and UDP checksums are not complete, as `PacketBatch.checksums` tells of each. Default
   * "full": they must be right.
   */
  readonly checksum?: "full" | "none" | undefined;
  /** Octets of the largest packet that it cuts into segments itself, as `PacketBatch.segments` tells. Default 0: none. */
  readonly gso?: number | undefined;
  /** Batches given to `send` may stand in an engine's memory, shared or not, which spares a copy. Default false. */
  readonly borrows?: boolean | undefined;
  /**
   * Send a batch. The batch belongs to the caller and is valid during the call only: a link that keeps packets copies
   * them. Never throws for a packet's sake: one that cannot be carried is dropped, as networks do.
   */
  send(batch: PacketBatch): void;
  /** Name the taker of arriving packets; one at a time. Packets that arrive while there is none are dropped. */
  onReceive(sink: PacketSink | undefined): void;
  /** Stop carrying, release what is held. Idempotent. */
  close(): void | Promise<void>;
  /** Resolves once closed; rejects with the error when the link broke by itself (a TUN device that went away). */
  readonly closed: Promise<void>;
}
