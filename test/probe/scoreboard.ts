import { newTcb } from "../../assembly/lifecycle.ts";
import { writeSackBlock } from "../../assembly/packet/options.ts";
import { segment } from "../../assembly/packet/segment.ts";
import { timerExpired } from "../../assembly/recovery/newreno.ts";
import { nextLost, resent, scoredAck } from "../../assembly/recovery/rack.ts";
import {
  beginScoreboard,
  looks,
  NONE,
  pipe,
  recordSent,
  scoreboard,
} from "../../assembly/recovery/scoreboard.ts";
import { Seq } from "../../assembly/seq.ts";
import { CONTROL_NEWRENO } from "../../assembly/shared/user-options.ts";
import { CONTROL_SHIFT, Tcb } from "../../assembly/tcb.ts";
import { MILLISECOND } from "../../assembly/time.ts";

// What ACKs and their blocks do to the scoreboard of a TCB that a test fills in by itself. Sequence numbers begin at 0.

const WIDE: u32 = 0x40000000;

/** Where the blocks of the ACK stand. */
const blocks = memory.data(64, 8);

/** A TCB whose windows are as wide as can be, with nothing in flight yet. */
export function probe_newSender(mss: u32): u32 {
  const at = newTcb();
  const it = Tcb.at(at);
  it.sndMss = u16(mss);
  it.choices = u8(CONTROL_NEWRENO << CONTROL_SHIFT);
  it.srtt = f64(100 * MILLISECOND);
  it.rttMin = u32(100 * MILLISECOND);
  it.cwnd = WIDE;
  it.ssthresh = WIDE;
  it.sndWnd = WIDE;
  it.maxSndWnd = WIDE;
  // No more blocks tell of duplicates than there were retransmissions.
  it.totalRetrans = WIDE;
  it.sndUna = Seq.of(0);
  it.sndNxt = Seq.of(0);
  it.sndEnd = Seq.of(0x7fffffff);
  return u32(at);
}

/** So many segments of SND.MSS leave now. False when memory has ended. */
export function probe_fly(tcb: u32, segments: u32): bool {
  const it = Tcb.at(tcb);
  it.sackOk = 1;
  beginScoreboard(it);
  for (let i: u32 = 0; i < segments; i++) {
    recordSent(it, it.sndMss);
    if (scoreboard(it).reordering == 0) return false;
    it.sndNxt = it.sndNxt.plus(it.sndMss);
  }
  return true;
}

/** Block `i` of the next ACK. */
export function probe_block(i: u32, start: u32, end: u32): void {
  writeSackBlock(blocks + (i << 3), Seq.of(start), Seq.of(end));
}

/** An ACK of `ack` with so many blocks. Returns how often it looked at a record. */
export function probe_ackScored(tcb: u32, ack: u32, count: u32): u32 {
  const it = Tcb.at(tcb);
  const from = looks;
  const before = it.sndUna;
  segment.ack = Seq.of(ack);
  segment.sackAt = blocks;
  segment.sackBlocks = count;
  segment.textLength = 0;
  segment.hasTimestamp = false;
  if (segment.ack > before) it.sndUna = segment.ack;
  scoredAck(it, it.sndUna.since(before), before);
  return looks - from;
}

/** What waits is sent again, at most so many segments, as far as the window goes. Returns how often a record was looked at. */
export function probe_resendLost(tcb: u32, most: u32): u32 {
  const it = Tcb.at(tcb);
  const board = scoreboard(it);
  const from = looks;
  for (let i: u32 = 0; i < most; i++) {
    const index = nextLost(board);
    if (index == NONE || pipe(it) + it.sndMss > it.cwnd) break;
    resent(it, board, index);
  }
  return looks - from;
}

/** The first sequence number that waits to be sent again; all ones when none does. */
export function probe_nextLost(tcb: u32): u32 {
  const board = scoreboard(Tcb.at(tcb));
  const index = nextLost(board);
  return index == NONE ? NONE : board.sent(index).start.u32;
}

export function probe_timerExpired(tcb: u32): void {
  timerExpired(Tcb.at(tcb));
}

/** Runs of what was SACKed. */
export function probe_sackedRuns(tcb: u32): u32 {
  return scoreboard(Tcb.at(tcb)).runs.count;
}

export function probe_lostOctets(tcb: u32): u32 {
  return scoreboard(Tcb.at(tcb)).lostOctets;
}

export function probe_sackedOctets(tcb: u32): u32 {
  return scoreboard(Tcb.at(tcb)).sackedOctets;
}

/** So many times: a segment leaves, and an ACK comes for the oldest in flight. */
export function probe_repeatAcks(tcb: u32, times: u32): u32 {
  const it = Tcb.at(tcb);
  for (let i: u32 = 0; i < times; i++) {
    probe_fly(tcb, 1);
    probe_ackScored(tcb, it.sndUna.plus(it.sndMss).u32, 0);
  }
  return it.sndUna.u32;
}

/** So many times: eight segments leave, every other one of the oldest eight is SACKed in one ACK, and all are acknowledged. */
export function probe_repeatHoles(tcb: u32, times: u32): u32 {
  const it = Tcb.at(tcb);
  const mss: u32 = it.sndMss;
  for (let i: u32 = 0; i < times; i++) {
    probe_fly(tcb, 8);
    const una = it.sndUna.u32;
    for (let block: u32 = 0; block < 4; block++)
      probe_block(block, una + (2 * block + 1) * mss, una + (2 * block + 2) * mss);
    probe_ackScored(tcb, una, 4);
    probe_ackScored(tcb, una + 8 * mss, 0);
  }
  return it.sndUna.u32;
}
