import { scoreboard } from "../recovery/scoreboard.ts";
import { Pacing, sendQuantum } from "../send/pacing.ts";
import { ANNEX_CONGESTION, ANNEX_CONGESTION_BYTES } from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";
import { Micros } from "../time.ts";
import { initialWindow } from "./window.ts";

// BBR version 3, draft-ietf-ccwg-bbr: what is remembered of a path, and what follows from it. Names are the draft's;
// rates are octets in a microsecond, volumes octets.

export const STARTUP: u8 = 0;
export const DRAIN: u8 = 1;
export const PROBE_BW_DOWN: u8 = 2;
export const PROBE_BW_CRUISE: u8 = 3;
export const PROBE_BW_REFILL: u8 = 4;
export const PROBE_BW_UP: u8 = 5;
export const PROBE_RTT: u8 = 6;
/** Bbr.undoState: none. */
export const NO_STATE: u8 = 255;

// Bbr.ackPhase: which part of a probe for bandwidth ACKs tell of.
export const ACKS_INIT: u8 = 0;
export const ACKS_REFILLING: u8 = 1;
export const ACKS_PROBE_STARTING: u8 = 2;
export const ACKS_PROBE_FEEDBACK: u8 = 3;
export const ACKS_PROBE_STOPPING: u8 = 4;

// Bbr.flags.
export const BEGUN: u16 = 1;
export const RTT_KNOWN: u16 = 2;
/** Of the draft, its booleans. */
export const FULL_BW_REACHED: u16 = 4;
export const FULL_BW_NOW: u16 = 8;
export const IDLE_RESTART: u16 = 16;
export const LOSS_IN_ROUND: u16 = 32;
export const BW_PROBE_SAMPLE: u16 = 64;
export const PREV_PROBE_TOO_HIGH: u16 = 128;
export const PREV_PROBE_PRECAUTIONARY: u16 = 256;
export const PROBE_RTT_ROUND_DONE: u16 = 512;

/** BBR.Beta, BBR.LossThresh and BBR.Headroom. */
export const BETA: f64 = 0.7;
export const LOSS_THRESH: f64 = 0.02;
const HEADROOM: f64 = 0.15;
/** BBR.MinPipeCwnd, segments. */
const MIN_PIPE_CWND: u32 = 4;
/** BBR.PacingMarginPercent: the pace stays one below. */
const PACING_MARGIN: f64 = 0.99;
const STARTUP_PACING_GAIN: f64 = 2.77;
const DEFAULT_CWND_GAIN: f64 = 2;
const PROBE_RTT_CWND_GAIN: f64 = 0.5;

/** Infinity, where a volume is a u32; the longest round trip, where there was none yet. */
export const UNBOUNDED: u32 = 0xffffffff;
const VOLUME_MAX: f64 = 0x40000000;

@unmanaged
@final
export class Bbr {
  minRttStamp: Micros;
  /** 0 for none. */
  probeRttDoneStamp: Micros;
  /** cycle_stamp + bw_probe_wait. */
  probeBwAt: Micros;
  extraAckedIntervalStart: Micros;
  /** max_bw_filter: the previous cycle of ProbeBW and the present one. */
  previousMaxBw: f32;
  presentMaxBw: f32;
  bwShortterm: f32;
  bwLatest: f32;
  fullBw: f32;
  undoBwShortterm: f32;
  /** Microseconds. */
  minRtt: u32;
  extraAckedDelivered: u32;
  /** extra_acked_filter: the present half of its window and the previous one. */
  presentExtraAcked: u32;
  previousExtraAcked: u32;
  inflightLongterm: u32;
  inflightShortterm: u32;
  inflightLatest: u32;
  undoInflightLongterm: u32;
  undoInflightShortterm: u32;
  priorCwnd: u32;
  probeRttCwnd: u32;
  /** Ends of rounds, octets delivered modulo 2^32. */
  nextRoundDelivered: u32;
  lossRoundDelivered: u32;
  probeUpAckedPerInc: u32;
  bwProbeUpAcked: u32;
  flags: u16;
  state: u8;
  undoState: u8;
  ackPhase: u8;
  fullBwCount: u8;
  bwProbeUpRounds: u8;
  /** No more are counted than 255. */
  roundsSinceProbeUp: u8;
  drainRounds: u8;
  extraAckedRounds: u8;
  /** Stretches of text found lost in a round of Startup. */
  lossEvents: u8;

  /** For a TCB that has an annex. */
  @inline static of(tcb: Tcb): Bbr {
    return changetype<Bbr>(usize(tcb.annex) + ANNEX_CONGESTION);
  }

  @inline has(flag: u16): bool {
    return (this.flags & flag) != 0;
  }

  @inline set(flag: u16): void {
    this.flags |= flag;
  }

  @inline clear(flag: u16): void {
    this.flags &= ~flag;
  }

  @inline get maxBw(): f32 {
    return max(this.previousMaxBw, this.presentMaxBw);
  }

  /** BBR.bw. */
  @inline get bw(): f64 {
    return f64(min(this.maxBw, this.bwShortterm));
  }

  @inline get isProbeBw(): bool {
    return this.state >= PROBE_BW_DOWN && this.state <= PROBE_BW_UP;
  }

  @inline get isProbingBw(): bool {
    return this.state == STARTUP || this.state == PROBE_BW_REFILL || this.state == PROBE_BW_UP;
  }
}

function volume(octets: f64): u32 {
  return u32(min(octets, VOLUME_MAX));
}

export function minPipeCwnd(tcb: Tcb): u32 {
  return MIN_PIPE_CWND * tcb.sndMss;
}

export function bdpMultiple(tcb: Tcb, it: Bbr, gain: f64): u32 {
  if (it.minRtt == UNBOUNDED) return initialWindow(tcb.sndMss);
  return volume(gain * it.bw * f64(it.minRtt));
}

/** The window must not keep a quantum back. Nothing here or in the peer gathers more: the draft's factor of 3 is for that. */
function quantizationBudget(tcb: Tcb, it: Bbr, inflight: u32): u32 {
  const budget = u32(sendQuantum(tcb, Pacing.of(tcb).rate));
  inflight = max(max(inflight, budget), minPipeCwnd(tcb));
  return it.state == PROBE_BW_UP ? inflight + 2 * u32(tcb.sndMss) : inflight;
}

export function inflight(tcb: Tcb, it: Bbr, gain: f64): u32 {
  return quantizationBudget(tcb, it, bdpMultiple(tcb, it, gain));
}

export function inflightWithHeadroom(tcb: Tcb, it: Bbr): u32 {
  const most = it.inflightLongterm;
  if (most == UNBOUNDED) return UNBOUNDED;
  const headroom = max(u32(tcb.sndMss), u32(HEADROOM * f64(most)));
  return max(most - min(most, headroom), minPipeCwnd(tcb));
}

export function targetInflight(tcb: Tcb, it: Bbr): u32 {
  return min(bdpMultiple(tcb, it, 1), tcb.cwnd);
}

function pacingGain(state: u8): f64 {
  if (state == STARTUP) return STARTUP_PACING_GAIN;
  if (state == DRAIN) return 0.5;
  if (state == PROBE_BW_DOWN) return 0.9;
  return state == PROBE_BW_UP ? 1.25 : 1;
}

function cwndGain(state: u8): f64 {
  if (state == PROBE_BW_UP) return 2.25;
  return state == PROBE_RTT ? PROBE_RTT_CWND_GAIN : DEFAULT_CWND_GAIN;
}

export function initPacingRate(tcb: Tcb): void {
  const rtt = tcb.srtt ? tcb.srtt : 1000;
  Pacing.of(tcb).rate = (STARTUP_PACING_GAIN * f64(tcb.cwnd)) / rtt;
}

export function setPacingRate(tcb: Tcb, it: Bbr, gain: f64 = pacingGain(it.state)): void {
  const rate = gain * it.bw * PACING_MARGIN;
  const pacing = Pacing.of(tcb);
  if (rate > 0 && (it.has(FULL_BW_REACHED) || rate > pacing.rate)) pacing.rate = rate;
}

/** An ACK has delivered so much. */
export function setCwnd(tcb: Tcb, it: Bbr, newlyAcked: u32): void {
  const extra = max(it.presentExtraAcked, it.previousExtraAcked);
  const most = quantizationBudget(tcb, it, bdpMultiple(tcb, it, cwndGain(it.state)) + extra);
  let cwnd = tcb.cwnd;
  if (it.has(FULL_BW_REACHED)) cwnd = min(cwnd + newlyAcked, most);
  else if (cwnd < most || scoreboard(tcb).delivered < f64(initialWindow(tcb.sndMss))) cwnd += newlyAcked;
  const least = minPipeCwnd(tcb);
  cwnd = max(cwnd, least);
  if (it.state == PROBE_RTT) cwnd = min(cwnd, it.probeRttCwnd);
  let cap: u32 = UNBOUNDED;
  if (it.state == PROBE_RTT || it.state == PROBE_BW_CRUISE) cap = inflightWithHeadroom(tcb, it);
  else if (it.isProbeBw) cap = it.inflightLongterm;
  cap = max(min(cap, it.inflightShortterm), least);
  tcb.cwnd = min(min(cwnd, cap), u32(VOLUME_MAX));
}

export function startRound(tcb: Tcb, it: Bbr): void {
  it.nextRoundDelivered = u32(u64(scoreboard(tcb).delivered));
}

export function resetFullBw(it: Bbr, from: f32): void {
  it.fullBw = from;
  it.fullBwCount = 0;
  it.clear(FULL_BW_NOW);
}

export function resetShortTermModel(it: Bbr): void {
  it.bwShortterm = f32.MAX_VALUE;
  it.inflightShortterm = UNBOUNDED;
}

/** The last window that neither a loss nor ProbeRTT has shaped. */
export function saveCwnd(tcb: Tcb, it: Bbr, recovering: bool): void {
  if (!recovering && it.state != PROBE_RTT) it.priorCwnd = tcb.cwnd;
  else it.priorCwnd = max(it.priorCwnd, tcb.cwnd);
}

export function restoreCwnd(tcb: Tcb, it: Bbr): void {
  tcb.cwnd = max(tcb.cwnd, it.priorCwnd);
}

if (<i32>offsetof<Bbr>() > ANNEX_CONGESTION_BYTES) ERROR("BBR does not fit its part of an annex");
