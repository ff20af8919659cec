import { count } from "./counters.ts";
import { isHeldBack, release } from "./ecn.ts";
import { keepaliveExpired } from "./keepalive.ts";
import { finish, timeoutError } from "./lifecycle.ts";
import { slotAt, timerArea } from "./pool.ts";
import { earliest, raise, wantOutput } from "./queues.ts";
import { timerExpired } from "./recovery/newreno.ts";
import { REORDERING, reorderingExpired } from "./recovery/rack.ts";
import { checkAppLimited } from "./recovery/rate.ts";
import { LOSS_PROBE, probeExpired, resumeTimer } from "./recovery/tlp.ts";
import { currentRto } from "./rtt.ts";
import { PROBE_DUE } from "./send/output.ts";
import { paceAt, paceExpired } from "./send/pacing.ts";
import { setting } from "./settings.ts";
import {
  EV_CLOSED,
  EV_DEADLINE,
  EV_RETRYING,
  EV_TIMED_OUT,
  SET_ORPHAN_RETRIES,
  SET_RETRIES1,
  SET_RETRIES2,
  SET_RTO_MAX_MS,
  SET_SYN_LINEAR_TIMEOUTS,
  SET_SYN_RETRIES,
  SET_SYNACK_RETRIES,
} from "./shared/control.ts";
import {
  CNT_ATTEMPT_FAILS,
  CNT_DELAYED_ACKS,
  CNT_TCP_ABORT_ON_TIMEOUT,
  CNT_TCP_TIMEOUTS,
} from "./shared/counters.ts";
import {
  CLOSED,
  FREE,
  LISTEN,
  SYN_SENT,
  TIME_WAIT,
  TIME_WAIT_KEEPER,
  TIME_WAIT_SLOT,
} from "./shared/states.ts";
import { SYN_PLAIN, Tcb } from "./tcb.ts";
import { MILLISECOND, NEVER, now } from "./time.ts";
import { expireTimeWaits } from "./time-wait-list.ts";
import { startRtx } from "./timers.ts";
import { patience } from "./user-timeout.ts";

/** Linux's number of retransmissions for an orphan where none is set. */
const ORPHAN_RETRIES: i32 = 8;

/** The wheel's entries for the `slots` slots in the timer area have fired. What is not due yet is armed again. */
export function expire(slots: u32): void {
  for (let i: u32 = 0; i < slots; i++) {
    const at = slotAt(load<u32>(timerArea + (i << 2)));
    if (at == 0) continue;
    const tcb = Tcb.at(at);
    if (tcb.state == FREE || tcb.state == LISTEN || tcb.state == TIME_WAIT_SLOT) continue;
    tcb.armed = NEVER;
    if (tcb.state == TIME_WAIT_KEEPER) {
      expireTimeWaits();
      continue;
    }
    if (tcb.ackAt <= now) delayedAck(tcb);
    if (paceAt(tcb) <= now) paceExpired(tcb);
    if (tcb.rtxAt <= now) retransmission(tcb);
    if (tcb.keepAt <= now) keepaliveExpired(tcb);
    if (tcb.waitAt <= now && tcb.state != CLOSED) {
      // TIME-WAIT is over, or the orphan's peer has had its time; the holder of the first was told when it began.
      finish(tcb, 0, tcb.state == TIME_WAIT ? 0 : EV_CLOSED);
    }
    if (tcb.state != FREE && earliest(tcb) < tcb.armed) raise(tcb, EV_DEADLINE);
  }
}

function delayedAck(tcb: Tcb): void {
  tcb.ackAt = NEVER;
  tcb.ackNow = 1;
  count(CNT_DELAYED_ACKS);
  wantOutput(tcb);
}

/** The retransmission timer, RFC 6298 §5.4 to §5.6, or the zero-window probe's. */
function retransmission(tcb: Tcb): void {
  tcb.rtxAt = NEVER;
  checkAppLimited(tcb);
  if (isHeldBack(tcb) && tcb.probing != REORDERING) {
    release(tcb);
    if (tcb.flightSize == 0 && tcb.sndWnd) {
      // Nothing was lost: what was kept back goes.
      tcb.probing = 0;
      wantOutput(tcb);
      return;
    }
  }
  const most = patience(tcb);
  if (most != 0 && now - tcb.unackedSince >= most) {
    giveUp(tcb);
    return;
  }
  if (tcb.synUnacked) {
    repeatSyn(tcb);
    return;
  }
  if (tcb.sndWnd == 0 || tcb.sndNxt == tcb.sndUna) {
    askWindow(tcb);
    return;
  }
  if (tcb.probing == LOSS_PROBE) {
    probeExpired(tcb);
    wantOutput(tcb);
    return;
  }
  if (tcb.probing == REORDERING) {
    resumeTimer(tcb);
    reorderingExpired(tcb);
    return;
  }
  count(CNT_TCP_TIMEOUTS);
  // What the user said counts, as in Linux, in place of the number of retransmissions.
  if ((most == 0 || tcb.orphan) && i32(tcb.retransmits) >= retries(tcb)) {
    giveUp(tcb);
    return;
  }
  timerExpired(tcb);
  retransmitted(tcb);
  if (tcb.backoff < 32) tcb.backoff++;
  startRtx(tcb);
  wantOutput(tcb);
}

/** R2: how often something is sent in vain. An orphan, whose user is gone, gets less: Linux's tcp_orphan_retries. */
function retries(tcb: Tcb): i32 {
  if (!tcb.orphan) return setting(SET_RETRIES2);
  const retries = setting(SET_ORPHAN_RETRIES);
  return retries ? retries : ORPHAN_RETRIES;
}

/**
 * Whether an orphan's peer has kept its window shut until probes went out at their longest interval, even if it answers
 * them: nobody is left who could end it (RFC 6429; for all others MUST-37 holds).
 */
function tooLongShut(tcb: Tcb): bool {
  if (!tcb.orphan || i32(tcb.backoff) < setting(SET_ORPHAN_RETRIES)) return false;
  return currentRto(tcb) >= f64(setting(SET_RTO_MAX_MS)) * MILLISECOND;
}

/** Once more without an answer: at R1 the user, and whoever routes for it, is told (RFC 9293 §3.8.3). */
function retransmitted(tcb: Tcb): void {
  tcb.retransmits++;
  if (i32(tcb.retransmits) == setting(SET_RETRIES1)) raise(tcb, EV_RETRYING);
}

function repeatSyn(tcb: Tcb): void {
  count(CNT_TCP_TIMEOUTS);
  const most = setting(tcb.state == SYN_SENT ? SET_SYN_RETRIES : SET_SYNACK_RETRIES);
  if (i32(tcb.retransmits) >= most) {
    count(CNT_ATTEMPT_FAILS);
    // Nobody has heard of a connection that a peer began and never finished.
    finish(tcb, timeoutError(tcb), tcb.passive && !tcb.openedFast ? 0 : EV_TIMED_OUT);
    return;
  }
  retransmitted(tcb);
  const linear = tcb.state == SYN_SENT && i32(tcb.retransmits) <= setting(SET_SYN_LINEAR_TIMEOUTS);
  if (tcb.backoff < 32 && !linear) tcb.backoff++;
  if (tcb.synRetransmitted < 255) tcb.synRetransmitted++;
  tcb.synPending = SYN_PLAIN;
  startRtx(tcb);
  wantOutput(tcb);
}

/** RFC 9293 §3.8.6.1: ask, ever more rarely, and for as long as there is an answer (MUST-37). */
function askWindow(tcb: Tcb): void {
  if (i32(tcb.probes) >= retries(tcb) || tooLongShut(tcb)) {
    giveUp(tcb);
    return;
  }
  if (tcb.sndWnd == 0) {
    tcb.probes++;
    if (tcb.backoff < 32) tcb.backoff++;
  }
  tcb.probing = PROBE_DUE;
  startRtx(tcb);
  wantOutput(tcb);
}

function giveUp(tcb: Tcb): void {
  count(CNT_TCP_ABORT_ON_TIMEOUT);
  finish(tcb, timeoutError(tcb), EV_TIMED_OUT);
}
