import { eventArea, giveSlot, slotAt } from "./pool.ts";
import { paceAt } from "./send/pacing.ts";
import {
  CTL_EVENT_COUNT,
  CTL_EVENT_MORE,
  EV_DEADLINE,
  EV_FREED,
  EVENT_DEADLINE,
  EVENT_ERROR,
  EVENT_FLAGS,
  EVENT_GENERATION,
  EVENT_SIZE,
  EVENT_SLOT,
} from "./shared/control.ts";
import { EVENT_ENTRIES } from "./shared/sizes.ts";
import { FREE } from "./shared/states.ts";
import { Tcb } from "./tcb.ts";
import { NEVER } from "./time.ts";

// Three first-in-first-out lists of TCBs, linked through the TCBs themselves so that they cannot overflow: those with
// something to send, those with something to tell, and those whose writer waits for memory. A TCB stands in each at most
// once. One that is freed while it stands in one of the first two goes back to the pool when the list lets go of it.

let outputHead: usize = 0;
let outputTail: usize = 0;
let eventHead: usize = 0;
let eventTail: usize = 0;
let memoryHead: usize = 0;
let memoryTail: usize = 0;
let memoryWaiters: u32 = 0;

/** Have `tcb` looked at by the next output(). */
export function wantOutput(tcb: Tcb): void {
  if (tcb.inOutput) return;
  tcb.inOutput = 1;
  tcb.outputNext = 0;
  const at = changetype<usize>(tcb);
  if (outputTail) Tcb.at(outputTail).outputNext = u32(at);
  else outputHead = at;
  outputTail = at;
}

/** The TCB that has waited longest to send, taken out; 0 when none waits. */
export function nextOutput(): usize {
  while (outputHead) {
    const at = outputHead;
    const tcb = Tcb.at(at);
    outputHead = tcb.outputNext;
    if (!outputHead) outputTail = 0;
    tcb.inOutput = 0;
    if (tcb.state != FREE) return at;
    settle(tcb);
  }
  return 0;
}

/** Put `tcb` back where nextOutput() took it: the transmit area was full. */
export function wantOutputFirst(tcb: Tcb): void {
  assert(!tcb.inOutput);
  tcb.inOutput = 1;
  tcb.outputNext = u32(outputHead);
  outputHead = changetype<usize>(tcb);
  if (!outputTail) outputTail = outputHead;
}

/** Remember that the writer of `tcb` was refused for want of memory: no ACK may ever come to wake it. */
export function wantMemory(tcb: Tcb): void {
  if (tcb.inMemory) return;
  const at = changetype<usize>(tcb);
  tcb.inMemory = 1;
  tcb.memoryNext = 0;
  tcb.memoryPrevious = u32(memoryTail);
  if (memoryTail) Tcb.at(memoryTail).memoryNext = u32(at);
  else memoryHead = at;
  memoryTail = at;
  memoryWaiters++;
}

/** `tcb` does not wait for memory any more: it was woken, or its connection is over. */
export function leaveMemory(tcb: Tcb): void {
  if (!tcb.inMemory) return;
  const next = usize(tcb.memoryNext);
  const previous = usize(tcb.memoryPrevious);
  tcb.inMemory = 0;
  if (next) Tcb.at(next).memoryPrevious = u32(previous);
  else memoryTail = previous;
  if (previous) Tcb.at(previous).memoryNext = u32(next);
  else memoryHead = next;
  memoryWaiters--;
}

/** How many wait for memory. */
export function waitingForMemory(): u32 {
  return memoryWaiters;
}

/** The TCB that has waited longest for memory, taken out; 0 when none waits. */
export function nextForMemory(): usize {
  const at = memoryHead;
  if (at) leaveMemory(Tcb.at(at));
  return at;
}

/** Tell the manager of `flags`; they gather until it next drains. */
export function raise(tcb: Tcb, flags: u32): void {
  tcb.events |= flags;
  if (tcb.inEvents) return;
  tcb.inEvents = 1;
  tcb.eventNext = 0;
  const at = changetype<usize>(tcb);
  if (eventTail) Tcb.at(eventTail).eventNext = u32(at);
  else eventHead = at;
  eventTail = at;
}

/** Move events to the event area, as many as it holds. */
export function drainEvents(): void {
  let entries: u32 = 0;
  let to = eventArea;
  while (eventHead && entries < u32(EVENT_ENTRIES)) {
    const tcb = Tcb.at(eventHead);
    eventHead = tcb.eventNext;
    if (!eventHead) eventTail = 0;
    tcb.inEvents = 0;
    store<u32>(to, tcb.slot, EVENT_SLOT);
    store<u32>(to, tcb.generation, EVENT_GENERATION);
    store<i32>(to, tcb.error, EVENT_ERROR);
    if (tcb.events & EV_DEADLINE) {
      const deadline = earliest(tcb);
      tcb.armed = deadline;
      store<f64>(to, deadline, EVENT_DEADLINE);
      // It may have been withdrawn since: then there is nothing to arm.
      if (deadline == NEVER) tcb.events &= ~EV_DEADLINE;
    }
    store<u32>(to, tcb.events, EVENT_FLAGS);
    tcb.events = 0;
    settle(tcb);
    to += EVENT_SIZE;
    entries++;
  }
  store<u32>(CTL_EVENT_COUNT, entries);
  store<u32>(CTL_EVENT_MORE, eventHead != 0 ? 1 : 0);
}

/** When something is next due for this TCB. */
export function earliest(tcb: Tcb): f64 {
  return min(min(min(tcb.rtxAt, tcb.ackAt), min(tcb.waitAt, tcb.keepAt)), paceAt(tcb));
}

/** Free the slot of a TCB that has left its lists; its holder is told, so that its timer is cancelled. */
export function release(tcb: Tcb): void {
  assert(tcb.state != FREE);
  tcb.state = u8(FREE);
  raise(tcb, EV_FREED);
}

function settle(tcb: Tcb): void {
  if (tcb.state == FREE && !tcb.inOutput && !tcb.inEvents) giveSlot(changetype<usize>(tcb));
}

/** The live TCB a handle names, or 0. */
export function handle(slot: u32, generation: u32): usize {
  const at = slotAt(slot);
  if (at == 0) return 0;
  const tcb = Tcb.at(at);
  return tcb.generation == generation && tcb.state != FREE ? at : 0;
}
