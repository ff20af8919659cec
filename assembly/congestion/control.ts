import { annexOf } from "../annex.ts";
import { CA_RECOVERY } from "../recovery/newreno.ts";
import { setting } from "../settings.ts";
import { ANNEX_CONGESTION, ANNEX_CONGESTION_BYTES } from "../shared/annex-layout.ts";
import { SET_CONGESTION_CONTROL } from "../shared/control.ts";
import { CONTROL_CUBIC } from "../shared/user-options.ts";
import { Tcb } from "../tcb.ts";
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
import { hystartBegin, hystartRound, hystartSampled, isHyStart } from "./hystart.ts";
import { newrenoAcked, newrenoReduce } from "./newreno.ts";
import { forgetWindow, rememberWindow, restoreRemembered } from "./undo.ts";
import { isUsed, measureUse } from "./window.ts";

// What the rest of the engine asks of congestion control, whichever the connection has.

/** Whether the user, or else the setting, wants CUBIC. */
function wantsCubic(tcb: Tcb): bool {
  const control = tcb.control;
  return (control ? control : u32(setting(SET_CONGESTION_CONTROL))) == CONTROL_CUBIC;
}

/** Whether CUBIC has what it needs: until text was sent, and where memory has ended, NewReno does without. */
function isCubic(tcb: Tcb): bool {
  return wantsCubic(tcb) && tcb.annex != 0 && Cubic.of(tcb).begun != 0;
}

/** Something was sent, and it was the congestion window that ended it, or not. */
export function textSent(tcb: Tcb, limited: bool): void {
  measureUse(tcb, limited);
  // A connection that only ends has no use for an annex.
  if (tcb.bytesSent == 0 || !wantsCubic(tcb) || annexOf(tcb) == 0) return;
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

/** `acked` octets of new data were acknowledged outside of recovery. */
export function windowAcked(tcb: Tcb, acked: u32): void {
  // A window that was not filled says nothing about the path: it does not grow (RFC 9438 §5.8, RFC 7661 §4.3 in spirit).
  const used = isUsed(tcb);
  if (isCubic(tcb)) {
    if (used) cubicAcked(tcb, acked);
    if (isHyStart(tcb)) hystartRound(tcb);
    // Nor does time count from when nothing is left to send.
    if (!used || (tcb.sndUna == tcb.sndNxt && tcb.sndNxt == tcb.sndEnd)) cubicStalled(tcb);
  } else if (used) newrenoAcked(tcb, acked);
}

/** Congestion, told by a loss: set ssthresh. The window itself is recovery's to set. */
export function reduceForLoss(tcb: Tcb): void {
  remember(tcb);
  setThreshold(tcb);
}

/** Congestion, told by a timeout. */
export function reduceForTimeout(tcb: Tcb): void {
  // What a recovery under way found is what there was before either.
  if (tcb.caState != CA_RECOVERY) remember(tcb);
  setThreshold(tcb);
  if (isCubic(tcb)) cubicTimedOut(tcb);
}

/** Congestion, told by an echo: nothing can prove it spurious. Sets the window too. */
export function reduceForEcho(tcb: Tcb): void {
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
  if (restoreRemembered(tcb) && isCubic(tcb)) cubicRestore(tcb);
}

/** The user has chosen another: it knows nothing of what the one before it did, except the window. */
export function restartControl(tcb: Tcb): void {
  if (tcb.annex) memory.fill(usize(tcb.annex) + ANNEX_CONGESTION, 0, ANNEX_CONGESTION_BYTES);
}
