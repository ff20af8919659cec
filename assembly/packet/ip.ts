import { finish, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { CNT_IN_HDR_ERRORS, CNT_IN_TRUNCATED_PKTS, CNT_IN_UNKNOWN_PROTOS } from "../shared/counters.ts";

export const IPV4_HEADER: u32 = 20;
export const IPV6_HEADER: u32 = 40;

export const PROTOCOL_ICMP: u32 = 1;
export const PROTOCOL_TCP: u32 = 6;
export const PROTOCOL_UDP: u32 = 17;
export const PROTOCOL_ICMP6: u32 = 58;

export const HOP_BY_HOP: u32 = 0;
export const ROUTING: u32 = 43;
export const FRAGMENT: u32 = 44;
export const DESTINATION_OPTIONS: u32 = 60;

/** The IP packet being processed: a view of its headers, filled by `parseIp`, and what its batch says of it. */
@unmanaged
@final
export class IpPacket {
  family: u32;
  /** Where the packet begins, and the octets it has by its own account. */
  at: usize;
  length: u32;
  source: usize;
  destination: usize;
  protocol: u32;
  payload: usize;
  payloadLength: u32;
  ecn: u32;
  /** Octets of options behind an IPv4 header. */
  optionsLength: u32;
  /** A fragment: `payload` is its piece only, the rest of what is here the datagram's. */
  isFragment: bool;
  moreFragments: bool;
  fragmentOffset: u32;
  fragmentId: u32;
  /** Nobody need look at the TCP or UDP checksum. Written by receive/input.ts. */
  isTrusted: bool;
  /** Octets of text of each of the segments of which it was put together; 0: of one. Written by receive/input.ts. */
  segmentSize: u32;
}

export const ip = changetype<IpPacket>(memory.data(sizeof<usize>() * 16, 8));
if (offsetof<IpPacket>() > sizeof<usize>() * 16) ERROR("IpPacket outgrew its place");

function drop(counter: usize): bool {
  count(counter);
  return false;
}

/**
 * Check and open the IP packet of `length` octets at `at`. False when it was dropped, which is then counted, or is a
 * fragment, as `ip.isFragment` then says.
 */
export function parseIp(at: usize, length: u32): bool {
  ip.isFragment = false;
  ip.optionsLength = 0;
  ip.isTrusted = false;
  ip.segmentSize = 0;
  if (length == 0) return drop(CNT_IN_TRUNCATED_PKTS);
  const version: u32 = load<u8>(at) >> 4;
  if (version == 4) return parseIpv4(at, length);
  if (version == 6) return parseIpv6(at, length);
  return drop(CNT_IN_HDR_ERRORS);
}

/** RFC 791 §3.1, RFC 1122 §3.2.1. What options there are say nothing of the packet itself. */
function parseIpv4(at: usize, length: u32): bool {
  if (length < IPV4_HEADER) return drop(CNT_IN_TRUNCATED_PKTS);
  const header: u32 = (load<u8>(at) & 15) << 2;
  const total: u32 = bswap<u16>(load<u16>(at, 2));
  if (header < IPV4_HEADER || total < header) return drop(CNT_IN_HDR_ERRORS);
  if (total > length) return drop(CNT_IN_TRUNCATED_PKTS);
  if (finish(header == IPV4_HEADER ? headerSum(at) : sum(at, header)) != 0) return drop(CNT_IN_HDR_ERRORS);
  ip.family = 4;
  ip.at = at;
  ip.length = total;
  ip.source = at + 12;
  ip.destination = at + 16;
  ip.protocol = load<u8>(at, 9);
  ip.ecn = load<u8>(at, 1) & 3;
  ip.optionsLength = header - IPV4_HEADER;
  ip.payload = at + header;
  ip.payloadLength = total - header;
  const place: u32 = bswap<u16>(load<u16>(at, 6));
  // More fragments, or not the first.
  if (place & 0x3fff) {
    ip.isFragment = true;
    ip.moreFragments = (place & 0x2000) != 0;
    ip.fragmentOffset = (place & 0x1fff) << 3;
    ip.fragmentId = bswap<u16>(load<u16>(at, 4));
  }
  return !ip.isFragment;
}

/** RFC 8200 §3 and §4: extension headers are skipped; an atomic fragment is a whole packet (RFC 6946). */
function parseIpv6(at: usize, length: u32): bool {
  if (length < IPV6_HEADER) return drop(CNT_IN_TRUNCATED_PKTS);
  let left: u32 = bswap<u16>(load<u16>(at, 4));
  if (left + IPV6_HEADER > length) return drop(CNT_IN_TRUNCATED_PKTS);
  let next: u32 = load<u8>(at, 6);
  let payload = at + IPV6_HEADER;
  while (next == HOP_BY_HOP || next == DESTINATION_OPTIONS || next == ROUTING || next == FRAGMENT) {
    if (left < 8) return drop(CNT_IN_TRUNCATED_PKTS);
    let octets: u32 = 8;
    if (next == FRAGMENT) {
      // Offset and the M flag must both be zero: the two reserved bits between them may hold anything.
      const place: u32 = bswap<u16>(load<u16>(payload, 2));
      if ((place & 0xfff9) != 0) {
        ip.isFragment = true;
        ip.moreFragments = (place & 1) != 0;
        ip.fragmentOffset = place & 0xfff8;
        ip.fragmentId = load<u32>(payload, 4);
      }
    } else {
      octets += u32(load<u8>(payload, 1)) << 3;
      // RFC 8200 §4.4: segments left of an unrecognised routing type means the packet is not for us.
      if (next == ROUTING && load<u8>(payload, 3) != 0) return drop(CNT_IN_HDR_ERRORS);
    }
    if (octets > left) return drop(CNT_IN_HDR_ERRORS);
    next = load<u8>(payload);
    payload += octets;
    left -= octets;
    // What follows is a piece of what was cut, headers or not.
    if (ip.isFragment) break;
  }
  if (next == 59 && !ip.isFragment) return drop(CNT_IN_UNKNOWN_PROTOS);
  ip.family = 6;
  ip.at = at;
  ip.length = u32(payload - at) + left;
  ip.source = at + 8;
  ip.destination = at + 24;
  ip.protocol = next;
  ip.ecn = (load<u8>(at, 1) >> 4) & 3;
  ip.payload = payload;
  ip.payloadLength = left;
  return !ip.isFragment;
}

/** 35 bits to 16, end-around carry. */
function fold(n: u64): u32 {
  const once = u32((n & 0xffff) + (n >> 16)); // 20 bits
  const twice = (once & 0xffff) + (once >> 16);
  return (twice & 0xffff) + (twice >> 16);
}

/** The sum over the IPv4 header without options at `at` (checksum.ts). */
export function headerSum(at: usize): u32 {
  const a = load<u64>(at);
  const b = load<u64>(at, 8);
  return fold((a >> 32) + (a & 0xffffffff) + (b >> 32) + (b & 0xffffffff) + load<u32>(at, 16));
}

/** The pseudo-header of `length` octets of `protocol` (RFC 9293 §3.1, RFC 8200 §8.1), to be added to the sum over them. */
export function pseudoSum(
  family: u32,
  source: usize,
  destination: usize,
  length: u32,
  protocol: u32 = PROTOCOL_TCP,
): u32 {
  const rest = u64(bswap<u16>(u16(length))) + (protocol << 8);
  // The usual lengths without a call for each piece.
  return family == 4
    ? fold(u64(load<u32>(source)) + load<u32>(destination) + rest)
    : fold(u64(sum(source, 16)) + sum(destination, 16) + rest);
}
