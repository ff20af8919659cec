import { currentRto } from "../rtt.ts";
import { setting } from "../settings.ts";
import { SET_SLOW_START_AFTER_IDLE } from "../shared/control.ts";
import { Tcb } from "../tcb.ts";
import { now } from "../time.ts";

// RFC 5681: the congestion window in octets, and what every congestion control does with it alike.

export const SSTHRESH_INFINITE: u32 = 0x7fffffff;
const CWND_MAX: u32 = 0x40000000;

/** IW: ten segments, or what RFC 6928 §2 allows of large ones. */
export function initialWindow(smss: u32): u32 {
  return min(10 * smss, max(2 * smss, 14600));
}

export function startWindow(tcb: Tcb): void {
  // RFC 5681 §3.1: after lost SYNs the first flight is one segment; RFC 6928 §2 lets one be lost.
  tcb.cwnd = tcb.synRetransmitted > 1 ? tcb.sndMss : initialWindow(tcb.sndMss);
  tcb.ssthresh = SSTHRESH_INFINITE;
}

/**
 * Something was sent, and it was the congestion window that ended it, or not. Both that and the most that was in flight
 * hold for a window of data.
 */
export function measureUse(tcb: Tcb, limited: bool): void {
  const flight = tcb.flightSize;
  const over = tcb.sndUna >= tcb.measuredTo || tcb.measuredTo > tcb.sndNxt;
  if (!over && !limited && (tcb.cwndLimited || flight <= tcb.mostInFlight)) return;
  tcb.cwndLimited = u8(limited);
  tcb.mostInFlight = flight;
  tcb.measuredTo = tcb.sndNxt;
}

/** Whether the window was used so far that it may grow; in slow start half of it is enough, as in Linux. */
export function isUsed(tcb: Tcb): bool {
  return tcb.cwndLimited != 0 || (tcb.cwnd < tcb.ssthresh && tcb.cwnd < 2 * tcb.mostInFlight);
}

/**
 * FlightSize as ssthresh is computed from, without what limited transmit has let go (RFC 5681 §3.2 step 2): as far as the
 * window goes. While reordering is an excuse that can be as much again, sent in place of what was SACKed.
 */
export function flightWithin(tcb: Tcb): u32 {
  return min(tcb.flightSize, tcb.cwnd);
}

export function growWindow(tcb: Tcb, octets: u32): void {
  tcb.cwnd = min(tcb.cwnd + octets, CWND_MAX);
}

/**
 * Slow start for `acked` octets of new data; returns those that are left for congestion avoidance. Octets, not ACKs, are
 * counted (RFC 3465), so that one ACK for many segments opens as far as many ACKs do.
 */
export function slowStart(tcb: Tcb, acked: u32): u32 {
  if (tcb.cwnd >= tcb.ssthresh) return acked;
  const octets = min(acked, tcb.ssthresh - tcb.cwnd);
  growWindow(tcb, octets);
  return acked - octets;
}

/** §4.1: a sender idle for longer than an RTO begins again with the initial window. */
export function restartAfterIdle(tcb: Tcb): void {
  if (!setting(SET_SLOW_START_AFTER_IDLE) || tcb.lastSentAt == 0) return;
  if (now - tcb.lastSentAt > currentRto(tcb)) tcb.cwnd = min(tcb.cwnd, initialWindow(tcb.sndMss));
}
