import { add, copySum, finish, sum, swap } from "../checksum.ts";
import { count } from "../counters.ts";
import { packetFlow } from "../ecn.ts";
import { IPV4_HEADER, IPV6_HEADER, PROTOCOL_TCP } from "../packet/ip.ts";
import { TCP_HEADER } from "../packet/segment.ts";
import { txArea, txMarks, txTable } from "../pool.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import { CTL_TX_USED, SET_DEFAULT_TTL, SET_GSO, SET_PARTIAL_CHECKSUMS } from "../shared/control.ts";
import { CNT_OUT_REQUESTS, CNT_OUT_SEGS } from "../shared/counters.ts";
import { CHECKSUM_PARTIAL, MARK_CHECKSUM_SHIFT } from "../shared/marks.ts";
import { TCB_LOCAL_ADDRESS, TCB_REMOTE_ADDRESS } from "../shared/tcb-layout.ts";
import { routeOf, writeRoute } from "../source-route.ts";
import { Stream } from "../stream.ts";
import { Tcb } from "../tcb.ts";

// Packets are made in the transmit area, one behind the other on 8-octet boundaries, and entered in its table.

let used: u32 = 0;
let packets: u32 = 0;
let packetLimit: u32 = 0;
let octetLimit: u32 = 0;
/** Octets of a packet of several segments at most, 0: there are none; and whether checksums are the link's to complete. */
export let superOctets: u32 = 0;
export let leavesSums: bool = false;

/** Version 4, header of five words, no DSCP, no ECN; then, in the fourth word, don't fragment. */
const IPV4_START: u32 = 0x0045;
const DONT_FRAGMENT: u16 = 0x0040;
/** With the identification, that routers may fragment the packet: the path is narrower than we go (path.ts). */
export const MAY_FRAGMENT: u32 = 0x10000;

/** Begin an empty batch of at most `most` packets and `octets`. */
export function beginBatch(most: u32, octets: u32): void {
  used = 0;
  packets = 0;
  packetLimit = most;
  octetLimit = octets;
  superOctets = min<u32>(setting(SET_GSO), octets);
  leavesSums = setting(SET_PARTIAL_CHECKSUMS) != 0;
}

export function endBatch(): u32 {
  store<u32>(CTL_TX_USED, used);
  return packets;
}

/** Whether a packet of `length` octets still fits. */
export function fits(length: u32): bool {
  return packets < packetLimit && used + length <= octetLimit;
}

export function ipHeader(family: u32): u32 {
  return family == 4 ? IPV4_HEADER : IPV6_HEADER;
}

/** Where the TCP header of the next packet goes, behind an IP header with `options` octets of options. */
export function nextTcp(family: u32, options: u32 = 0): usize {
  return txArea + used + ipHeader(family) + options;
}

/** The fields of a TCP header but ports and options; the checksum is left zero. */
export function writeTcp(
  to: usize,
  seq: Seq,
  ack: Seq,
  headerLength: u32,
  flags: u32,
  window: u32,
  pointer: u32 = 0,
): void {
  store<u32>(to, bswap<u32>(seq.u32), 4);
  store<u32>(to, bswap<u32>(ack.u32), 8);
  store<u16>(to, u16((headerLength << 2) | (flags << 8)), 12);
  store<u16>(to, bswap<u16>(u16(window)), 14);
  store<u32>(to, bswap(pointer), 16);
}

export function writePorts(to: usize, source: u32, destination: u32): void {
  store<u16>(to, bswap<u16>(u16(source)));
  store<u16>(to, bswap<u16>(u16(destination)), 2);
}

/**
 * Finish the packet whose TCP header of `headerLength` octets stands at nextTcp(): checksum it, given the sum over
 * `textLength` octets of text behind it and over both addresses and the protocol (`pseudo`); put the IP header before it
 * and enter it in the table. `addresses` are 16 octets local, 16 octets remote; `flow` is the traffic class and, for IPv6,
 * the flow label, as they stand in its first word; `hops` the hop limit, or 0 for the usual; `route` is the source route
 * of an IPv4 packet, whose option takes up `options` octets; `size` is the text of each of its segments, if the link is to
 * cut it up.
 */
export function commit(
  family: u32,
  addresses: usize,
  pseudo: u32,
  headerLength: u32,
  textLength: u32,
  textSum: u32,
  ipId: u32,
  flow: u32,
  hops: u32,
  route: usize = 0,
  options: u32 = 0,
  size: u32 = 0,
): void {
  const at = txArea + used;
  const tcpLength = headerLength + textLength;
  const tcp = at + ipHeader(family) + options;
  const pseudoTotal = add(pseudo, bswap<u16>(u16(tcpLength)));
  // Of a packet that is to be cut up nobody could use more.
  const left = leavesSums || size != 0;
  if (left) store<u16>(tcp, u16(pseudoTotal), 16);
  else store<u16>(tcp, u16(finish(add(add(sum(tcp, headerLength), textSum), pseudoTotal))), 16);
  let length: u32;
  const ttl: u32 = hops ? hops : setting(SET_DEFAULT_TTL);
  if (family == 4) {
    const header = IPV4_HEADER + options;
    length = header + tcpLength;
    store<u16>(at, u16((IPV4_START + (options >> 2)) | ((flow >>> 20) << 8)));
    store<u16>(at, bswap<u16>(u16(length)), 2);
    store<u16>(at, bswap<u16>(u16(ipId)), 4);
    store<u16>(at, ipId & MAY_FRAGMENT ? 0 : DONT_FRAGMENT, 6);
    store<u32>(at, ttl | (PROTOCOL_TCP << 8), 8);
    store<u32>(at, load<u32>(addresses, 12), 12);
    store<u32>(at, load<u32>(addresses, 28), 16);
    if (options) writeRoute(at, route, options);
    store<u16>(at, u16(finish(sum(at, header))), 10);
  } else {
    length = IPV6_HEADER + tcpLength;
    store<u32>(at, bswap<u32>(0x60000000 | flow));
    store<u16>(at, bswap<u16>(u16(tcpLength)), 4);
    store<u16>(at, u16(PROTOCOL_TCP | (ttl << 8)), 6);
    store<u64>(at, load<u64>(addresses), 8);
    store<u64>(at, load<u64>(addresses, 8), 16);
    store<u64>(at, load<u64>(addresses, 16), 24);
    store<u64>(at, load<u64>(addresses, 24), 32);
  }
  commitRaw(length, size | (left ? CHECKSUM_PARTIAL << MARK_CHECKSUM_SHIFT : 0));
  count(CNT_OUT_SEGS);
}

/** Where a packet with all its headers goes. */
export function nextPacket(): usize {
  return txArea + used;
}

/** Enter the complete packet of `length` octets that stands at nextPacket(); `mark` as in marks.ts. */
export function commitRaw(length: u32, mark: u32): void {
  store<u32>(txMarks + (packets << 2), mark);
  store<u32>(txTable + (packets << 3), used);
  store<u32>(txTable + (packets << 3), length, 4);
  used = (used + length + 7) & ~7;
  packets++;
  count(CNT_OUT_REQUESTS);
}

/**
 * commit() for a connection; `fresh`: with text that was never sent before; in so many `segments` of `size` if that is not 0.
 */
export function commitFor(
  tcb: Tcb,
  headerLength: u32,
  textLength: u32,
  textSum: u32,
  fresh: bool,
  segments: u32 = 1,
  size: u32 = 0,
): void {
  const id = tcb.ipId;
  tcb.ipId = u16(id + segments);
  tcb.segsOut += segments;
  const addresses = changetype<usize>(tcb) + TCB_LOCAL_ADDRESS;
  const tag: u32 = tcb.mayFragment ? id | MAY_FRAGMENT : id;
  commit(
    tcb.family,
    addresses,
    tcb.pseudo,
    headerLength,
    textLength,
    textSum,
    tag,
    packetFlow(tcb, fresh),
    tcb.hops,
    tcb.ipOptions ? routeOf(tcb) : 0,
    tcb.ipOptions,
    size,
  );
  if (segments > 1) count(CNT_OUT_SEGS, segments - 1);
}

/** Copy `length` octets of a stream behind a header of even length and return their sum, if anybody wants it. */
export function copyText(to: usize, stream: Stream, at: Seq, length: u32, unsummed: bool = false): u32 {
  if (leavesSums || unsummed) {
    stream.get(at, to, length);
    return 0;
  }
  let total: u32 = 0;
  let done: u32 = 0;
  while (done < length) {
    const position = at.plus(done);
    const piece = min(length - done, Stream.contiguous(position));
    const part = copySum(to + done, stream.address(position), piece);
    total = add(total, done & 1 ? swap(part) : part);
    done += piece;
  }
  return total;
}

if (TCB_REMOTE_ADDRESS != TCB_LOCAL_ADDRESS + 16) ERROR("commit() takes both addresses in one piece");
if (TCP_HEADER & 1) ERROR("text must begin at an even offset");
