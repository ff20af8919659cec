import { Seq } from "../seq.ts";
import {
  ANNEX_CONGESTION,
  ANNEX_CONGESTION_BYTES,
  CUBIC_END,
  HYSTART_BASELINE,
  HYSTART_CURRENT_MIN,
  HYSTART_END,
  HYSTART_LAST_MIN,
  HYSTART_ROUNDS,
  HYSTART_SAMPLES,
  HYSTART_WINDOW_END,
} from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";
import { MILLISECOND } from "../time.ts";
import { growWindow, SSTHRESH_INFINITE } from "./window.ts";

// RFC 9406, HyStart++: slow start ends where round trips grow longer, before a queue overflows. Only the first one, which
// knows no ssthresh (§4.3): those after a timeout stop at the ssthresh that was found, and are slow start as ever.

const MIN_RTT_THRESH: u32 = 4 * u32(MILLISECOND);
const MAX_RTT_THRESH: u32 = 16 * u32(MILLISECOND);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;

/** Round trips in microseconds; 0 stands for the RFC's infinity. */
@unmanaged
@final
class HyStart {
  lastRoundMinRtt: u32;
  currentRoundMinRtt: u32;
  /** Other than 0 in Conservative Slow Start. */
  cssBaselineMinRtt: u32;
  /** What SND.NXT was when the round began. */
  windowEnd: Seq;
  rttSampleCount: u8;
  /** Rounds of CSS that are over; the one it began in is the first. */
  cssRounds: u8;

  @inline static of(tcb: Tcb): HyStart {
    return changetype<HyStart>(usize(tcb.annex) + ANNEX_CONGESTION + CUBIC_END);
  }
}

/** Whether the window grows by HyStart++. */
export function isHyStart(tcb: Tcb): bool {
  return tcb.ssthresh == SSTHRESH_INFINITE;
}

/** The first text was sent. */
export function hystartBegin(tcb: Tcb): void {
  HyStart.of(tcb).windowEnd = tcb.sndNxt;
}

/** §4.2: a round trip was measured, if there are enough of the round by now to judge by. */
export function hystartSampled(tcb: Tcb, micros: f64): void {
  const it = HyStart.of(tcb);
  const rtt = u32(min(micros, f64(u32.MAX_VALUE)));
  if (it.currentRoundMinRtt == 0 || rtt < it.currentRoundMinRtt) it.currentRoundMinRtt = rtt;
  if (it.rttSampleCount < N_RTT_SAMPLE) it.rttSampleCount++;
  if (it.rttSampleCount < N_RTT_SAMPLE) return;
  if (it.cssBaselineMinRtt != 0) {
    // A false alarm: slow start goes on.
    if (it.currentRoundMinRtt < it.cssBaselineMinRtt) it.cssBaselineMinRtt = 0;
  } else if (it.lastRoundMinRtt != 0) {
    const rise = max(MIN_RTT_THRESH, min(it.lastRoundMinRtt / MIN_RTT_DIVISOR, MAX_RTT_THRESH));
    if (it.currentRoundMinRtt < it.lastRoundMinRtt + rise) return;
    it.cssBaselineMinRtt = it.currentRoundMinRtt;
    it.cssRounds = 0;
  }
}

/**
 * Slow start, or CSS at a quarter of its pace, for `acked` octets of new data. However many: an L of eight segments (§4.3)
 * would make slow start linear where a peer, as this engine does, acknowledges a batch at once.
 */
export function hystartGrow(tcb: Tcb, acked: u32): void {
  growWindow(tcb, HyStart.of(tcb).cssBaselineMinRtt ? acked / CSS_GROWTH_DIVISOR : acked);
}

/** SND.UNA has moved, perhaps to the end of the round; after enough rounds of CSS slow start is over. */
export function hystartRound(tcb: Tcb): void {
  const it = HyStart.of(tcb);
  if (tcb.sndUna < it.windowEnd) return;
  it.windowEnd = tcb.sndNxt;
  it.lastRoundMinRtt = it.currentRoundMinRtt;
  it.currentRoundMinRtt = 0;
  it.rttSampleCount = 0;
  if (it.cssBaselineMinRtt == 0) return;
  it.cssRounds++;
  if (it.cssRounds >= CSS_ROUNDS) tcb.ssthresh = tcb.cwnd;
}

if (offsetof<HyStart>("lastRoundMinRtt") + CUBIC_END != HYSTART_LAST_MIN)
  ERROR("layout drift: lastRoundMinRtt");
if (offsetof<HyStart>("currentRoundMinRtt") + CUBIC_END != HYSTART_CURRENT_MIN)
  ERROR("layout drift: currentRoundMinRtt");
if (offsetof<HyStart>("cssBaselineMinRtt") + CUBIC_END != HYSTART_BASELINE)
  ERROR("layout drift: cssBaselineMinRtt");
if (offsetof<HyStart>("windowEnd") + CUBIC_END != HYSTART_WINDOW_END) ERROR("layout drift: windowEnd");
if (offsetof<HyStart>("rttSampleCount") + CUBIC_END != HYSTART_SAMPLES) ERROR("layout drift: rttSampleCount");
if (offsetof<HyStart>("cssRounds") + CUBIC_END != HYSTART_ROUNDS) ERROR("layout drift: cssRounds");
if (<i32>offsetof<HyStart>() + CUBIC_END > HYSTART_END) ERROR("layout drift: end of HyStart");
if (HYSTART_END > ANNEX_CONGESTION_BYTES) ERROR("HyStart++ does not fit its part of an annex");
