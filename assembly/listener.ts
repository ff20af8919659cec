import { raise } from "./queues.ts";
import { setting } from "./settings.ts";
import { EV_ACCEPTED, SET_FAST_OPEN, SET_MAX_SYN_BACKLOG } from "./shared/control.ts";
import { LISTEN } from "./shared/states.ts";
import { TCB_CHALLENGE_AT, TCB_MEMORY_NEXT, TCB_SRTT } from "./shared/tcb-layout.ts";
import { FAST_OPEN_WITHOUT_OPTION } from "./shared/user-options.ts";
import { FAST_OPEN, Tcb } from "./tcb.ts";
import { now, SECOND } from "./time.ts";

// The two queues of a listener: connections in SYN-RECEIVED, which are only counted, and those that wait for accept,
// linked first in, first out. The counts stand in the listener's slot where a connection has its round-trip times.

const HEAD: i32 = TCB_SRTT;
const TAIL: i32 = HEAD + 4;
const WAITING: i32 = HEAD + 8;
const LIMIT: i32 = HEAD + 12;
const HALF_OPEN: i32 = HEAD + 16;
const COOKIE_AT: i32 = (HEAD + 27) & ~7;
// Fast Open stands where a connection counts what it has sent and received.
const FAST_LIMIT: i32 = TCB_CHALLENGE_AT;
const FAST_PENDING: i32 = FAST_LIMIT + 4;
const FAST_RESET: i32 = FAST_LIMIT + 8;
const FAST_KEY_COUNT: i32 = FAST_LIMIT + 12;
const FAST_RESET_UNTIL: i32 = FAST_LIMIT + 16;
const FAST_KEYS: i32 = FAST_LIMIT + 24;
if (COOKIE_AT + 8 > FAST_LIMIT || FAST_KEYS + 32 > TCB_MEMORY_NEXT) ERROR("a listener does not fit its slot");

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

/** How long one that was reset counts, as in Linux: nobody makes room by having somebody else's address reset it. */
const RESET_COUNTS: f64 = 60 * SECOND;

/** TCP_FASTOPEN: connections that may be the user's before their peer has proved its address; 0 for none. */
export function setFastOpen(listener: Tcb, limit: u32): void {
  store<u32>(changetype<usize>(listener), limit, FAST_LIMIT);
}

/** TCP_FASTOPEN_KEY: `count` keys of 16 octets at `from`, the current one first; none: the engine's. */
export function setFastOpenKeys(listener: Tcb, from: usize, count: u32): void {
  const at = changetype<usize>(listener);
  store<u32>(at, count, FAST_KEY_COUNT);
  memory.copy(at + FAST_KEYS, from, count << 4);
}

export function keysOf(listener: Tcb): usize {
  return changetype<usize>(listener) + FAST_KEYS;
}

export function keyCountOf(listener: Tcb): u32 {
  return load<u32>(changetype<usize>(listener), FAST_KEY_COUNT);
}

/** Off unless asked for (RFC 7413 §2): by the listener, or for all of them by a bit of tcp_fastopen. */
function fastLimit(listener: Tcb): u32 {
  const limit = load<u32>(changetype<usize>(listener), FAST_LIMIT);
  return limit || !(setting(SET_FAST_OPEN) & FAST_OPEN_WITHOUT_OPTION) ? limit : backlog(listener);
}

export function allowsFastOpen(listener: Tcb): bool {
  return fastLimit(listener) != 0;
}

/** Whether another connection may be the user's before its handshake is over (RFC 7413 §4.2). */
export function pendingRoom(listener: Tcb): bool {
  const at = changetype<usize>(listener);
  if (load<f64>(at, FAST_RESET_UNTIL) <= now) store<u32>(at, 0, FAST_RESET);
  return load<u32>(at, FAST_PENDING) + load<u32>(at, FAST_RESET) < fastLimit(listener);
}

/** A child is the user's before its handshake is over. */
export function enterPending(listener: Tcb, child: Tcb): void {
  const at = changetype<usize>(listener);
  child.listener = u32(at);
  child.passive = 1;
  child.choices |= FAST_OPEN;
  store<u32>(at, load<u32>(at, FAST_PENDING) + 1, FAST_PENDING);
}

/** The handshake of such a child is over, whichever way; its listener may be gone. */
export function leavePending(child: Tcb, reset: bool): void {
  child.choices &= ~FAST_OPEN;
  const at = usize(child.listener);
  if (!child.inAccept) child.listener = 0;
  if (at == 0) return;
  store<u32>(at, load<u32>(at, FAST_PENDING) - 1, FAST_PENDING);
  if (!reset) return;
  store<u32>(at, load<u32>(at, FAST_RESET) + 1, FAST_RESET);
  store<f64>(at, now + RESET_COUNTS, FAST_RESET_UNTIL);
}
