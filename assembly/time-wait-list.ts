import { leaveTable } from "./demux.ts";
import { newTcb } from "./lifecycle.ts";
import { giveSlot, takeSlot } from "./pool.ts";
import { SLOT_SIZE } from "./shared/sizes.ts";
import { FREE, TIME_WAIT_BRIEF, TIME_WAIT_KEEPER, TIME_WAIT_SLOT } from "./shared/states.ts";
import { TCB_STATE } from "./shared/tcb-layout.ts";
import {
  TW_END,
  TWS_NEXT,
  TWS_PER_SLOT,
  TWS_PLACES,
  TWS_PREVIOUS,
  TWS_TAKEN,
} from "./shared/time-wait-layout.ts";
import { Tcb } from "./tcb.ts";
import { Micros, NEVER, now, SECOND } from "./time.ts";
import { TimeWait } from "./time-wait.ts";
import { armWait } from "./timers.ts";

// Brief TIME-WAITs: the places they stand in, four to a slot, and the list in the order in which they end. All last
// equally long, so that who comes last ends last; one timer, that of the first, is enough. It is the timer of a slot of
// its own, the keeper, for a slot is what the wheel knows.

/** RFC 9293 §3.4.2: MSL is two minutes there, 30 seconds in Linux: TIME-WAIT lasts 60. */
export const TIME_WAIT_MICROS: f64 = 60 * SECOND;

/** How many that end later may be passed over to enter the list. */
const NEAR: u32 = 64;
const ALL_TAKEN: u32 = (1 << TWS_PER_SLOT) - 1;

let first: usize = 0;
let last: usize = 0;
/** Slots with a place left. */
let open: usize = 0;
let keeper: usize = 0;
/** TIME-WAITs there are, brief or in a TCB. */
let waiting: u32 = 0;

/** How many connections are in TIME-WAIT, in whatever form: what tcp_max_tw_buckets bounds. */
export function timeWaits(): u32 {
  return waiting;
}

/** A TCB enters TIME-WAIT, or leaves it. */
export function countTimeWait(by: i32): void {
  waiting += by;
}

function enterOpen(slot: usize): void {
  store<u32>(slot, 0, TWS_PREVIOUS);
  store<u32>(slot, u32(open), TWS_NEXT);
  if (open) store<u32>(open, u32(slot), TWS_PREVIOUS);
  open = slot;
}

function leaveOpen(slot: usize): void {
  const next = usize(load<u32>(slot, TWS_NEXT));
  const previous = usize(load<u32>(slot, TWS_PREVIOUS));
  if (next) store<u32>(next, u32(previous), TWS_PREVIOUS);
  if (previous) store<u32>(previous, u32(next), TWS_NEXT);
  else open = next;
}

/** A place, or 0 when memory has ended. */
function takePlace(): usize {
  if (open == 0) {
    const slot = takeSlot();
    if (slot == 0) return 0;
    store<u8>(slot, u8(TIME_WAIT_SLOT), TCB_STATE);
    enterOpen(slot);
  }
  const slot = open;
  const taken = load<u32>(slot, TWS_TAKEN);
  const place: u32 = ctz(~taken);
  store<u32>(slot, taken | (1 << place), TWS_TAKEN);
  if ((taken | (1 << place)) == ALL_TAKEN) leaveOpen(slot);
  return slot + TWS_PLACES + place * TW_END;
}

function givePlace(at: usize): void {
  const slot = at & ~(SLOT_SIZE - 1);
  const place = u32(at - slot - TWS_PLACES) / TW_END;
  const taken = load<u32>(slot, TWS_TAKEN);
  const left = taken & ~(1 << place);
  store<u8>(at, u8(FREE), TCB_STATE);
  store<u32>(slot, left, TWS_TAKEN);
  if (taken == ALL_TAKEN) enterOpen(slot);
  if (left) return;
  leaveOpen(slot);
  store<u8>(slot, u8(FREE), TCB_STATE);
  giveSlot(slot);
}

/** Have the keeper's timer end with the first of the list. */
function watchFirst(): void {
  armWait(Tcb.at(keeper), first ? TimeWait.at(first).until : NEVER);
}

function link(it: TimeWait, before: usize): void {
  const at = changetype<usize>(it);
  const after = before ? usize(TimeWait.at(before).next) : first;
  it.previous = u32(before);
  it.next = u32(after);
  if (before) TimeWait.at(before).next = u32(at);
  else first = at;
  if (after) TimeWait.at(after).previous = u32(at);
  else last = at;
}

function unlink(it: TimeWait): void {
  const next = usize(it.next);
  const previous = usize(it.previous);
  if (next) TimeWait.at(next).previous = u32(previous);
  else last = previous;
  if (previous) TimeWait.at(previous).next = u32(next);
  else first = next;
}

/**
 * A brief TIME-WAIT that ends at `until`, in the list and otherwise to be filled; or 0 when memory has ended, or when it
 * comes so late that the way to where it belongs would be long.
 */
export function newTimeWait(until: Micros): usize {
  if (keeper == 0) {
    keeper = newTcb();
    if (keeper == 0) return 0;
    Tcb.at(keeper).state = u8(TIME_WAIT_KEEPER);
  }
  let before = last;
  for (let passed: u32 = 0; before != 0 && TimeWait.at(before).until > until; passed++) {
    if (passed == NEAR) return 0;
    before = usize(TimeWait.at(before).previous);
  }
  const at = takePlace();
  if (at == 0) return 0;
  const it = TimeWait.at(at);
  it.state = u8(TIME_WAIT_BRIEF);
  it.until = until;
  link(it, before);
  waiting++;
  if (first == at) watchFirst();
  return at;
}

/** The peer's FIN has come again. */
export function restartTimeWait(it: TimeWait): void {
  unlink(it);
  it.until = now + TIME_WAIT_MICROS;
  link(it, last);
  watchFirst();
}

/** It is over, or a new connection takes its place. */
export function endTimeWait(it: TimeWait): void {
  leaveTable(Tcb.at(changetype<usize>(it)));
  unlink(it);
  givePlace(changetype<usize>(it));
  waiting--;
  watchFirst();
}

/** The keeper's timer has expired. */
export function expireTimeWaits(): void {
  while (first && TimeWait.at(first).until <= now) endTimeWait(TimeWait.at(first));
  watchFirst();
}
