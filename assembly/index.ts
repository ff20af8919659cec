import { addAddress, clearAddresses } from "./addresses.ts";
import {
  abort,
  abortTimeWait,
  accept,
  close,
  endRecord,
  forget,
  listen,
  listenerInUse,
  open,
  portHash,
  readable,
  receive,
  send,
  shutdown,
  timeWait,
  urge,
  writable,
} from "./calls.ts";
import { count } from "./counters.ts";
import { expire } from "./expire.ts";
import { conclude, observe, reading } from "./observer.ts";
import { layOut, slotAt, slotsInUse, staging } from "./pool.ts";
import { drainEvents, earliest } from "./queues.ts";
import { expireFragments } from "./receive/fragments.ts";
import { arrive, misplaced } from "./receive/input.ts";
import { wakeWriters } from "./send/buffer.ts";
import { fill } from "./send/output.ts";
import { CNT_IN_DISCARDS, CNT_IN_RECEIVES } from "./shared/counters.ts";
import { Tcb } from "./tcb.ts";
import { setNow } from "./time.ts";
import { udpBind, udpClose, udpInUse, udpReceive, udpSend } from "./udp.ts";
import { setOption } from "./user-options.ts";

// The crossings: one for a batch of packets, due timers or packets to send, and one for a user call. `now` is in
// microseconds. Calls that may have something to tell leave it in the event area (control.ts).

/** Lay out `octets` of linear memory; seed and settings stand in the control block already. */
export function init(octets: u32): void {
  layOut(octets);
  clearAddresses();
}

/** Answer for the address in staging (16 octets, IPv4 mapped). */
export function address(prefix: u32): bool {
  return addAddress(staging, prefix);
}

/**
 * Take the `packets` packets that stand within the first `octets` of the receive ring, whose table counts from `base`; `marked`: the
 * words beside them say something. Returns -1, or, with nothing done, which of them the table has elsewhere.
 */
export function input(packets: u32, now: f64, marked: bool, base: u32, octets: u32): i32 {
  const wrong = misplaced(packets, base, octets);
  if (wrong >= 0) return wrong;
  setNow(now);
  arrive(packets, marked);
  wakeWriters();
  drainEvents();
  return -1;
}

/** `packets` that arrived found no place in the ingress queue. */
export function discard(packets: u32): void {
  count(CNT_IN_RECEIVES, packets);
  count(CNT_IN_DISCARDS, packets);
}

export function output(packets: u32, octets: u32, now: f64): u32 {
  setNow(now);
  const made = fill(packets, octets);
  wakeWriters();
  drainEvents();
  return made;
}

export function timers(slots: u32, now: f64): void {
  setNow(now);
  expire(slots);
  expireFragments();
  wakeWriters();
  drainEvents();
}

/** Slots that were ever in use; the others hold nothing. */
export function slotsUsed(): u32 {
  return slotsInUse();
}

/** When something is next due for the connection in `slot`, microseconds; Infinity for never. The wheel is to have it. */
export function rearm(slot: u32): f64 {
  const tcb = Tcb.at(slotAt(slot));
  tcb.armed = earliest(tcb);
  return tcb.armed;
}

/** Move waiting events to the event area. */
export function events(): void {
  wakeWriters();
  drainEvents();
}

export {
  abort,
  abortTimeWait,
  accept,
  close,
  conclude,
  endRecord,
  forget,
  listen,
  listenerInUse,
  observe,
  open,
  portHash,
  readable,
  reading,
  receive,
  send,
  setOption,
  shutdown,
  timeWait,
  udpBind,
  udpClose,
  udpInUse,
  udpReceive,
  udpSend,
  urge,
  writable,
};
