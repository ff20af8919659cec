/** Checksums of TCP and UDP in packets that carry only the sum over their pseudo-header (CHECKSUM_PARTIAL). */

const TCP = 6;
const UDP = 17;

/** Where things stand in a packet, in octets from its beginning. One is made for many packets. */
export class Transport {
  /** The TCP or UDP header. */
  start = 0;
  /** Its checksum. */
  field = 0;
  /** What is behind the header. */
  text = 0;

  /** Look at the IP packet at `at` of `bytes`. False when it is neither TCP nor UDP. */
  find(bytes: Uint8Array, at: number, length: number): boolean {
    let start = (bytes[at]! & 15) * 4;
    let protocol = bytes[at + 9]!;
    if (bytes[at]! >> 4 === 6) {
      start = 40;
      protocol = bytes[at + 6]!;
      // Hop-by-hop options, routing header, destination options.
      while ((protocol === 0 || protocol === 43 || protocol === 60) && start + 8 <= length) {
        protocol = bytes[at + start]!;
        start += 8 + bytes[at + start + 1]! * 8;
      }
    }
    if (protocol !== TCP && protocol !== UDP) return false;
    this.start = start;
    this.field = start + (protocol === TCP ? 16 : 6);
    this.text = start + (protocol === TCP ? (bytes[at + start + 12]! >> 4) * 4 : 8);
    return this.text <= length;
  }
}

/** The ones' complement sum (RFC 1071) of `length` octets at `at`, not folded. */
export function sum(bytes: Uint8Array, at: number, length: number): number {
  let total = 0;
  for (let i = 0; i + 1 < length; i += 2) total += (bytes[at + i]! << 8) | bytes[at + i + 1]!;
  return length & 1 ? total + (bytes[at + length - 1]! << 8) : total;
}

/** Store at `at` what makes `total` a good sum. */
export function store(bytes: Uint8Array, at: number, total: number): void {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  bytes[at] = ~folded >> 8;
  bytes[at + 1] = ~folded;
}

/** Complete the checksum of the packet of `length` octets at `at`. Of UDP 0 would say that there is none. */
export function complete(bytes: Uint8Array, at: number, length: number, where: Transport): void {
  if (!where.find(bytes, at, length)) return;
  const { start, field } = where;
  store(bytes, at + field, sum(bytes, at + start, length - start));
  if (field - start === 6 && bytes[at + field] === 0 && bytes[at + field + 1] === 0)
    bytes[at + field] = bytes[at + field + 1] = 0xff;
}
