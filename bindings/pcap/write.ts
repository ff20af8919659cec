import { CHECKSUM_PARTIAL } from "../../assembly/shared/marks.ts";
import { complete, Transport } from "../checksum.ts";
import type { PacketBatch } from "../packet-batch.ts";
import {
  BLOCK_ENHANCED,
  BLOCK_INTERFACE,
  BLOCK_SECTION,
  BLOCK_STATISTICS,
  BYTE_ORDER_MAGIC,
  type Direction,
  FLAG_INBOUND,
  FLAG_OUTBOUND,
  INTERFACE_NAME,
  INTERFACE_RESOLUTION,
  LINKTYPE_RAW,
  OPTION_COMMENT,
  OPTION_END,
  PACKET_FLAGS,
  SECTION_APPLICATION,
  STATISTICS_DROPPED,
  STATISTICS_END,
  STATISTICS_RECEIVED,
  STATISTICS_START,
} from "./format.ts";

/** An option's code and value: a text, an octet, or a 64-bit number as its upper and lower half. */
type Option = [code: number, value: string | number | readonly [high: number, low: number]];

/** Octets of an enhanced packet block besides the packet: 28 before it, 12 of options and the length after it. */
const PACKET_OVERHEAD = 28 + 12 + 4;

const text = new TextEncoder();

/** A block: its fixed part in 32-bit words, then options. */
function block(type: number, words: readonly number[], options: readonly Option[]): Uint8Array {
  const values = options.map(([, value]) => (typeof value === "string" ? text.encode(value) : value));
  let length = 12 + words.length * 4 + 4;
  for (const value of values) length += 4 + ((sizeOf(value) + 3) & -4);
  const view = new DataView(new ArrayBuffer(length));
  const bytes = new Uint8Array(view.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let at = 8;
  for (const word of words) {
    view.setUint32(at, word, true);
    at += 4;
  }
  values.forEach((value, i) => {
    const size = sizeOf(value);
    view.setUint16(at, options[i][0], true);
    view.setUint16(at + 2, size, true);
    if (value instanceof Uint8Array) bytes.set(value, at + 4);
    else if (typeof value === "number") view.setUint8(at + 4, value);
    else {
      view.setUint32(at + 4, value[0], true);
      view.setUint32(at + 8, value[1], true);
    }
    at += 4 + ((size + 3) & -4);
  });
  view.setUint32(at, OPTION_END, true);
  view.setUint32(at + 4, length, true);
  return bytes;
}

function sizeOf(value: Uint8Array | number | readonly [number, number]): number {
  if (value instanceof Uint8Array) return value.length;
  return typeof value === "number" ? 1 : 8;
}

/** Upper half of a count of microseconds, which fits a double for 285 years. */
function upper(us: number): number {
  return Math.floor(us / 2 ** 32);
}

export interface PcapngOptions {
  /** Octets kept of a packet; 0 for all. */
  snaplen: number;
  comment?: string | undefined;
  /** The interface's name. */
  name?: string | undefined;
}

/** Writes one section with one interface of raw IP packets, timed in microseconds, as pcapng. */
export class PcapngWriter {
  readonly #snaplen: number;
  /** Packet blocks are put together at the front, from a copy of the batch's bytes at the back. */
  #scratch = new Uint8Array(0);
  #view = new DataView(this.#scratch.buffer);
  readonly #transport = new Transport();

  constructor(snaplen: number) {
    this.#snaplen = snaplen;
  }

  /** What a file begins with. */
  static header(options: PcapngOptions): Uint8Array {
    const about: Option[] = [[SECTION_APPLICATION, "Synwave"]];
    if (options.comment !== undefined) about.unshift([OPTION_COMMENT, options.comment]);
    // Version 1.0, section length unknown.
    const section = block(BLOCK_SECTION, [BYTE_ORDER_MAGIC, 1, 0xffffffff, 0xffffffff], about);
    const link: Option[] = [[INTERFACE_RESOLUTION, 6]];
    if (options.name !== undefined) link.unshift([INTERFACE_NAME, options.name]);
    const face = block(BLOCK_INTERFACE, [LINKTYPE_RAW, options.snaplen], link);
    const bytes = new Uint8Array(section.length + face.length);
    bytes.set(section);
    bytes.set(face, section.length);
    return bytes;
  }

  /** What it may end with: packets seen and not recorded, first and last time. */
  static statistics(received: number, dropped: number, startUs: number, endUs: number): Uint8Array {
    return block(
      BLOCK_STATISTICS,
      [0, upper(endUs), endUs >>> 0],
      [
        // Times have their upper half first, counts are plain 64-bit numbers in the file's byte order.
        [STATISTICS_START, [upper(startUs), startUs >>> 0]],
        [STATISTICS_END, [upper(endUs), endUs >>> 0]],
        [STATISTICS_RECEIVED, [received >>> 0, upper(received)]],
        [STATISTICS_DROPPED, [dropped >>> 0, upper(dropped)]],
      ],
    );
  }

  /** The batch's packets as blocks, in a chunk of their own. */
  packets(batch: PacketBatch, us: number, direction: Direction): Uint8Array {
    const { count, table } = batch;
    const snaplen = this.#snaplen > 0 ? this.#snaplen : 0xffffffff;
    let size = 0;
    for (let i = 0; i < count; i++)
      size += PACKET_OVERHEAD + ((Math.min(table[i * 2 + 1], snaplen) + 3) & -4);
    if (this.#scratch.length < size + batch.used) {
      this.#scratch = new Uint8Array(size + batch.used);
      this.#view = new DataView(this.#scratch.buffer);
    }
    const scratch = this.#scratch;
    const view = this.#view;
    // One view for the batch instead of one for each packet.
    scratch.set(batch.bytes.subarray(0, batch.used), size);
    // What reads the file would take them for wrong. Of a packet of several segments it is that of the whole.
    for (let i = 0; i < count; i++)
      if (batch.checksums[i] === CHECKSUM_PARTIAL)
        complete(scratch, size + table[i * 2], table[i * 2 + 1], this.#transport);
    const flags = direction === "inbound" ? FLAG_INBOUND : FLAG_OUTBOUND;
    const high = upper(us);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const original = table[i * 2 + 1];
      const captured = Math.min(original, snaplen);
      const padded = (captured + 3) & -4;
      const length = PACKET_OVERHEAD + padded;
      view.setUint32(at, BLOCK_ENHANCED, true);
      view.setUint32(at + 4, length, true);
      view.setUint32(at + 8, 0, true);
      view.setUint32(at + 12, high, true);
      view.setUint32(at + 16, us >>> 0, true);
      view.setUint32(at + 20, captured, true);
      view.setUint32(at + 24, original, true);
      const data = at + 28;
      const from = size + table[i * 2];
      scratch.copyWithin(data, from, from + captured);
      for (let pad = captured; pad < padded; pad++) scratch[data + pad] = 0;
      const options = data + padded;
      view.setUint32(options, PACKET_FLAGS | (4 << 16), true);
      view.setUint32(options + 4, flags, true);
      view.setUint32(options + 8, OPTION_END, true);
      view.setUint32(options + 12, length, true);
      at += length;
    }
    return scratch.slice(0, size);
  }
}
