import { count } from "../counters.ts";
import { isHeldBack } from "../ecn.ts";
import { segment } from "../packet/segment.ts";
import { currentRto } from "../rtt.ts";
import { setting } from "../settings.ts";
import { SET_EARLY_RETRANS } from "../shared/control.ts";
import { CNT_TCP_LOSS_PROBES } from "../shared/counters.ts";
import { Tcb } from "../tcb.ts";
import { MILLISECOND, now, SECOND } from "../time.ts";
import { armRtx, startRtx } from "../timers.ts";
import { CA_CWR, CA_OPEN } from "./newreno.ts";
import { isScored, Scoreboard, scoreboard } from "./scoreboard.ts";

// Tail loss probe, RFC 8985 §7: where nothing follows that could tell of a loss, something is sent to draw an ACK.

/** Tcb.probing: the timer runs as the loss probe's. */
export const LOSS_PROBE: u8 = 3;

/** §7.2's WCDelAckT: a peer may keep the ACK of a single segment back for so long. */
const DELAYED_ACK: f64 = 200 * MILLISECOND;
/** Linux's TCP_TIMEOUT_MIN: what clocks and schedulers are off by. */
const MARGIN: f64 = 2 * MILLISECOND;

/** §7.2: when the probe is due, in microseconds from now; 0 when there is to be none. */
function probeTimeout(tcb: Tcb): f64 {
  if (!isScored(tcb) || !setting(SET_EARLY_RETRANS) || isHeldBack(tcb)) return 0;
  const board = scoreboard(tcb);
  if (board.isEmpty || board.tlpOut || (tcb.caState != CA_OPEN && tcb.caState != CA_CWR)) return 0;
  if (tcb.srtt == 0) return SECOND;
  return 2 * tcb.srtt + (board.next - board.first == 1 ? DELAYED_ACK : MARGIN);
}

/** When the oldest segment in flight times out. */
function timeoutAt(tcb: Tcb): f64 {
  const board = scoreboard(tcb);
  return max(now + MILLISECOND, board.sent(board.first).sentAt + currentRto(tcb));
}

/** Something was sent or acknowledged: the timer runs for the probe, or else for retransmission. */
export function startRecoveryTimer(tcb: Tcb): void {
  const probe = probeTimeout(tcb);
  tcb.probing = 0;
  startRtx(tcb);
  if (probe == 0) return;
  // In whole microseconds, as the clock counts.
  const at = min(now + Math.ceil(probe), timeoutAt(tcb));
  if (at > tcb.rtxAt) return;
  // Where both are due at once the probe goes first: it leaves the window alone.
  tcb.probing = LOSS_PROBE;
  armRtx(tcb, at);
}

/** The probe is due (§7.3): output sends it. From now on the timer is retransmission's. */
export function probeExpired(tcb: Tcb): void {
  // Meanwhile something has been told that leaves no need of one, or a recovery has begun.
  if (isScored(tcb) && probeTimeout(tcb) == 0) {
    resumeTimer(tcb);
    return;
  }
  tcb.rexmitOne = 1;
  tcb.probing = 0;
  startRtx(tcb);
}

/** The timer was lent: it is retransmission's again, from when the oldest segment was sent. */
export function resumeTimer(tcb: Tcb): void {
  tcb.probing = 0;
  armRtx(tcb, timeoutAt(tcb));
}

/** The probe was sent; `again`: with text that was sent before. */
export function probeSent(tcb: Tcb, board: Scoreboard, again: bool): void {
  board.tlpOut = 1;
  board.tlpEnd = tcb.sndNxt;
  board.tlpResent = u8(again);
  count(CNT_TCP_LOSS_PROBES);
  // §7.3: retransmission's timer runs from now.
  startRtx(tcb);
}

/**
 * Whether the ACK being processed tells that the probe has made good a loss (§7.4.2): it goes further than the probe,
 * without a word of what was sent twice. `duplicate`: it has a D-SACK.
 */
export function probeAnswered(tcb: Tcb, board: Scoreboard, duplicate: bool, isNews: bool): bool {
  if (tcb.sndUna < board.tlpEnd) return false;
  if (!board.tlpResent || duplicate || (tcb.sndUna == board.tlpEnd && !isNews && !segment.textLength)) {
    board.tlpOut = 0;
    return false;
  }
  if (tcb.sndUna == board.tlpEnd) return false;
  board.tlpOut = 0;
  return true;
}
