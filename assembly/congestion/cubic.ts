import {
  ANNEX_CONGESTION,
  ANNEX_CONGESTION_BYTES,
  CUBIC_BEGUN,
  CUBIC_CWND_PRIOR,
  CUBIC_END,
  CUBIC_EPOCH,
  CUBIC_K,
  CUBIC_REST,
  CUBIC_STALLED_AT,
  CUBIC_UNDO,
  CUBIC_W_EST,
  CUBIC_W_MAX,
  UNDO_END,
} from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";
import { Micros, NEVER, now, SECOND } from "../time.ts";
import { hystartGrow, isHyStart } from "./hystart.ts";
import { flightWithin, growWindow, slowStart } from "./window.ts";

// RFC 9438: the window grows by a cubic function of the time since the last reduction, flat where that found it. Windows
// are segments here, as in the RFC, so that the curve holds when a path makes segments smaller.

const C: f64 = 0.4;
/** beta_cubic in tenths: what is left of a flight after a loss, in whole octets. */
const BETA_TENTHS: u32 = 7;
const BETA: f64 = 0.7;
/** §4.3: with a window of 0.7 after each loss, additive increase by this is on average what Reno's by one is. */
const ALPHA: f64 = (3 * (1 - BETA)) / (1 + BETA);

@unmanaged
@final
export class Cubic {
  /** W_max: the window just before it was last reduced; 0 where no curve follows from that. */
  wMax: f64;
  /** Seconds from the epoch to wMax. */
  k: f64;
  /** t_epoch: when congestion avoidance began, moved on by what does not count; NEVER outside of it. */
  epoch: Micros;
  /** W_est: the window Reno would have. */
  wEst: f64;
  /** cwnd_prior: the window when ssthresh was last set. */
  cwndPrior: f64;
  undoWMax: f64;
  undoK: f64;
  undoEpoch: Micros;
  undoWEst: f64;
  undoCwndPrior: f64;
  /** Since when the window has not grown for want of use; NEVER while it is used. */
  stalledAt: Micros;
  /** What growth has come to beyond whole octets. */
  rest: f32;
  begun: u8;

  /** For a TCB that has an annex. */
  @inline static of(tcb: Tcb): Cubic {
    return changetype<Cubic>(usize(tcb.annex) + ANNEX_CONGESTION + UNDO_END);
  }
}

/** W_cubic(t), figure 1: segments after `t` seconds of congestion avoidance. */
export function wCubic(t: f64, k: f64, wMax: f64): f64 {
  const fromMax = t - k;
  return C * fromMax * fromMax * fromMax + wMax;
}

/** K, figure 2: seconds until a window of `cwnd` segments is at `wMax`. */
export function timeToMax(wMax: f64, cwnd: f64): f64 {
  return Math.cbrt((wMax - cwnd) / C);
}

/** W_est gains this for each window of data acknowledged; Reno's one once it is where the last reduction was (§4.3). */
export function alpha(wEst: f64, cwndPrior: f64): f64 {
  return wEst >= cwndPrior ? 1 : ALPHA;
}

/**
 * W_max after a loss at `cwnd` segments: less than that where the last one came later, for then somebody new wants a
 * share (§4.7, fast convergence).
 */
export function nextWMax(cwnd: f64, wMax: f64): f64 {
  return cwnd < wMax ? (cwnd * (1 + BETA)) / 2 : cwnd;
}

/** The annex of `tcb` is new, or had another's state. */
export function cubicBegin(tcb: Tcb): void {
  const it = Cubic.of(tcb);
  it.epoch = NEVER;
  it.stalledAt = NEVER;
  it.begun = 1;
}

function segments(tcb: Tcb, octets: u32): f64 {
  return f64(octets) / f64(tcb.sndMss);
}

/** `acked` octets of new data were acknowledged outside of recovery, and the window was used. */
export function cubicAcked(tcb: Tcb, acked: u32): void {
  const it = Cubic.of(tcb);
  if (tcb.cwnd < tcb.ssthresh) {
    it.epoch = NEVER;
    // §4.10.
    if (isHyStart(tcb)) {
      hystartGrow(tcb, acked);
      return;
    }
    acked = slowStart(tcb, acked);
  }
  if (acked) avoidCongestion(tcb, it, acked);
}

function avoidCongestion(tcb: Tcb, it: Cubic, acked: u32): void {
  const mss = f64(tcb.sndMss);
  const cwnd = segments(tcb, tcb.cwnd);
  if (it.epoch == NEVER) beginEpoch(it, cwnd);
  // A share of the window, not a number of ACKs: what one ACK for many segments tells is what many would.
  const share = f64(acked) / f64(tcb.cwnd);
  const t = (now - it.epoch) / SECOND;
  it.wEst += alpha(it.wEst, it.cwndPrior) * share;
  if (wCubic(t, it.k, it.wMax) < it.wEst) {
    // §4.3: Reno would be faster. It has no look-ahead: what the curve had promised before is not taken back.
    const friendly = u32(min(it.wEst * mss, f64(u32.MAX_VALUE)));
    if (friendly > tcb.cwnd) growWindow(tcb, friendly - tcb.cwnd);
    return;
  }
  // §4.2: where the curve will be a round trip from now, but no further than half of the window away.
  const target = max(cwnd, min(wCubic(t + tcb.srtt / SECOND, it.k, it.wMax), 1.5 * cwnd));
  // §4.4, §4.5: by (target - cwnd)/cwnd for each segment, and so to the target in a round trip.
  const growth = (target - cwnd) * min(share, 1) * mss + it.rest;
  const octets = Math.floor(growth);
  it.rest = f32(growth - octets);
  growWindow(tcb, u32(octets));
}

function beginEpoch(it: Cubic, cwnd: f64): void {
  it.epoch = now;
  it.stalledAt = NEVER;
  it.wEst = cwnd;
  if (it.wMax > cwnd) {
    it.k = timeToMax(it.wMax, cwnd);
  } else {
    // §4.8, §4.10: after a timeout, or where slow start ended without a loss, the curve begins where it is flat.
    it.wMax = cwnd;
    it.k = 0;
    if (it.cwndPrior == 0) it.cwndPrior = cwnd;
  }
}

/**
 * §4.2: t does not count the time in which the window was not used, or the curve would be far away after it. It begins
 * when an ACK finds nothing that used the window …
 */
export function cubicStalled(tcb: Tcb): void {
  const it = Cubic.of(tcb);
  if (it.stalledAt == NEVER) it.stalledAt = now;
}

/** … and ends when the window is all that keeps text from being sent. */
export function cubicResumed(tcb: Tcb): void {
  const it = Cubic.of(tcb);
  if (it.stalledAt == NEVER) return;
  // Outside of congestion avoidance there is no epoch to move: NEVER stays NEVER.
  it.epoch += now - it.stalledAt;
  it.stalledAt = NEVER;
}

/** §4.6, §4.7: a loss, or an echo of congestion. */
export function cubicReduce(tcb: Tcb): void {
  const it = Cubic.of(tcb);
  const cwnd = segments(tcb, tcb.cwnd);
  it.wMax = nextWMax(cwnd, it.wMax);
  it.cwndPrior = cwnd;
  it.epoch = NEVER;
  it.rest = 0;
  // What was in flight, not the window, counts: one that was not filled has proved nothing.
  tcb.ssthresh = max(reducedFlight(tcb), 2 * u32(tcb.sndMss));
}

/** An echo may leave the window at a single segment, where ssthresh stays at two (§4.6). */
export function cubicReduceForEcho(tcb: Tcb): void {
  cubicReduce(tcb);
  tcb.cwnd = max(reducedFlight(tcb), u32(tcb.sndMss));
}

function reducedFlight(tcb: Tcb): u32 {
  return u32((u64(flightWithin(tcb)) * BETA_TENTHS) / 10);
}

/** §4.8: after a timeout the next epoch begins flat, wherever slow start ends. */
export function cubicTimedOut(tcb: Tcb): void {
  Cubic.of(tcb).wMax = 0;
}

/** Remember the curve that a reduction is about to end. */
export function cubicRemember(tcb: Tcb): void {
  const at = changetype<usize>(Cubic.of(tcb));
  memory.copy(at + offsetof<Cubic>("undoWMax"), at, offsetof<Cubic>("undoWMax"));
}

/** §4.9: the reduction was for nothing, and the curve goes on. */
export function cubicRestore(tcb: Tcb): void {
  const at = changetype<usize>(Cubic.of(tcb));
  memory.copy(at, at + offsetof<Cubic>("undoWMax"), offsetof<Cubic>("undoWMax"));
}

if (offsetof<Cubic>("wMax") + UNDO_END != CUBIC_W_MAX) ERROR("layout drift: Cubic.wMax");
if (offsetof<Cubic>("k") + UNDO_END != CUBIC_K) ERROR("layout drift: Cubic.k");
if (offsetof<Cubic>("epoch") + UNDO_END != CUBIC_EPOCH) ERROR("layout drift: Cubic.epoch");
if (offsetof<Cubic>("wEst") + UNDO_END != CUBIC_W_EST) ERROR("layout drift: Cubic.wEst");
if (offsetof<Cubic>("cwndPrior") + UNDO_END != CUBIC_CWND_PRIOR) ERROR("layout drift: Cubic.cwndPrior");
if (offsetof<Cubic>("undoWMax") + UNDO_END != CUBIC_UNDO) ERROR("layout drift: Cubic.undoWMax");
if (offsetof<Cubic>("stalledAt") + UNDO_END != CUBIC_STALLED_AT) ERROR("layout drift: Cubic.stalledAt");
if (offsetof<Cubic>("rest") + UNDO_END != CUBIC_REST) ERROR("layout drift: Cubic.rest");
if (offsetof<Cubic>("begun") + UNDO_END != CUBIC_BEGUN) ERROR("layout drift: Cubic.begun");
if (<i32>offsetof<Cubic>() + UNDO_END > CUBIC_END) ERROR("layout drift: end of Cubic");
if (CUBIC_END > ANNEX_CONGESTION_BYTES) ERROR("CUBIC does not fit its part of an annex");
