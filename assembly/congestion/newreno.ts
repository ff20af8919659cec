import { Tcb } from "../tcb.ts";
import { flightWithin, growWindow, slowStart } from "./window.ts";

// RFC 5681 §3.1: slow start, congestion avoidance by a segment a round trip, half of the window after a loss.

/** `acked` octets of new data were acknowledged outside of recovery, and the window was used. */
export function newrenoAcked(tcb: Tcb, acked: u32): void {
  const left = slowStart(tcb, acked);
  if (left == 0) return;
  tcb.bytesAckedCa += left;
  if (tcb.bytesAckedCa >= tcb.cwnd) {
    tcb.bytesAckedCa -= tcb.cwnd;
    growWindow(tcb, tcb.sndMss);
  }
}

/** ssthresh after a loss, eqn. 4: half of what was in flight. */
export function newrenoReduce(tcb: Tcb): void {
  tcb.ssthresh = max(flightWithin(tcb) / 2, 2 * u32(tcb.sndMss));
  tcb.bytesAckedCa = 0;
}
