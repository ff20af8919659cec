import { spareAnnexOf } from "../annex.ts";
import { CA_RECOVERY } from "../recovery/newreno.ts";
import { beginScoreboard, isScored, Sent } from "../recovery/scoreboard.ts";
import { Pacing } from "../send/pacing.ts";
import { setting } from "../settings.ts";
import { ANNEX_CONGESTION, ANNEX_CONGESTION_BYTES } from "../shared/annex-layout.ts";
import { SET_CONGESTION_CONTROL } from "../shared/control.ts";
import { CONTROL_BBR, CONTROL_CUBIC } from "../shared/user-options.ts";
import { CONTROL_MASK, CONTROL_SHIFT, Tcb } from "../tcb.ts";
import {
  bbrAcked,
  bbrBegin,
  bbrEchoed,
  bbrLost,
  bbrRecovered,
  bbrReduce,
  bbrRestarts,
  bbrRestore,
} from "./bbr.ts";
import { Bbr, BEGUN } from "./bbr-state.ts";
import {
  Cubic,
  cubicAcked,
  cubicBegin,
  cubicReduce,
  cubicReduceForEcho,
  cubicRemember,
  cubicRestore,
  cubicResumed,
  cubicStalled,
  cubicTimedOut,
} from "./cubic.ts";
import { hystartAcked, hystartBegin, hystartSampled, isHyStart } from "./hystart.ts";
import { newrenoAcked, newrenoReduce } from "./newreno.ts";
import { forgetWindow, rememberWindow, restoreRemembered } from "./undo.ts";
import { isUsed, measureUse, restartAfterIdle } from "./window.ts";

// What the rest of the engine asks of congestion control, whichever the connection has.

/** What the user, or else the setting, wants. */
function wanted(tcb: Tcb): u32 {
  const control = tcb.control;
  return control ? control : u32(setting(SET_CONGESTION_CONTROL));
}

/** Whether CUBIC has what it needs: until text was sent, and where memory has ended, NewReno does without. */
function isCubic(tcb: Tcb): bool {
  return wanted(tcb) == CONTROL_CUBIC && tcb.annex != 0 && Cubic.of(tcb).begun != 0;
}

/** Whether BBR has what it needs: a scoreboard, too. */
function isBbr(tcb: Tcb): bool {
  return wanted(tcb) == CONTROL_BBR && isScored(tcb) && Bbr.of(tcb).has(BEGUN);
}

/** Whether congestion control sets the window in recovery too, which is otherwise recovery's to do. */
export function setsWindow(tcb: Tcb): bool {
  return isBbr(tcb);
}

/**
 * The window that the send buffer is to feed. What is sent beyond a hole stays in the buffer until that is filled, while
 * BBR's window does not shrink as others do: half as much again, as in Linux, of what the window was before.
 */
export function fedWindow(tcb: Tcb): u32 {
  if (!isBbr(tcb)) return tcb.cwnd;
  const cwnd = max(tcb.cwnd, Bbr.of(tcb).priorCwnd);
  return cwnd + cwnd / 2;
}

/** Text waits to be sent. */
export function beforeText(tcb: Tcb): void {
  const idle = tcb.sndNxt == tcb.sndUna;
  if (wanted(tcb) == CONTROL_BBR) {
    if (idle) beginScoreboard(tcb);
    if (isScored(tcb)) {
      if (!Bbr.of(tcb).has(BEGUN)) bbrBegin(tcb);
      else if (idle) bbrRestarts(tcb);
      return;
    }
  }
  if (idle) restartAfterIdle(tcb);
}

/** Something was sent, and it was the congestion window that ended it, or not. */
export function textSent(tcb: Tcb, limited: bool): void {
  measureUse(tcb, limited);
  // A connection that only ends has no use for an annex.
  if (tcb.bytesSent == 0 || wanted(tcb) != CONTROL_CUBIC || spareAnnexOf(tcb) == 0) return;
  if (!Cubic.of(tcb).begun) {
    cubicBegin(tcb);
    hystartBegin(tcb);
    forgetWindow(tcb);
  }
  if (limited) cubicResumed(tcb);
}

/** A round trip was measured: with each ACK of a peer with SACK or timestamps, once for each round trip of one without. */
export function roundTrip(tcb: Tcb, micros: f64): void {
  if (isCubic(tcb) && isHyStart(tcb)) hystartSampled(tcb, micros);
}

/** An ACK, in recovery or not, has delivered so much, of which recovery/rate.ts has the sample. */
export function ackDelivered(tcb: Tcb, octets: u32): void {
  if (isBbr(tcb)) bbrAcked(tcb, octets);
}

/** `record` is found lost; `apart`: what lies before it was not, just now. */
export function segmentLost(tcb: Tcb, record: Sent, apart: bool): void {
  if (isBbr(tcb)) bbrLost(tcb, record, apart);
}

/** `acked` octets of new data were acknowledged outside of recovery. */
export function windowAcked(tcb: Tcb, acked: u32): void {
  if (isBbr(tcb)) return;
  // A window that was not filled says nothing about the path: it does not grow (RFC 9438 §5.8, RFC 7661 §4.3 in spirit).
  const used = isUsed(tcb);
  if (isCubic(tcb)) {
    if (isHyStart(tcb)) hystartAcked(tcb);
    if (used) cubicAcked(tcb, acked);
    // Nor does time count from when nothing is left to send.
    if (!used || (tcb.sndUna == tcb.sndNxt && tcb.sndNxt == tcb.sndEnd)) cubicStalled(tcb);
  } else if (used) newrenoAcked(tcb, acked);
}

/** Congestion, told by a loss: set ssthresh. The window itself is recovery's to set. */
export function reduceForLoss(tcb: Tcb): void {
  if (isBbr(tcb)) {
    bbrReduce(tcb);
    return;
  }
  remember(tcb);
  setThreshold(tcb);
}

/** Congestion, told by a timeout. */
export function reduceForTimeout(tcb: Tcb): void {
  if (isBbr(tcb)) {
    bbrReduce(tcb);
    return;
  }
  // What a recovery under way found is what there was before either.
  if (tcb.caState != CA_RECOVERY) remember(tcb);
  setThreshold(tcb);
  if (isCubic(tcb)) cubicTimedOut(tcb);
}

/** Congestion, told by an echo: nothing can prove it spurious. Sets the window too. */
export function reduceForEcho(tcb: Tcb): void {
  if (isBbr(tcb)) {
    bbrEchoed(tcb);
    return;
  }
  forgetWindow(tcb);
  if (isCubic(tcb)) cubicReduceForEcho(tcb);
  else {
    newrenoReduce(tcb);
    tcb.cwnd = tcb.ssthresh;
  }
}

function setThreshold(tcb: Tcb): void {
  if (isCubic(tcb)) cubicReduce(tcb);
  else newrenoReduce(tcb);
}

function remember(tcb: Tcb): void {
  if (rememberWindow(tcb) && isCubic(tcb)) cubicRemember(tcb);
}

/** The last loss has proved spurious: the window is again what the reduction found, and goes on from there. */
export function restoreWindow(tcb: Tcb): void {
  if (isBbr(tcb)) bbrRestore(tcb);
  else if (restoreRemembered(tcb) && isCubic(tcb)) cubicRestore(tcb);
}

/** What was in flight when recovery began has arrived; `fast`: it was no timeout's. */
export function recovered(tcb: Tcb, fast: bool): void {
  if (isBbr(tcb)) bbrRecovered(tcb);
  else if (fast) tcb.cwnd = tcb.ssthresh;
}

/** The user has chosen another: it knows nothing of what the one before it did, except the window. */
export function restartControl(tcb: Tcb, control: u32): void {
  tcb.choices = (tcb.choices & ~CONTROL_MASK) | (u8(control) << CONTROL_SHIFT);
  if (tcb.annex == 0) return;
  memory.fill(usize(tcb.annex) + ANNEX_CONGESTION, 0, ANNEX_CONGESTION_BYTES);
  Pacing.of(tcb).rate = 0;
  // A recovery under way ends at ssthresh, which BBR never sets.
  if (tcb.caState == CA_RECOVERY) tcb.ssthresh = min(tcb.ssthresh, tcb.cwnd);
}
