import {
  ackDelivered,
  recovered,
  reduceForLoss,
  roundTrip,
  segmentLost,
  setsWindow,
  windowAcked,
} from "../congestion/control.ts";
import { count } from "../counters.ts";
import { tellReduced } from "../ecn.ts";
import { segment } from "../packet/segment.ts";
import { wantOutput } from "../queues.ts";
import { stopTiming } from "../rtt.ts";
import { Seq } from "../seq.ts";
import {
  CNT_TCP_DSACK_IGNORED,
  CNT_TCP_DSACK_RECV,
  CNT_TCP_DSACK_UNDO,
  CNT_TCP_FULL_UNDO,
  CNT_TCP_LOSS_PROBE_RECOVERY,
  CNT_TCP_LOSS_UNDO,
  CNT_TCP_PARTIAL_UNDO,
  CNT_TCP_SACK_DISCARD,
  CNT_TCP_SACK_RECOVERY,
  CNT_TCP_SACK_RENEGING,
  CNT_TCP_SACK_REORDER,
  CNT_TCP_SPURIOUS_RTOS,
} from "../shared/counters.ts";
import { Tcb } from "../tcb.ts";
import { Micros, now } from "../time.ts";
import { armRtx } from "../timers.ts";
import { isEchoOlder } from "../timestamps.ts";
import { endFrto, frtoScored } from "./frto.ts";
import { CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY } from "./newreno.ts";
import { beginReduction, reduce } from "./prr.ts";
import { beginSample, endSample, Rate, rateSent, sampleSegment } from "./rate.ts";
import {
  BEHIND_RESENT,
  DUP_THRESHOLD,
  EVER_RESENT,
  LOST,
  NONE,
  pipe,
  RESENT,
  SACKED,
  Scoreboard,
  Sent,
  scoreboard,
} from "./scoreboard.ts";
import {
  allCameTwice,
  cameTwiceThere,
  forgetRetransmissions,
  isFirstCopys,
  undoReduction,
  watchRetransmissions,
} from "./spurious.ts";
import { probeAnswered } from "./tlp.ts";

// RACK, RFC 8985 §6: a segment is lost when one sent sufficiently later has arrived. SACK blocks by RFC 2018 and 2883;
// what may be sent meanwhile by RFC 6937 (prr.ts).

/** Tcb.probing: the timer runs until reordering is no excuse any more (RFC 8985 §6.2 step 5). */
export const REORDERING: u8 = 4;

/** RFC 8985 §6.2 step 4: recoveries after which a window widened by duplicates is narrow again. */
const REO_WND_PERSIST: u8 = 16;
const REORDERING_MAX: u32 = 300;

// What the ACK being processed has told.
let newlyDelivered: u32 = 0;
let newlyLost: bool = false;
/** Where what was last found lost ends. */
let lostTo: Seq = Seq.of(0);
/** Lowest sequence number that came late, and was sent once. */
let lateFrom: Seq = Seq.of(0);
let late: bool = false;
let sawDsack: bool = false;
/** Something has arrived beyond a hole; and something that was sent once, and was in flight when the timer expired. */
let sacked: bool = false;
let original: bool = false;
/** The window is what a reduction, or the end of one, made of it: it grows with the next ACK. */
let rests: bool = false;

function sentAfter(at1: Micros, end1: Seq, at2: Micros, end2: Seq): bool {
  return at1 > at2 || (at1 == at2 && end1 > end2);
}

/** §6.2 step 2: what has arrived was sent at `record.sentAt`. */
function advance(tcb: Tcb, board: Scoreboard, record: Sent): void {
  const rtt = u32(min(now - record.sentAt, 4294967295.0));
  // It may have been the first copy that arrived: sooner than any round trip, or by the echo.
  if (record.has(EVER_RESENT) && (rtt < tcb.rttMin || isEchoOlder(tcb, record.sentAt))) return;
  board.rackRtt = rtt;
  board.rackKnown = 1;
  if (sentAfter(record.sentAt, record.end, board.rackSentAt, board.rackEnd)) {
    board.rackSentAt = record.sentAt;
    board.rackEnd = record.end;
    board.rackResent = u8(record.has(RESENT | BEHIND_RESENT));
  }
}

/** A record, all of it, is delivered for the first time. */
function delivered(tcb: Tcb, board: Scoreboard, record: Sent): void {
  const length = record.length;
  if (!record.has(EVER_RESENT) && record.end <= board.fack) {
    // §6.2 step 3: it was sent before something that has arrived already.
    if (!late || record.start < lateFrom) lateFrom = record.start;
    late = true;
  }
  if (!record.has(EVER_RESENT) && record.end.minus(1) <= tcb.recover) original = true;
  if (record.has(LOST)) board.lostOctets -= length;
  if (record.has(RESENT)) board.resentOctets -= length;
  newlyDelivered += length;
  sampleSegment(tcb, record);
  advance(tcb, board, record);
}

/** The cumulative acknowledgment has moved from `before` to SND.UNA. */
function takeCumulative(tcb: Tcb, board: Scoreboard, before: Seq): void {
  const una = tcb.sndUna;
  while (!board.isEmpty) {
    const record = board.sent(board.first);
    if (record.end > una) {
      if (record.start < una) cut(board, record, una);
      break;
    }
    if (record.has(SACKED)) {
      board.sackedOctets -= record.length;
      board.sackedCount--;
    } else delivered(tcb, board, record);
    board.shift();
  }
  if (board.runs.count) board.runs.take(before, una);
  if (una > board.fack) board.fack = una;
}

/** Only the beginning of a record is acknowledged. */
function cut(board: Scoreboard, record: Sent, una: Seq): void {
  const length = una.since(record.start);
  if (record.has(SACKED)) board.sackedOctets -= length;
  else newlyDelivered += length;
  if (record.has(LOST)) board.lostOctets -= length;
  if (record.has(RESENT)) board.resentOctets -= length;
  record.start = una;
}

/** Take the blocks of `segment`, which acknowledges up to SEG.ACK. `before` is what SND.UNA was. */
function takeBlocks(tcb: Tcb, board: Scoreboard, before: Seq): void {
  const blocks = segment.sackBlocks;
  for (let i: u32 = 0; i < blocks; i++) {
    const at = segment.sackAt + (i << 3);
    const start = Seq.of(bswap<u32>(load<u32>(at)));
    const end = Seq.of(bswap<u32>(load<u32>(at, 4)));
    if (i == 0 && isDuplicate(at, start, end, blocks)) {
      takeDuplicate(tcb, board, start, end, before);
      continue;
    }
    // Beyond what was sent, behind what is acknowledged, or upside down.
    if (start >= end || end > tcb.sndNxt || start < tcb.sndUna) {
      if (end > tcb.sndUna || start >= end) count(CNT_TCP_SACK_DISCARD);
      continue;
    }
    takeBlock(tcb, board, start, end);
  }
}

/** RFC 2883 §4: the first block lies behind this segment's own acknowledgment, or within the second block. */
function isDuplicate(at: usize, start: Seq, end: Seq, blocks: u32): bool {
  if (start >= end) return false;
  if (end <= segment.ack) return true;
  if (blocks < 2) return false;
  const outerStart = Seq.of(bswap<u32>(load<u32>(at, 8)));
  const outerEnd = Seq.of(bswap<u32>(load<u32>(at, 12)));
  return start >= outerStart && end <= outerEnd;
}

/** What was sent twice has arrived twice: reordering deserves more patience (RFC 8985 §6.2 step 4). */
function takeDuplicate(tcb: Tcb, board: Scoreboard, start: Seq, end: Seq, before: Seq): void {
  // Of what was never sent, or so long ago that nobody remembers.
  if (end > tcb.sndNxt || (start < before && before.since(start) > tcb.maxSndWnd)) {
    count(CNT_TCP_DSACK_IGNORED);
    return;
  }
  count(CNT_TCP_DSACK_RECV);
  sawDsack = true;
  board.dsackDups++;
  // Only what was sent again, and no more of it than was (as in Linux): the network makes duplicates, too.
  if (
    board.dsackDups <= tcb.totalRetrans &&
    (end <= tcb.sndUna || board.sent(board.find(start)).has(EVER_RESENT))
  )
    cameTwiceThere(tcb, end.since(start), end);
  board.reorderingSeen = 1;
  if (tcb.sndUna >= board.dsackRound) {
    board.dsackRound = tcb.sndNxt;
    if (board.reoWndMult < 255) board.reoWndMult++;
    board.reoWndPersist = REO_WND_PERSIST;
  }
}

/** Mark what of [start, end) was not known to have arrived. */
function takeBlock(tcb: Tcb, board: Scoreboard, start: Seq, end: Seq): void {
  const base = tcb.sndUna;
  const runs = board.runs;
  if (runs.covers(base, start, end)) return;
  if (!runs.hasRoom()) return;
  // From where what is known of it ends: a block that grew is looked at once, not from its beginning.
  let from = start;
  while (from < end) {
    const known = runs.overlap(base, from, end);
    const gap = known ? runs.overlapStart : end;
    markRange(tcb, board, from, gap);
    from = known ? gap.plus(known) : end;
  }
  runs.insert(base, start, end);
  if (end > board.fack) board.fack = end;
}

/** Records that lie wholly within what is now known up to `end`; one of which a part is missing waits for it. */
function markRange(tcb: Tcb, board: Scoreboard, from: Seq, end: Seq): void {
  if (from >= end) return;
  for (let index = board.find(from); index != board.next; index++) {
    const record = board.sent(index);
    if (record.end > end) break;
    if (record.has(SACKED) || record.start < from) continue;
    delivered(tcb, board, record);
    sacked = true;
    record.flags = (record.flags | SACKED) & ~(LOST | RESENT);
    board.sackedOctets += record.length;
    board.sackedCount++;
    if (record.linked) board.unlink(record);
  }
}

/** §6.2 step 3: what came late was sent once. */
function noteLate(tcb: Tcb, board: Scoreboard): void {
  if (late) noteReordering(tcb, board);
}

/** Something from `lateFrom` on was late; the degree of it as Linux's tcp_reordering counts it. */
function noteReordering(tcb: Tcb, board: Scoreboard): void {
  if (lateFrom >= board.fack) return;
  board.reorderingSeen = 1;
  const degree = (board.fack.since(lateFrom) + tcb.sndMss - 1) / tcb.sndMss;
  if (degree > board.reordering) board.reordering = min(degree, REORDERING_MAX);
  count(CNT_TCP_SACK_REORDER);
}

/** §6.2 step 4: how long a segment may be late. */
function reoWnd(tcb: Tcb, board: Scoreboard): f64 {
  if (!board.reorderingSeen) {
    if (tcb.caState >= CA_RECOVERY || board.sackedCount >= board.reordering) return 0;
  }
  return min((f64(tcb.rttMin) / 4) * board.reoWndMult, tcb.srtt);
}

/** The record `index` has not come in time. */
function lose(tcb: Tcb, board: Scoreboard, index: u32, record: Sent): void {
  Rate.of(tcb).lost += record.length;
  segmentLost(tcb, record, !newlyLost || record.start != lostTo);
  lostTo = record.end;
  markLost(board, index, record);
}

function markLost(board: Scoreboard, index: u32, record: Sent): void {
  if (record.has(RESENT)) board.resentOctets -= record.length;
  if (!record.has(LOST)) board.lostOctets += record.length;
  const waits = record.has(LOST) && !record.has(RESENT);
  record.flags = (record.flags | LOST) & ~RESENT;
  newlyLost = true;
  if (waits) return;
  if (record.linked) board.unlink(record);
  board.wait(index, record);
}

/**
 * §6.2 step 5: mark what is lost by now; returns in how many microseconds to look again, 0 for not at all. That is when the
 * first of the rest will be lost, where the RFC has the last: so nothing behind it, which was sent later, is looked at.
 */
function detectLosses(tcb: Tcb, board: Scoreboard): f64 {
  if (!board.rackKnown) return 0;
  const window = reoWnd(tcb, board);
  let index = board.oldest;
  while (index != NONE) {
    const record = board.sent(index);
    if (!sentAfter(board.rackSentAt, board.rackEnd, record.sentAt, record.end)) break;
    // A first copy that left within the same microsecond left before this second one.
    if (record.has(RESENT) && record.sentAt == board.rackSentAt && !board.rackResent) break;
    const later = record.later;
    const left = record.sentAt + f64(board.rackRtt) + window - now;
    if (left > 0) return left;
    lose(tcb, board, index, record);
    index = later;
  }
  return 0;
}

/** Begin to make good what is lost (RFC 6675 §5, RFC 6937). An echo of congestion may have reduced the window already. */
function enterRecovery(tcb: Tcb, board: Scoreboard): void {
  if (tcb.caState != CA_CWR) {
    board.recoverFs = tcb.cwnd;
    reduceForLoss(tcb);
    watchRetransmissions(tcb, false);
    tellReduced(tcb);
  } else board.recoverFs = max(tcb.cwnd, tcb.ssthresh);
  tcb.caState = CA_RECOVERY;
  tcb.recover = tcb.sndNxt.minus(1);
  beginReduction(board);
  stopTiming(tcb);
  count(CNT_TCP_SACK_RECOVERY);
}

/** All that was in flight when it began has arrived. */
function leaveRecovery(tcb: Tcb, board: Scoreboard): void {
  recovered(tcb, tcb.caState == CA_RECOVERY);
  if (allCameTwice(tcb) || isFirstCopys(tcb)) takeBack(tcb, board, CNT_TCP_FULL_UNDO);
  else if (board.reoWndPersist && --board.reoWndPersist == 0) board.reoWndMult = 1;
  endFrto(tcb);
  tcb.caState = CA_OPEN;
}

/** What was sent again need not have been: as if there had been no loss. `counter` says how that was found. */
function takeBack(tcb: Tcb, board: Scoreboard, counter: usize): void {
  undoReduction(tcb);
  count(counter);
  rests = true;
  tcb.caState = board.sackedCount ? CA_DISORDER : CA_OPEN;
}

/** The timeout was for nothing: what it took for lost is late. */
function takeBackTimeout(tcb: Tcb, board: Scoreboard): void {
  for (let index = board.first; index != board.next; index++) {
    const record = board.sent(index);
    if (!record.has(RESENT)) continue;
    // Both copies are in flight now.
    record.flags &= ~LOST;
    board.lostOctets -= record.length;
  }
  board.forgive();
  takeBack(tcb, board, CNT_TCP_LOSS_UNDO);
}

/**
 * A hole was filled by the segment that was late, not by the one that was sent in its place: so may the others be. As soon
 * as nothing is in flight a second time that is believed (Linux's tcp_try_undo_partial).
 */
function partialUndo(tcb: Tcb, board: Scoreboard, before: Seq): void {
  lateFrom = before;
  noteReordering(tcb, board);
  if (board.resentOctets) return;
  board.forgive();
  takeBack(tcb, board, CNT_TCP_PARTIAL_UNDO);
}

/** All that was sent again came twice. */
function duplicateUndo(tcb: Tcb, board: Scoreboard): void {
  board.reoWndPersist = REO_WND_PERSIST;
  takeBack(tcb, board, CNT_TCP_DSACK_UNDO);
}

/** What the ACK means for what goes on. What ends ends before anything else begins. */
function settle(tcb: Tcb, board: Scoreboard, acked: u32, before: Seq): void {
  const over = acked != 0 && tcb.sndUna > tcb.recover;
  if (tcb.caState == CA_LOSS) {
    if (acked && (allCameTwice(tcb) || isFirstCopys(tcb))) takeBackTimeout(tcb, board);
    else if (frtoScored(tcb, acked != 0, original, sacked)) {
      count(CNT_TCP_SPURIOUS_RTOS);
      takeBackTimeout(tcb, board);
    } else if (over) leaveRecovery(tcb, board);
    return;
  }
  if (tcb.caState == CA_RECOVERY) {
    if (over) leaveRecovery(tcb, board);
    else if (acked && isFirstCopys(tcb)) partialUndo(tcb, board, before);
  } else if (tcb.caState == CA_CWR && over) {
    tcb.caState = CA_OPEN;
    // It may be the very ACK that echoed (RFC 3168 §6.1.2).
    rests = true;
  }
  if (sawDsack && allCameTwice(tcb)) duplicateUndo(tcb, board);
}

/**
 * An acceptable ACK has come; `acked` octets of it are new, and SND.UNA, which was at `before`, has moved already.
 * Returns in how many microseconds reordering will be no excuse any more, 0 if there is nothing to excuse.
 */
export function scoredAck(tcb: Tcb, acked: u32, before: Seq): f64 {
  const board = scoreboard(tcb);
  newlyDelivered = 0;
  newlyLost = false;
  late = false;
  sawDsack = false;
  sacked = false;
  original = false;
  rests = false;
  beginSample();
  if (acked) takeCumulative(tcb, board, before);
  if (segment.sackBlocks) takeBlocks(tcb, board, before);
  if (newlyDelivered) roundTrip(tcb, board.rackRtt);
  noteLate(tcb, board);
  board.delivered += newlyDelivered;
  endSample(tcb, board);
  if (board.tlpOut && probeAnswered(tcb, board, sawDsack, newlyDelivered != 0)) reduceForProbe(tcb);
  settle(tcb, board, acked, before);
  const timeout = board.isEmpty ? 0 : detectLosses(tcb, board);
  react(tcb, board, acked);
  ackDelivered(tcb, newlyDelivered);
  if (board.isEmpty) board.clear();
  wantOutput(tcb);
  return timeout;
}

/** RFC 8985 §7.4.2: the probe made good a loss that nothing else told of. */
function reduceForProbe(tcb: Tcb): void {
  if (tcb.caState > CA_DISORDER) return;
  reduceForLoss(tcb);
  forgetRetransmissions(tcb);
  tellReduced(tcb);
  if (!setsWindow(tcb)) tcb.cwnd = tcb.ssthresh;
  count(CNT_TCP_LOSS_PROBE_RECOVERY);
}

/** What the window and the state come to. */
function react(tcb: Tcb, board: Scoreboard, acked: u32): void {
  if (tcb.caState < CA_RECOVERY && board.lostOctets) enterRecovery(tcb, board);
  if (tcb.caState == CA_RECOVERY) {
    if (!setsWindow(tcb)) reduce(tcb, board, newlyDelivered, acked != 0 && !newlyLost);
    return;
  }
  if (tcb.caState == CA_LOSS) {
    tcb.cwndLimited = 1;
    if (acked) windowAcked(tcb, newlyDelivered);
    return;
  }
  if (tcb.caState == CA_CWR) return;
  tcb.caState = board.sackedCount ? CA_DISORDER : CA_OPEN;
  if (acked) {
    // `recover` follows at a distance that changes no verdict: left behind for 2^31 octets it would seem ahead.
    if (tcb.sndUna.minus(1) > tcb.recover) tcb.recover = tcb.sndUna.minus(2);
  }
  // Where more reordering has been seen than three segments' worth, what arrives beyond a hole is no sign of loss, and
  // counts when it does, as in Linux.
  const counts = acked != 0 || (newlyDelivered != 0 && board.reordering > DUP_THRESHOLD);
  if (counts && !rests) windowAcked(tcb, newlyDelivered);
}

/** The reordering timer has expired. */
export function reorderingExpired(tcb: Tcb): void {
  const board = scoreboard(tcb);
  newlyLost = false;
  const timeout = detectLosses(tcb, board);
  if (board.lostOctets) {
    if (tcb.caState < CA_RECOVERY) enterRecovery(tcb, board);
    if (tcb.caState == CA_RECOVERY && !setsWindow(tcb)) reduce(tcb, board, 0, false);
    wantOutput(tcb);
  }
  if (timeout) watchReordering(tcb, timeout);
}

/** Have the timer expire when reordering is no excuse any more. */
export function watchReordering(tcb: Tcb, timeout: f64): void {
  tcb.probing = REORDERING;
  // In whole microseconds: the clock has no others, and would never get there.
  armRtx(tcb, now + Math.ceil(timeout));
}

/** §6.3: the retransmission timer has expired. The first segment is lost, and whatever was sent as long ago. */
export function timeoutScored(tcb: Tcb): void {
  const board = scoreboard(tcb);
  board.tlpOut = 0;
  if (board.isEmpty) return;
  // RFC 2018 §8: the peer has dropped what it had told of; no word of it is believed any more.
  if (board.sent(board.first).has(SACKED)) forgetSacks(board);
  const horizon = now - f64(board.rackRtt) - reoWnd(tcb, board);
  for (let index = board.first; index != board.next; index++) {
    const record = board.sent(index);
    if (record.has(SACKED) || (record.has(LOST) && !record.has(RESENT))) continue;
    if (index == board.first || record.sentAt <= horizon) lose(tcb, board, index, record);
  }
}

/** All in flight is to be sent again, smaller, for no fault of the path's capacity. */
export function markAll(tcb: Tcb): void {
  const board = scoreboard(tcb);
  for (let index = board.first; index != board.next; index++) {
    const record = board.sent(index);
    if (!record.has(SACKED)) markLost(board, index, record);
  }
}

function forgetSacks(board: Scoreboard): void {
  count(CNT_TCP_SACK_RENEGING);
  for (let index = board.first; index != board.next; index++) {
    const record = board.sent(index);
    if (!record.has(SACKED)) continue;
    record.flags &= ~SACKED;
    board.link(index, record);
  }
  board.runs.clear();
  board.sackedOctets = 0;
  board.sackedCount = 0;
}

/** Index of the next record to be sent again, NONE when none waits. */
export function nextLost(board: Scoreboard): u32 {
  return board.waiting;
}

/** The record was sent again. */
export function resent(tcb: Tcb, board: Scoreboard, index: u32): void {
  const record = board.sent(index);
  const length = record.length;
  assert(!record.has(SACKED));
  record.flags |= RESENT | EVER_RESENT;
  board.resentOctets += length;
  record.sentAt = now;
  if (record.linked) board.unlink(record);
  board.link(index, record);
  board.prrOut += length;
  rateSent(tcb, board, record, pipe(tcb), false);
}
