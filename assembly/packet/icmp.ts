import { add, sum } from "../checksum.ts";
import {
  DESTINATION_OPTIONS,
  FRAGMENT,
  HOP_BY_HOP,
  IPV4_HEADER,
  IPV6_HEADER,
  ip,
  PROTOCOL_ICMP6,
  pseudoSum,
  ROUTING,
} from "./ip.ts";

// ICMP: RFC 792, RFC 4443. Type and code at 0 and 1, checksum at 2, four octets that depend on the type, the rest.

export const ICMP_HEADER: u32 = 8;

export const ECHO_REPLY: u32 = 0;
export const UNREACHABLE: u32 = 3;
export const SOURCE_QUENCH: u32 = 4;
export const REDIRECT: u32 = 5;
export const ECHO: u32 = 8;
export const TIME_EXCEEDED: u32 = 11;
export const PARAMETER_PROBLEM: u32 = 12;

export const FRAGMENTATION_NEEDED: u32 = 4;

export const UNREACHABLE6: u32 = 1;
export const TOO_BIG6: u32 = 2;
export const TIME_EXCEEDED6: u32 = 3;
export const PARAMETER_PROBLEM6: u32 = 4;
export const ECHO6: u32 = 128;
export const ECHO_REPLY6: u32 = 129;

/** Whether the checksum of the ICMP message in `ip` is right; ICMPv6's covers a pseudo-header. */
export function isIcmpIntact(): bool {
  const length = ip.payloadLength;
  const own = sum(ip.payload, length);
  if (ip.family == 4) return own == 0xffff;
  return add(own, pseudoSum(6, ip.source, ip.destination, length, PROTOCOL_ICMP6)) == 0xffff;
}

/** The packet of ours that an ICMP error quotes, as far as it does. */
@unmanaged
@final
export class Quote {
  source: usize;
  destination: usize;
  protocol: u32;
  /** Where the transport header begins, with eight octets of it at least. */
  transport: usize;
  /** Octets of the whole packet, by its own account. */
  length: u32;
}

export const quote = changetype<Quote>(memory.data(sizeof<usize>() * 6, 8));
if (offsetof<Quote>() > sizeof<usize>() * 6) ERROR("Quote outgrew its place");

/**
 * Open the packet quoted behind the header of the ICMP error in `ip`. False when too little of it is there to tell whose
 * it is.
 */
export function parseQuote(): bool {
  const at = ip.payload + ICMP_HEADER;
  const length = ip.payloadLength - ICMP_HEADER;
  return ip.family == 4 ? parseQuote4(at, length) : parseQuote6(at, length);
}

function parseQuote4(at: usize, length: u32): bool {
  if (length < IPV4_HEADER) return false;
  const header: u32 = (load<u8>(at) & 15) << 2;
  if (load<u8>(at) >> 4 != 4 || header < IPV4_HEADER || length < header + 8) return false;
  // Only the first fragment shows ports.
  if (load<u16>(at, 6) & 0xff1f) return false;
  quote.source = at + 12;
  quote.destination = at + 16;
  quote.protocol = load<u8>(at, 9);
  quote.transport = at + header;
  quote.length = bswap<u16>(load<u16>(at, 2));
  return true;
}

function parseQuote6(at: usize, length: u32): bool {
  if (length < IPV6_HEADER || load<u8>(at) >> 4 != 6) return false;
  let next: u32 = load<u8>(at, 6);
  let header = IPV6_HEADER;
  while (next == HOP_BY_HOP || next == DESTINATION_OPTIONS || next == ROUTING || next == FRAGMENT) {
    if (length < header + 8) return false;
    if (next == FRAGMENT && load<u16>(at + header, 2) & 0xf8ff) return false;
    const octets: u32 = next == FRAGMENT ? 8 : 8 + (u32(load<u8>(at + header, 1)) << 3);
    next = load<u8>(at + header);
    header += octets;
  }
  if (length < header + 8) return false;
  quote.source = at + 8;
  quote.destination = at + 24;
  quote.protocol = next;
  quote.transport = at + header;
  quote.length = IPV6_HEADER + u32(bswap<u16>(load<u16>(at, 4)));
  return true;
}
