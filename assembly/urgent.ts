import { segment } from "./packet/segment.ts";
import { raise } from "./queues.ts";
import { Seq } from "./seq.ts";
import { EV_URGENT } from "./shared/control.ts";
import { URGENT_RECEIVED, URGENT_SENT } from "./shared/tcb-layout.ts";
import { Tcb } from "./tcb.ts";

// Urgent text, RFC 9293 §3.8.5: it stays in line with the rest (RFC 6093 §5), and what is told of it is where it ends.
// The pointer names the octet behind it (MUST-62).

/** All that is queued is urgent, of any length (MUST-31). */
export function markUrgent(tcb: Tcb): void {
  tcb.urgent |= u8(URGENT_SENT);
  tcb.sndUp = tcb.sndEnd;
}

/** The urgent pointer of a segment at `seq`; 0 when it has none. What lies beyond its 16 bits later segments tell. */
export function urgentPointer(tcb: Tcb, seq: Seq): u32 {
  if (!(tcb.urgent & URGENT_SENT) || seq >= tcb.sndUp) return 0;
  return min<u32>(tcb.sndUp.since(seq), 0xffff);
}

/** SND.UNA has moved. */
export function urgentAcknowledged(tcb: Tcb): void {
  if (tcb.sndUna >= tcb.sndUp) tcb.urgent &= ~u8(URGENT_SENT);
}

/** §3.10.7.4, sixth step: RCV.UP <- max(RCV.UP, SEG.UP), and the user is told when that is news (MUST-32). */
export function urgentArrives(tcb: Tcb): void {
  const up = segment.up;
  if (segment.urgent == 0 || up <= tcb.rcvRead) return;
  if (tcb.urgent & URGENT_RECEIVED && up <= tcb.rcvUp) return;
  tcb.urgent |= u8(URGENT_RECEIVED);
  tcb.rcvUp = up;
  raise(tcb, EV_URGENT);
}

/** The user has read up to rcvRead. */
export function urgentRead(tcb: Tcb): void {
  if (tcb.rcvRead >= tcb.rcvUp) tcb.urgent &= ~u8(URGENT_RECEIVED);
}
