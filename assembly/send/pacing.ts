import { annexOf } from "../annex.ts";
import { wantOutput } from "../queues.ts";
import { ANNEX_PACING, PACING_MOST, PACING_RATE } from "../shared/annex-layout.ts";
import { SLOT_SIZE } from "../shared/sizes.ts";
import { Tcb } from "../tcb.ts";
import { MILLISECOND, Micros, NEVER, now, SECOND } from "../time.ts";
import { moved } from "../timers.ts";

// Segments leave in quanta, each worth a millisecond, as fast as congestion control or the user has it and no faster.
// What waits for its time waits in the stream; the connection's one timer tells when it has come.

/** draft-ietf-ccwg-bbr, "Send Quantum": what leaves at once, in time, in octets at most, in segments at least. */
const QUANTUM: Micros = MILLISECOND;
const QUANTUM_MAX: f64 = 65536;
const QUANTUM_SEGMENTS: f64 = 2;
const ROUNDING: f64 = 1e-6;
const ROOM_MAX: f64 = 0x40000000;
/** What a timer that comes late may make up for: those of browsers come in fours of a millisecond. */
const CATCH_UP: Micros = 5 * MILLISECOND;

@unmanaged
@final
export class Pacing {
  /** When the next segment may leave; here parts of a microsecond count. */
  nextAt: f64;
  /** Octets in a microsecond, by congestion control; 0 for no bound. */
  rate: f64;
  /** Octets a second, by the user; 0 for no bound. */
  most: u32;
  /** Whether something waits for that time; and whether it has come. */
  wait: u8;

  /** For a TCB that has an annex. */
  @inline static of(tcb: Tcb): Pacing {
    return changetype<Pacing>(usize(tcb.annex) + ANNEX_PACING);
  }
}

/** Pacing.wait. */
const WAITING: u8 = 1;
const CAME: u8 = 2;

// The connection that output is at.

/** Octets in a microsecond; 0 where it is not paced. */
let pace: f64 = 0;
/** Until when it may send ahead. */
let ahead: f64 = 0;

function rateOf(it: Pacing): f64 {
  const most = f64(it.most) / SECOND;
  if (it.rate == 0) return most;
  return it.most ? min(it.rate, most) : it.rate;
}

/** A quantum at `rate`. */
export function sendQuantum(tcb: Tcb, rate: f64): f64 {
  return max(min(rate * QUANTUM, QUANTUM_MAX), QUANTUM_SEGMENTS * f64(tcb.sndMss));
}

/** Output comes to `tcb`: begin a quantum, if it is time for one. */
export function openPace(tcb: Tcb): void {
  pace = 0;
  if (tcb.annex == 0) return;
  const it = Pacing.of(tcb);
  pace = rateOf(it);
  ahead = 0;
  if (pace == 0 || it.nextAt > now) return;
  // Whoever waited was late by the timer's fault; whoever had nothing to send has missed nothing.
  it.nextAt = it.wait ? max(it.nextAt, now - CATCH_UP) : now;
  it.wait = 0;
  ahead = now + sendQuantum(tcb, pace) / pace;
}

/** Octets that may leave now, in whole segments. */
export function paceRoom(tcb: Tcb): u32 {
  if (pace == 0) return 0xffffffff;
  const left = ahead - Pacing.of(tcb).nextAt;
  if (left <= 0) return 0;
  // What is left of a segment counts for the next quantum; what rounding has taken of one, for this.
  const segments = Math.floor((left * pace) / f64(tcb.sndMss) + ROUNDING);
  return u32(min(segments * f64(tcb.sndMss), ROOM_MAX));
}

/** Text of `length` octets leaves. */
export function paced(tcb: Tcb, length: u32): void {
  if (pace == 0) return;
  Pacing.of(tcb).nextAt += f64(length) / pace;
}

/** There is text that only waits for its time. */
export function awaitPace(tcb: Tcb): void {
  Pacing.of(tcb).wait = WAITING;
  moved(tcb);
}

/** When what only waits for its time may leave, in whole microseconds. */
export function paceAt(tcb: Tcb): Micros {
  if (tcb.annex == 0) return NEVER;
  const it = Pacing.of(tcb);
  return it.wait == WAITING ? Math.ceil(it.nextAt) : NEVER;
}

/** The connection is over. */
export function disarmPace(tcb: Tcb): void {
  if (tcb.annex) Pacing.of(tcb).wait = 0;
}

/** The time has come. */
export function paceExpired(tcb: Tcb): void {
  Pacing.of(tcb).wait = CAME;
  wantOutput(tcb);
}

/** Octets a second that the user allows, 0 for as many as there are. False without memory for it. */
export function limitPace(tcb: Tcb, most: u32): bool {
  if (tcb.annex == 0 && most == 0) return true;
  if (annexOf(tcb) == 0) return false;
  Pacing.of(tcb).most = most;
  return true;
}

if (offsetof<Pacing>("rate") != PACING_RATE) ERROR("layout drift: Pacing.rate");
if (offsetof<Pacing>("most") != PACING_MOST) ERROR("layout drift: Pacing.most");
if (ANNEX_PACING + offsetof<Pacing>() > SLOT_SIZE) ERROR("pacing does not fit its part of an annex");
