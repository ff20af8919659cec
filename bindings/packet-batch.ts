import { SynwaveError } from "./errors.ts";
import { Views } from "./views.ts";

/** Packets start on this boundary: a copy into shared memory is several times slower when it is off by a byte. */
const ALIGN = 8;

/**
 * IP packets in one contiguous buffer, with a table of where each begins and how long it is: what crosses the boundary
 * of the engine and what a link carries. Made once and used again; nothing is allocated per packet.
 */
export class PacketBatch {
  /** The packets' bytes; packet `i` is `table[2 * i + 1]` octets from `table[2 * i]`. */
  readonly bytes: Uint8Array;
  /** Offset and length of each packet in turn. Offsets ascend and are multiples of 8. */
  readonly table: Int32Array;
  /**
   * For each packet, octets of text of each TCP segment into which whoever takes the batch is to cut it, or of which it was
   * put together; all but the last have so many. 0: the packet is as it is.
   */
  readonly segments: Uint16Array;
  /**
   * What each packet's TCP or UDP checksum is: 0, right or to be verified; 1, the field holds the sum over the
   * pseudo-header only, and whoever puts the packet on a wire completes it; 2, verified already. What is not 0 is believed.
   */
  readonly checksums: Uint8Array;
  /** Of `bytes`; for the engine's own use. */
  readonly views: Views;
  /** Packets held. */
  count = 0;
  /** Octets of `bytes` in use, alignment included. */
  used = 0;

  /**
   * @param packets most packets the batch holds
   * @param bytes octets of packet data it holds, alignment included
   * @param places for the engine's own use: where bytes and table are to be, if not in memory of the batch's own
   */
  constructor(packets = 64, bytes = 128 * 1024, places?: readonly [bytes: Uint8Array, table: Int32Array]) {
    if (!Number.isSafeInteger(packets) || packets < 1)
      throw new SynwaveError("EINVAL", `packets must be a positive integer, not ${packets}`);
    if (!Number.isSafeInteger(bytes) || bytes < ALIGN)
      throw new SynwaveError("EINVAL", `bytes must be an integer of at least ${ALIGN}, not ${bytes}`);
    [this.bytes, this.table] = places ?? [new Uint8Array(bytes), new Int32Array(packets * 2)];
    this.views = new Views(this.bytes);
    this.segments = new Uint16Array(packets);
    this.checksums = new Uint8Array(packets);
  }

  /** Most packets the batch holds. */
  get capacity(): number {
    return this.table.length >> 1;
  }

  /** Forget all packets; the buffer stays. */
  clear(): void {
    this.count = 0;
    this.used = 0;
  }

  /** Append a copy of `packet`. False when there is no room for it. */
  push(packet: Uint8Array): boolean {
    const at = this.used;
    const length = packet.length;
    if (this.count * 2 >= this.table.length || at + length > this.bytes.length) return false;
    this.bytes.set(packet, at);
    this.commit(length);
    return true;
  }

  /** Append a copy of packet `index` of another batch, or of `length` octets at `offset` of a buffer like it. */
  pushFrom(source: Uint8Array, offset: number, length: number, segments = 0, checksum = 0): boolean {
    const at = this.used;
    if (this.count * 2 >= this.table.length || at + length > this.bytes.length) return false;
    // copyWithin semantics across buffers without a view per packet: small packets byte by byte, large ones by set.
    if (length <= 64) for (let i = 0; i < length; i++) this.bytes[at + i] = source[offset + i]!;
    else this.bytes.set(source.subarray(offset, offset + length), at);
    this.commit(length, segments, checksum);
    return true;
  }

  /**
   * Enter `length` octets just written at `bytes[used…]` as the next packet; there must be room for them. `segments` and
   * `checksum` are its entries in the tables of those names.
   */
  commit(length: number, segments = 0, checksum = 0): void {
    const entry = this.count * 2;
    this.table[entry] = this.used;
    this.table[entry + 1] = length;
    this.segments[this.count] = segments;
    this.checksums[this.count] = checksum;
    this.count++;
    this.used = (this.used + length + ALIGN - 1) & -ALIGN;
  }

  /** A copy of packet `index`. */
  packet(index: number): Uint8Array {
    const offset = this.table[index * 2]!;
    return this.bytes.slice(offset, offset + this.table[index * 2 + 1]!);
  }
}
