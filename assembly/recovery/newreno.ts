import {
  recovered,
  reduceForEcho,
  reduceForLoss,
  reduceForTimeout,
  windowAcked,
} from "../congestion/control.ts";
import { count } from "../counters.ts";
import { holdBack, tellReduced } from "../ecn.ts";
import { wantOutput } from "../queues.ts";
import { stopTiming } from "../rtt.ts";
import {
  CNT_TCP_FAST_RETRANS,
  CNT_TCP_FULL_UNDO,
  CNT_TCP_LOSS_UNDO,
  CNT_TCP_PARTIAL_UNDO,
  CNT_TCP_SPURIOUS_RTOS,
} from "../shared/counters.ts";
import { Tcb } from "../tcb.ts";
import { startRtx } from "../timers.ts";
import { beginFrto, frtoAcked } from "./frto.ts";
import { markAll, timeoutScored } from "./rack.ts";
import { isScored, pipe } from "./scoreboard.ts";
import { forgetRetransmissions, isFirstCopys, undoReduction, watchRetransmissions } from "./spurious.ts";

// RFC 6582 (NewReno) on RFC 5681, with limited transmit (RFC 3042): loss recovery for a peer without SACK.

/** Linux's names for the states: tcp_info's ca_state. */
export const CA_OPEN: u8 = 0;
export const CA_DISORDER: u8 = 1;
/** The window was reduced for an echo of congestion, and what was in flight then still is. */
export const CA_CWR: u8 = 2;
export const CA_RECOVERY: u8 = 3;
export const CA_LOSS: u8 = 4;

const DUP_ACK_THRESHOLD: u32 = 3;

/** A duplicate ACK (RFC 5681 §2) has arrived. */
export function duplicateAck(tcb: Tcb): void {
  tcb.dupAcks++;
  if (tcb.caState == CA_RECOVERY) {
    // §3.2 step 3: another segment has left the network.
    tcb.cwnd += tcb.sndMss;
  } else if (tcb.caState == CA_LOSS) {
    frtoAcked(tcb, false);
  } else if (tcb.dupAcks < DUP_ACK_THRESHOLD) {
    if (tcb.caState == CA_OPEN) tcb.caState = CA_DISORDER;
  } else if (
    tcb.dupAcks == DUP_ACK_THRESHOLD &&
    (tcb.caState == CA_CWR || tcb.sndUna.minus(1) > tcb.recover)
  ) {
    // §3.2 step 1: only when the ACK covers more than the last recovery did, lest our own retransmissions' duplicates
    // set off another. An echo of congestion has halved the window for this flight already (RFC 3168 §6.1.2).
    if (tcb.caState != CA_CWR) {
      reduceForLoss(tcb);
      watchRetransmissions(tcb, false);
      tellReduced(tcb);
    }
    tcb.recover = tcb.sndNxt.minus(1);
    tcb.cwnd = tcb.ssthresh + 3 * u32(tcb.sndMss);
    tcb.caState = CA_RECOVERY;
    tcb.rexmitOne = 1;
    stopTiming(tcb);
    count(CNT_TCP_FAST_RETRANS);
  }
  wantOutput(tcb);
}

/** RFC 3168 §6.1.2: an ACK echoes congestion, which is as good as one loss, once for what is in flight. */
export function congestionEchoed(tcb: Tcb): void {
  if (tcb.caState > CA_DISORDER || tcb.flightSize == 0) return;
  if (tcb.cwnd < 2 * u32(tcb.sndMss)) {
    holdBack(tcb);
    tcb.probing = 0;
    startRtx(tcb);
  }
  reduceForEcho(tcb);
  forgetRetransmissions(tcb);
  tcb.caState = CA_CWR;
  tcb.recover = tcb.sndNxt.minus(1);
  tellReduced(tcb);
}

/** What may be in flight beyond cwnd: RFC 3042, a new segment for each of the first two duplicates. */
export function limitedTransmit(tcb: Tcb): u32 {
  return tcb.caState == CA_DISORDER ? min(tcb.dupAcks, DUP_ACK_THRESHOLD - 1) * tcb.sndMss : 0;
}

/** Whether what was lost, by all that was known, was late (RFC 3522, RFC 5682): then all is as it was before. */
function undone(tcb: Tcb): bool {
  if (tcb.caState < CA_RECOVERY) return false;
  const over = tcb.sndUna > tcb.recover;
  const spurious = tcb.caState == CA_LOSS && frtoAcked(tcb, true);
  if (!spurious && !isFirstCopys(tcb)) return false;
  if (spurious) count(CNT_TCP_SPURIOUS_RTOS);
  if (tcb.caState == CA_LOSS) count(CNT_TCP_LOSS_UNDO);
  else count(over ? CNT_TCP_FULL_UNDO : CNT_TCP_PARTIAL_UNDO);
  // Inflated by duplicate ACKs or deflated, it is not what the reduction left.
  tcb.cwnd = min(tcb.cwnd, tcb.ssthresh);
  undoReduction(tcb);
  tcb.caState = CA_OPEN;
  tcb.rexmitOne = 0;
  return true;
}

/** `acked` octets are newly acknowledged; SND.UNA has moved already. */
export function newlyAcked(tcb: Tcb, acked: u32): void {
  if (undone(tcb)) {
    // The window is where it was, and grows with the next ACK.
  } else if (tcb.caState == CA_RECOVERY) {
    const mss: u32 = tcb.sndMss;
    if (tcb.sndUna > tcb.recover) {
      // §3.2 step 3, full acknowledgment, option 1: no burst.
      tcb.cwnd = min(tcb.ssthresh, max(tcb.flightSize, mss) + mss);
      tcb.caState = CA_OPEN;
    } else {
      // Partial: the next hole begins at SND.UNA. Deflate by what left the network, add back one segment.
      tcb.rexmitOne = 1;
      tcb.cwnd -= min(tcb.cwnd - mss, acked);
      if (acked >= mss) tcb.cwnd += mss;
    }
  } else if (tcb.caState == CA_CWR) {
    // The window rests until the echo's round trip is over.
    if (tcb.sndUna > tcb.recover) tcb.caState = CA_OPEN;
  } else {
    if (tcb.caState == CA_LOSS) {
      if (tcb.rexmitNxt < tcb.sndUna) tcb.rexmitNxt = tcb.sndUna;
      if (tcb.sndUna > tcb.recover) tcb.caState = CA_OPEN;
      // Go-back-N is limited by cwnd as long as it lasts, whatever the last output looked like.
      tcb.cwndLimited = 1;
    } else {
      tcb.caState = CA_OPEN;
      // `recover` follows at a distance that changes no verdict: left behind for 2^31 octets it would seem ahead.
      if (tcb.sndUna.minus(1) > tcb.recover) tcb.recover = tcb.sndUna.minus(2);
    }
    // What duplicate ACKs have told of has left the network before, and has let new segments go.
    const told = tcb.dupAcks * tcb.sndMss;
    windowAcked(tcb, tcb.caState == CA_LOSS ? acked : max(acked - min(acked, told), min(acked, tcb.sndMss)));
  }
  tcb.dupAcks = 0;
}

/** What is in flight was too large for the path (RFC 1191 §6.4): all of it again, with no word of congestion. */
export function resendAll(tcb: Tcb): void {
  if (tcb.flightSize == 0 || tcb.sndUna == tcb.iss) return;
  if (tcb.caState == CA_RECOVERY) recovered(tcb, true);
  forgetRetransmissions(tcb);
  if (isScored(tcb)) markAll(tcb);
  tcb.caState = CA_LOSS;
  tcb.recover = tcb.sndNxt.minus(1);
  tcb.rexmitNxt = tcb.sndUna;
  tcb.rexmitOne = 0;
  tcb.dupAcks = 0;
  stopTiming(tcb);
}

/** RFC 5681 §3.1, eqn. 4 and LW: the retransmission timer has expired. */
export function timerExpired(tcb: Tcb): void {
  // ssthresh is set once for a segment, however often its timer expires.
  if (tcb.retransmits == 0 && !(isScored(tcb) && tcb.caState == CA_RECOVERY)) {
    reduceForTimeout(tcb);
    watchRetransmissions(tcb, true);
    tellReduced(tcb);
  }
  beginFrto(tcb);
  tcb.cwnd = tcb.sndMss;
  if (isScored(tcb)) {
    timeoutScored(tcb);
    // What was sent later may still arrive, and must not keep the first back (as in Linux).
    tcb.cwnd += pipe(tcb);
  }
  tcb.caState = CA_LOSS;
  tcb.recover = tcb.sndNxt.minus(1);
  tcb.rexmitNxt = tcb.sndUna;
  tcb.rexmitOne = 0;
  tcb.dupAcks = 0;
  stopTiming(tcb);
}
