import { count } from "../counters.ts";
import { isEchoed, isHeldBack } from "../ecn.ts";
import { heard } from "../keepalive.ts";
import { leavePending } from "../listener.ts";
import { FIN, SYN, segment } from "../packet/segment.ts";
import { raise, wantOutput } from "../queues.ts";
import { recordsAcknowledged } from "../records.ts";
import { congestionEchoed, duplicateAck, newlyAcked } from "../recovery/newreno.ts";
import { scoredAck, watchReordering } from "../recovery/rack.ts";
import { checkAppLimited } from "../recovery/rate.ts";
import { isScored, scoreboard } from "../recovery/scoreboard.ts";
import { startRecoveryTimer } from "../recovery/tlp.ts";
import { finishTiming } from "../rtt.ts";
import { wakeWriter } from "../send/buffer.ts";
import { Seq } from "../seq.ts";
import { EV_ESTABLISHED } from "../shared/control.ts";
import { CNT_TCP_PURE_ACKS } from "../shared/counters.ts";
import { RECORDS, Tcb } from "../tcb.ts";
import { NEVER, now } from "../time.ts";
import { startRtx } from "../timers.ts";
import { urgentAcknowledged } from "../urgent.ts";

// RFC 9293 §3.10.7.4, fifth step, for synchronized states: what an acceptable ACK does to the send side.

/** SND.UNA moves to `ack`, which lies in (SND.UNA, SND.NXT]. */
export function acknowledge(tcb: Tcb, ack: Seq): void {
  const from = tcb.sndTextStart;
  const before = tcb.sndUna;
  const acked = ack.since(before);
  // FIN went out before the SYN was acknowledged: the user still waits to hear that it was.
  if (tcb.synUnacked) {
    raise(tcb, EV_ESTABLISHED);
    if (tcb.openedFast) leavePending(tcb, false);
  }
  tcb.sndUna = ack;
  if (tcb.urgent) urgentAcknowledged(tcb);
  if (tcb.choices & RECORDS) recordsAcknowledged(tcb);
  tcb.unackedSince = now;
  const to = ack > tcb.sndEnd ? tcb.sndEnd : ack;
  if (to != from) {
    tcb.bytesAcked += to.since(from);
    if (to == tcb.sndEnd) tcb.sndStream.finish(from, to);
    else tcb.sndStream.trim(from, to);
  }
  tcb.retransmits = 0;
  // The path works: what ICMP said of it is history.
  tcb.softError = 0;
  tcb.probes = 0;
  finishTiming(tcb);
  let excused: f64 = 0;
  if (isScored(tcb)) excused = scoredAck(tcb, acked, before);
  else newlyAcked(tcb, acked);
  // RFC 6298 5.2 and 5.3: off when all is acknowledged, started afresh otherwise.
  if (tcb.sndUna == tcb.sndNxt) {
    tcb.rtxAt = NEVER;
    tcb.probing = 0;
    if (isHeldBack(tcb)) startRtx(tcb);
  } else if (excused) watchReordering(tcb, excused);
  else startRecoveryTimer(tcb);
  if (tcb.blocked) wakeWriter(tcb);
  wantOutput(tcb);
}

/**
 * Take SND.WND from the segment: only a newer segment, or an equally new one with a newer ACK, may change it. Or, as in Linux,
 * any with a newer ACK: what is sent again is not new, but its window counts from where it acknowledges.
 */
export function updateWindow(tcb: Tcb): bool {
  const later = tcb.sndWl2 < segment.ack;
  if (!(later || tcb.sndWl1 < segment.seq || (tcb.sndWl1 == segment.seq && tcb.sndWl2 == segment.ack)))
    return false;
  const window = segment.has(SYN) ? segment.window : segment.window << tcb.sndWscale;
  const opened = window != tcb.sndWnd;
  if (tcb.sndWl1 < segment.seq) tcb.sndWl1 = segment.seq;
  tcb.sndWl2 = segment.ack;
  if (opened) {
    const closed = tcb.sndWnd == 0;
    tcb.sndWnd = window;
    tcb.maxSndWnd = max(tcb.maxSndWnd, window);
    if (closed && tcb.probing) {
      // Open again: the next timer is for retransmission, at its own interval.
      tcb.backoff = 0;
      tcb.probing = 0;
      if (tcb.flightSize) startRtx(tcb);
      else tcb.rtxAt = NEVER;
    }
    wantOutput(tcb);
  }
  return opened;
}

/** Take what the segment tells of holes; SND.UNA stays where it is. */
function takeSacks(tcb: Tcb): void {
  const excused = scoredAck(tcb, 0, tcb.sndUna);
  if (excused) watchReordering(tcb, excused);
}

/** Process the ACK of `segment`, which lies in [SND.UNA - MAX.SND.WND, SND.NXT]. */
export function checkAckField(tcb: Tcb): void {
  heard(tcb);
  checkAppLimited(tcb);
  if (tcb.ecn && isEchoed(tcb)) congestionEchoed(tcb);
  if (segment.ack > tcb.sndUna) {
    if (segment.textLength == 0) count(CNT_TCP_PURE_ACKS);
    acknowledge(tcb, segment.ack);
    updateWindow(tcb);
    return;
  }
  if (segment.ack != tcb.sndUna) {
    // An ACK that was overtaken tells nothing new of what is acknowledged, but may of holes.
    if (segment.sackBlocks && isScored(tcb)) takeSacks(tcb);
    return;
  }
  tcb.probes = 0;
  const changed = updateWindow(tcb);
  if (isScored(tcb)) {
    if (segment.sackBlocks || scoreboard(tcb).tlpOut) takeSacks(tcb);
    return;
  }
  // RFC 5681 §2: data in flight, no text, no SYN or FIN, same acknowledgment, same window.
  if (
    !changed &&
    tcb.flightSize &&
    !tcb.synUnacked &&
    segment.textLength == 0 &&
    !segment.has(SYN | FIN) &&
    tcb.sndWnd
  )
    duplicateAck(tcb);
}

/** Whether our FIN was sent and is acknowledged. */
export function finAcknowledged(tcb: Tcb): bool {
  return tcb.finSent != 0 && tcb.sndUna == tcb.sndEnd.plus(1);
}
