import { segment } from "./packet/segment.ts";
import { SET_ANY_ADDRESS } from "./shared/control.ts";
import { ADDRESSES_MAX } from "./shared/sizes.ts";

// The addresses of this host, and which addresses no honest packet carries.

/** Each entry: 16 octets of address (IPv4 mapped), then the IPv4 broadcast address of its subnet or 0, then padding. */
const ENTRY: u32 = 24;
const table = memory.data(64 * 24, 8);
if (ADDRESSES_MAX != 64) ERROR("the address table has 64 entries");
let entries: u32 = 0;

/** ::ffff:0:0/96 as the low octets of a mapped IPv4 address begin, in memory order. */
const MAPPED: u64 = 0x00000000ffff0000;

/** The upper and lower half of an address at `at`, IPv4 as mapped. */
export function addressHigh(family: u32, at: usize): u64 {
  return family == 4 ? 0 : load<u64>(at);
}

export function addressLow(family: u32, at: usize): u64 {
  return family == 4 ? MAPPED | (u64(load<u32>(at)) << 32) : load<u64>(at, 8);
}

/** Add an address (16 octets at `at`, IPv4 mapped) whose network has `prefix` bits. False when the table is full. */
export function addAddress(at: usize, prefix: u32): bool {
  if (entries == ADDRESSES_MAX) return false;
  const entry = table + entries * ENTRY;
  store<u64>(entry, load<u64>(at));
  store<u64>(entry, load<u64>(at, 8), 8);
  const mapped = isMapped(load<u64>(at), load<u64>(at, 8));
  // A /31 or /32 has no broadcast address (RFC 3021).
  const host: u32 = mapped && prefix < 31 ? 0xffffffff >> prefix : 0;
  store<u32>(entry, host ? load<u32>(at, 12) | bswap<u32>(host) : 0, 16);
  entries++;
  return true;
}

export function clearAddresses(): void {
  entries = 0;
}

function isMapped(high: u64, low: u64): bool {
  return high == 0 && (low & 0xffffffff) == MAPPED;
}

export function isOwn(high: u64, low: u64): bool {
  for (let i: u32 = 0; i < entries; i++) {
    const entry = table + i * ENTRY;
    if (load<u64>(entry, 8) == low && load<u64>(entry) == high) return true;
  }
  return false;
}

/** Whether `address`, as it stands in the packet, is the broadcast address of one of our networks. */
function isSubnetBroadcast(address: u32): bool {
  for (let i: u32 = 0; i < entries; i++)
    if (load<u32>(table + i * ENTRY, 16) == address && address) return true;
  return false;
}

/** 0/8, 127/8, multicast, class E and broadcast: RFC 1122 §3.2.1.3. */
function isSpecial4(address: u32): bool {
  const first = address & 0xff;
  return first == 0 || first == 127 || first >= 224;
}

/** ::, ::1, multicast and ::ffff:0:0/96: RFC 4291 §2.5.2, §2.5.3, §2.7, RFC 4038 §4.2. */
function isSpecial6(high: u64, low: u64): bool {
  if ((high & 0xff) == 0xff) return true;
  if (high != 0) return false;
  return low == 0 || low == 0x0100000000000000 || (low & 0xffffffff) == MAPPED;
}

/**
 * Whether a segment that belongs to no connection may be answered: it came from an address that a host can have and
 * that is not ours (LAND), and went to one of ours (RFC 9293 MUST-57, MUST-63). Connections need no such test: theirs
 * was made when they began.
 */
export function isAnswerable(): bool {
  return isAnswerableFrom(segment.family, segment.source, segment.destination);
}

/** isAnswerable() for any packet, by its addresses as they stand in it. */
export function isAnswerableFrom(family: u32, source: usize, destination: usize): bool {
  const source4: u32 = family == 4 ? load<u32>(source) : 0;
  const sourceHigh = addressHigh(family, source);
  const sourceLow = addressLow(family, source);
  const toHigh = addressHigh(family, destination);
  const toLow = addressLow(family, destination);
  if (isOwn(sourceHigh, sourceLow)) return false;
  if (isOwn(toHigh, toLow)) {
    // An engine on a loopback address talks to its like.
    if (family == 4 && (load<u32>(destination) & 0xff) == 127) return (source4 & 0xff) == 127;
    return !isBadSource(family, source4, sourceHigh, sourceLow);
  }
  if (load<i32>(SET_ANY_ADDRESS) == 0) return false;
  if (isBadSource(family, source4, sourceHigh, sourceLow)) return false;
  if (sourceHigh == toHigh && sourceLow == toLow) return false;
  if (family == 6) return !isSpecial6(toHigh, toLow);
  const to4 = load<u32>(destination);
  return !isSpecial4(to4) && !isSubnetBroadcast(to4);
}

/** Whether the packet went to all hosts of our network, from one that may. */
export function isBroadcastFrom(family: u32, source: usize, destination: usize): bool {
  if (family == 6) return false;
  const to4 = load<u32>(destination);
  if (to4 != 0xffffffff && !isSubnetBroadcast(to4)) return false;
  if (isOwn(addressHigh(4, source), addressLow(4, source))) return false;
  return !isBadSource(4, load<u32>(source), 0, 0);
}

function isBadSource(family: u32, source4: u32, high: u64, low: u64): bool {
  return family == 4 ? isSpecial4(source4) || isSubnetBroadcast(source4) : isSpecial6(high, low);
}

/** Whether a datagram can be sent to this address: to a host, or to all hosts of a network. */
export function isSendable(high: u64, low: u64): bool {
  if (isConnectable(high, low)) return true;
  const address = u32(low >> 32);
  return isMapped(high, low) && (address == 0xffffffff || isSubnetBroadcast(address));
}

/** Whether a connection can be opened to this address: RFC 9293 MUST-46. */
export function isConnectable(high: u64, low: u64): bool {
  if (isMapped(high, low)) {
    const address = u32(low >> 32);
    return (!isSpecial4(address) || (address & 0xff) == 127) && !isSubnetBroadcast(address);
  }
  return !isSpecial6(high, low) || (high == 0 && low == 0x0100000000000000);
}
