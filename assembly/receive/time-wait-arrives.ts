import { acceptable } from "../acceptable.ts";
import { count } from "../counters.ts";
import { ACK, FIN, RST, SYN, segment } from "../packet/segment.ts";
import { ackTimeWait } from "../send/replies.ts";
import { setting } from "../settings.ts";
import { SET_CHALLENGE_ACK_LIMIT, SET_RFC1337 } from "../shared/control.ts";
import {
  CNT_BEYOND_WINDOW,
  CNT_PAWS_ESTAB,
  CNT_TCP_ACK_SKIPPED_CHALLENGE,
  CNT_TCP_CHALLENGE_ACK,
  CNT_TCP_SYN_CHALLENGE,
  CNT_TCP_ZERO_WINDOW_DROP,
} from "../shared/counters.ts";
import { now, SECOND } from "../time.ts";
import { TimeWait } from "../time-wait.ts";
import { endTimeWait, restartTimeWait } from "../time-wait-list.ts";
import { isOutdated, takeTimestamp } from "../timestamps.ts";

// SEGMENT ARRIVES for a brief TIME-WAIT: what segment-arrives.ts does in TIME-WAIT, and a test holds it to that. Whatever
// several steps think of one segment, it is answered by one ACK.

export function timeWaitArrives(it: TimeWait): void {
  if (isAnswered(it)) ackTimeWait(it);
}

function mayAnswer(it: TimeWait): bool {
  const micros = u32(u64(now));
  if (micros - it.challengeAt >= u32(SECOND) || it.challenges == 0) {
    it.challengeAt = micros;
    it.challenges = 0;
  }
  if (u32(it.challenges) >= u32(setting(SET_CHALLENGE_ACK_LIMIT))) {
    count(CNT_TCP_ACK_SKIPPED_CHALLENGE);
    return false;
  }
  if (it.challenges < 255) it.challenges++;
  return true;
}

function challenge(it: TimeWait): bool {
  if (!mayAnswer(it)) return false;
  count(CNT_TCP_CHALLENGE_ACK);
  return true;
}

/** Whether the segment, whose number fits, is one that our ACK answers. */
function isAnswered(it: TimeWait): bool {
  // First: sequence numbers, RFC 7323 §5.3 R1 before them.
  if (isOutdated(it) && !segment.has(RST)) {
    count(CNT_PAWS_ESTAB);
    return segment.has(SYN) || segment.textLength != 0 || mayAnswer(it);
  }
  if (!acceptable(segment.seq, segment.length, it.rcvNxt, it.rcvWnd)) return isUnacceptableAnswered(it);
  return isAcceptableAnswered(it);
}

function isUnacceptableAnswered(it: TimeWait): bool {
  if (segment.has(RST)) return false;
  if (it.rcvWnd == 0 && segment.seq == it.rcvNxt && segment.textLength) {
    count(CNT_TCP_ZERO_WINDOW_DROP);
    segment.textLength = 0;
    segment.flags &= ~FIN;
    // Answered whatever else it is, but a challenge counts.
    isAcceptableAnswered(it);
    return true;
  }
  if (segment.has(FIN)) restartTimeWait(it);
  if (segment.has(SYN)) {
    count(CNT_TCP_SYN_CHALLENGE);
    return challenge(it);
  }
  if (segment.seq >= it.rcvNxt) count(CNT_BEYOND_WINDOW);
  return segment.textLength != 0 || mayAnswer(it);
}

/** Whether there is text that goes beyond the window: that is answered, and the FIN behind it does not count. */
function isTextBeyond(it: TimeWait): bool {
  const end = segment.seq.plus(segment.textLength);
  if (segment.textLength == 0 || end <= it.rcvNxt || end.since(it.rcvNxt) <= it.rcvWnd) return false;
  count(CNT_BEYOND_WINDOW);
  return true;
}

function isAcceptableAnswered(it: TimeWait): bool {
  // Second: RST. RFC 1337: it need not end TIME-WAIT early.
  if (segment.has(RST)) {
    if (segment.seq != it.rcvNxt) return challenge(it);
    if (!setting(SET_RFC1337)) endTimeWait(it);
    return false;
  }
  // Fourth: SYN. One that begins a new connection has not come this far.
  if (segment.has(SYN)) {
    count(CNT_TCP_SYN_CHALLENGE);
    return challenge(it);
  }
  const beyond = isTextBeyond(it);
  // Fifth: ACK, of all that we have sent or as old as can be (RFC 5961 §5.2).
  if (!segment.has(ACK)) return beyond;
  if (segment.ack > it.sndNxt || segment.ack < it.sndNxt.minus(it.maxSndWnd)) return challenge(it) || beyond;
  takeTimestamp(it, segment.seq);
  if (beyond || segment.length == 0) return (segment.seq > it.rcvNxt && mayAnswer(it)) || beyond;
  // Eighth: FIN.
  return segment.has(FIN);
}
