import { raise } from "./queues.ts";
import { setting } from "./settings.ts";
import { EV_ACCEPTED, SET_MAX_SYN_BACKLOG } from "./shared/control.ts";
import { LISTEN } from "./shared/states.ts";
import { TCB_END, TCB_SRTT } from "./shared/tcb-layout.ts";
import { Tcb } from "./tcb.ts";
import { now, SECOND } from "./time.ts";

// The two queues of a listener: connections in SYN-RECEIVED, which are only counted, and those that wait for accept,
// linked first in, first out. The counts stand in the listener's slot where a connection has its round-trip times.

const HEAD: i32 = TCB_SRTT;
const TAIL: i32 = HEAD + 4;
const WAITING: i32 = HEAD + 8;
const LIMIT: i32 = HEAD + 12;
const HALF_OPEN: i32 = HEAD + 16;
const COOKIE_AT: i32 = (HEAD + 27) & ~7;
if (COOKIE_AT + 8 > TCB_END) ERROR("a listener does not fit its slot");

export function setBacklog(listener: Tcb, limit: u32): void {
  store<u32>(changetype<usize>(listener), limit, LIMIT);
}

export function backlog(listener: Tcb): u32 {
  return load<u32>(changetype<usize>(listener), LIMIT);
}

/** Places left in the accept queue of the listener a child came from. Linux's queue takes one more than the backlog. */
export function backlogLeft(child: Tcb): u32 {
  return acceptRoom(Tcb.at(child.listener));
}

export function acceptRoom(listener: Tcb): u32 {
  const at = changetype<usize>(listener);
  const limit = load<u32>(at, LIMIT) + 1;
  const waiting = load<u32>(at, WAITING);
  return waiting < limit ? limit - waiting : 0;
}

/** Whether another half-open connection may begin: tcp_max_syn_backlog. */
export function synRoom(listener: Tcb): bool {
  return load<u32>(changetype<usize>(listener), HALF_OPEN) < u32(setting(SET_MAX_SYN_BACKLOG));
}

/** Linux's TCP_SYNCOOKIE_VALID: ACKs are looked at for cookies for two minutes after one was sent. */
const COOKIES_VALID: f64 = 120 * SECOND;

export function setCookieTime(listener: Tcb): void {
  // Zero stands for "never".
  store<f64>(changetype<usize>(listener), now + 1, COOKIE_AT);
}

export function sentCookies(listener: Tcb): bool {
  const at = load<f64>(changetype<usize>(listener), COOKIE_AT);
  return at != 0 && now + 1 - at <= COOKIES_VALID;
}

export function enterBacklog(listener: Tcb, child: Tcb): void {
  const at = changetype<usize>(listener);
  child.listener = u32(at);
  child.passive = 1;
  store<u32>(at, load<u32>(at, HALF_OPEN) + 1, HALF_OPEN);
}

/** A child leaves SYN-RECEIVED, whichever way. */
export function leaveBacklog(child: Tcb): void {
  const at = usize(child.listener);
  store<u32>(at, load<u32>(at, HALF_OPEN) - 1, HALF_OPEN);
}

/** An established child waits for accept. */
export function enqueueAccept(child: Tcb): void {
  const at = usize(child.listener);
  assert(Tcb.at(at).state == LISTEN);
  const self = changetype<usize>(child);
  child.inAccept = 1;
  child.acceptNext = 0;
  const tail = usize(load<u32>(at, TAIL));
  if (tail) Tcb.at(tail).acceptNext = u32(self);
  else store<u32>(at, u32(self), HEAD);
  store<u32>(at, u32(self), TAIL);
  store<u32>(at, load<u32>(at, WAITING) + 1, WAITING);
  raise(Tcb.at(at), EV_ACCEPTED);
}

/** The connection that has waited longest, taken out; 0 when none waits. */
export function dequeueAccept(listener: Tcb): usize {
  const at = changetype<usize>(listener);
  const first = usize(load<u32>(at, HEAD));
  if (first == 0) return 0;
  const child = Tcb.at(first);
  store<u32>(at, child.acceptNext, HEAD);
  if (!child.acceptNext) store<u32>(at, 0, TAIL);
  store<u32>(at, load<u32>(at, WAITING) - 1, WAITING);
  child.inAccept = 0;
  return first;
}
