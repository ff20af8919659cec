import { isConnectable } from "./addresses.ts";
import { dropAnnex } from "./annex.ts";
import { count } from "./counters.ts";
import { enterListeners, leaveListeners, listenerConflicts, lookupTwin } from "./demux.ts";
import { beginFastOpen, synMayGo, synRoom } from "./fast-open/client.ts";
import { hash6 } from "./hash.ts";
import {
  beginConnection,
  finish,
  freeTcb,
  newTcb,
  orphan,
  replaceTimeWait,
  setIss,
  setState,
  tooManyOrphans,
} from "./lifecycle.ts";
import { dequeueAccept, setBacklog } from "./listener.ts";
import { fetchSlot, isCrowded, slotAt, slotsInUse, staging } from "./pool.ts";
import { drainEvents, handle, raise, release, wantOutput } from "./queues.ts";
import { textRead } from "./receive/tuning.ts";
import { canMark, markRecord } from "./records.ts";
import { checkAppLimited } from "./recovery/rate.ts";
import { refused, sendRoom, wakeWriters } from "./send/buffer.ts";
import { resetConnection } from "./send/replies.ts";
import { Seq } from "./seq.ts";
import { setting } from "./settings.ts";
import {
  CTL_HASH_KEY,
  EV_CLOSED,
  EV_READABLE,
  EV_URGENT,
  EV_WRITABLE,
  SET_FIN_TIMEOUT,
  SET_TW_REUSE,
  SET_TW_REUSE_DELAY,
} from "./shared/control.ts";
import {
  CNT_ACTIVE_OPENS,
  CNT_ATTEMPT_FAILS,
  CNT_ESTAB_RESETS,
  CNT_TCP_ABORT_ON_CLOSE,
  CNT_TCP_ABORT_ON_DATA,
  CNT_TCP_ABORT_ON_MEMORY,
} from "./shared/counters.ts";
import {
  ERR_ABORTED,
  ERR_AGAIN,
  ERR_EOF,
  ERR_IN_USE,
  ERR_INVALID,
  ERR_NO_MEMORY,
  ERR_PIPE,
  ERR_STALE,
} from "./shared/results.ts";
import {
  CLOSE_WAIT,
  CLOSED,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  LISTEN,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
  TIME_WAIT_BRIEF,
} from "./shared/states.ts";
import { URGENT_RECEIVED } from "./shared/tcb-layout.ts";
import { OPEN_FAST, OPEN_GIVEN_PORT } from "./shared/user-options.ts";
import { giveRoute } from "./source-route.ts";
import { SYN_PLAIN, SYN_WAITS, Tcb } from "./tcb.ts";
import { MILLISECOND, NEVER, now, SECOND } from "./time.ts";
import { TimeWait } from "./time-wait.ts";
import { endTimeWait } from "./time-wait-list.ts";
import { armWait } from "./timers.ts";
import { markUrgent, urgentRead } from "./urgent.ts";
import { worthTelling } from "./window.ts";

// The user calls of RFC 9293 §3.10.1 to §3.10.6, carried out for the manager. Addresses and text pass through the
// staging area. Each returns a count or slot, or an ERR_ of results.ts.

/**
 * OPEN, active. Staging: local address, remote address, 16 octets each; `hops` IPv4 addresses to go by, 4 octets each.
 * `flags`: OPEN_ bits of user-options.ts. Returns the slot.
 */
export function open(family: u32, localPort: u32, remotePort: u32, hops: u32, flags: u32): i32 {
  const remoteHigh = load<u64>(staging, 16);
  const remoteLow = load<u64>(staging, 24);
  if (!isConnectable(remoteHigh, remoteLow)) return ERR_INVALID;
  const twin = lookupStaged(family, localPort, remotePort);
  if (twin && !isReusable(twin, (flags & OPEN_GIVEN_PORT) != 0)) return ERR_IN_USE;
  const at = newTcb();
  if (at == 0) return ERR_NO_MEMORY;
  const tcb = Tcb.at(at);
  tcb.family = u8(family);
  tcb.localAddressHigh = load<u64>(staging);
  tcb.localAddressLow = load<u64>(staging, 8);
  tcb.remoteAddressHigh = remoteHigh;
  tcb.remoteAddressLow = remoteLow;
  tcb.localPort = u16(localPort);
  tcb.remotePort = u16(remotePort);
  const floor = twin ? replaceTimeWait(twin) : Seq.of(0);
  beginConnection(tcb);
  if (hops && !giveRoute(tcb, staging + 32, hops)) {
    finish(tcb, 0, 0);
    return ERR_NO_MEMORY;
  }
  if (twin && tcb.iss <= floor) setIss(tcb, floor.plus(65537));
  setState(tcb, SYN_SENT);
  tcb.held = 1;
  tcb.synPending = SYN_PLAIN;
  if (flags & OPEN_FAST) beginFastOpen(tcb);
  count(CNT_ACTIVE_OPENS);
  wantOutput(tcb);
  return tcb.slot;
}

/**
 * Whether a connection in TIME-WAIT gives way to a new one of ours: when timestamps tell both apart, and the user named its
 * port, or, as tcp_tw_reuse has it, some time has passed.
 */
function isReusable(at: usize, given: bool): bool {
  const state = Tcb.at(at).state;
  const tsAge =
    state == TIME_WAIT
      ? stampedAt(Tcb.at(at))
      : state == TIME_WAIT_BRIEF
        ? stampedAt(TimeWait.at(at))
        : NEVER;
  if (given) return tsAge != NEVER;
  return setting(SET_TW_REUSE) == 1 && now - tsAge >= f64(setting(SET_TW_REUSE_DELAY)) * MILLISECOND;
}

/** When the latest timestamp came to a connection that nobody holds. */
function stampedAt<T>(tcb: T): f64 {
  return tcb.held || !tcb.tsOk ? NEVER : tcb.tsAge;
}

/** As much of a TCB as is looked up by. */
const wanted = memory.data(64, 8);

/** The connection between the addresses in staging and these ports, or 0. */
function lookupStaged(family: u32, localPort: u32, remotePort: u32): usize {
  const tuple = Tcb.at(wanted);
  memory.copy(wanted, staging, 32);
  tuple.family = u8(family);
  tuple.localPort = u16(localPort);
  tuple.remotePort = u16(remotePort);
  return lookupTwin(tuple);
}

/**
 * Address of the brief TIME-WAIT that is left of the connection `slot` and `generation` named; 0 when none is. Staging:
 * its addresses. `ports`: the local one below, the remote one above.
 */
export function timeWait(slot: u32, generation: u32, family: u32, ports: u32): usize {
  const at = lookupStaged(family, ports & 0xffff, ports >> 16);
  if (at == 0) return 0;
  const it = TimeWait.at(at);
  return it.state == TIME_WAIT_BRIEF && it.slot == slot && it.generation == generation ? at : 0;
}

/** ABORT of such a connection. Arguments as for timeWait(). */
export function abortTimeWait(slot: u32, generation: u32, family: u32, ports: u32): void {
  const at = timeWait(slot, generation, family, ports);
  if (at) endTimeWait(TimeWait.at(at));
}

/** A number that follows from the addresses in staging, the port and the secret: where to look for a port (RFC 6056). */
export function portHash(remotePort: u32): u32 {
  return hash6(CTL_HASH_KEY, staging, staging + 16, remotePort);
}

/** OPEN, passive. Staging: local address; `family` 0 for all. Returns the slot. */
export function listen(family: u32, port: u32, backlog: u32): i32 {
  const high = load<u64>(staging);
  const low = load<u64>(staging, 8);
  if (listenerConflicts(u8(family), high, low, u16(port))) return ERR_IN_USE;
  const at = newTcb();
  if (at == 0) return ERR_NO_MEMORY;
  const tcb = Tcb.at(at);
  tcb.family = u8(family);
  tcb.localAddressHigh = high;
  tcb.localAddressLow = low;
  tcb.localPort = u16(port);
  tcb.state = u8(LISTEN);
  tcb.held = 1;
  setBacklog(tcb, backlog);
  enterListeners(tcb);
  return tcb.slot;
}

/** Whether a listener bound to this address (staging; family 0 for all) and port would be refused. */
export function listenerInUse(family: u32, port: u32): bool {
  return listenerConflicts(u8(family), load<u64>(staging), load<u64>(staging, 8), u16(port));
}

/** The slot of the connection that has waited longest for the listener, held from now on. */
export function accept(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0 || Tcb.at(at).state != LISTEN) return ERR_STALE;
  const first = dequeueAccept(Tcb.at(at));
  if (first == 0) return ERR_AGAIN;
  const child = Tcb.at(first);
  child.held = 1;
  // One that was let in before its handshake is over counts at its listener until it is.
  if (!child.openedFast) child.listener = 0;
  // Whatever happened while nobody held it is told again.
  const readable = child.rcvNxt != child.rcvRead ? EV_READABLE : 0;
  raise(child, EV_WRITABLE | readable | (child.urgent & URGENT_RECEIVED ? EV_URGENT : 0));
  return child.slot;
}

/** SEND: queue up to `length` octets that stand `skip` octets into staging. Returns how many were taken. */
export function send(slot: u32, generation: u32, skip: u32, length: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  if (isCrowded()) fetchSlot(at);
  const tcb = Tcb.at(at);
  const state = tcb.state;
  if (
    tcb.finQueued ||
    (state != ESTABLISHED && state != CLOSE_WAIT && state != SYN_SENT && state != SYN_RECEIVED)
  ) {
    return state == CLOSED && tcb.error ? tcb.error : ERR_PIPE;
  }
  checkAppLimited(tcb);
  let want = min(length, sendRoom(tcb));
  if (tcb.synPending == SYN_WAITS) {
    want = min(want, synRoom(tcb));
    synMayGo(tcb);
    wantOutput(tcb);
  }
  const taken = tcb.sndStream.put(tcb.sndTextStart, tcb.sndEnd, staging + skip, want);
  tcb.sndEnd = tcb.sndEnd.plus(taken);
  if (taken < length) refused(tcb);
  if (taken) wantOutput(tcb);
  return taken;
}

/** All that is queued is urgent (SEND's URGENT flag). */
export function urge(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  markUrgent(tcb);
  // RFC 9293 §3.8.6.1: a peer whose window is shut hears of it all the same.
  if (tcb.sndWnd <= tcb.flightSize && (tcb.state == ESTABLISHED || tcb.state == CLOSE_WAIT)) tcb.ackNow = 1;
  wantOutput(tcb);
  return 0;
}

/**
 * What is queued ends a record (Linux's MSG_EOR): no segment holds more than one. Asked before the text is taken, with
 * `mark` 0, whether there is room to remember it; 0 when not, and a writable event follows.
 */
export function endRecord(slot: u32, generation: u32, mark: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  // One that takes no more text says so itself.
  if (tcb.state == CLOSED || tcb.finQueued) return 1;
  if (mark) markRecord(tcb);
  else if (!canMark(tcb)) {
    refused(tcb);
    return 0;
  }
  return 1;
}

/** Octets SEND would take now. */
export function writable(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  return at == 0 ? ERR_STALE : i32(sendRoom(Tcb.at(at)));
}

/** A call has given memory back: if a writer waits for it, have the manager told at once, not with the next packet. */
function memoryGiven(): void {
  if (wakeWriters()) drainEvents();
}

/**
 * RECEIVE: copy up to `length` octets to staging, `skip` octets into it. `more`: the user has room for more than that, and the
 * call goes on as long as there is text.
 */
export function receive(slot: u32, generation: u32, skip: u32, length: u32, more: bool): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  if (tcb.state == SYN_SENT || (tcb.state == SYN_RECEIVED && !tcb.finReceived && !tcb.openedFast)) return 0;
  const end = tcb.finReceived ? tcb.rcvNxt.minus(1) : tcb.rcvNxt;
  const unread = end.since(tcb.rcvRead);
  if (unread == 0) {
    if (tcb.error) return tcb.error;
    return tcb.finReceived || tcb.state == CLOSED ? ERR_EOF : 0;
  }
  const taken = min(length, unread);
  const from = tcb.rcvRead;
  tcb.rcvStream.get(from, staging + skip, taken);
  tcb.rcvRead = from.plus(taken);
  if (tcb.urgent) urgentRead(tcb);
  if (tcb.rcvRead == end && tcb.runs.count == 0) tcb.rcvStream.finish(from, tcb.rcvRead);
  else tcb.rcvStream.trim(from, tcb.rcvRead);
  // What follows from a read follows from all of it; and whatever is told is told once, for events wait until the call is over.
  if (more && tcb.rcvRead != end) return taken;
  textRead(tcb);
  if ((tcb.state == ESTABLISHED || tcb.state == FIN_WAIT_1 || tcb.state == FIN_WAIT_2) && worthTelling(tcb)) {
    tcb.ackNow = 1;
    wantOutput(tcb);
  }
  memoryGiven();
  return taken;
}

/** Octets RECEIVE would return now. */
export function readable(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  return tcb.rcvNxt.since(tcb.rcvRead) - tcb.finReceived;
}

/** Queue the FIN behind what is queued to be sent (§3.10.4). */
function queueFin(tcb: Tcb): void {
  if (tcb.finQueued) return;
  tcb.finQueued = 1;
  // In SYN-RECEIVED it goes at once only when no text goes before it; text waits for the ACK of our SYN, but where the
  // peer has a cookie. In CLOSE-WAIT
  // the state changes when it is sent.
  const bare = tcb.state == SYN_RECEIVED && (tcb.sndEnd == tcb.sndTextStart || tcb.openedFast);
  if (tcb.state == ESTABLISHED || bare) setState(tcb, FIN_WAIT_1);
  wantOutput(tcb);
}

/** No more to send. */
export function shutdown(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  if (tcb.state == SYN_SENT) finish(tcb, ERR_ABORTED, EV_CLOSED);
  else if (tcb.state != CLOSED) queueFin(tcb);
  return 0;
}

/** CLOSE by a holder who will not read any more (RFC 1122 §4.2.2.13: half-duplex). */
export function close(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  const state = tcb.state;
  if (state == LISTEN) {
    closeListener(tcb);
    return 0;
  }
  orphan(tcb);
  if (state == CLOSED) {
    freeTcb(tcb);
    memoryGiven();
    return 0;
  }
  const unread = tcb.rcvNxt.since(tcb.rcvRead) - tcb.finReceived;
  if (state == SYN_SENT) finish(tcb, 0, EV_CLOSED);
  else if ((unread || tcb.lingerReset) && state != TIME_WAIT && state != CLOSING && state != LAST_ACK) {
    // RFC 2525 §2.17: the peer must learn that its text was not read. Or the user wants no TIME-WAIT (SO_LINGER, 0).
    count(unread ? CNT_TCP_ABORT_ON_CLOSE : CNT_TCP_ABORT_ON_DATA);
    if (state == ESTABLISHED || state == CLOSE_WAIT) count(CNT_ESTAB_RESETS);
    resetConnection(tcb);
    finish(tcb, 0, EV_CLOSED);
  } else if (tooManyOrphans()) {
    count(CNT_TCP_ABORT_ON_MEMORY);
    resetConnection(tcb);
    finish(tcb, 0, EV_CLOSED);
  } else {
    tcb.rcvStream.clear();
    tcb.rcvRead = tcb.rcvNxt.minus(tcb.finReceived);
    if (state == FIN_WAIT_2) armWait(tcb, now + f64(setting(SET_FIN_TIMEOUT)) * SECOND);
    queueFin(tcb);
    // Nobody holds it any more: output() may abridge it.
    if (state == TIME_WAIT) wantOutput(tcb);
  }
  memoryGiven();
  return 0;
}

/** ABORT (§3.10.5). */
export function abort(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  if (tcb.state == LISTEN) {
    closeListener(tcb);
    return 0;
  }
  orphan(tcb);
  abortTcb(tcb);
  memoryGiven();
  return 0;
}

function abortTcb(tcb: Tcb): void {
  const state = tcb.state;
  if (state == CLOSED) {
    if (!tcb.inAccept) freeTcb(tcb);
    return;
  }
  if (state == SYN_RECEIVED) count(CNT_ATTEMPT_FAILS);
  else if (state == ESTABLISHED || state == CLOSE_WAIT) count(CNT_ESTAB_RESETS);
  // No reset from SYN-SENT, where there is nobody to reset, nor once both FINs have passed.
  if (state != SYN_SENT && state != CLOSING && state != LAST_ACK && state != TIME_WAIT) resetConnection(tcb);
  finish(tcb, ERR_ABORTED, EV_CLOSED);
}

/** The holder has lost interest in a connection that is over and read out. */
export function forget(slot: u32, generation: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  tcb.held = 0;
  if (tcb.state == CLOSED) freeTcb(tcb);
  else if (tcb.state == TIME_WAIT) wantOutput(tcb);
  return 0;
}

function isSynchronized(state: u32): bool {
  return (
    state == ESTABLISHED ||
    state == FIN_WAIT_1 ||
    state == FIN_WAIT_2 ||
    state == CLOSE_WAIT ||
    state == CLOSING ||
    state == LAST_ACK
  );
}

/** Connections that wait, and those still opening, are reset (§3.10.4: the listener's TCB is deleted). */
function closeListener(listener: Tcb): void {
  const self = u32(changetype<usize>(listener));
  for (;;) {
    const first = dequeueAccept(listener);
    if (first == 0) break;
    abortTcb(Tcb.at(first));
  }
  const slots = slotsInUse();
  for (let i: u32 = 0; i < slots; i++) {
    const tcb = Tcb.at(slotAt(i));
    if (tcb.state != SYN_RECEIVED && !isSynchronized(tcb.state)) continue;
    if (!tcb.passive || tcb.listener != self) continue;
    // Whoever was accepted before its handshake was over is its user's.
    if (tcb.openedFast) tcb.listener = 0;
    else if (tcb.state == SYN_RECEIVED) abortTcb(tcb);
  }
  leaveListeners(listener);
  if (listener.annex) dropAnnex(listener);
  release(listener);
}
