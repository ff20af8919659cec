import { Seq } from "../seq.ts";
import {
  ANNEX_MIN_RTT,
  ANNEX_RATE,
  RATE_APP_LIMITED,
  RATE_DELIVERED,
  RATE_INTERVAL,
} from "../shared/annex-layout.ts";
import { Tcb } from "../tcb.ts";
import { Micros, now } from "../time.ts";
import { APP_LIMITED, EVER_RESENT, isScored, pipe, Scoreboard, Sent, scoreboard } from "./scoreboard.ts";

// Delivery rate, draft-ietf-ccwg-bbr's "Delivery Rate Samples" (once draft-cheng-iccrg-delivery-rate-estimation): each
// segment remembers how much had been delivered when it left, so that each ACK tells how fast the path delivers.

/** What of it outlasts an ACK, in the draft's order: C.delivered stands in the scoreboard. */
@unmanaged
@final
export class Rate {
  /** When something was last found delivered. */
  deliveredAt: Micros;
  /** When what was delivered last had been sent; for the first of a flight, when it is. */
  firstSentAt: Micros;
  /** The sender had nothing to send: until so many octets are delivered samples tell of the application. 0 for none. */
  appLimited: f64;
  /** Octets found lost, modulo 2^32. */
  lost: u32;
  /** The latest sample worth telling: octets, and the microseconds they took. */
  delivered: u32;
  interval: u32;
  isAppLimited: u8;

  /** For a TCB that has an annex. */
  @inline static of(tcb: Tcb): Rate {
    return changetype<Rate>(usize(tcb.annex) + ANNEX_RATE);
  }
}

// The sample of the ACK being processed, the draft's RS, by the newest segment that it tells of.

/** Whether it delivers a segment; nothing of the others means anything without. */
export let sampled: bool = false;
/** Octets in a microsecond; 0: cannot be told. */
export let sampleRate: f32 = 0;
/** Octets delivered since that segment was sent, and those delivered before. */
export let sampleDelivered: u32 = 0;
export let samplePrior: u32 = 0;
export let sampleAppLimited: bool = false;
/** Octets that were in flight when it was sent, and those found lost since. */
export let sampleInFlight: u32 = 0;
export let sampleLost: u32 = 0;
/** Microseconds; negative where it was sent twice. */
export let sampleRtt: f64 = -1;
let sampleEnd: Seq = Seq.of(0);
let priorDelivered: f64 = 0;
let sendElapsed: f64 = 0;
let ackElapsed: f64 = 0;

/** OnPacketSent: `record` is being sent, and is part of the `inFlight` octets; `alone`: nothing else is. */
export function rateSent(tcb: Tcb, board: Scoreboard, record: Sent, inFlight: u32, alone: bool): void {
  const rate = Rate.of(tcb);
  if (alone) {
    rate.firstSentAt = now;
    rate.deliveredAt = now;
  }
  record.firstSentAt = rate.firstSentAt;
  record.deliveredAt = rate.deliveredAt;
  record.delivered = board.delivered;
  record.inFlight = inFlight;
  record.lost = rate.lost;
  record.flags = rate.appLimited != 0 ? record.flags | APP_LIMITED : record.flags & ~APP_LIMITED;
}

/** InitRateSample: an ACK is about to be processed. */
export function beginSample(): void {
  sampled = false;
  sampleRate = 0;
  sampleDelivered = 0;
  sampleRtt = -1;
}

/** UpdateRateSample: `record` is delivered. */
export function sampleSegment(tcb: Tcb, record: Sent): void {
  const rate = Rate.of(tcb);
  rate.deliveredAt = now;
  if (
    sampled &&
    (record.sentAt < rate.firstSentAt || (record.sentAt == rate.firstSentAt && record.end <= sampleEnd))
  )
    return;
  sampled = true;
  priorDelivered = record.delivered;
  sampleAppLimited = record.has(APP_LIMITED);
  sendElapsed = record.sentAt - record.firstSentAt;
  ackElapsed = now - record.deliveredAt;
  sampleEnd = record.end;
  sampleInFlight = record.inFlight;
  sampleLost = record.lost;
  sampleRtt = record.has(EVER_RESENT) ? -1 : now - record.sentAt;
  rate.firstSentAt = record.sentAt;
}

/** GenerateRateSample: all that the ACK delivers is taken in, and counted in `board.delivered`. */
export function endSample(tcb: Tcb, board: Scoreboard): void {
  const rate = Rate.of(tcb);
  if (rate.appLimited != 0 && board.delivered > rate.appLimited) rate.appLimited = 0;
  if (!sampled) return;
  const interval = max(sendElapsed, ackElapsed);
  const octets = board.delivered - priorDelivered;
  sampleDelivered = u32(octets);
  samplePrior = u32(u64(priorDelivered));
  // A copy sent for nothing may have had its ACK by the first: sooner than any round trip.
  if (interval == 0 || interval < f64(tcb.rttMin)) return;
  sampleRate = f32(octets / interval);
  // As in Linux: what the application limits is told only where it shows more than was known.
  if (sampleAppLimited && octets * f64(rate.interval) < f64(rate.delivered) * interval) return;
  rate.delivered = sampleDelivered;
  rate.interval = u32(min(interval, f64(u32.MAX_VALUE)));
  rate.isAppLimited = u8(sampleAppLimited);
}

/** Octets found lost since the newest segment of the sample was sent, this ACK's finds included. */
export function lostSinceSample(tcb: Tcb): u32 {
  return Rate.of(tcb).lost - sampleLost;
}

/** CheckIfApplicationLimited, before anything more is written or acknowledged or a timer's work is done. */
export function checkAppLimited(tcb: Tcb): void {
  if (!isScored(tcb)) return;
  const board = scoreboard(tcb);
  if (tcb.finSent || tcb.sndEnd.since(tcb.sndNxt) >= tcb.sndMss || board.lostOctets > board.resentOctets)
    return;
  const flying = pipe(tcb);
  if (flying < tcb.cwnd) markAppLimited(tcb, flying);
}

/** MarkConnectionAppLimited: what is sent until all of the `flying` octets have arrived tells nothing of the path. */
export function markAppLimited(tcb: Tcb, flying: u32): void {
  Rate.of(tcb).appLimited = max(scoreboard(tcb).delivered + flying, 1);
}

if (offsetof<Rate>("delivered") != RATE_DELIVERED) ERROR("layout drift: Rate.delivered");
if (offsetof<Rate>("interval") != RATE_INTERVAL) ERROR("layout drift: Rate.interval");
if (offsetof<Rate>("isAppLimited") != RATE_APP_LIMITED) ERROR("layout drift: Rate.isAppLimited");
if (ANNEX_RATE + offsetof<Rate>() > ANNEX_MIN_RTT) ERROR("Rate does not fit its part of an annex");
