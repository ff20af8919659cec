import { count } from "./counters.ts";
import { finish, timeoutError } from "./lifecycle.ts";
import { wantOutput } from "./queues.ts";
import { resetConnection } from "./send/replies.ts";
import { setting } from "./settings.ts";
import {
  EV_TIMED_OUT,
  SET_KEEPALIVE_INTVL,
  SET_KEEPALIVE_PROBES,
  SET_KEEPALIVE_TIME,
} from "./shared/control.ts";
import { CNT_TCP_ABORT_ON_TIMEOUT } from "./shared/counters.ts";
import { CLOSE_WAIT, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2 } from "./shared/states.ts";
import { Tcb } from "./tcb.ts";
import { NEVER, now, SECOND } from "./time.ts";
import { armKeep } from "./timers.ts";
import { patience } from "./user-timeout.ts";

// RFC 9293 §3.8.4 with Linux's three numbers: how long a connection may be silent, how long between probes, and how many
// may go unanswered.

function idle(tcb: Tcb): f64 {
  return f64(tcb.keepIdle ? u32(tcb.keepIdle) : u32(setting(SET_KEEPALIVE_TIME))) * SECOND;
}

function interval(tcb: Tcb): f64 {
  return f64(tcb.keepInterval ? u32(tcb.keepInterval) : u32(setting(SET_KEEPALIVE_INTVL))) * SECOND;
}

function probes(tcb: Tcb): u32 {
  return tcb.keepCount ? tcb.keepCount : u32(setting(SET_KEEPALIVE_PROBES));
}

function isProbed(tcb: Tcb): bool {
  const state = tcb.state;
  return state == ESTABLISHED || state == CLOSE_WAIT || state == FIN_WAIT_1 || state == FIN_WAIT_2;
}

/** Keepalive was switched on or its numbers changed, or the connection was established. */
export function restartKeepalive(tcb: Tcb): void {
  tcb.keepProbes = 0;
  if (!tcb.keepAlive || !isProbed(tcb)) tcb.keepAt = NEVER;
  else armKeep(tcb, max(now, tcb.heardAt + idle(tcb)));
}

/** The peer was heard of: whatever was asked is answered. The timer finds out by itself. */
export function heard(tcb: Tcb): void {
  tcb.heardAt = now;
  if (tcb.keepProbes) tcb.softError = 0;
  tcb.keepProbes = 0;
}

/** The keepalive timer has expired. */
export function keepaliveExpired(tcb: Tcb): void {
  tcb.keepAt = NEVER;
  if (!tcb.keepAlive || !isProbed(tcb)) return;
  // Text in flight or waiting has a timer of its own (MUST-26: only when nothing is outstanding).
  if (tcb.flightSize || tcb.sndEnd.since(tcb.sndNxt)) {
    armKeep(tcb, now + idle(tcb));
    return;
  }
  if (tcb.keepProbes == 0 && now < tcb.heardAt + idle(tcb)) {
    armKeep(tcb, tcb.heardAt + idle(tcb));
    return;
  }
  const silent = now - tcb.heardAt;
  // TCP_USER_TIMEOUT takes the place of the number of probes (Linux).
  const most = patience(tcb);
  const over = most ? silent >= most && tcb.keepProbes > 0 : tcb.keepProbes >= probes(tcb);
  if (over) {
    count(CNT_TCP_ABORT_ON_TIMEOUT);
    resetConnection(tcb);
    finish(tcb, timeoutError(tcb), EV_TIMED_OUT);
    return;
  }
  if (tcb.keepProbes < 255) tcb.keepProbes++;
  tcb.keepDue = 1;
  armKeep(tcb, now + interval(tcb));
  wantOutput(tcb);
}
