import { spareAnnexOf } from "../annex.ts";
import { ANNEX_CONGESTION, UNDO_CWND, UNDO_END, UNDO_SSTHRESH } from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";

// What a reduction of the window found, in case the loss that made it proves spurious (RFC 9438 §4.9, RFC 5682 §3).

@unmanaged
@final
class Undo {
  /** 0: nothing is remembered. */
  cwnd: u32;
  ssthresh: u32;

  @inline static of(tcb: Tcb): Undo {
    return changetype<Undo>(usize(tcb.annex) + ANNEX_CONGESTION);
  }
}

/** Whether there is memory for it: without an annex nothing can be undone. */
export function rememberWindow(tcb: Tcb): bool {
  if (spareAnnexOf(tcb) == 0) return false;
  const undo = Undo.of(tcb);
  undo.cwnd = tcb.cwnd;
  undo.ssthresh = tcb.ssthresh;
  return true;
}

export function forgetWindow(tcb: Tcb): void {
  if (tcb.annex) Undo.of(tcb).cwnd = 0;
}

/**
 * Take the window back to where it was. False when nothing is remembered, or the window has grown beyond that already
 * (RFC 9438 §4.9.2: then what it has come to stands).
 */
export function restoreRemembered(tcb: Tcb): bool {
  if (tcb.annex == 0) return false;
  const undo = Undo.of(tcb);
  const cwnd = undo.cwnd;
  undo.cwnd = 0;
  if (cwnd <= tcb.cwnd) return false;
  tcb.cwnd = cwnd;
  tcb.ssthresh = undo.ssthresh;
  return true;
}

if (offsetof<Undo>("cwnd") != UNDO_CWND) ERROR("layout drift: Undo.cwnd");
if (offsetof<Undo>("ssthresh") != UNDO_SSTHRESH) ERROR("layout drift: Undo.ssthresh");
if (offsetof<Undo>() != UNDO_END) ERROR("layout drift: end of Undo");
