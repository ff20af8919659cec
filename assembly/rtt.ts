import { roundTrip } from "./congestion/control.ts";
import { isScored } from "./recovery/scoreboard.ts";
import { adaptToSpurious } from "./recovery/spurious.ts";
import { setting } from "./settings.ts";
import { ANNEX_CONGESTION, ANNEX_MIN_RTT } from "./shared/annex-layout.ts";
import {
  SET_MIN_RTT_WLEN,
  SET_REXMIT_SLOP,
  SET_RTO_INIT_MS,
  SET_RTO_MAX_MS,
  SET_RTO_MIN_US,
} from "./shared/control.ts";
import { Tcb } from "./tcb.ts";
import { MILLISECOND, now, SECOND } from "./time.ts";
import { echoedRtt } from "./timestamps.ts";

// RFC 6298. SRTT and RTTVAR are microseconds in floating point: exact, and as fast as integers.

/** What 5.7 asks for once a SYN had to be repeated. */
export const RTO_AFTER_SYN_LOSS: u32 = 3000000;
/** G: the API's time is finer, but timers need not be. */
const GRANULARITY: f64 = 1000;

/** SRTT after a measurement of `sample`; the first one stands for itself (2.2, 2.3). */
export function nextSrtt(srtt: f64, first: bool, sample: f64): f64 {
  return first ? sample : srtt + (sample - srtt) / 8;
}

/** RTTVAR after a measurement; takes the SRTT from before it (2.3: RTTVAR is updated first). */
export function nextRttvar(rttvar: f64, srtt: f64, first: bool, sample: f64): f64 {
  return first ? sample / 2 : rttvar + (Math.abs(srtt - sample) - rttvar) / 4;
}

/** SRTT + max(G, 4 RTTVAR), without bounds. */
export function unclampedRto(srtt: f64, rttvar: f64): f64 {
  return srtt + Math.max(GRANULARITY, 4 * rttvar);
}

/** Congestion control hears of every round trip once: where there is a scoreboard, from it (recovery/rack.ts). */
function tell(tcb: Tcb, sample: f64): void {
  if (!isScored(tcb)) roundTrip(tcb, sample);
}

/**
 * The least round trip of the last tcp_min_rtt_wlen: that of the present half of it, and of the one before. Without an
 * annex, of all time.
 */
@unmanaged
@final
class MinRtt {
  /** When the present half began, milliseconds modulo 2^32. */
  since: u32;
  /** Microseconds; 0 before the first. */
  least: u32;

  @inline static of(tcb: Tcb): MinRtt {
    return changetype<MinRtt>(usize(tcb.annex) + ANNEX_MIN_RTT);
  }
}

function noteLeast(tcb: Tcb, rtt: u32): void {
  const before = tcb.rttMin;
  if (before == 0 || rtt < before) tcb.rttMin = rtt;
  if (tcb.annex == 0) return;
  const it = MinRtt.of(tcb);
  const at = u32(u64(now / MILLISECOND));
  const half = u32(setting(SET_MIN_RTT_WLEN)) * 500;
  const age = at - it.since;
  if (it.least == 0) {
    it.since = at;
    it.least = tcb.rttMin;
  } else if (age >= half) {
    tcb.rttMin = age >= 2 * half ? rtt : min(it.least, rtt);
    it.least = rtt;
    it.since = at;
  } else if (rtt < it.least) it.least = rtt;
}

/** Take a measurement of `sample` microseconds into the estimate of `tcb`. */
export function measured(tcb: Tcb, sample: f64): void {
  // A round trip within one tick of the caller's clock is still one: zero would mean "none yet" everywhere.
  sample = max(sample, 1);
  tell(tcb, sample);
  const first = tcb.srtt == 0;
  tcb.rttvar = nextRttvar(tcb.rttvar, tcb.srtt, first, sample);
  tcb.srtt = nextSrtt(tcb.srtt, first, sample);
  adaptToSpurious(tcb, sample);
  noteLeast(tcb, u32(min(sample, 4294967295.0)));
  // As in Linux the lower bound is one of what is added to SRTT: a steady round trip does not come to time out for a
  // delayed ACK. (2.4) SHOULD have a second instead.
  const least = max(unclampedRto(0, tcb.rttvar), f64(setting(SET_RTO_MIN_US)));
  const margin = least + f64(setting(SET_REXMIT_SLOP)) * MILLISECOND;
  // In whole milliseconds, which is as fine as timers need to be.
  const rto = Math.floor((tcb.srtt + margin) / GRANULARITY) * GRANULARITY;
  tcb.rto = u32(min(rto, f64(setting(SET_RTO_MAX_MS)) * MILLISECOND));
}

/** Before the first measurement (2.1). */
export function initialRto(): u32 {
  return min(setting(SET_RTO_INIT_MS), setting(SET_RTO_MAX_MS)) * u32(MILLISECOND);
}

/** The time to wait for an acknowledgment now, with backoff (5.5). */
export function currentRto(tcb: Tcb): f64 {
  return min(
    f64(tcb.rto) * f64(u64(1) << min<u64>(tcb.backoff, 32)),
    f64(setting(SET_RTO_MAX_MS)) * MILLISECOND,
  );
}

/** Time the segment that ends at SND.NXT, if none is timed (Karn: only what is sent for the first time). */
export function startTiming(tcb: Tcb): void {
  if (tcb.rttAt != 0) return;
  tcb.rttAt = now + 1; // 0 stands for "none"
  tcb.rttSeq = tcb.sndNxt;
}

/** A retransmission makes the running measurement worthless (§3). */
export function stopTiming(tcb: Tcb): void {
  tcb.rttAt = 0;
}

/** SND.UNA has moved: take the measurement if the timed segment is covered. */
export function finishTiming(tcb: Tcb): void {
  if (tcb.rttAt == 0) {
    // What was sent twice tells nothing by itself; the echo says which of the two was answered (RFC 7323 §4.1).
    const sample = echoedRtt(tcb);
    if (sample == 0) return;
    measured(tcb, sample);
  } else {
    if (tcb.sndUna < tcb.rttSeq) {
      // Too coarse for SRTT, and one a round trip is enough for that. HyStart++ wants more of them (RFC 9406 §4.2).
      const echo = echoedRtt(tcb);
      if (echo != 0) tell(tcb, echo);
      return;
    }
    measured(tcb, now - (tcb.rttAt - 1));
    tcb.rttAt = 0;
  }
  // Only a measurement ends the backoff (§5, Karn): an ACK of what was sent twice says nothing about the path, and with
  // a timeout shorter than the round trip no segment would ever be sent once and measured.
  tcb.backoff = 0;
}

/** 5.7, once the connection is established after a repeated SYN and no measurement could be taken. */
export function afterSynLoss(tcb: Tcb): void {
  if (tcb.srtt == 0) tcb.rto = max(tcb.rto, RTO_AFTER_SYN_LOSS);
}

if (ANNEX_MIN_RTT + offsetof<MinRtt>() > ANNEX_CONGESTION) ERROR("MinRtt does not fit its part of an annex");
if (SECOND != 1000000) ERROR("RTO constants are in microseconds");
