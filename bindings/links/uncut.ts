import { CHECKSUM_PARTIAL } from "../../assembly/shared/marks.ts";
import { complete, store, sum, Transport } from "../checksum.ts";
import { PacketBatch } from "../packet-batch.ts";
import type { Link } from "./link.ts";

const FIN_AND_PSH = 0x09;
const CWR = 0x80;

/**
 * Sends batches on a link that may take less than they have: packets of several segments are cut, checksums completed,
 * where the link does not do so itself.
 */
export class Uncut {
  readonly #link: Link;
  readonly #gso: number;
  readonly #full: boolean;
  readonly #where = new Transport();
  #out: PacketBatch | undefined;

  constructor(link: Link) {
    this.#link = link;
    this.#gso = link.gso ?? 0;
    this.#full = (link.checksum ?? "full") === "full";
  }

  send(batch: PacketBatch): void {
    if (!this.#isTooMuch(batch)) {
      this.#link.send(batch);
      return;
    }
    this.#out ??= new PacketBatch(256, 256 * 1024);
    const { bytes, table, segments, checksums } = batch;
    for (let i = 0; i < batch.count; i++) {
      const at = table[i * 2]!;
      const length = table[i * 2 + 1]!;
      if (this.#mustCut(segments[i]!, length)) this.#cut(bytes, at, length, segments[i]!);
      else this.#pass(bytes, at, length, segments[i]!, checksums[i]!);
    }
    this.#flush();
  }

  #mustCut(segments: number, length: number): boolean {
    return segments > 0 && length > this.#gso;
  }

  #isTooMuch({ count, table, segments, checksums }: PacketBatch): boolean {
    for (let i = 0; i < count; i++)
      if (
        this.#mustCut(segments[i]!, table[i * 2 + 1]!) ||
        (this.#full && segments[i] === 0 && checksums[i] === CHECKSUM_PARTIAL)
      )
        return true;
    return false;
  }

  #flush(): void {
    const out = this.#out!;
    if (out.count > 0) this.#link.send(out);
    out.clear();
  }

  /** The batch that goes out, with room for a packet of `length` octets. */
  #room(length: number): PacketBatch {
    const out = this.#out!;
    if (out.count === out.capacity || out.used + length > out.bytes.length) this.#flush();
    return out;
  }

  #pass(bytes: Uint8Array, at: number, length: number, segments: number, checksum: number): void {
    const out = this.#room(length);
    const to = out.used;
    const completes = this.#full && segments === 0 && checksum === CHECKSUM_PARTIAL;
    out.pushFrom(bytes, at, length, segments, completes ? 0 : checksum);
    if (completes) complete(out.bytes, to, length, this.#where);
  }

  #cut(bytes: Uint8Array, at: number, length: number, size: number): void {
    const where = this.#where;
    if (!where.find(bytes, at, length)) return;
    const { start, field, text } = where;
    const six = bytes[at]! >> 4 === 6;
    const sequence = read32(bytes, at + start + 4);
    const id = read16(bytes, at + 4);
    // Both addresses and the protocol: what was there, without the length.
    const pseudo = read16(bytes, at + field) + 0xffff - (length - start);
    for (let done = 0; text + done < length; done += size) {
      const octets = Math.min(size, length - text - done);
      const last = text + done + octets === length;
      const total = text + octets;
      const out = this.#room(total);
      const { bytes: to, used: ip } = out;
      to.set(bytes.subarray(at, at + text), ip);
      to.set(bytes.subarray(at + text + done, at + text + done + octets), ip + text);
      if (six) write16(to, ip + 4, total - 40);
      else {
        write16(to, ip + 2, total);
        write16(to, ip + 4, id + done / size);
        write16(to, ip + 10, 0);
        store(to, ip + 10, sum(to, ip, (to[ip]! & 15) * 4));
      }
      const tcp = ip + start;
      write16(to, tcp + 4, (sequence + done) >>> 16);
      write16(to, tcp + 6, sequence + done);
      if (!last) to[tcp + 13]! &= ~FIN_AND_PSH;
      if (done > 0) to[tcp + 13]! &= ~CWR;
      write16(to, ip + field, 0);
      store(to, ip + field, sum(to, tcp, total - start) + pseudo + total - start);
      out.commit(total);
    }
  }
}

function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function read32(bytes: Uint8Array, at: number): number {
  return read16(bytes, at) * 0x10000 + read16(bytes, at + 2);
}

function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}
