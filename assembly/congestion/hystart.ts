import { Seq } from "../seq.ts";
import {
  ANNEX_CONGESTION,
  ANNEX_CONGESTION_BYTES,
  CUBIC_BEGUN,
  CUBIC_END,
  HYSTART_BASELINE,
  HYSTART_CURRENT_MIN,
  HYSTART_END,
  HYSTART_LAST_MIN,
  HYSTART_ROUND_AT,
  HYSTART_ROUNDS,
  HYSTART_SAMPLES,
  HYSTART_TRAIN_AT,
  HYSTART_WINDOW_END,
} from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";
import { MILLISECOND, now } from "../time.ts";
import { growWindow, SSTHRESH_INFINITE } from "./window.ts";

// RFC 9406, HyStart++: slow start ends where round trips grow longer, before a queue overflows. Only the first one, which
// knows no ssthresh (§4.3): those after a timeout stop at the ssthresh that was found, and are slow start as ever.
// Besides, as in Linux, where a round's ACKs have come in one train for half of the least round trip: what is in flight then
// fills the path, which round trips tell a round later, when twice as much is.

const MIN_RTT_THRESH: u32 = 4 * u32(MILLISECOND);
const MAX_RTT_THRESH: u32 = 16 * u32(MILLISECOND);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;
/** Microseconds between two ACKs of a train, and segments below which a train tells nothing: Linux's. */
const TRAIN_GAP: u32 = 2 * u32(MILLISECOND);
const TRAIN_LOW_WINDOW: u32 = 16;

/** Round trips in microseconds; 0 stands for the RFC's infinity. */
@unmanaged
@final
class HyStart {
  /** CUBIC's; begins here to leave no octet unused. */
  begun: u8;
  rttSampleCount: u8;
  /** Rounds of CSS that are over; the one it began in is the first. */
  cssRounds: u8;
  lastRoundMinRtt: u32;
  currentRoundMinRtt: u32;
  /** Other than 0 in Conservative Slow Start. */
  cssBaselineMinRtt: u32;
  /** What SND.NXT was when the round began. */
  windowEnd: Seq;
  /** When the round began, and until when its ACKs have come in one train: microseconds modulo 2^32. */
  roundAt: u32;
  trainAt: u32;

  @inline static of(tcb: Tcb): HyStart {
    return changetype<HyStart>(usize(tcb.annex) + ANNEX_CONGESTION + CUBIC_BEGUN);
  }

  begin(tcb: Tcb): void {
    this.windowEnd = tcb.sndNxt;
    this.roundAt = this.trainAt = clock();
  }
}

function clock(): u32 {
  return u32(u64(now));
}

/** Whether the window grows by HyStart++. */
export function isHyStart(tcb: Tcb): bool {
  return tcb.ssthresh == SSTHRESH_INFINITE;
}

/** The first text was sent. */
export function hystartBegin(tcb: Tcb): void {
  HyStart.of(tcb).begin(tcb);
}

/**
 * §4.2: windowEnd itself, which had not been sent yet, is acknowledged, and so the ACK is the first of the next round's:
 * one for what comes before it is the last of this one's.
 */
function turn(tcb: Tcb, it: HyStart): void {
  if (tcb.sndUna <= it.windowEnd) return;
  it.begin(tcb);
  it.lastRoundMinRtt = it.currentRoundMinRtt;
  it.currentRoundMinRtt = 0;
  it.rttSampleCount = 0;
  if (it.cssBaselineMinRtt == 0) return;
  it.cssRounds++;
  if (it.cssRounds >= CSS_ROUNDS) tcb.ssthresh = tcb.cwnd;
}

/** §4.2: a round trip was measured, if there are enough of the round by now to judge by. */
export function hystartSampled(tcb: Tcb, micros: f64): void {
  const it = HyStart.of(tcb);
  turn(tcb, it);
  // What arrives before what a hole waits for is of the train, too.
  endWithTrain(tcb, it);
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

/** Linux's ACK train: slow start is over where it fills the path. */
function endWithTrain(tcb: Tcb, it: HyStart): void {
  const at = clock();
  if (at - it.trainAt > TRAIN_GAP) return;
  it.trainAt = at;
  if (tcb.cwnd >= TRAIN_LOW_WINDOW * tcb.sndMss && at - it.roundAt > tcb.rttMin / 2) tcb.ssthresh = tcb.cwnd;
}

/** SND.UNA has moved, perhaps into the next round, or far enough to tell that slow start is over. */
export function hystartAcked(tcb: Tcb): void {
  const it = HyStart.of(tcb);
  turn(tcb, it);
  endWithTrain(tcb, it);
}

/**
 * Slow start, or CSS at a quarter of its pace, for `acked` octets of new data. However many: an L of eight segments (§4.3)
 * would make slow start linear where a peer, as this engine does, acknowledges a batch at once.
 */
export function hystartGrow(tcb: Tcb, acked: u32): void {
  growWindow(tcb, HyStart.of(tcb).cssBaselineMinRtt ? acked / CSS_GROWTH_DIVISOR : acked);
}

if (offsetof<HyStart>("rttSampleCount") + CUBIC_BEGUN != HYSTART_SAMPLES)
  ERROR("layout drift: rttSampleCount");
if (offsetof<HyStart>("cssRounds") + CUBIC_BEGUN != HYSTART_ROUNDS) ERROR("layout drift: cssRounds");
if (offsetof<HyStart>("lastRoundMinRtt") + CUBIC_BEGUN != HYSTART_LAST_MIN)
  ERROR("layout drift: lastRoundMinRtt");
if (offsetof<HyStart>("currentRoundMinRtt") + CUBIC_BEGUN != HYSTART_CURRENT_MIN)
  ERROR("layout drift: currentRoundMinRtt");
if (offsetof<HyStart>("cssBaselineMinRtt") + CUBIC_BEGUN != HYSTART_BASELINE)
  ERROR("layout drift: cssBaselineMinRtt");
if (offsetof<HyStart>("windowEnd") + CUBIC_BEGUN != HYSTART_WINDOW_END) ERROR("layout drift: windowEnd");
if (offsetof<HyStart>("roundAt") + CUBIC_BEGUN != HYSTART_ROUND_AT) ERROR("layout drift: roundAt");
if (offsetof<HyStart>("trainAt") + CUBIC_BEGUN != HYSTART_TRAIN_AT) ERROR("layout drift: trainAt");
if (<i32>offsetof<HyStart>() + CUBIC_BEGUN > HYSTART_END) ERROR("layout drift: end of HyStart");
if (CUBIC_END > HYSTART_SAMPLES) ERROR("HyStart++ lies in CUBIC's part");
if (HYSTART_END > ANNEX_CONGESTION_BYTES) ERROR("HyStart++ does not fit its part of an annex");
