import { acceptable } from "../acceptable.ts";
import { count } from "../counters.ts";
import { ecnArrives } from "../ecn.ts";
import { resendSynText, synAnswered } from "../fast-open/client.ts";
import {
  canAccept,
  enterFinWait2,
  enterTimeWait,
  establish,
  finish,
  setState,
  takeSyn,
} from "../lifecycle.ts";
import { enqueueAccept, leaveBacklog, leavePending } from "../listener.ts";
import { ACK, FIN, RST, SYN, segment, URG } from "../packet/segment.ts";
import { raise, wantOutput } from "../queues.ts";
import { startRecoveryTimer } from "../recovery/tlp.ts";
import { finishTiming } from "../rtt.ts";
import { cameTwice } from "../sack.ts";
import { resetAck, resetUnread } from "../send/replies.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import {
  EV_CLOSED,
  EV_READABLE,
  EV_RESET,
  SET_ABORT_ON_OVERFLOW,
  SET_CHALLENGE_ACK_LIMIT,
  SET_RFC1337,
} from "../shared/control.ts";
import {
  CNT_ATTEMPT_FAILS,
  CNT_BEYOND_WINDOW,
  CNT_ESTAB_RESETS,
  CNT_LISTEN_DROPS,
  CNT_LISTEN_OVERFLOWS,
  CNT_PAWS_ACTIVE,
  CNT_PAWS_ESTAB,
  CNT_TCP_ABORT_ON_DATA,
  CNT_TCP_ACK_SKIPPED_CHALLENGE,
  CNT_TCP_CHALLENGE_ACK,
  CNT_TCP_SYN_CHALLENGE,
  CNT_TCP_ZERO_WINDOW_DROP,
} from "../shared/counters.ts";
import { ERR_REFUSED, ERR_RESET } from "../shared/results.ts";
import {
  CLOSE_WAIT,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
} from "../shared/states.ts";
import { cameByRoute, takeRoute } from "../source-route.ts";
import { FAST_OPEN, SYN_PLAIN, Tcb } from "../tcb.ts";
import { NEVER, now, SECOND } from "../time.ts";
import { isEchoForeign, isOutdated, takeTimestamp } from "../timestamps.ts";
import { urgentArrives } from "../urgent.ts";
import { takeUserTimeout } from "../user-timeout.ts";
import { checkAckField, finAcknowledged } from "./acknowledgments.ts";
import {
  ackAtOnce,
  ackQuickly,
  duplicateAckOwed,
  keepEarlyText,
  segmentText,
  takeEarlyText,
} from "./text.ts";

// SEGMENT ARRIVES for a connection, in the order of RFC 9293 §3.10.7.3 and §3.10.7.4. Each step says whether the
// segment goes on to the next.

/** Where the segment began before it was cut to the window. */
let begins: Seq = Seq.of(0);

/** What a step decides. */
const GO_ON: bool = true;
const DROP: bool = false;

export function segmentArrives(tcb: Tcb): void {
  tcb.segsIn += segment.segments;
  if (tcb.state == SYN_SENT) {
    if (!synSent(tcb)) return;
  } else {
    if (!checkSequence(tcb)) return;
    if (!checkReset(tcb)) return;
    if (!checkSyn(tcb)) return;
    if (!checkAck(tcb)) return;
  }
  if (tcb.ecn) ecnArrives(tcb);
  if (cameByRoute()) takeRoute(tcb);
  if (segment.userTimeout) takeUserTimeout(tcb);
  if (segment.has(URG)) checkUrgent(tcb);
  if (segment.textLength && !checkText(tcb)) return;
  checkFin(tcb);
}

/** §3.10.7.3. Goes on with text and FIN only when the connection was established. */
function synSent(tcb: Tcb): bool {
  const acks = segment.has(ACK);
  if (acks && (segment.ack <= tcb.iss || segment.ack > tcb.sndNxt)) {
    resetAck();
    return DROP;
  }
  if (segment.has(RST)) {
    if (acks) {
      count(CNT_ATTEMPT_FAILS);
      finish(tcb, ERR_REFUSED, EV_RESET);
    }
    return DROP;
  }
  if (!segment.has(SYN)) return DROP;
  if (acks && isEchoForeign(tcb)) {
    count(CNT_PAWS_ACTIVE);
    resetAck();
    return DROP;
  }
  takeSyn(tcb);
  tcb.sndWl1 = segment.seq;
  tcb.sndWl2 = segment.ack;
  tcb.sndWnd = segment.window;
  tcb.maxSndWnd = segment.window;
  if (!acks) {
    // Simultaneous open.
    setState(tcb, SYN_RECEIVED);
    tcb.synPending = SYN_PLAIN;
    wantOutput(tcb);
    if (segment.textLength) keepEarlyText(tcb);
    return DROP;
  }
  if (tcb.choices & FAST_OPEN) synAnswered(tcb);
  tcb.sndUna = segment.ack;
  finishTiming(tcb);
  tcb.rtxAt = NEVER;
  establish(tcb);
  if (tcb.flightSize) resendSynText(tcb);
  ackAtOnce(tcb);
  segment.seq = segment.seq.plus(1);
  segment.flags &= ~SYN;
  return GO_ON;
}

/** Whether one more unasked ACK may go to this peer within the second (RFC 5961 §7: per connection, never globally). */
function mayAnswer(tcb: Tcb): bool {
  if (now - tcb.challengeAt >= SECOND || tcb.challenges == 0) {
    tcb.challengeAt = now;
    tcb.challenges = 0;
  }
  if (u32(tcb.challenges) >= u32(setting(SET_CHALLENGE_ACK_LIMIT))) {
    count(CNT_TCP_ACK_SKIPPED_CHALLENGE);
    return false;
  }
  if (tcb.challenges < 255) tcb.challenges++;
  return true;
}

/** Answer with an ACK that says where we are. */
function challenge(tcb: Tcb): void {
  if (!mayAnswer(tcb)) return;
  count(CNT_TCP_CHALLENGE_ACK);
  ackAtOnce(tcb);
}

/** A segment that is dropped may have come before: then the peer is told so, and is not kept waiting for ACKs. */
function segmentAgain(tcb: Tcb): void {
  if (segment.length == 0 || segment.seq >= tcb.rcvNxt) return;
  cameTwice(tcb, segment.seq, min(segment.length, tcb.rcvNxt.since(segment.seq)), true);
  ackQuickly(tcb);
}

/** First: sequence numbers. An acceptable segment is cut to what has not come yet. */
function checkSequence(tcb: Tcb): bool {
  // The SYN,ACK of a simultaneous open, or a SYN that is repeated, begins one before RCV.NXT (§3.5, figure 8).
  if (tcb.synUnacked && segment.has(SYN) && !segment.has(RST) && segment.seq == tcb.irs) {
    if (!segment.has(ACK)) {
      // The peer has not seen our SYN,ACK, which is to echo the SYN it will be an answer to.
      takeTimestamp(tcb, segment.seq);
      tcb.synPending = SYN_PLAIN;
      wantOutput(tcb);
      return DROP;
    }
    segment.seq = segment.seq.plus(1);
    segment.flags &= ~SYN;
  }
  // RFC 7323 §5.3 R1: an old duplicate that has come round. A reset is judged by its number alone.
  if (isOutdated(tcb) && !segment.has(RST)) {
    count(CNT_PAWS_ESTAB);
    segmentAgain(tcb);
    if (segment.has(SYN) || segment.textLength || mayAnswer(tcb)) duplicateAckOwed(tcb);
    return DROP;
  }
  begins = segment.seq;
  const window = tcb.rcvWnd;
  if (!acceptable(segment.seq, segment.length, tcb.rcvNxt, window) && !isBareFin(tcb)) {
    if (segment.has(RST)) return DROP;
    // A peer that has run into our closed window still tells us what it has received.
    if (window == 0 && segment.seq == tcb.rcvNxt && segment.textLength) {
      count(CNT_TCP_ZERO_WINDOW_DROP);
      leaveText(tcb);
      return GO_ON;
    }
    if (tcb.state == TIME_WAIT && segment.has(FIN)) enterTimeWait(tcb);
    if (segment.has(SYN)) {
      count(CNT_TCP_SYN_CHALLENGE);
      challenge(tcb);
    } else {
      if (segment.seq >= tcb.rcvNxt) count(CNT_BEYOND_WINDOW);
      if (!segment.textLength && !mayAnswer(tcb)) return DROP;
      segmentAgain(tcb);
      // Text asks for its ACK, which was lost. Without text two ends that disagree could answer each other for ever.
      duplicateAckOwed(tcb);
    }
    return DROP;
  }
  if (segment.has(SYN | RST)) return GO_ON;
  if (segment.seq < tcb.rcvNxt) {
    const old = min(tcb.rcvNxt.since(segment.seq), segment.textLength);
    cameTwice(tcb, segment.seq, old, true);
    segment.text += old;
    segment.textLength -= old;
    segment.seq = segment.seq.plus(old);
  }
  const over = segment.seq.plus(segment.textLength).since(tcb.rcvNxt);
  // Text that ends beyond the window is taken whole where nothing waits to be read, so that a peer that does not mind the
  // window comes through; elsewhere none of it is, which may well be too much (as in Linux; §3.10.7.4 leaves it open).
  if (over > window && segment.textLength && !(segment.seq == tcb.rcvNxt && tcb.rcvRead == tcb.rcvNxt)) {
    count(CNT_BEYOND_WINDOW);
    leaveText(tcb);
  }
  return GO_ON;
}

/** A FIN needs no room: one that comes next is taken even where the window is closed, as in Linux. */
function isBareFin(tcb: Tcb): bool {
  return segment.length == 1 && segment.has(FIN) && segment.seq == tcb.rcvNxt && !tcb.finReceived;
}

/** Nothing of the text is taken, and the peer hears so; what else the segment tells counts. */
function leaveText(tcb: Tcb): void {
  duplicateAckOwed(tcb);
  segment.textLength = 0;
  segment.flags &= ~FIN;
}

/** Second: RST. Exactly at RCV.NXT or not at all (RFC 5961 §3.2). */
function checkReset(tcb: Tcb): bool {
  if (!segment.has(RST)) return GO_ON;
  if (segment.seq != tcb.rcvNxt) {
    challenge(tcb);
    return DROP;
  }
  const state = tcb.state;
  if (state == SYN_RECEIVED) {
    count(CNT_ATTEMPT_FAILS);
    // One that began with our SYN was refused; one that began with the peer's never was anybody's.
    if (tcb.passive) finish(tcb, ERR_RESET, tcb.openedFast ? EV_RESET : 0);
    else finish(tcb, ERR_REFUSED, EV_RESET);
  } else if (state == TIME_WAIT) {
    // RFC 1337: a reset need not end TIME-WAIT early.
    if (!setting(SET_RFC1337)) finish(tcb, 0, 0);
  } else {
    if (state == ESTABLISHED || state == CLOSE_WAIT) count(CNT_ESTAB_RESETS);
    finish(tcb, ERR_RESET, EV_RESET);
  }
  return DROP;
}

/** Fourth: SYN in a synchronized state is answered, not believed (RFC 5961 §4.2). */
function checkSyn(tcb: Tcb): bool {
  if (!segment.has(SYN)) return GO_ON;
  if (tcb.state == SYN_RECEIVED && tcb.passive && !tcb.openedFast) {
    // The peer begins anew: back to LISTEN, where its next SYN finds us.
    count(CNT_ATTEMPT_FAILS);
    finish(tcb, ERR_RESET, 0);
    return DROP;
  }
  count(CNT_TCP_SYN_CHALLENGE);
  challenge(tcb);
  return DROP;
}

/** Fifth: ACK. */
function checkAck(tcb: Tcb): bool {
  if (!segment.has(ACK)) return DROP;
  if (tcb.state == SYN_RECEIVED) {
    if (!(segment.ack > tcb.sndUna && segment.ack <= tcb.sndNxt)) {
      resetAck();
      return DROP;
    }
    takeTimestamp(tcb, begins);
    if (!synAcked(tcb)) return DROP;
  } else {
    // RFC 5961 §5.2: an ACK older than anything the peer could still send, or of what was never sent.
    if (segment.ack > tcb.sndNxt || segment.ack < tcb.sndUna.minus(tcb.maxSndWnd)) {
      challenge(tcb);
      return DROP;
    }
    // A timestamp that comes with an ACK nobody can have sent would shut out those that follow.
    takeTimestamp(tcb, begins);
    // In TIME-WAIT all is acknowledged, and no window matters any more. A peer that is ahead of its FIN hears where we are.
    if (tcb.state != TIME_WAIT) checkAckField(tcb);
    else if (segment.length == 0 && segment.seq != tcb.rcvNxt && mayAnswer(tcb)) duplicateAckOwed(tcb);
  }
  if (!finAcknowledged(tcb)) return tcb.state != CLOSING && tcb.state != LAST_ACK;
  if (tcb.state == FIN_WAIT_1) enterFinWait2(tcb);
  else if (tcb.state == CLOSING) {
    enterTimeWait(tcb);
    return DROP;
  } else if (tcb.state == LAST_ACK) {
    finish(tcb, 0, EV_CLOSED);
    return DROP;
  }
  return GO_ON;
}

/** The third segment of the handshake, or its equal in a simultaneous open. */
function synAcked(tcb: Tcb): bool {
  const fast = tcb.openedFast;
  if (fast) leavePending(tcb, false);
  else if (tcb.passive) {
    if (!canAccept(tcb)) {
      // Nobody accepts: the peer repeats its ACK or its data, and we our SYN,ACK, until somebody does.
      count(CNT_LISTEN_OVERFLOWS);
      count(CNT_LISTEN_DROPS);
      if (setting(SET_ABORT_ON_OVERFLOW)) {
        resetAck();
        finish(tcb, ERR_RESET, 0);
      }
      return DROP;
    }
    leaveBacklog(tcb);
    enqueueAccept(tcb);
  } else if (tcb.choices & FAST_OPEN) synAnswered(tcb);
  tcb.sndUna = fast ? tcb.iss.plus(1) : segment.ack;
  finishTiming(tcb);
  tcb.rtxAt = NEVER;
  tcb.sndWnd = segment.window << tcb.sndWscale;
  tcb.maxSndWnd = max(tcb.maxSndWnd, tcb.sndWnd);
  tcb.sndWl1 = segment.seq;
  tcb.sndWl2 = segment.ack;
  tcb.synPending = 0;
  establish(tcb);
  takeEarlyText(tcb);
  // CLOSE came before: its FIN goes now.
  if (tcb.finQueued) setState(tcb, FIN_WAIT_1);
  wantOutput(tcb);
  if (tcb.flightSize) {
    if (fast) {
      // Text that went before the handshake was over is in flight still, but for what is acknowledged with the SYN.
      startRecoveryTimer(tcb);
      if (segment.ack != tcb.sndUna || segment.sackBlocks) checkAckField(tcb);
    } else resendSynText(tcb);
  }
  return GO_ON;
}

/** Sixth: URG. */
function checkUrgent(tcb: Tcb): void {
  const state = tcb.state;
  if (state == ESTABLISHED || state == FIN_WAIT_1 || state == FIN_WAIT_2) urgentArrives(tcb);
}

/** Seventh: text. */
function checkText(tcb: Tcb): bool {
  const state = tcb.state;
  if (state != ESTABLISHED && state != FIN_WAIT_1 && state != FIN_WAIT_2) return GO_ON;
  if (tcb.orphan) {
    // RFC 1122 §4.2.2.13, RFC 2525 §2.17: nobody will read it, and the peer must not think otherwise.
    count(CNT_TCP_ABORT_ON_DATA);
    resetUnread(tcb);
    finish(tcb, ERR_RESET, EV_CLOSED);
    return DROP;
  }
  segmentText(tcb);
  return GO_ON;
}

/** Eighth: FIN, when all text before it has arrived. One that comes too early is remembered. */
function checkFin(tcb: Tcb): void {
  if (segment.has(FIN) && !tcb.finReceived) {
    const at = segment.seq.plus(segment.textLength);
    if (at != tcb.rcvNxt) {
      if (at < tcb.rcvNxt) return;
      tcb.finHeld = 1;
      tcb.finAt = at;
      if (segment.textLength == 0) duplicateAckOwed(tcb);
      return;
    }
  } else if (!tcb.finHeld || tcb.finAt != tcb.rcvNxt) {
    if (segment.has(FIN)) ackAtOnce(tcb);
    return;
  }
  tcb.finHeld = 0;
  tcb.finReceived = 1;
  // Nothing is left to be told again.
  tcb.dsackLength = 0;
  tcb.rcvNxt = tcb.rcvNxt.plus(1);
  // The FIN used up one of the octets offered, and nothing follows it.
  if (tcb.rcvAdv < tcb.rcvNxt) tcb.rcvAdv = tcb.rcvNxt;
  ackAtOnce(tcb);
  raise(tcb, EV_READABLE);
  if (tcb.state == ESTABLISHED || tcb.state == SYN_RECEIVED) setState(tcb, CLOSE_WAIT);
  else if (tcb.state == FIN_WAIT_1) {
    if (finAcknowledged(tcb)) enterTimeWait(tcb);
    else setState(tcb, CLOSING);
  } else if (tcb.state == FIN_WAIT_2) enterTimeWait(tcb);
}
