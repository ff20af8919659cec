import { earliest, raise } from "./queues.ts";
import { EV_DEADLINE } from "./shared/control.ts";
import { Tcb } from "./tcb.ts";
import { Micros, NEVER } from "./time.ts";

// Deadlines are state; the wheel's entry is a hint. Only a deadline that moves earlier than the hint is told.

function moved(tcb: Tcb): void {
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

export function disarmAll(tcb: Tcb): void {
  tcb.rtxAt = NEVER;
  tcb.ackAt = NEVER;
  tcb.waitAt = NEVER;
}
