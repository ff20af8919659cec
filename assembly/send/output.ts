import { beforeText, textSent } from "../congestion/control.ts";
import { count } from "../counters.ts";
import { isHeldBack, owesReduced, segmentEcn, synEcn } from "../ecn.ts";
import { isFastSyn, synText, writeRequest } from "../fast-open/client.ts";
import { writeCookie } from "../fast-open/server.ts";
import { abridge, setState } from "../lifecycle.ts";
import {
  USER_TIMEOUT_LENGTH,
  writeMss,
  writeSackPermitted,
  writeTimestamps,
  writeUserTimeout,
  writeWindowScale,
} from "../packet/options.ts";
import { ACK, FIN, PSH, SYN, TCP_HEADER, URG } from "../packet/segment.ts";
import { widenPath } from "../path.ts";
import { nextOutput, wantOutput, wantOutputFirst } from "../queues.ts";
import { recordLeft } from "../records.ts";
import { awaitsFrto, frtoRoom, isFrtoPending } from "../recovery/frto.ts";
import { CA_LOSS, CA_RECOVERY, limitedTransmit } from "../recovery/newreno.ts";
import { nextLost, REORDERING, resent } from "../recovery/rack.ts";
import {
  beginScoreboard,
  isScored,
  NONE,
  pipe,
  recordSent,
  Scoreboard,
  scoreboard,
} from "../recovery/scoreboard.ts";
import { retransmissionSent } from "../recovery/spurious.ts";
import { LOSS_PROBE, probeSent, startRecoveryTimer } from "../recovery/tlp.ts";
import { currentRto, startTiming, stopTiming } from "../rtt.ts";
import { sackLength, writeSack } from "../sack.ts";
import { Seq } from "../seq.ts";
import {
  CNT_RETRANS_SEGS,
  CNT_TCP_FROM_ZERO_WINDOW_ADV,
  CNT_TCP_KEEP_ALIVE,
  CNT_TCP_ORIG_DATA_SENT,
  CNT_TCP_SLOW_START_RETRANS,
  CNT_TCP_TO_ZERO_WINDOW_ADV,
  CNT_TCP_WIN_PROBE,
} from "../shared/counters.ts";
import { CLOSE_WAIT, CLOSED, LAST_ACK, SYN_RECEIVED, SYN_SENT } from "../shared/states.ts";
import { RECORDS, SYN_PLAIN, SYN_WAITS, Tcb } from "../tcb.ts";
import { NEVER, now, SECOND } from "../time.ts";
import { armRtx, startRtx } from "../timers.ts";
import { tsValue } from "../timestamps.ts";
import { urgentPointer } from "../urgent.ts";
import { offerUserTimeout, owesUserTimeout } from "../user-timeout.ts";
import { advertise } from "../window.ts";
import { wakeUnsent } from "./buffer.ts";
import { beginBurst, endBurst, isBurst, repeat } from "./burst.ts";
import { emitPosted, posted } from "./outbox.ts";
import { awaitPace, openPace, paced, paceRoom } from "./pacing.ts";
import {
  beginBatch,
  commitFor,
  copyText,
  endBatch,
  fits,
  ipHeader,
  nextPacket,
  nextTcp,
  superOctets,
  writePorts,
  writeTcp,
} from "./packet.ts";
import { emitReplies } from "./replies.ts";

// What leaves: called between inputs, never inside them. Each TCB that asked for it is looked at once a batch and says
// all it may say now; one that had more to say than the batch held goes behind the others.

/** RFC 9293 §3.8.6.2.1: how long a sender may hold back a segment that is too small to be worth sending. */
const OVERRIDE: f64 = SECOND / 5;

/** Octets of options of a segment, at most. */
const OPTIONS_MAX: u32 = 40;

/** Tcb.probing: the retransmission timer runs as the zero-window probe's; and it has expired. */
export const PROBING: u8 = 1;
export const PROBE_DUE: u8 = 2;

/** Fill the transmit area with at most `most` packets and `octets`; returns how many there are. */
export function fill(most: u32, octets: u32): u32 {
  beginBatch(most, octets);
  // Neither connections nor datagrams wait for ever behind the others: half a batch first, what is left last.
  if (emitReplies() && emitPosted(octets >> 1)) {
    let at = nextOutput();
    while (at) {
      const tcb = Tcb.at(at);
      const before = tcb.segsOut;
      if (!emit(tcb)) {
        // The batch is full. Whoever filled it has had its turn; whoever found it full keeps its place.
        if (tcb.segsOut != before) wantOutput(tcb);
        else wantOutputFirst(tcb);
        break;
      }
      abridge(tcb);
      at = nextOutput();
    }
    if (at == 0) emitPosted(posted());
  }
  return endBatch();
}

/** Send everything `tcb` may send now. False when the batch is full before that. */
function emit(tcb: Tcb): bool {
  if (tcb.state == CLOSED) return true;
  endBurst();
  if (tcb.pmtuUntil) widenPath(tcb);
  if (tcb.synPending && !sendSyn(tcb)) return false;
  if (tcb.state == SYN_SENT) return true;
  // Duplicate ACKs are counted by the peer: text must not ride on them.
  while (tcb.acksOwed) {
    if (!sendAck(tcb)) return false;
    tcb.acksOwed--;
  }
  // RFC 7413 §4.2.2: what the initial window admits may go before the handshake is over.
  if (tcb.state == SYN_RECEIVED && !tcb.openedFast) return !tcb.ackNow || sendAck(tcb);
  if (tcb.sndEnd != tcb.sndNxt && !tcb.finSent) beforeText(tcb);
  openPace(tcb);
  if (tcb.probing == PROBE_DUE) {
    if (!probe(tcb)) return false;
    if (tcb.probing == PROBE_DUE) tcb.probing = PROBING;
  }
  if (tcb.keepDue) {
    // Without text, one below what is acknowledged: it must be answered (SHLD-12).
    if (!sendEmpty(tcb, tcb.sndUna.minus(1))) return false;
    tcb.keepDue = 0;
    count(CNT_TCP_KEEP_ALIVE);
  }
  if (!retransmit(tcb)) return false;
  if (!sendNew(tcb)) return false;
  return !tcb.ackNow || sendAck(tcb);
}

/** The segment just written acknowledges all that has arrived. */
function acknowledged(tcb: Tcb): void {
  tcb.ackNow = 0;
  tcb.ackAt = NEVER;
  tcb.rcvAcked = tcb.rcvNxt;
}

function window(tcb: Tcb): u32 {
  // What the last segment offered, not what is left of it.
  const before = tcb.rcvAdv.since(tcb.rcvAcked);
  const field = advertise(tcb);
  if (field == 0 && before != 0) count(CNT_TCP_TO_ZERO_WINDOW_ADV);
  else if (field != 0 && before == 0) count(CNT_TCP_FROM_ZERO_WINDOW_ADV);
  return field;
}

/** Whether a segment with `length` octets behind its fixed header still fits. */
function hasRoom(tcb: Tcb, length: u32): bool {
  return fits(ipHeader(tcb.family) + tcb.ipOptions + TCP_HEADER + length);
}

function sendSyn(tcb: Tcb): bool {
  const due = tcb.synPending;
  if (due == SYN_WAITS) return true;
  const fast = isFastSyn(tcb);
  const text = fast ? synText(tcb) : 0;
  if (!hasRoom(tcb, OPTIONS_MAX + text)) return false;
  const to = nextTcp(tcb.family, tcb.ipOptions);
  const passive = tcb.state != SYN_SENT;
  let options = writeMss(to + TCP_HEADER, tcb.advMss);
  if (tcb.tsOk)
    options += writeTimestamps(
      to + TCP_HEADER + options,
      tsValue(tcb),
      passive ? tcb.tsRecent : 0,
      tcb.sackOk != 0,
    );
  else if (tcb.sackOk) options += writeSackPermitted(to + TCP_HEADER + options);
  if (tcb.windowScaling) options += writeWindowScale(to + TCP_HEADER + options, tcb.rcvWscale);
  if (fast) options += writeRequest(to + TCP_HEADER + options, tcb);
  else if (due != SYN_PLAIN) options += writeCookie(to + TCP_HEADER + options, tcb, due);
  // A long cookie leaves it no room: it is said again by the next segment.
  const timeout = options + USER_TIMEOUT_LENGTH <= OPTIONS_MAX ? offerUserTimeout(tcb, true) : 0;
  if (timeout) options += writeUserTimeout(to + TCP_HEADER + options, timeout);
  const header = TCP_HEADER + options;
  const textSum = text ? copyText(to + header, tcb.sndStream, tcb.iss.plus(1), text) : 0;
  writePorts(to, tcb.localPort, tcb.remotePort);
  const flags = (passive ? SYN | ACK : SYN) | synEcn(tcb, passive);
  const field = min<u32>(passive ? tcb.rcvWnd : tcb.rcvBuf, 0xffff);
  writeTcp(to, tcb.iss, passive ? tcb.rcvNxt : Seq.of(0), header, flags, field);
  commitFor(tcb, header, text, textSum, false);
  tcb.synPending = 0;
  if (passive) acknowledged(tcb);
  if (tcb.sndNxt == tcb.iss) {
    tcb.unackedSince = now;
    tcb.sndNxt = tcb.iss.plus(1);
    startTiming(tcb);
    if (text) synTextSent(tcb, text);
  } else {
    stopTiming(tcb);
    count(CNT_RETRANS_SEGS);
    tcb.totalRetrans++;
  }
  if (tcb.rtxAt == NEVER) startRtx(tcb);
  return true;
}

/** The SYN had `length` octets of text behind it. */
function synTextSent(tcb: Tcb, length: u32): void {
  tcb.sndNxt = tcb.sndNxt.plus(length);
  tcb.lastSentAt = now;
  tcb.dataSegsOut++;
  tcb.bytesSent += length;
  count(CNT_TCP_ORIG_DATA_SENT);
}

function sendAck(tcb: Tcb): bool {
  return sendEmpty(tcb, tcb.sndNxt);
}

/** Write the options that every segment but a SYN has; returns the length of the header so far. */
function writeOptions(to: usize, tcb: Tcb): u32 {
  let header = TCP_HEADER;
  if (tcb.tsOk) header += writeTimestamps(to + header, tsValue(tcb), tcb.tsRecent);
  if (tcb.sackOk) header += writeSack(to + header, tcb);
  return header;
}

/** Octets of text that the next segment has room for: what is told of holes comes off (RFC 9293 MUST-16). */
function segmentRoom(tcb: Tcb): u32 {
  return u32(tcb.sndMss) - sackLength(tcb);
}

/** Octets of text that the segment at `seq` may have: a record's end ends it. */
function segmentLimit(tcb: Tcb, seq: Seq): u32 {
  const room = segmentRoom(tcb);
  return tcb.choices & RECORDS ? min(room, recordLeft(tcb, seq)) : room;
}

/** Write the rest of the header, `header` octets with its options, of a segment that is no SYN. */
function writeHeader(to: usize, tcb: Tcb, seq: Seq, header: u32, flags: u32): void {
  writePorts(to, tcb.localPort, tcb.remotePort);
  const pointer = tcb.urgent ? urgentPointer(tcb, seq) : 0;
  writeTcp(to, seq, tcb.rcvNxt, header, pointer ? flags | URG : flags, window(tcb), pointer);
}

function sendEmpty(tcb: Tcb, seq: Seq): bool {
  if (!hasRoom(tcb, OPTIONS_MAX)) return false;
  const to = nextTcp(tcb.family, tcb.ipOptions);
  let header = writeOptions(to, tcb);
  // Blocks come first: what does not fit beside them is owed on.
  const timeout = header + USER_TIMEOUT_LENGTH <= TCP_HEADER + OPTIONS_MAX ? offerUserTimeout(tcb, false) : 0;
  if (timeout) header += writeUserTimeout(to + header, timeout);
  writeHeader(to, tcb, seq, header, tcb.ecn ? ACK | segmentEcn(tcb, false) : ACK);
  commitFor(tcb, header, 0, 0, false);
  acknowledged(tcb);
  return true;
}

/**
 * Send `length` octets of text at `seq`, in segments of `size` if that is not 0, and FIN behind them if asked; at least one of
 * text and FIN.
 */
function sendText(tcb: Tcb, seq: Seq, length: u32, fin: bool, push: bool = false, size: u32 = 0): bool {
  // A full segment has no room for the option that is owed.
  if (owesUserTimeout(tcb) && !sendAck(tcb)) return false;
  if (!hasRoom(tcb, OPTIONS_MAX + length)) return false;
  // PSH where the queue ends (RFC 9293 §3.9.1.2): successive writes collapse into one.
  const pushes = push || (length && seq.plus(length) == tcb.sndEnd);
  const fresh = length != 0 && seq == tcb.sndNxt;
  const segments = segmentsOf(length, size);
  if (isBurst() && fresh && !fin && size == 0) repeat(tcb, seq, length, pushes);
  else {
    const at = nextPacket();
    const to = nextTcp(tcb.family, tcb.ipOptions);
    const header = writeOptions(to, tcb);
    let flags = ACK;
    if (fin) flags |= FIN;
    if (pushes) flags |= PSH;
    // Text sent again goes without ECT (RFC 3168 §6.1.5).
    if (tcb.ecn) flags |= segmentEcn(tcb, fresh);
    const textSum = copyText(to + header, tcb.sndStream, seq, length, size != 0);
    writeHeader(to, tcb, seq, header, flags);
    commitFor(tcb, header, length, textSum, fresh, segments, size);
    acknowledged(tcb);
    if (fresh && !fin && size == 0) beginBurst(tcb, at, header, flags);
  }
  tcb.lastSentAt = now;
  if (length) {
    tcb.dataSegsOut += segments;
    tcb.bytesSent += length;
    paced(tcb, length);
  }
  return true;
}

/** What recovery asks for: the first unacknowledged segment, or in Loss everything from rexmitNxt up to `recover`. */
function retransmit(tcb: Tcb): bool {
  if (isScored(tcb)) return resendLost(tcb);
  if (tcb.rexmitOne) {
    if (tcb.flightSize && tcb.sndWnd && retransmitAt(tcb, tcb.sndUna) < 0) return false;
    tcb.rexmitOne = 0;
  }
  if (tcb.caState != CA_LOSS || tcb.sndWnd == 0 || awaitsFrto(tcb)) return true;
  const end = tcb.sndUna.plus(min(tcb.cwnd, tcb.sndWnd));
  while (tcb.rexmitNxt <= tcb.recover && tcb.rexmitNxt < end) {
    if (paceRoom(tcb) == 0) {
      awaitPace(tcb);
      break;
    }
    const sent = retransmitAt(tcb, tcb.rexmitNxt);
    if (sent < 0) return false;
    if (sent == 0) break;
    tcb.rexmitNxt = tcb.rexmitNxt.plus(sent);
    count(CNT_TCP_SLOW_START_RETRANS);
  }
  return true;
}

/** Send again what is known to be lost, as far as the window goes; or the probe that is to tell. */
function resendLost(tcb: Tcb): bool {
  const board = scoreboard(tcb);
  if (tcb.rexmitOne) {
    if (!board.isEmpty && tcb.sndWnd && !sendLossProbe(tcb, board)) return false;
    tcb.rexmitOne = 0;
  }
  if (tcb.sndWnd == 0 || awaitsFrto(tcb)) return true;
  for (let index = nextLost(board); index != NONE; index = nextLost(board)) {
    const record = board.sent(index);
    if (pipe(tcb) + min<u32>(record.length, tcb.sndMss) > tcb.cwnd) break;
    if (paceRoom(tcb) == 0) {
      awaitPace(tcb);
      break;
    }
    // A peer that shrank its window gets what lies within it.
    if (record.start.since(tcb.sndUna) >= tcb.sndWnd) break;
    if (!resend(tcb, board, index)) return false;
    if (tcb.caState == CA_LOSS) count(CNT_TCP_SLOW_START_RETRANS);
  }
  return true;
}

/** Send a record again, in as many segments as it takes by now. */
function resend(tcb: Tcb, board: Scoreboard, index: u32): bool {
  const record = board.sent(index);
  let at = record.start;
  while (at != record.end) {
    const sent = retransmitAt(tcb, at, record.end.since(at));
    if (sent < 0) return false;
    if (sent == 0) break;
    at = at.plus(sent);
  }
  resent(tcb, board, index);
  if (index == board.first && tcb.caState == CA_RECOVERY && tcb.probing != REORDERING) {
    // What answers it is a round trip away from now, as in Linux: by the time it was first sent it may be due to time out.
    // Round trips are what the latest was, of which SRTT has yet to hear: slow start that fills a queue doubles them.
    if (tcb.probing == LOSS_PROBE) tcb.probing = 0;
    const grown = board.rackKnown ? f64(board.rackRtt) - tcb.srtt : 0;
    startRtx(tcb, Math.ceil(max(0, min(grown, tcb.srtt))));
  }
  return true;
}

/** RFC 8985 §7.3: new text if there is some, whatever the congestion window says; else the last that was sent. */
function sendLossProbe(tcb: Tcb, board: Scoreboard): bool {
  const unsent = tcb.sndEnd.since(tcb.sndNxt);
  const room = tcb.sndWnd - min(tcb.sndWnd, tcb.flightSize);
  const length = min(min(unsent, segmentLimit(tcb, tcb.sndNxt)), room);
  if (length && !tcb.finSent) {
    if (!sendOne(tcb, length, unsent == length)) return false;
    probeSent(tcb, board, false);
    return true;
  }
  if (!resend(tcb, board, board.next - 1)) return false;
  probeSent(tcb, board, true);
  return true;
}

/**
 * Send the segment at `seq` again, of at most `most` sequence numbers. Returns those it took; -1 when the batch is full.
 */
function retransmitAt(tcb: Tcb, seq: Seq, most: u32 = 0xffffffff): i32 {
  const textEnd = tcb.sndNxt > tcb.sndEnd ? tcb.sndEnd : tcb.sndNxt;
  const left = textEnd.since(seq);
  // A peer that shrank its window gets what lies within it (RFC 9293 §3.8.6, SHLD-16).
  const allowed = tcb.sndWnd - min(tcb.sndWnd, seq.since(tcb.sndUna));
  const length = min(min(left, most), min(segmentLimit(tcb, seq), max(allowed, 1)));
  // A FIN that went by itself is sent again by itself.
  const fin = tcb.finSent != 0 && length == left && length < most;
  if (length == 0 && !fin) return 0;
  if (!sendText(tcb, seq, length, fin)) return -1;
  stopTiming(tcb);
  retransmissionSent(tcb, seq.plus(length + u32(fin)));
  count(CNT_RETRANS_SEGS);
  tcb.totalRetrans++;
  tcb.bytesRetrans += length;
  if (tcb.rtxAt == NEVER) startRtx(tcb);
  return length + i32(fin);
}

/** Octets that may be sent beyond SND.NXT now: the smaller of both windows, less what is in flight. */
function usable(tcb: Tcb): u32 {
  const flight = tcb.flightSize;
  if (tcb.sndWnd <= flight) return 0;
  if (isFrtoPending(tcb)) return min(frtoRoom(tcb), tcb.sndWnd - flight);
  // A SYN,ACK still unacknowledged is no text.
  const flying = pipe(tcb) - u32(tcb.state == SYN_RECEIVED);
  const allowed = isScored(tcb) ? tcb.cwnd : tcb.cwnd + limitedTransmit(tcb);
  return allowed > flying ? min(allowed - flying, tcb.sndWnd - flight) : 0;
}

/** Text and FIN not sent before. */
function sendNew(tcb: Tcb): bool {
  if (tcb.finSent) return true;
  if (isHeldBack(tcb)) {
    if (tcb.flightSize == 0 && tcb.rtxAt == NEVER) startRtx(tcb);
    return true;
  }
  // After a timeout the old comes before the new: everything beyond rexmitNxt counts as lost. But not while F-RTO asks.
  const asks = tcb.caState == CA_LOSS && isFrtoPending(tcb);
  if (asks) {
    // Whatever there is, small or not.
  } else if (isScored(tcb)) {
    if (tcb.caState == CA_LOSS && nextLost(scoreboard(tcb)) != NONE) return true;
  } else if (tcb.caState == CA_LOSS && tcb.rexmitNxt <= tcb.recover) return true;
  const before = tcb.sndNxt;
  const starts = startsTimer(tcb);
  const window = usable(tcb);
  const most = paceRoom(tcb);
  let room = min(window, most);
  const all = tcb.sndEnd.since(tcb.sndNxt);
  let unsent = all;
  let full = false;
  while (unsent) {
    const mss = segmentRoom(tcb);
    const limit = segmentLimit(tcb, tcb.sndNxt);
    let length = min(min(unsent, limit), room);
    if (length == 0) break;
    let rest = unsent - length;
    // Only the last record may yet grow: nothing before it waits for being small.
    const record = length == limit && length < mss && rest != 0;
    if (length < mss && !record && !asks && !worthSending(tcb, length, unsent)) break;
    let size: u32 = 0;
    if (superOctets && length == mss && rest && room > mss && !asks) {
      length = octetsAtOnce(tcb, mss, unsent, room);
      rest = unsent - length;
      if (length > mss) size = mss;
    }
    room -= length;
    // Where a burst ends for want of a window the peer need not wait for more (as Linux's large segments end).
    const ends = record || ((size || unsent != all) && room < min(rest, mss));
    full = !sendNext(tcb, length, rest == 0, ends, size);
    if (full) break;
    unsent = rest;
  }
  if (unsent == 0 && tcb.finQueued && !tcb.finSent) full = !sendNext(tcb, 0, true);
  if (starts && tcb.sndNxt != before) startRecoveryTimer(tcb);
  if (full) return false;
  if (tcb.blocked && tcb.sndNxt != before) wakeUnsent(tcb);
  if (tcb.sndNxt != before) textSent(tcb, unsent != 0 && pipe(tcb) + tcb.sndMss > tcb.cwnd);
  if (unsent && most < window && tcb.sndNxt.since(before) + tcb.sndMss > most) {
    awaitPace(tcb);
    return true;
  }
  // Text waits and nothing in flight will bring an ACK: only a timer can go on.
  if (unsent && tcb.flightSize == 0 && tcb.rtxAt == NEVER) {
    tcb.probing = PROBING;
    tcb.unackedSince = now;
    armRtx(tcb, now + (tcb.sndWnd ? OVERRIDE : currentRto(tcb)));
  }
  return true;
}

/** Segments of `size` that `length` octets of text make; one if that is 0. */
function segmentsOf(length: u32, size: u32): u32 {
  return size ? (length + size - 1) / size : 1;
}

/**
 * How much of the `unsent` text may leave as one packet for the link to cut up, `room` allowing: full segments, at least one,
 * and what is left behind them if that may go.
 */
function octetsAtOnce(tcb: Tcb, mss: u32, unsent: u32, room: u32): u32 {
  // What is said of one segment, and not of the others, goes in one.
  if (tcb.urgent || tcb.choices & RECORDS || owesReduced(tcb)) return mss;
  const headers = ipHeader(tcb.family) + tcb.ipOptions + TCP_HEADER + OPTIONS_MAX;
  if (superOctets < headers + mss) return mss;
  const most = min(superOctets - headers, room);
  if (unsent <= most) {
    const small = unsent % mss;
    return small == 0 || worthSending(tcb, small, small) ? unsent : unsent - small;
  }
  return most - (most % mss);
}

/**
 * Send the next `length` octets of new text, in segments of `size` if not 0, with FIN if it is queued and this is the last. The
 * timer is the caller's: it runs from the last of them.
 */
function sendNext(tcb: Tcb, length: u32, last: bool, push: bool = false, size: u32 = 0): bool {
  const mss = segmentRoom(tcb);
  const fin = last && tcb.finQueued != 0;
  if (!sendText(tcb, tcb.sndNxt, length, fin, push, size)) return false;
  if (tcb.flightSize == 0) {
    tcb.unackedSince = now;
    beginScoreboard(tcb);
  } else if (tcb.state == SYN_RECEIVED) beginScoreboard(tcb);
  // A record a segment: the link may lose one of them.
  let left = length;
  let text: u32;
  do {
    text = size ? min(left, size) : left;
    left -= text;
    const taken = text + u32(fin && left == 0);
    if (isScored(tcb)) {
      recordSent(tcb, taken);
      if (tcb.caState == CA_RECOVERY && isScored(tcb)) scoreboard(tcb).prrOut += text;
    }
    tcb.sndNxt = tcb.sndNxt.plus(taken);
  } while (left);
  if (length) {
    count(CNT_TCP_ORIG_DATA_SENT, segmentsOf(length, size));
    if (text < mss) tcb.sndSml = tcb.sndNxt;
  }
  if (fin) {
    tcb.finSent = 1;
    if (tcb.state == CLOSE_WAIT) setState(tcb, LAST_ACK);
  }
  startTiming(tcb);
  return true;
}

/** Whether what is sent next starts the timer: if none runs, or one that is for what is sent last. */
function startsTimer(tcb: Tcb): bool {
  return tcb.rtxAt == NEVER || (tcb.probing != 0 && tcb.probing != REORDERING);
}

/** Send the next `length` octets of new text by themselves, and start the timer. */
function sendOne(tcb: Tcb, length: u32, last: bool): bool {
  const starts = startsTimer(tcb);
  if (!sendNext(tcb, length, last)) return false;
  if (starts) startRecoveryTimer(tcb);
  return true;
}

/**
 * Whether a segment shorter than MSS should go: RFC 9293 §3.8.6.2.1, with Nagle (§3.7.4) in Minshall's form, as in Linux:
 * the last piece of what is queued goes unless a small one is in flight already. That spares the wait for a delayed ACK
 * at the end of every write that is not a multiple of MSS.
 */
function worthSending(tcb: Tcb, length: u32, unsent: u32): bool {
  if (tcb.cork && !tcb.finQueued) return false;
  const smallInFlight = tcb.sndSml > tcb.sndUna && tcb.sndSml <= tcb.sndNxt;
  if (length == unsent && (tcb.noDelay || tcb.finQueued || !smallInFlight)) return true;
  return length >= tcb.maxSndWnd >> 1;
}

/**
 * The timer has expired with text waiting that the window does not admit: send what fits although it is small, or ask
 * (RFC 9293 §3.8.6.1). The question is an ACK below SND.UNA, as Linux asks: it must be answered, and moves nothing.
 * False when the batch is full.
 */
function probe(tcb: Tcb): bool {
  const unsent = tcb.sndEnd.since(tcb.sndNxt);
  const room = usable(tcb);
  if (unsent && room) {
    const length = min(min(unsent, segmentLimit(tcb, tcb.sndNxt)), room);
    return sendOne(tcb, length, unsent == length);
  }
  count(CNT_TCP_WIN_PROBE);
  return sendEmpty(tcb, tcb.sndUna.minus(1));
}
