import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED } from "../../assembly/shared/marks.ts";
import { Transport } from "../checksum.ts";
import { SynwaveError } from "../errors.ts";
import type { PacketBatch } from "../packet-batch.ts";
import { LITTLE_ENDIAN, type Libc } from "./libc.ts";

/** linux/virtio_net.h: struct virtio_net_hdr, in the host's byte order. */
export const VNET_HEADER = 10;
const FLAGS = 0;
const GSO_TYPE = 1;
const HEADER_LENGTH = 2;
const GSO_SIZE = 4;
const CHECKSUM_START = 6;
const CHECKSUM_OFFSET = 8;
const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const GSO_TCP4 = 1;
const GSO_TCP6 = 4;

/** Where the vector stands behind the header: two struct iovec. */
const VECTOR = 16;
const POINTER = 8;

/**
 * Reads and writes packets with what is told of them in a header of its own, the packet straight from and to a batch: the
 * two are one vector, whose second part alone moves.
 */
export class Vnet {
  readonly #libc: Libc;
  readonly #view = new DataView(new ArrayBuffer(VECTOR + 4 * POINTER));
  readonly #vector: number;
  readonly #where = new Transport();

  /** @throws SynwaveError ENOTSUP where pointers have 32 bits */
  constructor(libc: Libc, what: string) {
    if (libc.koffi.sizeof("void *") !== POINTER)
      throw new SynwaveError("ENOTSUP", `${what} has no offload on a machine of 32 bits`);
    this.#libc = libc;
    const header = Number(libc.koffi.address(this.#view));
    this.#vector = header + VECTOR;
    this.#put(VECTOR, header);
    this.#put(VECTOR + POINTER, VNET_HEADER);
  }

  /** A number of 64 bits, without an object for it. */
  #put(at: number, value: number): void {
    this.#view.setUint32(LITTLE_ENDIAN ? at : at + 4, value >>> 0, LITTLE_ENDIAN);
    this.#view.setUint32(LITTLE_ENDIAN ? at + 4 : at, Math.floor(value / 2 ** 32), LITTLE_ENDIAN);
  }

  #aim(address: number, length: number): void {
    this.#put(VECTOR + 2 * POINTER, address);
    this.#put(VECTOR + 3 * POINTER, length);
  }

  /** Write packet `i` of a batch whose bytes are at `base`; a negative number when it was refused. */
  write(fd: number, base: number, { bytes, table, segments, checksums }: PacketBatch, i: number): number {
    const at = table[2 * i]!;
    const length = table[2 * i + 1]!;
    const view = this.#view;
    view.setUint32(0, 0);
    view.setUint32(4, 0);
    view.setUint16(8, 0);
    const size = segments[i]!;
    if ((size > 0 || checksums[i] === CHECKSUM_PARTIAL) && this.#where.find(bytes, at, length)) {
      const { start, field, text } = this.#where;
      view.setUint8(FLAGS, NEEDS_CSUM);
      view.setUint16(CHECKSUM_START, start, LITTLE_ENDIAN);
      view.setUint16(CHECKSUM_OFFSET, field - start, LITTLE_ENDIAN);
      view.setUint16(HEADER_LENGTH, text, LITTLE_ENDIAN);
      if (size > 0) {
        view.setUint8(GSO_TYPE, bytes[at]! >> 4 === 6 ? GSO_TCP6 : GSO_TCP4);
        view.setUint16(GSO_SIZE, size, LITTLE_ENDIAN);
      }
    }
    this.#aim(base + at, length);
    return this.#libc.writeVector(fd, this.#vector, 2);
  }

  /** Read a packet of at most `room` octets to `address`: its length, or a negative number. */
  read(fd: number, address: number, room: number): number {
    this.#aim(address, room);
    const length = this.#libc.readVector(fd, this.#vector, 2);
    return length < 0 ? length : Math.max(0, length - VNET_HEADER);
  }

  /** Of the packet just read, what PacketBatch.segments and PacketBatch.checksums have for it. */
  get segments(): number {
    return this.#view.getUint8(GSO_TYPE) === 0 ? 0 : this.#view.getUint16(GSO_SIZE, LITTLE_ENDIAN);
  }

  get checksum(): number {
    const flags = this.#view.getUint8(FLAGS);
    return flags & NEEDS_CSUM ? CHECKSUM_PARTIAL : flags & DATA_VALID ? CHECKSUM_VERIFIED : 0;
  }
}
