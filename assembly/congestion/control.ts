import { Tcb } from "../tcb.ts";
import { newrenoAcked, newrenoReduce } from "./newreno.ts";
import { isUsed } from "./window.ts";

// What the rest of the engine asks of congestion control, whichever the connection has.

/** `acked` octets of new data were acknowledged outside of recovery. */
export function windowAcked(tcb: Tcb, acked: u32): void {
  // A window that was not filled says nothing about the path: it does not grow (RFC 7661 §4.3 in spirit).
  if (isUsed(tcb)) newrenoAcked(tcb, acked);
}

/** Congestion, told by a loss or an echo: set ssthresh. The window itself is recovery's to set. */
export function reduceForLoss(tcb: Tcb): void {
  newrenoReduce(tcb);
}
