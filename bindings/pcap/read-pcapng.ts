import {
  BLOCK_ENHANCED,
  BLOCK_INTERFACE,
  BLOCK_PACKET,
  BLOCK_SECTION,
  BLOCK_SIMPLE,
  BYTE_ORDER_MAGIC,
  type CapturedPacket,
  type Direction,
  FLAG_INBOUND,
  FLAG_OUTBOUND,
  hex,
  INTERFACE_OFFSET,
  INTERFACE_RESOLUTION,
  malformed,
  OPTION_END,
  PACKET_FLAGS,
} from "./format.ts";
import { packetOfFrame } from "./frame.ts";

interface Interface {
  readonly linkType: number;
  /** Octets; 0 for no limit. */
  readonly snaplen: number;
  readonly ticksPerMs: number;
  readonly offsetMs: number;
}

/** Octets of a block around its body: type, length, and the length again. */
const BLOCK_FRAME = 12;

/** Whether a pcapng section begins here. */
export function isPcapng(view: DataView): boolean {
  return view.getUint32(0) === BLOCK_SECTION;
}

/** Reads one capture's blocks; the byte order and the interfaces are those of the section it is in. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #little = true;
  #interfaces: Interface[] = [];
  /** The last time seen, for packets that carry none. */
  #time = 0;

  constructor(bytes: Uint8Array, view: DataView) {
    this.#bytes = bytes;
    this.#view = view;
  }

  *packets(): Generator<CapturedPacket, void, undefined> {
    let at = 0;
    while (at < this.#bytes.length) {
      const length = this.#frame(at);
      const packet = this.#block(at, length);
      if (packet !== undefined) yield packet;
      at += length;
    }
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, this.#little);
  }

  #u16(at: number): number {
    return this.#view.getUint16(at, this.#little);
  }

  /** The whole length of the block at `at`, once it proves sound; a section header sets the byte order first. */
  #frame(at: number): number {
    const rest = this.#bytes.length - at;
    if (rest < BLOCK_FRAME)
      throw malformed(at, `a block of at least ${BLOCK_FRAME} octets is cut off after ${rest}`);
    if (this.#view.getUint32(at) === BLOCK_SECTION) {
      this.#little = this.#view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
      const magic = this.#u32(at + 8);
      if (magic !== BYTE_ORDER_MAGIC) throw malformed(at + 8, `byte-order magic ${hex(magic)}`);
    }
    const length = this.#u32(at + 4);
    if (length < BLOCK_FRAME || length % 4 !== 0)
      throw malformed(at + 4, `block length ${length} (${hex(length)})`);
    if (length > rest)
      throw malformed(at + 4, `a block of ${length} octets (${hex(length)}) with ${rest} left`);
    const again = this.#u32(at + length - 4);
    if (again !== length) throw malformed(at + length - 4, `block length ${length} repeated as ${again}`);
    return length;
  }

  #block(at: number, length: number): CapturedPacket | undefined {
    const type = this.#u32(at);
    const end = at + length - 4;
    switch (type) {
      case BLOCK_SECTION:
        this.#need(at, length, 28, "section header");
        if (this.#u16(at + 12) !== 1) throw malformed(at + 12, `version ${this.#u16(at + 12)}, not 1,`);
        this.#interfaces = [];
        return undefined;
      case BLOCK_INTERFACE:
        this.#need(at, length, 20, "interface description");
        this.#interfaces.push(this.#interface(at, end));
        return undefined;
      case BLOCK_ENHANCED:
        this.#need(at, length, 32, "enhanced packet");
        return this.#packet(at, end, this.#u32(at + 8));
      case BLOCK_PACKET:
        this.#need(at, length, 32, "packet");
        return this.#packet(at, end, this.#u16(at + 8));
      case BLOCK_SIMPLE:
        this.#need(at, length, 16, "simple packet");
        return this.#simple(at, end);
      default:
        return undefined;
    }
  }

  #need(at: number, length: number, least: number, name: string): void {
    if (length < least)
      throw malformed(at + 4, `block length ${length} of the ${name} block, which takes ${least},`);
  }

  /** Offset of the value of option `code`, or -1; its length, which must be `size`, is checked. */
  #option(at: number, end: number, code: number, size: number): number {
    let next = at;
    while (next + 4 <= end) {
      const found = this.#u16(next);
      const length = this.#u16(next + 2);
      if (found === OPTION_END) return -1;
      if (next + 4 + length > end)
        throw malformed(next + 2, `option ${found} of ${length} octets past its block's end`);
      if (found === code) {
        if (length !== size) throw malformed(next + 2, `option ${found} of ${length} octets, not ${size},`);
        return next + 4;
      }
      next += 4 + ((length + 3) & -4);
    }
    return -1;
  }

  #interface(at: number, end: number): Interface {
    const resolutionAt = this.#option(at + 16, end, INTERFACE_RESOLUTION, 1);
    const resolution = resolutionAt < 0 ? 6 : this.#view.getUint8(resolutionAt);
    // The highest bit chooses between powers of two and of ten.
    const perSecond = resolution >= 128 ? 2 ** (resolution - 128) : 10 ** resolution;
    const offsetAt = this.#option(at + 16, end, INTERFACE_OFFSET, 8);
    let offsetMs = 0;
    if (offsetAt >= 0) offsetMs = Number(this.#view.getBigInt64(offsetAt, this.#little)) * 1000;
    return {
      linkType: this.#u16(at + 8),
      snaplen: this.#u32(at + 12),
      ticksPerMs: perSecond / 1000,
      offsetMs,
    };
  }

  #packet(at: number, end: number, number: number): CapturedPacket | undefined {
    const source = this.#interfaces[number];
    if (source === undefined)
      throw malformed(
        at + 8,
        `a packet of interface ${number} where ${this.#interfaces.length} are described`,
      );
    const captured = this.#u32(at + 20);
    const original = this.#u32(at + 24);
    const start = at + 28;
    if (captured > end - start)
      throw malformed(
        at + 20,
        `a packet of ${captured} octets (${hex(captured)}) in a block with room for ${end - start}`,
      );
    const ticks = this.#u32(at + 12) * 2 ** 32 + this.#u32(at + 16);
    this.#time = ticks / source.ticksPerMs + source.offsetMs;
    const flagsAt = this.#option(start + ((captured + 3) & -4), end, PACKET_FLAGS, 4);
    const direction = flagsAt < 0 ? undefined : directionOf(this.#u32(flagsAt));
    return this.#strip(start, captured, original, source, direction, at);
  }

  #simple(at: number, end: number): CapturedPacket | undefined {
    const source = this.#interfaces[0];
    if (source === undefined) throw malformed(at, "a simple packet block with no interface described");
    const original = this.#u32(at + 8);
    const captured = source.snaplen === 0 ? original : Math.min(original, source.snaplen);
    const start = at + 12;
    if (captured > end - start)
      throw malformed(
        at + 8,
        `a packet of ${captured} octets (${hex(captured)}) in a block with room for ${end - start}`,
      );
    return this.#strip(start, captured, original, source, undefined, at);
  }

  #strip(
    start: number,
    captured: number,
    original: number,
    source: Interface,
    direction: Direction | undefined,
    at: number,
  ): CapturedPacket | undefined {
    const { linkType } = source;
    return packetOfFrame(
      this.#bytes,
      this.#view,
      start,
      captured,
      original,
      linkType,
      this.#time,
      direction,
      at,
    );
  }
}

function directionOf(flags: number): Direction | undefined {
  if ((flags & 3) === FLAG_INBOUND) return "inbound";
  return (flags & 3) === FLAG_OUTBOUND ? "outbound" : undefined;
}

/** The packets of a pcapng capture. */
export function readPcapng(bytes: Uint8Array, view: DataView): Generator<CapturedPacket, void, undefined> {
  return new Reader(bytes, view).packets();
}
