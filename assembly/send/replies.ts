import { addressHigh, addressLow } from "../addresses.ts";
import { add, sum } from "../checksum.ts";
import { cookieTimestamp, GRANT_ECN, GRANT_SACK, grantsWindowScale } from "../cookies.ts";
import { count } from "../counters.ts";
import { PROTOCOL_TCP } from "../packet/ip.ts";
import { TIMESTAMPS_LENGTH, writeMss, writeTimestamps, writeWindowScale } from "../packet/options.ts";
import { ACK, ECE, RST, SYN, segment, TCP_HEADER } from "../packet/segment.ts";
import { replyRing } from "../pool.ts";
import { Seq } from "../seq.ts";
import { CNT_OUT_RSTS, CNT_TCP_RETRANS_FAIL } from "../shared/counters.ts";
import { REPLIES, REPLY_BYTES } from "../shared/sizes.ts";
import {
  TCB_LOCAL_ADDRESS,
  TCB_LOCAL_PORT,
  TCB_REMOTE_ADDRESS,
  TCB_REMOTE_PORT,
} from "../shared/tcb-layout.ts";
import { ROUTE, routeOf } from "../source-route.ts";
import { Tcb } from "../tcb.ts";
import { TimeWait } from "../time-wait.ts";
import { clock, clockOffset } from "../timestamps.ts";
import { advertise } from "../window.ts";
import { commit, fits, ipHeader, MAY_FRAGMENT, nextTcp, writePorts, writeTcp } from "./packet.ts";

// Segments that belong to no connection, or to one that is gone by the time they leave or has no TCB any more: resets,
// cookies, ACKs of a brief TIME-WAIT. They wait in a ring of fixed records; when it is full the newest is dropped, as a
// network may drop any of them.

// An entry: local address 0, remote address 16, ports 32 and 34, as in a TCB; SEQ 36, ACK 40, flags 44, family 46, hop
// limit 47; MSS 48, window 50, options 52, window scale 53, octets of IP options 54; flow 56, IP
// identification 60, TSval 64, TSecr 68, source route 72.
let head: u32 = 0;
let waiting: u32 = 0;

/** Options a record asks for besides MSS, which goes with SYN; those of a SYN go with timestamps only. */
const WITH_TIMESTAMPS: u32 = 1;
/** TSval of the record is the offset of a clock that is read when it leaves. */
const WITH_CLOCK: u32 = 2;
const WITH_WINDOW_SCALE: u32 = 4;
const WITH_SACK: u32 = 8;
const OPTIONS_MAX: u32 = 4 + TIMESTAMPS_LENGTH + 4;

function next(): usize {
  if (waiting == REPLIES) {
    count(CNT_TCP_RETRANS_FAIL);
    return 0;
  }
  const at = replyRing + ((head + waiting) & (REPLIES - 1)) * REPLY_BYTES;
  waiting++;
  return at;
}

function put(at: usize, localPort: u32, remotePort: u32, seq: Seq, ack: Seq, flags: u32, family: u32): void {
  memory.fill(at + 32, 0, REPLY_BYTES - 32);
  store<u16>(at, u16(localPort), 32);
  store<u16>(at, u16(remotePort), 34);
  store<u32>(at, seq.u32, 36);
  store<u32>(at, ack.u32, 40);
  store<u16>(at, u16(flags), 44);
  store<u8>(at, u8(family), 46);
}

function answer(seq: Seq, ack: Seq, flags: u32): usize {
  const at = next();
  if (at == 0) return 0;
  store<u64>(at, addressHigh(segment.family, segment.destination));
  store<u64>(at, addressLow(segment.family, segment.destination), 8);
  store<u64>(at, addressHigh(segment.family, segment.source), 16);
  store<u64>(at, addressLow(segment.family, segment.source), 24);
  put(at, segment.destinationPort, segment.sourcePort, seq, ack, flags, segment.family);
  return at;
}

/**
 * Answer the SYN in `segment` with <SEQ=seq><ACK=SEG.SEQ+1><CTL=SYN,ACK>, an MSS option and a window, and forget it.
 * Returns the record, or 0.
 */
export function answerSyn(seq: Seq, mss: u32, window: u32): usize {
  const at = answer(seq, segment.seq.plus(1), SYN | ACK);
  if (at == 0) return 0;
  store<u16>(at, u16(mss), 48);
  store<u16>(at, u16(window), 50);
  return at;
}

/**
 * Let the SYN,ACK in record `at` grant what the cookie's timestamp remembers: timestamps, and the window scale `scale`
 * and SACK as far as they are `granted` (cookies.ts).
 */
export function grantOptions(at: usize, granted: u32, scale: u32): void {
  let options = WITH_TIMESTAMPS;
  if (grantsWindowScale(granted)) options |= WITH_WINDOW_SCALE;
  if (granted & GRANT_SACK) options |= WITH_SACK;
  if (granted & GRANT_ECN) store<u16>(at, u16(SYN | ACK | ECE), 44);
  store<u8>(at, u8(options), 52);
  store<u8>(at, u8(scale), 53);
  store<u32>(at, cookieTimestamp(granted) + clockOffset(at), 64);
  store<u32>(at, segment.tsValue, 68);
}

/** Answer `segment` as RFC 9293 §3.10.7.1 has it for a connection that does not exist. */
export function reset(): void {
  if (segment.has(RST)) return;
  if (segment.has(ACK)) answer(segment.ack, Seq.of(0), RST);
  else answer(Seq.of(0), segment.seq.plus(segment.length), RST | ACK);
}

/** Answer a segment with an unacceptable ACK: <SEQ=SEG.ACK><CTL=RST>. */
export function resetAck(): void {
  if (!segment.has(RST)) answer(segment.ack, Seq.of(0), RST);
}

/** Answer text that nobody is left to read: <SEQ=SND.NXT><CTL=RST>. */
export function resetUnread(tcb: Tcb): void {
  answer(tcb.sndNxt, Seq.of(0), RST);
}

/** A segment of the connection at SND.NXT; `T` is a Tcb or a TimeWait. Returns the record, or 0. */
function say<T>(tcb: T, flags: u32): usize {
  const at = next();
  if (at == 0) return 0;
  memory.copy(at, changetype<usize>(tcb), 32);
  put(at, tcb.localPort, tcb.remotePort, tcb.sndNxt, tcb.rcvNxt, flags, tcb.family);
  store<u8>(at, tcb.hops, 47);
  store<u32>(at, tcb.flow, 56);
  if (tcb.tsOk) {
    store<u8>(at, u8(WITH_TIMESTAMPS | WITH_CLOCK), 52);
    store<u32>(at, clockOffset(at), 64);
    store<u32>(at, tcb.tsRecent, 68);
  }
  return at;
}

/** Tell the peer of `tcb` that the connection is aborted. Like Linux's, the reset acknowledges, which RFC 9293 allows. */
export function resetConnection(tcb: Tcb): void {
  const at = say(tcb, RST | ACK);
  if (at == 0 || tcb.ipOptions == 0) return;
  store<u8>(at, tcb.ipOptions, 54);
  memory.copy(at + 72, routeOf(tcb), ROUTE);
}

/** <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, where no TCB will say it. */
function acknowledge<T>(tcb: T, window: u32): void {
  const at = say(tcb, ACK);
  if (at == 0) return;
  store<u16>(at, u16(window), 50);
  store<u32>(at, tcb.mayFragment ? u32(tcb.ipId) | MAY_FRAGMENT : u32(tcb.ipId), 60);
  tcb.ipId++;
}

/** Acknowledge what has arrived for `tcb`, which ends. */
export function lastAck(tcb: Tcb): void {
  acknowledge(tcb, advertise(tcb));
}

/** Answer what has arrived for `it`. */
export function ackTimeWait(it: TimeWait): void {
  acknowledge(it, it.rcvWnd >> it.rcvWscale);
}

/** Move replies into the batch. False when it is full before they are all in. */
export function emitReplies(): bool {
  while (waiting) {
    const at = replyRing + head * REPLY_BYTES;
    const family: u32 = load<u8>(at, 46);
    const route: u32 = load<u8>(at, 54);
    if (!fits(ipHeader(family) + route + TCP_HEADER + OPTIONS_MAX)) return false;
    const to = nextTcp(family, route);
    const flags: u32 = load<u16>(at, 44);
    const length = TCP_HEADER + writeOptions(at, to + TCP_HEADER, flags);
    writePorts(to, load<u16>(at, 32), load<u16>(at, 34));
    writeTcp(to, Seq.of(load<u32>(at, 36)), Seq.of(load<u32>(at, 40)), length, flags, load<u16>(at, 50));
    // The fixed octets of a mapped address would spoil the sum.
    const skip: u32 = family == 4 ? 12 : 0;
    const addresses = add(sum(at + skip, 16 - skip), sum(at + 16 + skip, 16 - skip));
    const pseudo = add(addresses, PROTOCOL_TCP << 8);
    const id = load<u32>(at, 60);
    commit(family, at, pseudo, length, 0, 0, id, load<u32>(at, 56), load<u8>(at, 47), at + 72, route);
    if (flags & RST) count(CNT_OUT_RSTS);
    head = (head + 1) & (REPLIES - 1);
    waiting--;
  }
  return true;
}

/** Write the options of the record at `at`; returns the octets written. */
function writeOptions(at: usize, to: usize, flags: u32): u32 {
  const options: u32 = load<u8>(at, 52);
  let length: u32 = 0;
  if (flags & SYN) length += writeMss(to, load<u16>(at, 48));
  if (options & WITH_TIMESTAMPS) {
    const value = load<u32>(at, 64) + (options & WITH_CLOCK ? clock() : 0);
    const sack = (options & WITH_SACK) != 0;
    length += writeTimestamps(to + length, value, load<u32>(at, 68), sack);
  }
  if (options & WITH_WINDOW_SCALE) length += writeWindowScale(to + length, load<u8>(at, 53));
  return length;
}

if (TCB_LOCAL_ADDRESS != 0 || TCB_REMOTE_ADDRESS != 16 || TCB_LOCAL_PORT != 32 || TCB_REMOTE_PORT != 34)
  ERROR("a record begins as a TCB does");
