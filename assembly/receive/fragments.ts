import { isAnswerableFrom, isBroadcastFrom } from "../addresses.ts";
import { finish, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { TIME_EXCEEDED, TIME_EXCEEDED6 } from "../packet/icmp.ts";
import { IPV6_HEADER, ip, PROTOCOL_ICMP, PROTOCOL_ICMP6 } from "../packet/ip.ts";
import { blocksTotal, giveBlock, staging, takeSpareBlock } from "../pool.ts";
import { sendError } from "../send/icmp.ts";
import {
  CNT_IN_ADDR_ERRORS,
  CNT_REASM_FAILS,
  CNT_REASM_OKS,
  CNT_REASM_REQDS,
  CNT_REASM_TIMEOUT,
} from "../shared/counters.ts";
import { BLOCK_SHIFT, BLOCK_SIZE } from "../shared/sizes.ts";
import { NEVER, now, SECOND } from "../time.ts";

// Reassembly of fragments, RFC 791 §3.2, RFC 8200 §4.5. A datagram of which two fragments overlap is dropped as a whole,
// with what is yet to come of it (RFC 5722; for IPv4 as well, as in Linux): no honest host sends such. Datagrams, octets
// and time are bounded; what came first goes first.

/** RFC 1122 §3.3.2: from 60 to 120 seconds; RFC 8200 §4.5: 60. */
const TIMEOUT: f64 = 60 * SECOND;
const PACKET_MAX: u32 = 65535;
/** Linux's ipfrag_high_thresh, in blocks; and never more than an eighth of the pool, nor less than one datagram. */
const BLOCKS_MAX: u32 = (4 << 20) >> BLOCK_SHIFT;
const BLOCKS_MIN: u32 = 10;

const DATAGRAMS: u32 = 64;
const ENTRY: u32 = 72;
const table = memory.data(64 * 72, 8);

// An entry: source 0, destination 16, identification 32, family 36, protocol 37 (IPv4), state 38, ECN fields seen 39, end
// of its time 40, octets in all (0 while unknown) 48, octets so far 52, end of the furthest fragment 56, block of its
// particulars 60, octets of the first fragment 64.
const FREE: u8 = 0;
const GATHERING: u8 = 1;
/** Two of its fragments overlapped: the rest is thrown away as it comes. */
const SPOILT: u8 = 2;

// The block of particulars: a bit for each eight octets 0, addresses of the blocks of the text 1024, length of the first
// fragment's headers 1088, the headers 1096.
const TEXT_BLOCKS: i32 = 1024;
const TEXT_BLOCKS_MAX: u32 = 8;
const HEADER_LENGTH: i32 = 1088;
const HEADER: i32 = 1096;
const HEADER_MAX: u32 = 1024;

let held: u32 = 0;
/** When the earliest of all is given up. */
let soonest: f64 = NEVER;

/** The entry of the datagram that the fragment in `ip` is of, or 0. */
function find(): usize {
  const octets: usize = ip.family == 4 ? 4 : 16;
  for (let i: u32 = 0; i < DATAGRAMS; i++) {
    const entry = table + i * ENTRY;
    if (
      load<u8>(entry, 38) != FREE &&
      load<u32>(entry, 32) == ip.fragmentId &&
      load<u8>(entry, 36) == u8(ip.family) &&
      (ip.family == 6 || load<u8>(entry, 37) == u8(ip.protocol)) &&
      memory.compare(entry, ip.source, octets) == 0 &&
      memory.compare(entry + 16, ip.destination, octets) == 0
    )
      return entry;
  }
  return 0;
}

/** The entry whose time ends first, other than `except`; 0 when there is none. */
function oldest(except: usize): usize {
  let found: usize = 0;
  for (let i: u32 = 0; i < DATAGRAMS; i++) {
    const entry = table + i * ENTRY;
    if (entry == except || load<u8>(entry, 38) == FREE) continue;
    if (found == 0 || load<f64>(entry, 40) < load<f64>(found, 40)) found = entry;
  }
  return found;
}

/** A block for the datagram of `entry`: if need be, from those that came before it. */
function takeFor(entry: usize): usize {
  const limit = max(min(blocksTotal() >> 3, BLOCKS_MAX), BLOCKS_MIN);
  while (held >= limit) {
    const other = oldest(entry);
    if (other == 0) return 0;
    fail(other);
  }
  const block = takeSpareBlock(held);
  if (block) held++;
  return block;
}

function begin(): usize {
  let entry: usize = 0;
  for (let i: u32 = 0; i < DATAGRAMS && entry == 0; i++)
    if (load<u8>(table + i * ENTRY, 38) == FREE) entry = table + i * ENTRY;
  if (entry == 0) {
    entry = oldest(0);
    fail(entry);
  }
  memory.fill(entry, 0, ENTRY);
  const particulars = takeFor(entry);
  if (particulars == 0) return 0;
  memory.fill(particulars, 0, HEADER);
  const octets: usize = ip.family == 4 ? 4 : 16;
  memory.copy(entry, ip.source, octets);
  memory.copy(entry + 16, ip.destination, octets);
  store<u32>(entry, ip.fragmentId, 32);
  store<u8>(entry, u8(ip.family), 36);
  store<u8>(entry, u8(ip.protocol), 37);
  store<u8>(entry, GATHERING, 38);
  store<f64>(entry, now + TIMEOUT, 40);
  store<u32>(entry, u32(particulars), 60);
  soonest = min(soonest, now + TIMEOUT);
  return entry;
}

/** Give back the blocks of a datagram. */
function empty(entry: usize): void {
  const particulars = usize(load<u32>(entry, 60));
  if (particulars == 0) return;
  for (let i: u32 = 0; i < TEXT_BLOCKS_MAX; i++) {
    const block = load<u32>(particulars + (i << 2), TEXT_BLOCKS);
    if (block) {
      giveBlock(usize(block));
      held--;
    }
  }
  giveBlock(particulars);
  held--;
  store<u32>(entry, 0, 60);
}

/** Nothing will come of the datagram, of which nothing is kept. */
function fail(entry: usize): void {
  if (load<u8>(entry, 38) == GATHERING) count(CNT_REASM_FAILS);
  empty(entry);
  store<u8>(entry, FREE, 38);
}

/** Nothing will come of the datagram, whatever else comes of it. */
function spoil(entry: usize): void {
  count(CNT_REASM_FAILS);
  empty(entry);
  store<u8>(entry, SPOILT, 38);
}

/** Drop the fragment and leave its datagram as it is. */
function refuse(): u32 {
  count(CNT_REASM_FAILS);
  return 0;
}

/**
 * Take in the fragment in `ip`. When it completes its datagram the packet that was fragmented stands in staging, whole,
 * and its length is returned, otherwise 0.
 */
export function fragmentArrives(): u32 {
  count(CNT_REASM_REQDS);
  if (
    !isAnswerableFrom(ip.family, ip.source, ip.destination) &&
    !isBroadcastFrom(ip.family, ip.source, ip.destination)
  ) {
    count(CNT_IN_ADDR_ERRORS);
    return 0;
  }
  const size = ip.payloadLength;
  const offset = ip.fragmentOffset;
  const end = offset + size;
  const headers = u32(ip.payload - ip.at);
  if (size == 0 || (ip.moreFragments && size & 7) || headers > HEADER_MAX) return refuse();
  // The "ping of death": nothing may lie beyond the largest packet.
  if (end > (ip.family == 4 ? PACKET_MAX - headers : PACKET_MAX)) return refuse();
  let entry = find();
  if (entry == 0) entry = begin();
  if (entry == 0) return refuse();
  if (load<u8>(entry, 38) == SPOILT) return refuse();
  const total = load<u32>(entry, 48);
  const furthest = load<u32>(entry, 56);
  if (ip.moreFragments ? total != 0 && end >= total : (total != 0 && end != total) || end < furthest) {
    // Unless the last one has merely come twice.
    spoil(entry);
    return 0;
  }
  const bits = usize(load<u32>(entry, 60));
  const covered = coverage(bits, offset >> 3, (end + 7) >> 3);
  if (covered) {
    // A fragment that came twice changes nothing. Anything else is an overlap.
    if (covered < ((end + 7) >> 3) - (offset >> 3) || !isSame(bits, offset, size)) spoil(entry);
    return 0;
  }
  if (!keep(entry, bits, offset, size)) {
    fail(entry);
    return 0;
  }
  if (offset == 0) {
    memory.copy(bits + HEADER, ip.at, headers);
    store<u32>(bits, headers, HEADER_LENGTH);
    store<u8>(entry, u8(ip.protocol), 37);
    store<u32>(entry, size, 64);
  }
  store<u8>(entry, load<u8>(entry, 39) | (u8(1) << u8(ip.ecn)), 39);
  if (!ip.moreFragments) store<u32>(entry, end, 48);
  store<u32>(entry, max(furthest, end), 56);
  const received = load<u32>(entry, 52) + size;
  store<u32>(entry, received, 52);
  return received == load<u32>(entry, 48) ? complete(entry) : 0;
}

/** How many of the units from `first` up to `end` are there. */
function coverage(bits: usize, first: u32, end: u32): u32 {
  let there: u32 = 0;
  for (let unit = first; unit < end; unit++) there += (load<u8>(bits + (unit >> 3)) >> (unit & 7)) & 1;
  return there;
}

/** Whether the fragment's octets are those that came before. */
function isSame(particulars: usize, offset: u32, size: u32): bool {
  let done: u32 = 0;
  while (done < size) {
    const at = offset + done;
    const block = usize(load<u32>(particulars + ((at >> BLOCK_SHIFT) << 2), TEXT_BLOCKS));
    const piece = min(size - done, BLOCK_SIZE - (at & (BLOCK_SIZE - 1)));
    if (memory.compare(block + (at & (BLOCK_SIZE - 1)), ip.payload + done, piece) != 0) return false;
    done += piece;
  }
  return true;
}

/** Store the fragment's octets. False when there is no memory for them. */
function keep(entry: usize, particulars: usize, offset: u32, size: u32): bool {
  let done: u32 = 0;
  while (done < size) {
    const at = offset + done;
    const place = particulars + ((at >> BLOCK_SHIFT) << 2);
    let block = usize(load<u32>(place, TEXT_BLOCKS));
    if (block == 0) {
      block = takeFor(entry);
      if (block == 0) return false;
      store<u32>(place, u32(block), TEXT_BLOCKS);
    }
    const piece = min(size - done, BLOCK_SIZE - (at & (BLOCK_SIZE - 1)));
    memory.copy(block + (at & (BLOCK_SIZE - 1)), ip.payload + done, piece);
    done += piece;
  }
  for (let unit = offset >> 3; unit < (offset + size + 7) >> 3; unit++) {
    const octet = particulars + (unit >> 3);
    store<u8>(octet, load<u8>(octet) | (u8(1) << u8(unit & 7)));
  }
  return true;
}

/** Put headers and octets together in staging, up to `length` of the latter. Returns where the octets begin. */
function stage(entry: usize, headers: u32, length: u32): void {
  const particulars = usize(load<u32>(entry, 60));
  memory.copy(staging, particulars + HEADER, headers);
  for (let done: u32 = 0; done < length; done += BLOCK_SIZE) {
    const block = usize(load<u32>(particulars + ((done >> BLOCK_SHIFT) << 2), TEXT_BLOCKS));
    memory.copy(staging + headers + done, block, min(length - done, BLOCK_SIZE));
  }
}

/** The packet as it was before it was cut: extension headers in front of the fragment header are done with. */
function complete(entry: usize): u32 {
  const six = load<u8>(entry, 36) == 6;
  const total = load<u32>(entry, 48);
  const seen: u32 = load<u8>(entry, 39);
  // RFC 3168 §5.3: one mark of congestion marks the whole, and must not meet a fragment that cannot be marked.
  const marked = (seen & 8) != 0;
  if (marked && (seen & 1) != 0) {
    fail(entry);
    return 0;
  }
  const headers = six ? IPV6_HEADER : load<u32>(usize(load<u32>(entry, 60)), HEADER_LENGTH);
  stage(entry, headers, total);
  if (six) {
    store<u16>(staging, bswap<u16>(u16(total)), 4);
    store<u8>(staging, load<u8>(entry, 37), 6);
    if (marked) store<u8>(staging, load<u8>(staging, 1) | 0x30, 1);
  } else {
    store<u16>(staging, bswap<u16>(u16(headers + total)), 2);
    store<u16>(staging, 0, 6);
    if (marked) store<u8>(staging, load<u8>(staging, 1) | 3, 1);
    store<u16>(staging, 0, 10);
    store<u16>(staging, u16(finish(sum(staging, headers))), 10);
  }
  empty(entry);
  store<u8>(entry, FREE, 38);
  count(CNT_REASM_OKS);
  return headers + total;
}

/** Give up datagrams whose time is over. Not to be called while a packet is being processed. */
export function expireFragments(): void {
  if (now < soonest) return;
  soonest = NEVER;
  for (let i: u32 = 0; i < DATAGRAMS; i++) {
    const entry = table + i * ENTRY;
    if (load<u8>(entry, 38) == FREE) continue;
    if (now < load<f64>(entry, 40)) {
      soonest = min(soonest, load<f64>(entry, 40));
      continue;
    }
    if (load<u8>(entry, 38) == GATHERING) {
      count(CNT_REASM_TIMEOUT);
      tellSender(entry);
    }
    fail(entry);
  }
}

/** RFC 1122 §3.3.2, RFC 8200 §4.5: the sender is told, if the fragment that says who it is came. */
function tellSender(entry: usize): void {
  const first = load<u32>(entry, 64);
  const protocol: u32 = load<u8>(entry, 37);
  if (first == 0 || protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMP6) return;
  const headers = load<u32>(usize(load<u32>(entry, 60)), HEADER_LENGTH);
  stage(entry, headers, first);
  ip.family = load<u8>(entry, 36);
  ip.at = staging;
  ip.length = headers + first;
  ip.source = entry;
  ip.destination = entry + 16;
  if (!isAnswerableFrom(ip.family, ip.source, ip.destination)) return;
  sendError(ip.family == 4 ? TIME_EXCEEDED : TIME_EXCEEDED6, 1);
}
