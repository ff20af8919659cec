import { restoreWindow } from "../congestion/control.ts";
import { withdrawReduced } from "../ecn.ts";
import { segment } from "../packet/segment.ts";
import { Seq } from "../seq.ts";
import {
  ANNEX_SPURIOUS,
  ANNEX_SPURIOUS_BYTES,
  SPURIOUS_ADAPT,
  SPURIOUS_FRTO,
} from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";
import { tsValue } from "../timestamps.ts";
import { CA_LOSS, CA_RECOVERY } from "./newreno.ts";
import { isScored, scoreboard } from "./scoreboard.ts";

// Whether what was sent again since the window was reduced had to be. Two things prove that it had not: the peer tells that
// all of it came twice (RFC 2883, RFC 3708), or acknowledges with the echo of a segment that was sent before (RFC 3522). A
// third is F-RTO's (frto.ts). Then the reduction is taken back (RFC 4015), once.

/** Nothing was sent again. */
const NONE_SENT: i32 = -1;

/** RFC 4015 §3: G, in microseconds. */
const GRANULARITY: f64 = 1000;

/** The part of a TCB's annex that remembers it; without one nothing can be proved. */
@unmanaged
@final
export class Spurious {
  /** SND.UNA when the window was reduced. */
  marker: Seq;
  /** Segments sent again since then of which the peer has not told that they came twice. */
  unanswered: i32;
  /** TSval of the first of them, if there was one. */
  stamp: u32;
  /** SRTT and RTTVAR before the timeout, microseconds (RFC 4015 §3.4). */
  srttPrev: u32;
  rttvarPrev: u32;
  stamped: u8;
  /** Whether there is a reduction that may be taken back, and whether a timeout made it. */
  watching: u8;
  timedOut: u8;
  /** A timeout has proved spurious: the next measurement counts for more than others. Written by rtt.ts, too. */
  adapt: u8;
  /** Written by frto.ts. */
  frto: u8;
  /** Where what was sent again ends. */
  upTo: Seq;

  @inline static of(tcb: Tcb): Spurious {
    return changetype<Spurious>(usize(tcb.annex) + ANNEX_SPURIOUS);
  }
}

/** The window has been reduced, by a loss or a timeout: from now on watch what is sent again. */
export function watchRetransmissions(tcb: Tcb, timedOut: bool): void {
  if (tcb.annex == 0) return;
  const it = Spurious.of(tcb);
  // What was sent again before, as by the recovery that a timeout ends, may yet be told of, and echoed (as in Linux).
  const resent: u32 = isScored(tcb) ? scoreboard(tcb).resentOctets : 0;
  if (tcb.caState < CA_RECOVERY && resent == 0) it.stamped = 0;
  it.marker = tcb.sndUna;
  it.upTo = resent ? tcb.sndNxt : tcb.sndUna;
  it.unanswered = resent ? i32(segmentsOf(tcb, resent)) : it.stamped ? 1 : NONE_SENT;
  it.watching = 1;
  it.timedOut = u8(timedOut);
  if (!timedOut) return;
  it.srttPrev = u32(tcb.srtt + 2 * GRANULARITY);
  it.rttvarPrev = u32(tcb.rttvar);
}

/** The reduction stands, whatever is heard: an echo of congestion, or a loss that a probe made good, proves itself. */
export function forgetRetransmissions(tcb: Tcb): void {
  if (tcb.annex == 0) return;
  const it = Spurious.of(tcb);
  it.watching = 0;
  it.frto = 0;
}

function segmentsOf(tcb: Tcb, octets: u32): u32 {
  return (octets + tcb.sndMss - 1) / tcb.sndMss;
}

/** A segment with text or FIN is being sent again; it ends at `end`. */
export function retransmissionSent(tcb: Tcb, end: Seq): void {
  if (tcb.annex == 0) return;
  const it = Spurious.of(tcb);
  if (!it.watching) return;
  it.unanswered = max(it.unanswered, 0) + 1;
  if (end > it.upTo) it.upTo = end;
  if (it.stamped) return;
  it.stamped = 1;
  it.stamp = tsValue(tcb);
}

/** The peer tells that `octets` up to `end`, which may have been sent again, have come twice. */
export function cameTwiceThere(tcb: Tcb, octets: u32, end: Seq): void {
  const it = Spurious.of(tcb);
  if (!it.watching || it.unanswered <= 0 || end <= it.marker || end > it.upTo) return;
  it.unanswered -= min(it.unanswered, i32(segmentsOf(tcb, octets)));
}

/** Whether all that was sent again came twice. */
export function allCameTwice(tcb: Tcb): bool {
  return tcb.annex != 0 && Spurious.of(tcb).watching != 0 && Spurious.of(tcb).unanswered == 0;
}

/**
 * Whether the ACK in `segment`, which moves SND.UNA, was drawn by a first copy: it echoes what was sent before anything was
 * sent again (RFC 3522 §3.2), or nothing was.
 */
export function isFirstCopys(tcb: Tcb): bool {
  if (tcb.annex == 0) return false;
  const it = Spurious.of(tcb);
  if (!it.watching) return false;
  if (it.unanswered == NONE_SENT) return true;
  if (!it.stamped || !tcb.tsOk || !segment.hasTimestamp || segment.tsEcho == 0) return false;
  return Seq.of(segment.tsEcho) < Seq.of(it.stamp);
}

/** Take the reduction back: the window, the word of it that is yet to be sent, and what a timeout did to the timer. */
export function undoReduction(tcb: Tcb): void {
  if (tcb.annex == 0) return;
  const it = Spurious.of(tcb);
  restoreWindow(tcb);
  withdrawReduced(tcb);
  if (tcb.caState == CA_LOSS || it.timedOut) {
    // RFC 4015 §3.4: not an RTO that was too short once, but the next round trip decides.
    tcb.backoff = 0;
    it.adapt = it.timedOut;
  }
  it.watching = 0;
  it.timedOut = 0;
  it.frto = 0;
}

/** RFC 4015 §3.4: the first round trip of `sample` microseconds after a timeout that proved spurious. */
export function adaptToSpurious(tcb: Tcb, sample: f64): void {
  if (tcb.annex == 0) return;
  const it = Spurious.of(tcb);
  if (!it.adapt) return;
  it.adapt = 0;
  tcb.srtt = max(f64(it.srttPrev), sample);
  tcb.rttvar = max(f64(it.rttvarPrev), sample / 2);
}

if (offsetof<Spurious>("adapt") != SPURIOUS_ADAPT) ERROR("layout drift: Spurious.adapt");
if (offsetof<Spurious>("frto") != SPURIOUS_FRTO) ERROR("layout drift: Spurious.frto");
if (<i32>offsetof<Spurious>() > ANNEX_SPURIOUS_BYTES)
  ERROR("what proves spurious does not fit its part of an annex");
