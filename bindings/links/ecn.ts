/** Explicit congestion notification in the IP header (RFC 3168 §5, §22), the packet at `at` of `bytes`. */

const CE = 3;

/** Whether the sender understands marks: ECT(0), ECT(1), or marked before. */
export function isEcnCapable(bytes: Uint8Array, at: number, length: number): boolean {
  const version = bytes[at] >> 4;
  const field = version === 4 ? bytes[at + 1] : version === 6 ? bytes[at + 1] >> 4 : 0;
  return length >= 20 && (field & CE) > 0;
}

/** Say that congestion was experienced. What that adds is taken from IPv4's header checksum (RFC 1624); IPv6 has none. */
export function markCongestion(bytes: Uint8Array, at: number): void {
  const before = bytes[at + 1];
  if (bytes[at] >> 4 === 6) bytes[at + 1] |= CE << 4;
  else {
    bytes[at + 1] |= CE;
    let checksum = ((bytes[at + 10] << 8) | bytes[at + 11]) + before - bytes[at + 1];
    // Ones' complement: what is borrowed comes from the other end.
    if (checksum < 0) checksum += 0xffff;
    bytes[at + 10] = checksum >> 8;
    bytes[at + 11] = checksum;
  }
}
