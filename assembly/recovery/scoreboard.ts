import { spareAnnexOf } from "../annex.ts";
import { Reassembly } from "../reassembly.ts";
import { Seq } from "../seq.ts";
import {
  ANNEX_RATE,
  ANNEX_RECOVERY,
  SB_DELIVERED,
  SB_DSACK_DUPS,
  SB_LOST_OCTETS,
  SB_REORDERING,
  SB_RESENT_OCTETS,
  SB_SACKED_OCTETS,
} from "../shared/annex-layout.ts";
import { BLOCK_SIZE } from "../shared/sizes.ts";
import { Stream } from "../stream.ts";
import { Tcb } from "../tcb.ts";
import { Micros, now } from "../time.ts";
import { markAppLimited, rateSent } from "./rate.ts";

// What became of each segment in flight, for peers that tell of holes: a record a segment, in the order of sequence
// numbers in blocks of the pool, and linked in the order in which they were sent last. Which octets are SACKed stands in
// runs besides, so that a block which only grew is looked at from where it grew.

/** A segment was SACKed; is taken for lost; was sent again, and counts as in flight for that; was ever sent again. */
export const SACKED: u32 = 1;
export const LOST: u32 = 2;
export const RESENT: u32 = 4;
export const EVER_RESENT: u32 = 8;
/** It was sent while the application had nothing more to send. Written by rate.ts. */
export const APP_LIMITED: u32 = 16;
/** What stands before it in the order of sending was sent again within the same microsecond. */
export const BEHIND_RESENT: u32 = 32;

/** Sent.linked. */
const IN_FLIGHT: u32 = 1;
const WAITING: u32 = 2;

/** No record. */
export const NONE: u32 = 0xffffffff;

/** One line of the cache. */
const RECORD: u32 = 64;
const SHIFT: u32 = 6;

/** How often a record was looked at, where assertions are on: what an ACK costs, for tests. */
export let looks: u32 = 0;

/** One segment in flight: sequence numbers from `start` up to `end`, FIN included, sent last at `sentAt`. */
@unmanaged
@final
export class Sent {
  start: Seq;
  end: Seq;
  sentAt: Micros;
  /** Neighbours in the order of sending; NONE at the ends. */
  later: u32;
  earlier: u32;
  flags: u32;
  /** Which list it stands in: IN_FLIGHT in that order, WAITING for its turn to be sent again, or 0 for none. */
  linked: u32;

  // What had become of the connection when it was sent. Written by rate.ts, whose names these are.
  delivered: f64;
  deliveredAt: Micros;
  firstSentAt: Micros;
  inFlight: u32;
  lost: u32;

  @inline get length(): u32 {
    return this.end.since(this.start);
  }

  @inline has(flags: u32): bool {
    return (this.flags & flags) != 0;
  }
}

if (offsetof<Sent>() != RECORD) ERROR("a record of a segment is not as long as its place");

/** The part of a TCB's annex that recovery keeps. Written by the files of recovery/. */
@unmanaged
@final
export class Scoreboard {
  private stream0: u64;
  private stream1: u64;
  private stream2: u64;
  private runs0: u32;
  private runs1: u32;
  private runs2: u32;
  /** Indices of the oldest record and of the one to come. */
  first: u32;
  next: u32;
  /** Octets SACKed, lost, and sent again and in flight; segments SACKed. */
  sackedOctets: u32;
  lostOctets: u32;
  resentOctets: u32;
  sackedCount: u32;
  /** Ends of the list in the order of sending. */
  oldest: u32;
  newest: u32;
  /** The first of those that wait to be sent again. */
  waiting: u32;
  /** Octets that have left the network, by ACK or SACK. */
  delivered: f64;

  // RACK, RFC 8985 §5.2. Written by rack.ts.
  rackSentAt: Micros;
  rackEnd: Seq;
  /** Highest sequence number SACKed or acknowledged. */
  fack: Seq;
  /** Microseconds. */
  rackRtt: u32;
  dsackRound: Seq;
  /** Segments by which one may be late before it counts as lost: Linux's tcp_reordering, as far as it has grown. */
  reordering: u32;
  reoWndMult: u8;
  reoWndPersist: u8;
  reorderingSeen: u8;

  // Tail loss probe, RFC 8985 §7.3. Written by tlp.ts.
  tlpOut: u8;
  tlpEnd: Seq;
  tlpResent: u8;
  /** Whether anything has arrived yet that RACK goes by. Written by rack.ts. */
  rackKnown: u8;
  /** Whether what arrived last, by the time of sending, had been sent again, or right behind what was. */
  rackResent: u8;

  // Proportional rate reduction, RFC 6937 §3. Written by prr.ts.
  prrDelivered: u32;
  prrOut: u32;
  recoverFs: u32;
  dsackDups: u32;
  /** The last of those that wait to be sent again, and the one that was put there last. */
  lastWaiting: u32;
  private put: u32;

  @inline static at(annex: usize): Scoreboard {
    return changetype<Scoreboard>(annex + ANNEX_RECOVERY);
  }

  @inline get records(): Stream {
    return changetype<Stream>(changetype<usize>(this));
  }

  @inline get runs(): Reassembly {
    return changetype<Reassembly>(changetype<usize>(this) + 24);
  }

  @inline get isEmpty(): bool {
    return this.first == this.next;
  }

  /** The record `index`. */
  @inline sent(index: u32): Sent {
    if (!ASC_NO_ASSERT) looks++;
    return changetype<Sent>(this.records.address(Seq.of(index << SHIFT)));
  }

  /** Enter a segment just sent. False when memory has ended, or when it would be told apart from another no more. */
  push(start: Seq, end: Seq): bool {
    const at = this.records.place(Seq.of(this.first << SHIFT), Seq.of(this.next << SHIFT));
    if (at == 0) return false;
    const record = changetype<Sent>(at);
    record.start = start;
    record.end = end;
    record.sentAt = now;
    record.flags = this.resentJustNow ? BEHIND_RESENT : 0;
    this.link(this.next, record);
    this.next++;
    return true;
  }

  private get resentJustNow(): bool {
    if (this.newest == NONE) return false;
    const before = this.sent(this.newest);
    return before.has(RESENT | BEHIND_RESENT) && before.sentAt == now;
  }

  /** Give up the oldest record. */
  shift(): void {
    const index = this.first;
    const record = this.sent(index);
    if (record.linked) this.unlink(record);
    this.first = index + 1;
    const next = Seq.of((index + 1) << SHIFT);
    if ((next.u32 & (BLOCK_SIZE - 1)) == 0) this.records.trim(Seq.of(index << SHIFT), next);
    if (this.isEmpty) this.records.clear();
  }

  /** Put a record at the end of the order of sending. */
  link(index: u32, record: Sent): void {
    record.linked = IN_FLIGHT;
    record.later = NONE;
    record.earlier = this.newest;
    if (this.newest == NONE) this.oldest = index;
    else this.sent(this.newest).later = index;
    this.newest = index;
  }

  /** Put a record that was taken for lost back where it was in that order: what is lost was sent before all the rest. */
  private linkFirst(index: u32, record: Sent): void {
    record.linked = IN_FLIGHT;
    record.earlier = NONE;
    record.later = this.oldest;
    if (this.oldest == NONE) this.newest = index;
    else this.sent(this.oldest).earlier = index;
    this.oldest = index;
  }

  /**
   * Have a record wait to be sent again, in the order of sequence numbers as far as that is had at once: behind the last
   * one, before the first, or behind the one before it in the same pass. Nothing is searched for, however many wait.
   */
  wait(index: u32, record: Sent): void {
    let earlier = this.lastWaiting;
    if (earlier != NONE && this.isBefore(index, earlier)) {
      if (this.isBefore(index, this.waiting)) earlier = NONE;
      else if (this.put != NONE && this.isBefore(this.put, index)) earlier = this.put;
    }
    const later = earlier == NONE ? this.waiting : this.sent(earlier).later;
    record.linked = WAITING;
    record.earlier = earlier;
    record.later = later;
    if (earlier == NONE) this.waiting = index;
    else this.sent(earlier).later = index;
    if (later == NONE) this.lastWaiting = index;
    else this.sent(later).earlier = index;
    this.put = index;
  }

  @inline private isBefore(index: u32, other: u32): bool {
    return index - this.first < other - this.first;
  }

  /** Nothing that waits to be sent again is lost after all. */
  forgive(): void {
    for (let index = this.lastWaiting; index != NONE; index = this.lastWaiting) {
      const record = this.sent(index);
      record.flags &= ~LOST;
      this.lostOctets -= record.length;
      this.unlink(record);
      this.linkFirst(index, record);
    }
  }

  /** Take a record out of the list it stands in. */
  unlink(record: Sent): void {
    const waits = record.linked == WAITING;
    if (waits && this.put != NONE && this.sent(this.put) == record) this.put = NONE;
    if (record.earlier != NONE) this.sent(record.earlier).later = record.later;
    else if (waits) this.waiting = record.later;
    else this.oldest = record.later;
    if (record.later != NONE) this.sent(record.later).earlier = record.earlier;
    else if (waits) this.lastWaiting = record.earlier;
    else this.newest = record.earlier;
    record.linked = 0;
  }

  /** Index of the first record that ends beyond `at`; `next` when none does. */
  find(at: Seq): u32 {
    let low = this.first;
    let high = this.next;
    while (low != high) {
      const middle = low + ((high - low) >>> 1);
      if (this.sent(middle).end <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Forget all of it, and give back what it is kept in. */
  clear(): void {
    this.records.clear();
    this.runs.clear();
    this.first = this.next;
    this.oldest = NONE;
    this.newest = NONE;
    this.waiting = NONE;
    this.lastWaiting = NONE;
    this.put = NONE;
    this.sackedOctets = 0;
    this.lostOctets = 0;
    this.resentOctets = 0;
    this.sackedCount = 0;
  }
}

if (offsetof<Scoreboard>("sackedOctets") != SB_SACKED_OCTETS) ERROR("layout drift: sackedOctets");
if (offsetof<Scoreboard>("lostOctets") != SB_LOST_OCTETS) ERROR("layout drift: lostOctets");
if (offsetof<Scoreboard>("resentOctets") != SB_RESENT_OCTETS) ERROR("layout drift: resentOctets");
if (offsetof<Scoreboard>("delivered") != SB_DELIVERED) ERROR("layout drift: delivered");
if (offsetof<Scoreboard>("reordering") != SB_REORDERING) ERROR("layout drift: reordering");
if (offsetof<Scoreboard>("dsackDups") != SB_DSACK_DUPS) ERROR("layout drift: dsackDups");
if (ANNEX_RECOVERY + offsetof<Scoreboard>() > ANNEX_RATE)
  ERROR("a scoreboard does not fit its part of the annex");
if (offsetof<Stream>() != 24 || offsetof<Reassembly>() != 12)
  ERROR("a scoreboard begins with a stream and runs");

/** Whether segments of `tcb` are recorded. */
export function isScored(tcb: Tcb): bool {
  return tcb.sackOk != 0 && tcb.annex != 0 && scoreboard(tcb).reordering != 0;
}

export function scoreboard(tcb: Tcb): Scoreboard {
  return Scoreboard.at(tcb.annex);
}

/**
 * The first segment is about to be sent to a peer that tells of holes. Where memory has ended the connection does
 * without, as with one that does not.
 */
export function beginScoreboard(tcb: Tcb): void {
  if (!tcb.sackOk || spareAnnexOf(tcb) == 0) return;
  const board = scoreboard(tcb);
  if (board.reordering) return;
  board.clear();
  board.reordering = DUP_THRESHOLD;
  board.reoWndMult = 1;
  board.fack = tcb.sndUna;
  board.rackEnd = tcb.sndUna;
  board.dsackRound = tcb.sndUna;
  // What a SYN carried has been acknowledged before.
  board.delivered = max(board.delivered, tcb.bytesAcked);
  // Nothing was sent although it might have been.
  markAppLimited(tcb, 0);
}

/** RFC 5681's three duplicates, as Linux's tcp_reordering begins. */
export const DUP_THRESHOLD: u32 = 3;

/** Octets in the network, by all that is known (RFC 6675 §4's pipe). */
export function pipe(tcb: Tcb): u32 {
  if (!isScored(tcb)) return tcb.flightSize;
  const board = scoreboard(tcb);
  return tcb.flightSize - board.sackedOctets - board.lostOctets + board.resentOctets;
}

/** The connection is over, or all that was sent is acknowledged. */
export function clearScoreboard(tcb: Tcb): void {
  if (isScored(tcb)) scoreboard(tcb).clear();
}

/**
 * Enter the segment of `length` sequence numbers that is about to be sent at SND.NXT. Where memory has ended recovery
 * does without until all is acknowledged.
 */
export function recordSent(tcb: Tcb, length: u32): void {
  recordFrom(tcb, tcb.sndNxt, length, length);
}

/** The same for what stands at `start`, of which `more` octets are not counted as in flight yet. */
export function recordFrom(tcb: Tcb, start: Seq, length: u32, more: u32): void {
  const board = scoreboard(tcb);
  const alone = board.isEmpty;
  if (board.push(start, start.plus(length))) {
    rateSent(tcb, board, board.sent(board.next - 1), pipe(tcb) + more, alone);
    return;
  }
  board.clear();
  board.reordering = 0;
  tcb.rexmitNxt = tcb.sndUna;
  tcb.dupAcks = 0;
}
