import { ACK, CWR, ECE, SYN, segment } from "./packet/segment.ts";
import { setting } from "./settings.ts";
import { SET_ECN, SET_ECN_FALLBACK } from "./shared/control.ts";
import { SYN_SENT } from "./shared/states.ts";
import { ECN_DEMAND_CWR, ECN_HELD, ECN_OK, ECN_QUEUE_CWR, ECN_SEEN } from "./shared/tcb-layout.ts";
import { Tcb } from "./tcb.ts";

// Explicit congestion notification, RFC 3168: who may use it, what is echoed, and what packets and segments say of it.
// What a sender does about an echo is recovery's.

/** Codepoints of the IP header's two bits. */
const ECT0: u32 = 2;
const CE: u32 = 3;
/** Where they stand in a TCB's `flow`. */
const FLOW_SHIFT: u32 = 20;

/** Value of tcp_ecn: ask for it when connecting, too. */
const ASK: i32 = 1;

/** Ask for it, if that is set; whoever is connected to answers the peer (takeSynEcn). */
export function beginEcn(tcb: Tcb): void {
  tcb.ecn = setting(SET_ECN) == ASK ? u8(ECN_OK) : 0;
}

/** Whether the SYN in `segment` asks for it; that it is ECT itself is its sender's affair (RFC 8311 §4.3). */
export function offersEcn(): bool {
  return segment.has(ECE) && segment.has(CWR);
}

/** The SYN or SYN,ACK in `segment` has come: it offers, or grants what was asked for (§6.1.1). */
export function takeSynEcn(tcb: Tcb): void {
  const grants = segment.has(ECE) && !segment.has(CWR);
  // In a simultaneous open both ask, and each grants the other's.
  const answered = tcb.state == SYN_SENT && segment.has(ACK);
  const ok = answered ? tcb.ecn != 0 && grants : offersEcn() && setting(SET_ECN) != 0;
  tcb.ecn = ok ? u8(ECN_OK) : 0;
}

/** The SYN that a cookie stands for asked for it, and our SYN,ACK granted it. */
export function grantEcn(tcb: Tcb): void {
  if (setting(SET_ECN)) tcb.ecn = u8(ECN_OK);
}

/** What a SYN about to be sent says of it. One that is sent again does without: something on the way may mind (§6.1.1.1). */
export function synEcn(tcb: Tcb, passive: bool): u32 {
  if (!(tcb.ecn & ECN_OK)) return 0;
  if (passive) return ECE;
  if (tcb.synRetransmitted && setting(SET_ECN_FALLBACK)) {
    tcb.ecn = 0;
    return 0;
  }
  return ECE | CWR;
}

/** The acceptable segment in `segment` may say that its sender has slowed down, and its packet that it should (§6.1.3). */
export function ecnArrives(tcb: Tcb): void {
  if (!(tcb.ecn & ECN_OK)) return;
  if (segment.has(CWR)) tcb.ecn &= ~u8(ECN_DEMAND_CWR);
  if (segment.ecn) tcb.ecn |= u8(ECN_SEEN);
  // Only text counts: nothing else is ECT (§6.1.4, §6.1.5).
  if (segment.ecn == CE && segment.textLength && !segment.has(SYN)) tcb.ecn |= u8(ECN_DEMAND_CWR);
}

/** Whether the ACK in `segment` echoes congestion. */
export function isEchoed(tcb: Tcb): bool {
  return segment.has(ECE) && (tcb.ecn & ECN_OK) != 0 && !segment.has(SYN);
}

/** An echo finds a window of one segment: nothing new goes until the retransmission timer expires (§6.1.2). */
export function holdBack(tcb: Tcb): void {
  tcb.ecn |= u8(ECN_HELD);
}

export function isHeldBack(tcb: Tcb): bool {
  return (tcb.ecn & ECN_HELD) != 0;
}

/** The timer has expired. */
export function release(tcb: Tcb): void {
  tcb.ecn &= ~u8(ECN_HELD);
}

/** The window was reduced: the next new text says so (§6.1.2). */
export function tellReduced(tcb: Tcb): void {
  if (tcb.ecn & ECN_OK) tcb.ecn |= u8(ECN_QUEUE_CWR);
}

/** Whether the next new text has that to say. */
export function owesReduced(tcb: Tcb): bool {
  return (tcb.ecn & ECN_QUEUE_CWR) != 0;
}

/** The reduction was for nothing, and need not be told any more. */
export function withdrawReduced(tcb: Tcb): void {
  tcb.ecn &= ~u8(ECN_QUEUE_CWR);
}

/** What a segment that is no SYN says; `fresh`: with text that was never sent before. */
export function segmentEcn(tcb: Tcb, fresh: bool): u32 {
  let flags: u32 = tcb.ecn & ECN_DEMAND_CWR ? ECE : 0;
  if (fresh && tcb.ecn & ECN_QUEUE_CWR) {
    flags |= CWR;
    tcb.ecn &= ~u8(ECN_QUEUE_CWR);
  }
  return flags;
}

/** `flow` of a packet: new text is ECT, nothing else (§6.1.4 to §6.1.6). */
export function packetFlow(tcb: Tcb, fresh: bool): u32 {
  return fresh && tcb.ecn & ECN_OK ? tcb.flow | (ECT0 << FLOW_SHIFT) : tcb.flow;
}
