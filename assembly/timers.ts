import { earliest, raise } from "./queues.ts";
import { currentRto } from "./rtt.ts";
import { disarmPace } from "./send/pacing.ts";
import { EV_DEADLINE } from "./shared/control.ts";
import { Tcb } from "./tcb.ts";
import { MILLISECOND, Micros, NEVER, now } from "./time.ts";
import { patience } from "./user-timeout.ts";

// Deadlines are state; the wheel's entry is a hint. Only a deadline that moves earlier than the hint is told.

/** A deadline has. */
export function moved(tcb: Tcb): void {
  if (earliest(tcb) < tcb.armed) raise(tcb, EV_DEADLINE);
}

/** Retransmission, or zero-window probe. */
export function armRtx(tcb: Tcb, at: Micros): void {
  tcb.rtxAt = at;
  moved(tcb);
}

/** Delayed acknowledgment. */
export function armAck(tcb: Tcb, at: Micros): void {
  tcb.ackAt = at;
  moved(tcb);
}

/** End of TIME-WAIT, or of an orphan's FIN-WAIT-2. */
export function armWait(tcb: Tcb, at: Micros): void {
  tcb.waitAt = at;
  moved(tcb);
}

/** Keepalive. */
export function armKeep(tcb: Tcb, at: Micros): void {
  tcb.keepAt = at;
  moved(tcb);
}

/**
 * Start the retransmission timer for what is in flight, or the probe's: an RTO from now, or when the user's patience
 * with it ends, if that is sooner.
 * @param more whole microseconds that it may take longer
 */
export function startRtx(tcb: Tcb, more: f64 = 0): void {
  let at = now + currentRto(tcb) + more;
  const most = patience(tcb);
  if (most != 0) at = min(at, max(now + MILLISECOND, tcb.unackedSince + most));
  armRtx(tcb, at);
}

export function disarmAll(tcb: Tcb): void {
  disarmPace(tcb);
  tcb.keepAt = NEVER;
  tcb.rtxAt = NEVER;
  tcb.ackAt = NEVER;
  tcb.waitAt = NEVER;
}
