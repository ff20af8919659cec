import { addressOctets } from "./addresses.ts";
import { checksum } from "./packet.ts";

/*
 * Packets that `build` does not make: octets changed behind its back, and what is no TCP.
 */

const two = (n: number) => [(n >>> 8) & 255, n & 255];

/** An IPv4 packet of TCP with octets of its TCP header changed, and the checksum right again. */
export function alterTcp4(packet: Uint8Array, change: (tcp: Uint8Array) => void): Uint8Array {
  const altered = packet.slice();
  const tcp = altered.subarray(20);
  change(tcp);
  tcp.set([0, 0], 16);
  const pseudo = [...altered.subarray(12, 20), 0, 6, ...two(tcp.length)];
  tcp.set(two(checksum(pseudo, tcp)), 16);
  return altered;
}

/** An IPv4 packet with options put into its header; padded with zeros to a multiple of four. */
export function withIpOptions(packet: Uint8Array, options: readonly number[]): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const header = [...packet.subarray(0, 20), ...padded];
  header[0] = 0x40 | (header.length / 4);
  [header[2], header[3]] = two(packet.length + padded.length) as [number, number];
  [header[10], header[11]] = [0, 0];
  [header[10], header[11]] = two(checksum(header)) as [number, number];
  return Uint8Array.from([...header, ...packet.subarray(20)]);
}

/** An ICMP error about `quoted`, an IPv4 packet: its header and the first eight octets behind it (RFC 792). */
export function icmpError(
  src: string,
  dst: string,
  type: number,
  code: number,
  quoted: Uint8Array,
  rest = 0,
): Uint8Array {
  const icmp = [type, code, 0, 0, 0, 0, ...two(rest), ...quoted.subarray(0, 28)];
  [icmp[2], icmp[3]] = two(checksum(icmp)) as [number, number];
  const length = 20 + icmp.length;
  const header = [0x45, 0, ...two(length), 0, 0, 0x40, 0, 64, 1, 0, 0];
  header.push(...addressOctets(src), ...addressOctets(dst));
  [header[10], header[11]] = two(checksum(header)) as [number, number];
  return Uint8Array.from([...header, ...icmp]);
}
