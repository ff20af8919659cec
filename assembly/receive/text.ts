import { count } from "../counters.ts";
import { segment } from "../packet/segment.ts";
import { raise, wantOutput } from "../queues.ts";
import { cameTwice } from "../sack.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import { EV_READABLE, SET_DELACK_MS } from "../shared/control.ts";
import {
  CNT_TCP_OFO_DROP,
  CNT_TCP_OFO_MERGE,
  CNT_TCP_OFO_QUEUE,
  CNT_TCP_RCV_Q_DROP,
} from "../shared/counters.ts";
import { BLOCK_SIZE } from "../shared/sizes.ts";
import { SYN_DATA, Tcb } from "../tcb.ts";
import { MILLISECOND, NEVER, now } from "../time.ts";
import { armAck } from "../timers.ts";
import { textArrived } from "./tuning.ts";

// RFC 9293 §3.10.7.4, seventh step: text goes where its sequence numbers say.

/** Segments acknowledged at once when a connection is young (Linux's quick ACKs): the peer is in slow start. */
export const QUICK_ACKS: u8 = 16;

export function ackAtOnce(tcb: Tcb): void {
  tcb.ackNow = 1;
  wantOutput(tcb);
}

/** An immediate duplicate ACK, one for each segment that asks for it (RFC 5681 §4.2). */
export function duplicateAckOwed(tcb: Tcb, segments: u32 = 1): void {
  tcb.acksOwed = u16(min<u32>(u32(tcb.acksOwed) + segments, 0xffff));
  wantOutput(tcb);
}

/** The peer sends again what has come: it is in slow start, and waits for ACKs (Linux's quick ACKs). */
export function ackQuickly(tcb: Tcb): void {
  tcb.quickAcks = QUICK_ACKS;
}

/** RFC 9293 §3.8.6.3, RFC 5681 §4.2: at once for every second full segment, else within the delay. */
function ackText(tcb: Tcb): void {
  if (tcb.quickAcks) {
    tcb.quickAcks -= u8(min<u32>(tcb.quickAcks, segment.segments));
    ackAtOnce(tcb);
  } else if (tcb.rcvNxt.since(tcb.rcvAcked) >= 2 * u32(tcb.rcvMss)) ackAtOnce(tcb);
  else if (tcb.ackAt == NEVER) armAck(tcb, now + f64(setting(SET_DELACK_MS)) * MILLISECOND);
}

/** Store the text of `segment`, all of which is to be taken. */
export function segmentText(tcb: Tcb): void {
  const length = segment.textLength;
  countText(tcb, length);
  if (segment.seq == tcb.rcvNxt) inOrder(tcb, length);
  else outOfOrder(tcb, length);
  // It may have gone beyond the window, which is closed then.
  if (tcb.rcvAdv < tcb.rcvNxt) tcb.rcvAdv = tcb.rcvNxt;
  textArrived(tcb);
}

function countText(tcb: Tcb, length: u32): void {
  tcb.dataSegsIn += segment.segments;
  // What the peer's full segments look like, for "every second full segment".
  const size = min(length, segment.size);
  if (size > tcb.rcvMss) tcb.rcvMss = u16(min<u32>(size, tcb.advMss));
}

/** The text of `segment`, all of which follows what has come, stands in the stream already, and nothing does beyond it. */
export function textStored(tcb: Tcb): void {
  const length = segment.textLength;
  countText(tcb, length);
  tcb.rcvNxt = tcb.rcvNxt.plus(length);
  ackText(tcb);
  tcb.bytesReceived += length;
  raise(tcb, EV_READABLE);
  textArrived(tcb);
}

function inOrder(tcb: Tcb, length: u32): void {
  let stored = tcb.rcvStream.put(tcb.rcvRead, segment.seq, segment.text, length);
  if (stored < length && tcb.runs.count) {
    // Memory has ended: text that cannot be read yet makes room for text that can (RFC 2018 §8 allows to renege).
    dropRuns(tcb);
    stored += tcb.rcvStream.put(
      tcb.rcvRead,
      segment.seq.plus(stored),
      segment.text + stored,
      length - stored,
    );
  }
  if (stored < length) {
    count(CNT_TCP_RCV_Q_DROP);
    ackAtOnce(tcb);
    if (stored == 0) return;
  }
  const from = tcb.rcvNxt;
  tcb.rcvNxt = from.plus(stored);
  if (tcb.runs.count) {
    const twice = tcb.dsackLength ? 0 : tcb.runs.overlap(from, from, tcb.rcvNxt);
    if (twice) cameTwice(tcb, tcb.runs.overlapStart, twice, false);
    // RFC 5681 §4.2: a segment that fills a hole, wholly or in part, is acknowledged at once.
    tcb.rcvNxt = tcb.runs.take(from, tcb.rcvNxt);
    ackAtOnce(tcb);
  } else ackText(tcb);
  tcb.bytesReceived += tcb.rcvNxt.since(from);
  raise(tcb, EV_READABLE);
}

/** RFC 7413 §4.2.2: the text on the SYN in `segment` is the user's at once, and our SYN,ACK acknowledges it. */
export function takeSynText(tcb: Tcb): void {
  const length = min(segment.textLength, tcb.rcvWnd);
  const stored = length ? tcb.rcvStream.put(tcb.rcvNxt, tcb.rcvNxt, segment.text, length) : 0;
  if (stored == 0) return;
  tcb.choices |= SYN_DATA;
  tcb.dataSegsIn++;
  tcb.bytesReceived += stored;
  tcb.rcvNxt = tcb.rcvNxt.plus(stored);
  // The window of the SYN,ACK counts from where it acknowledges.
  tcb.rcvAdv = tcb.rcvNxt.plus(min<u32>(tcb.rcvBuf - stored, 0xffff));
}

/** §3.10.7.3: text that comes with the SYN of a simultaneous open waits until the connection is established. */
export function keepEarlyText(tcb: Tcb): void {
  const length = min(segment.textLength, tcb.rcvWnd);
  if (length == 0 || !tcb.runs.hasRoom()) return;
  const stored = tcb.rcvStream.put(tcb.rcvNxt, tcb.rcvNxt, segment.text, length);
  if (stored) tcb.runs.insert(tcb.rcvNxt, tcb.rcvNxt, tcb.rcvNxt.plus(stored));
  else tcb.runs.clear();
}

/** The connection is established: what was kept is text like any other. */
export function takeEarlyText(tcb: Tcb): void {
  if (tcb.runs.count == 0) return;
  const from = tcb.rcvNxt;
  tcb.rcvNxt = tcb.runs.take(from, from);
  if (tcb.rcvNxt == from) return;
  tcb.bytesReceived += tcb.rcvNxt.since(from);
  // The peer waits for nothing yet: the ACK may ride on what the user says to it.
  armAck(tcb, now + f64(setting(SET_DELACK_MS)) * MILLISECOND);
  raise(tcb, EV_READABLE);
}

/** Forget what lies beyond RCV.NXT, giving back the blocks that hold nothing else. */
function dropRuns(tcb: Tcb): void {
  const runs = tcb.runs;
  const last = runs.end(runs.count - 1);
  // From the first block that begins at or beyond RCV.NXT, up to and including the one with the last octet.
  const next = Seq.of((tcb.rcvNxt.u32 + BLOCK_SIZE - 1) & ~(BLOCK_SIZE - 1));
  const end = Seq.of((last.u32 + BLOCK_SIZE - 1) & ~(BLOCK_SIZE - 1));
  if (end > next) tcb.rcvStream.trim(next, end);
  runs.clear();
  count(CNT_TCP_OFO_DROP);
}

function outOfOrder(tcb: Tcb, length: u32): void {
  // Who has SACK sees from one ACK what came; who has not counts them.
  duplicateAckOwed(tcb, tcb.sackOk ? 1 : segment.segments);
  const end = segment.seq.plus(length);
  if (tcb.runs.covers(tcb.rcvNxt, segment.seq, end)) {
    count(CNT_TCP_OFO_MERGE);
    tcb.runs.touch(tcb.rcvNxt, segment.seq);
    cameTwice(tcb, segment.seq, length, false);
    return;
  }
  if (!tcb.runs.hasRoom()) {
    count(CNT_TCP_OFO_DROP);
    return;
  }
  const stored = tcb.rcvStream.put(tcb.rcvRead, segment.seq, segment.text, length);
  if (stored < length) count(CNT_TCP_OFO_DROP);
  if (stored) {
    const twice = tcb.runs.overlap(tcb.rcvNxt, segment.seq, segment.seq.plus(stored));
    if (twice) cameTwice(tcb, tcb.runs.overlapStart, twice, false);
    tcb.runs.insert(tcb.rcvNxt, segment.seq, segment.seq.plus(stored));
    count(CNT_TCP_OFO_QUEUE);
  } else if (tcb.runs.count == 0) tcb.runs.clear();
}
