import { hash4 } from "../hash.ts";
import { CA_RECOVERY } from "../recovery/newreno.ts";
import {
  lostSinceSample,
  markAppLimited,
  Rate,
  sampleAppLimited,
  sampleDelivered,
  sampled,
  sampleInFlight,
  samplePrior,
  sampleRate,
  sampleRtt,
} from "../recovery/rate.ts";
import { APP_LIMITED, pipe, Scoreboard, Sent, scoreboard } from "../recovery/scoreboard.ts";
import { CTL_HASH_KEY } from "../shared/control.ts";
import { Tcb } from "../tcb.ts";
import { MILLISECOND, Micros, now, SECOND } from "../time.ts";
import {
  ACKS_INIT,
  ACKS_PROBE_FEEDBACK,
  ACKS_PROBE_STARTING,
  ACKS_PROBE_STOPPING,
  ACKS_REFILLING,
  Bbr,
  BEGUN,
  BETA,
  BW_PROBE_SAMPLE,
  bdpMultiple,
  DRAIN,
  FULL_BW_NOW,
  FULL_BW_REACHED,
  IDLE_RESTART,
  inflight,
  inflightWithHeadroom,
  initPacingRate,
  LOSS_IN_ROUND,
  LOSS_THRESH,
  minPipeCwnd,
  NO_STATE,
  PREV_PROBE_PRECAUTIONARY,
  PREV_PROBE_TOO_HIGH,
  PROBE_BW_CRUISE,
  PROBE_BW_DOWN,
  PROBE_BW_REFILL,
  PROBE_BW_UP,
  PROBE_RTT,
  PROBE_RTT_ROUND_DONE,
  RTT_KNOWN,
  resetFullBw,
  resetShortTermModel,
  restoreCwnd,
  STARTUP,
  saveCwnd,
  setCwnd,
  setPacingRate,
  startRound,
  targetInflight,
  UNBOUNDED,
} from "./bbr-state.ts";
import { initialWindow } from "./window.ts";

// BBR version 3, draft-ietf-ccwg-bbr: the state machine. Functions have the draft's names and stand in its order. It goes
// by the sample of each ACK (recovery/rate.ts), and so needs a peer with SACK. Congestion that is echoed, of which the
// draft says nothing, counts as loss above the threshold.

/** How much faster a round must be to count as growth, and how many without make a full pipe. */
const FULL_BW_GROWTH: f32 = 1.25;
const FULL_BW_ROUNDS: u8 = 3;
const STARTUP_FULL_LOSS_COUNT: u8 = 6;
const DRAIN_ROUNDS: u8 = 3;
/** Two halves make the ten rounds of BBR.ExtraAckedFilterLen. */
const EXTRA_ACKED_HALF: u8 = 5;
const PROBE_WAIT_BASE: f64 = 2 * SECOND;
const RENO_ROUNDS_MAX: u32 = 63;
const MIN_RTT_FILTER_LEN: Micros = 10 * SECOND;
const PROBE_RTT_DURATION: Micros = 200 * MILLISECOND;

// Of the ACK being processed.
let roundStart: bool = false;
let lossRoundStart: bool = false;

/** OnInit: the annex of `tcb` is new, or had another's state. */
export function bbrBegin(tcb: Tcb): void {
  const it = Bbr.of(tcb);
  const board = scoreboard(tcb);
  it.flags = BEGUN;
  // Not SRTT, as the draft has it: another may have filled a queue before.
  it.minRtt = tcb.rttMin ? tcb.rttMin : UNBOUNDED;
  it.minRttStamp = now;
  it.extraAckedIntervalStart = now;
  it.probeRttCwnd = initialWindow(tcb.sndMss);
  it.undoState = NO_STATE;
  it.inflightLongterm = UNBOUNDED;
  it.probeUpAckedPerInc = UNBOUNDED;
  resetShortTermModel(it);
  startRound(tcb, it);
  it.lossRoundDelivered = it.nextRoundDelivered;
  if (tcb.srtt) it.set(RTT_KNOWN);
  initPacingRate(tcb);
  // What is in flight already tells of another's pace.
  if (!board.isEmpty) markAppLimited(tcb, pipe(tcb));
}

/** HandleRestartFromIdle: text is about to be sent, and nothing is in flight. */
export function bbrRestarts(tcb: Tcb): void {
  if (Rate.of(tcb).appLimited == 0) return;
  const it = Bbr.of(tcb);
  it.set(IDLE_RESTART);
  it.extraAckedIntervalStart = now;
  if (it.isProbeBw) setPacingRate(tcb, it, 1);
  else if (it.state == PROBE_RTT) checkProbeRttDone(tcb, it);
}

/** UpdateOnACK: an ACK, of which `sampled` and the others tell, has delivered `newlyAcked` octets. */
export function bbrAcked(tcb: Tcb, newlyAcked: u32): void {
  const it = Bbr.of(tcb);
  const board = scoreboard(tcb);
  if (!it.has(RTT_KNOWN) && tcb.srtt) {
    it.set(RTT_KNOWN);
    initPacingRate(tcb);
  }
  updateRound(tcb, it);
  updateLatestDeliverySignals(it, board);
  updateCongestionSignals(tcb, it);
  updateAckAggregation(tcb, it, newlyAcked);
  checkFullBwReached(it);
  checkStartupDone(tcb, it);
  checkDrainDone(tcb, it);
  if (sampled && it.has(FULL_BW_REACHED)) updateProbeBwCyclePhase(tcb, it, newlyAcked);
  const expired = updateMinRtt(tcb, it);
  checkProbeRtt(tcb, it, expired);
  if (lossRoundStart) {
    it.bwLatest = sampleRate;
    it.inflightLatest = sampleDelivered;
  }
  setPacingRate(tcb, it);
  setCwnd(tcb, it, newlyAcked);
}

function updateRound(tcb: Tcb, it: Bbr): void {
  roundStart = sampled && i32(samplePrior - it.nextRoundDelivered) >= 0;
  if (!roundStart) return;
  startRound(tcb, it);
  if (it.roundsSinceProbeUp < 255) it.roundsSinceProbeUp++;
  if (it.drainRounds < 255) it.drainRounds++;
  it.extraAckedRounds++;
}

function updateLatestDeliverySignals(it: Bbr, board: Scoreboard): void {
  lossRoundStart = false;
  if (!sampled) return;
  it.bwLatest = max(it.bwLatest, sampleRate);
  it.inflightLatest = max(it.inflightLatest, sampleDelivered);
  if (i32(samplePrior - it.lossRoundDelivered) < 0) return;
  it.lossRoundDelivered = u32(u64(board.delivered));
  lossRoundStart = true;
}

function updateCongestionSignals(tcb: Tcb, it: Bbr): void {
  // UpdateMaxBw.
  if (sampleRate > 0 && (!sampleAppLimited || sampleRate >= it.maxBw))
    it.presentMaxBw = max(it.presentMaxBw, sampleRate);
  if (!lossRoundStart) return;
  // AdaptLowerBoundsFromCongestion.
  if (it.has(LOSS_IN_ROUND) && !it.isProbingBw) {
    if (it.bwShortterm == f32.MAX_VALUE) it.bwShortterm = it.maxBw;
    if (it.inflightShortterm == UNBOUNDED) it.inflightShortterm = tcb.cwnd;
    it.bwShortterm = max(it.bwLatest, f32(BETA * f64(it.bwShortterm)));
    it.inflightShortterm = max(it.inflightLatest, u32(BETA * f64(it.inflightShortterm)));
  }
  it.clear(LOSS_IN_ROUND);
}

function resetCongestionSignals(it: Bbr): void {
  it.clear(LOSS_IN_ROUND);
  it.bwLatest = 0;
  it.inflightLatest = 0;
}

function updateAckAggregation(tcb: Tcb, it: Bbr, newlyAcked: u32): void {
  let expected = it.bw * (now - it.extraAckedIntervalStart);
  if (f64(it.extraAckedDelivered) <= expected) {
    it.extraAckedDelivered = 0;
    it.extraAckedIntervalStart = now;
    expected = 0;
  }
  it.extraAckedDelivered += newlyAcked;
  if (roundStart && it.extraAckedRounds >= (it.has(FULL_BW_REACHED) ? EXTRA_ACKED_HALF : 1)) {
    it.extraAckedRounds = 0;
    it.previousExtraAcked = it.has(FULL_BW_REACHED) ? it.presentExtraAcked : 0;
    it.presentExtraAcked = 0;
  }
  const extra = u32(min(max(f64(it.extraAckedDelivered) - expected, 0), f64(tcb.cwnd)));
  it.presentExtraAcked = max(it.presentExtraAcked, extra);
}

function checkFullBwReached(it: Bbr): void {
  if (it.has(FULL_BW_NOW) || !roundStart || sampleAppLimited || sampleRate == 0) return;
  if (sampleRate >= it.fullBw * FULL_BW_GROWTH) {
    resetFullBw(it, sampleRate);
    return;
  }
  it.fullBwCount++;
  if (it.fullBwCount < FULL_BW_ROUNDS) return;
  it.set(FULL_BW_NOW | FULL_BW_REACHED);
}

function checkStartupDone(tcb: Tcb, it: Bbr): void {
  // CheckStartupHighLoss.
  if (lossRoundStart && !it.has(FULL_BW_REACHED)) {
    const high =
      tcb.caState == CA_RECOVERY && it.lossEvents >= STARTUP_FULL_LOSS_COUNT && isInflightTooHigh(tcb);
    it.lossEvents = 0;
    if (high) queueTooHighInStartup(tcb, it);
  }
  if (it.state == STARTUP && it.has(FULL_BW_REACHED)) {
    it.state = DRAIN;
    it.drainRounds = 0;
  }
}

function queueTooHighInStartup(tcb: Tcb, it: Bbr): void {
  it.undoState = STARTUP;
  it.set(FULL_BW_REACHED);
  it.inflightLongterm = max(bdpMultiple(tcb, it, 1), it.inflightLatest);
}

function checkDrainDone(tcb: Tcb, it: Bbr): void {
  if (it.state != DRAIN) return;
  if (pipe(tcb) <= inflight(tcb, it, 1) || it.drainRounds > DRAIN_ROUNDS) startProbeBwDown(tcb, it);
}

// ProbeBW.

function startProbeBwDown(tcb: Tcb, it: Bbr): void {
  resetCongestionSignals(it);
  it.probeUpAckedPerInc = UNBOUNDED;
  // PickProbeWait, from the engine's seed: an upper bit for rounds, the lower ones for up to a second.
  const chance = hash4(
    CTL_HASH_KEY,
    tcb.sndNxt.u32,
    u32(u64(now)),
    u32(tcb.localPort) | (u32(tcb.remotePort) << 16),
  );
  it.roundsSinceProbeUp = u8(chance >>> 31);
  it.probeBwAt = now + PROBE_WAIT_BASE + f64((chance & 0x7fffffff) % u32(SECOND));
  it.ackPhase = ACKS_PROBE_STOPPING;
  startRound(tcb, it);
  it.state = PROBE_BW_DOWN;
}

function startProbeBwRefill(tcb: Tcb, it: Bbr): void {
  resetShortTermModel(it);
  it.bwProbeUpRounds = 0;
  it.bwProbeUpAcked = 0;
  it.clear(PREV_PROBE_PRECAUTIONARY);
  it.ackPhase = ACKS_REFILLING;
  startRound(tcb, it);
  it.state = PROBE_BW_REFILL;
}

function startProbeBwUp(tcb: Tcb, it: Bbr): void {
  it.ackPhase = ACKS_PROBE_STARTING;
  startRound(tcb, it);
  resetFullBw(it, sampleRate);
  it.state = PROBE_BW_UP;
  raiseInflightLongtermSlope(tcb, it);
}

function updateProbeBwCyclePhase(tcb: Tcb, it: Bbr, newlyAcked: u32): void {
  if (adaptLongTermModel(tcb, it, newlyAcked)) return;
  if (it.state == PROBE_BW_DOWN) {
    if (!isTimeToProbeBw(tcb, it) && isTimeToCruise(tcb, it)) it.state = PROBE_BW_CRUISE;
  } else if (it.state == PROBE_BW_CRUISE) {
    isTimeToProbeBw(tcb, it);
  } else if (it.state == PROBE_BW_REFILL) {
    if (!roundStart) return;
    it.set(BW_PROBE_SAMPLE);
    startProbeBwUp(tcb, it);
  } else if (it.state == PROBE_BW_UP) {
    if (!isTimeToGoDown(tcb, it)) return;
    it.clear(PREV_PROBE_TOO_HIGH);
    startProbeBwDown(tcb, it);
  }
}

function isTimeToProbeBw(tcb: Tcb, it: Bbr): bool {
  const renoRounds = min(targetInflight(tcb, it) / u32(tcb.sndMss), RENO_ROUNDS_MAX);
  if (now <= it.probeBwAt && u32(it.roundsSinceProbeUp) < renoRounds) return false;
  startProbeBwRefill(tcb, it);
  return true;
}

function isTimeToCruise(tcb: Tcb, it: Bbr): bool {
  const flying = pipe(tcb);
  return flying <= inflightWithHeadroom(tcb, it) && flying <= inflight(tcb, it, 1);
}

function isTimeToGoDown(tcb: Tcb, it: Bbr): bool {
  if (it.has(PREV_PROBE_TOO_HIGH) && pipe(tcb) >= it.inflightLongterm) {
    it.set(PREV_PROBE_PRECAUTIONARY);
    return true;
  }
  if (tcb.cwndLimited && tcb.cwnd >= it.inflightLongterm) {
    resetFullBw(it, sampleRate);
    return false;
  }
  return it.has(FULL_BW_NOW);
}

function raiseInflightLongtermSlope(tcb: Tcb, it: Bbr): void {
  const growth: u32 = 1 << it.bwProbeUpRounds;
  if (it.bwProbeUpRounds < 30) it.bwProbeUpRounds++;
  it.probeUpAckedPerInc = max(tcb.cwnd / growth, u32(tcb.sndMss));
}

function probeInflightLongtermUpward(tcb: Tcb, it: Bbr, newlyAcked: u32): void {
  if (!tcb.cwndLimited || tcb.cwnd < it.inflightLongterm) return;
  it.bwProbeUpAcked += newlyAcked;
  const delta = it.bwProbeUpAcked / it.probeUpAckedPerInc;
  it.bwProbeUpAcked -= delta * it.probeUpAckedPerInc;
  it.inflightLongterm += delta * u32(tcb.sndMss);
  if (roundStart) raiseInflightLongtermSlope(tcb, it);
}

/** Whether a change of state is decided. */
function adaptLongTermModel(tcb: Tcb, it: Bbr, newlyAcked: u32): bool {
  if (roundStart && it.ackPhase == ACKS_PROBE_STARTING) it.ackPhase = ACKS_PROBE_FEEDBACK;
  if (roundStart && it.ackPhase == ACKS_PROBE_STOPPING) {
    it.clear(BW_PROBE_SAMPLE);
    it.ackPhase = ACKS_INIT;
    if (it.isProbeBw) {
      if (!sampleAppLimited) advanceMaxBwFilter(it);
      if (it.has(PREV_PROBE_PRECAUTIONARY) && !it.has(PREV_PROBE_TOO_HIGH)) {
        startProbeBwRefill(tcb, it);
        return true;
      }
    }
  }
  if (isInflightTooHigh(tcb) || it.inflightLongterm == UNBOUNDED) return false;
  if (sampleInFlight > it.inflightLongterm) it.inflightLongterm = sampleInFlight;
  if (it.state == PROBE_BW_UP) probeInflightLongtermUpward(tcb, it, newlyAcked);
  return false;
}

function advanceMaxBwFilter(it: Bbr): void {
  // A cycle without a sample worth it is none.
  if (it.presentMaxBw == 0) return;
  it.previousMaxBw = it.presentMaxBw;
  it.presentMaxBw = 0;
}

// ProbeRTT.

/** Whether the least round trip was out of date. */
function updateMinRtt(tcb: Tcb, it: Bbr): bool {
  const expired = now > it.minRttStamp + MIN_RTT_FILTER_LEN;
  if (expired && it.state != PROBE_RTT) it.probeRttCwnd = max(bdpMultiple(tcb, it, 0.5), minPipeCwnd(tcb));
  if (sampleRtt >= 0 && (expired || sampleRtt < f64(it.minRtt))) {
    it.minRtt = u32(min(max(sampleRtt, 1), f64(UNBOUNDED - 1)));
    it.minRttStamp = now;
  }
  return expired;
}

function checkProbeRtt(tcb: Tcb, it: Bbr, expired: bool): void {
  if (it.state != PROBE_RTT && expired && !it.has(IDLE_RESTART)) {
    saveCwnd(tcb, it, tcb.caState >= CA_RECOVERY);
    it.state = PROBE_RTT;
    it.probeRttDoneStamp = 0;
    it.ackPhase = ACKS_PROBE_STOPPING;
    startRound(tcb, it);
  }
  if (it.state == PROBE_RTT) handleProbeRtt(tcb, it);
  if (sampleDelivered) it.clear(IDLE_RESTART);
}

function handleProbeRtt(tcb: Tcb, it: Bbr): void {
  const flying = pipe(tcb);
  markAppLimited(tcb, flying);
  if (it.probeRttDoneStamp == 0) {
    if (flying > it.probeRttCwnd) return;
    it.probeRttDoneStamp = now + PROBE_RTT_DURATION;
    it.clear(PROBE_RTT_ROUND_DONE);
    startRound(tcb, it);
    return;
  }
  if (roundStart) it.set(PROBE_RTT_ROUND_DONE);
  if (it.has(PROBE_RTT_ROUND_DONE)) checkProbeRttDone(tcb, it);
}

function checkProbeRttDone(tcb: Tcb, it: Bbr): void {
  if (it.probeRttDoneStamp == 0 || now <= it.probeRttDoneStamp) return;
  it.minRttStamp = now;
  restoreCwnd(tcb, it);
  resetShortTermModel(it);
  if (it.has(FULL_BW_REACHED)) {
    startProbeBwDown(tcb, it);
    it.state = PROBE_BW_CRUISE;
  } else it.state = STARTUP;
}

// Loss.

function isInflightTooHigh(tcb: Tcb): bool {
  return f64(lostSinceSample(tcb)) > f64(sampleInFlight) * LOSS_THRESH;
}

function noteLoss(tcb: Tcb, it: Bbr): void {
  if (!it.has(LOSS_IN_ROUND)) {
    it.lossRoundDelivered = u32(u64(scoreboard(tcb).delivered));
    // SaveStateUponLoss.
    saveCwnd(tcb, it, tcb.caState >= CA_RECOVERY);
    it.undoState = NO_STATE;
    it.undoBwShortterm = it.bwShortterm;
    it.undoInflightShortterm = it.inflightShortterm;
    it.undoInflightLongterm = it.inflightLongterm;
  }
  it.set(LOSS_IN_ROUND);
}

/** HandleLostPacket: `record` is found lost; `apart`: what lies before it was not, just now. */
export function bbrLost(tcb: Tcb, record: Sent, apart: bool): void {
  const it = Bbr.of(tcb);
  noteLoss(tcb, it);
  if (apart && it.lossEvents < 255) it.lossEvents++;
  if (!it.has(BW_PROBE_SAMPLE)) return;
  const lost = f64(Rate.of(tcb).lost - record.lost);
  const inFlight = f64(record.inFlight);
  if (lost <= inFlight * LOSS_THRESH) return;
  // InflightAtLoss: at which octet of it losses came to be too many.
  const length = f64(record.length);
  const prefix = (LOSS_THRESH * (inFlight - length) - (lost - length)) / (1 - LOSS_THRESH);
  handleInflightTooHigh(tcb, it, u32(max(inFlight - length + prefix, 0)), record.has(APP_LIMITED));
}

function handleInflightTooHigh(tcb: Tcb, it: Bbr, inFlight: u32, appLimited: bool): void {
  it.set(PREV_PROBE_TOO_HIGH);
  it.clear(BW_PROBE_SAMPLE);
  if (!appLimited) it.inflightLongterm = max(inFlight, u32(BETA * f64(targetInflight(tcb, it))));
  if (it.state == PROBE_BW_UP) {
    it.undoState = PROBE_BW_UP;
    startProbeBwDown(tcb, it);
  }
}

/** An ACK echoes congestion, for the first time in a window. */
export function bbrEchoed(tcb: Tcb): void {
  const it = Bbr.of(tcb);
  noteLoss(tcb, it);
  if (it.has(BW_PROBE_SAMPLE)) handleInflightTooHigh(tcb, it, pipe(tcb), false);
  else if (it.state == STARTUP && !it.has(FULL_BW_REACHED)) queueTooHighInStartup(tcb, it);
}

/** Recovery begins, or a timeout's: remember the window, which is the transport's for now. */
export function bbrReduce(tcb: Tcb): void {
  const it = Bbr.of(tcb);
  noteLoss(tcb, it);
  saveCwnd(tcb, it, tcb.caState >= CA_RECOVERY);
}

/** It is over. */
export function bbrRecovered(tcb: Tcb): void {
  restoreCwnd(tcb, Bbr.of(tcb));
}

/** HandleSpuriousLossDetection. */
export function bbrRestore(tcb: Tcb): void {
  const it = Bbr.of(tcb);
  restoreCwnd(tcb, it);
  it.clear(LOSS_IN_ROUND);
  resetFullBw(it, 0);
  it.bwShortterm = max(it.bwShortterm, it.undoBwShortterm);
  it.inflightShortterm = max(it.inflightShortterm, it.undoInflightShortterm);
  it.inflightLongterm = max(it.inflightLongterm, it.undoInflightLongterm);
  const was = it.undoState;
  it.undoState = NO_STATE;
  if (was == STARTUP && it.state != STARTUP) {
    it.clear(FULL_BW_REACHED);
    if (it.state != PROBE_RTT) it.state = STARTUP;
  } else if (was == PROBE_BW_UP && it.state != PROBE_BW_UP && it.state != PROBE_RTT)
    startProbeBwRefill(tcb, it);
}
