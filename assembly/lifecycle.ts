import { addressHigh, addressLow } from "./addresses.ts";
import { dropAnnex } from "./annex.ts";
import { add, sum } from "./checksum.ts";
import { startWindow } from "./congestion/window.ts";
import { count, uncount } from "./counters.ts";
import { enterTable, leaveTable } from "./demux.ts";
import { beginEcn, takeSynEcn } from "./ecn.ts";
import { fastOpenFailed } from "./fast-open/client.ts";
import { hash6 } from "./hash.ts";
import { isn } from "./isn.ts";
import { restartKeepalive } from "./keepalive.ts";
import { backlogLeft, leaveBacklog, leavePending } from "./listener.ts";
import { IPV4_HEADER, IPV6_HEADER, PROTOCOL_TCP } from "./packet/ip.ts";
import { segment, TCP_HEADER } from "./packet/segment.ts";
import { beginPath, fitSegments } from "./path.ts";
import { takeSlot } from "./pool.ts";
import { leaveMemory, raise, release } from "./queues.ts";
import { ackQuickly } from "./receive/text.ts";
import { forgetRecords } from "./records.ts";
import { clearScoreboard } from "./recovery/scoreboard.ts";
import { afterSynLoss, initialRto } from "./rtt.ts";
import { beginSack, takeSackPermitted } from "./sack.ts";
import { lastAck } from "./send/replies.ts";
import { Seq } from "./seq.ts";
import { setting } from "./settings.ts";
import {
  CTL_HASH_KEY,
  CTL_SECRET,
  EV_CLOSED,
  EV_ESTABLISHED,
  EV_WRITABLE,
  SET_FIN_TIMEOUT,
  SET_MAX_ORPHANS,
  SET_MAX_TW_BUCKETS,
  SET_MTU,
  SET_WINDOW_SCALING,
} from "./shared/control.ts";
import { CNT_CURR_ESTAB, CNT_TCP_TIME_WAIT_OVERFLOW, CNT_TW, CNT_TW_RECYCLED } from "./shared/counters.ts";
import { ERR_ABORTED, ERR_REFUSED, ERR_RESET, ERR_TIMED_OUT } from "./shared/results.ts";
import {
  CLOSE_WAIT,
  CLOSED,
  ESTABLISHED,
  FIN_WAIT_2,
  SYN_RECEIVED,
  TIME_WAIT,
  TIME_WAIT_BRIEF,
} from "./shared/states.ts";
import { TCB_LOCAL_ADDRESS, TCB_REMOTE_ADDRESS, TCB_STATE } from "./shared/tcb-layout.ts";
import { FAST_OPEN, Tcb } from "./tcb.ts";
import { NEVER, now, SECOND } from "./time.ts";
import { TimeWait } from "./time-wait.ts";
import { countTimeWait, endTimeWait, newTimeWait, TIME_WAIT_MICROS, timeWaits } from "./time-wait-list.ts";
import { armWait, disarmAll } from "./timers.ts";
import { beginTimestamps, takeSynTimestamp } from "./timestamps.ts";
import { beginUserTimeout, takeUserTimeout } from "./user-timeout.ts";
import { beginWindow } from "./window.ts";

// How a connection begins, changes state and ends.

/** RFC 9293 MUST-15. */
const MSS_DEFAULT_4: u32 = 536;
const MSS_DEFAULT_6: u32 = 1220;
/** Linux's tcp_min_snd_mss: a peer that asks for less gets segments of this, or it could make us send one octet each. */
const MSS_MIN: u32 = 48;

/** A TCB with no deadline and nothing in it, or 0 when there is no slot. */
export function newTcb(): usize {
  const at = takeSlot();
  if (at == 0) return 0;
  const tcb = Tcb.at(at);
  disarmAll(tcb);
  tcb.armed = NEVER;
  return at;
}

/** Octets of headers without options. */
export function headers(family: u32): u32 {
  return (family == 4 ? IPV4_HEADER : IPV6_HEADER) + TCP_HEADER;
}

/** Fill what follows from the 4-tuple, which must stand in `tcb`, choose the ISN, and enter the table. */
export function beginConnection(tcb: Tcb): void {
  const at = changetype<usize>(tcb);
  const skip: u32 = tcb.family == 4 ? 12 : 0;
  const local = at + TCB_LOCAL_ADDRESS + skip;
  const remote = at + TCB_REMOTE_ADDRESS + skip;
  const length: u32 = 16 - skip;
  tcb.pseudo = u16(add(add(sum(local, length), sum(remote, length)), PROTOCOL_TCP << 8));
  const ports = u32(tcb.localPort) | (u32(tcb.remotePort) << 16);
  const random = hash6(CTL_HASH_KEY, at + TCB_LOCAL_ADDRESS, at + TCB_REMOTE_ADDRESS, ports);
  // RFC 6437 §3: a flow label per flow, hard to guess. The identification only has to differ from flow to flow, for
  // every packet says "don't fragment" (RFC 6864).
  tcb.flow = random & 0xfffff;
  tcb.ipId = u16(random >> 16);

  setIss(tcb, Seq.of(isn(tcb.family, local, tcb.localPort, remote, tcb.remotePort, CTL_SECRET, now)));
  tcb.rto = initialRto();

  const mtu: u32 = setting(SET_MTU);
  tcb.advMss = u16(mtu - headers(tcb.family));
  tcb.peerMss = u16(min<u32>(tcb.advMss, tcb.family == 4 ? MSS_DEFAULT_4 : MSS_DEFAULT_6));
  beginPath(tcb);
  fitSegments(tcb);
  tcb.rcvMss = u16(min<u32>(tcb.advMss, MSS_DEFAULT_4));
  ackQuickly(tcb);
  // RFC 7323 §2: offered by whoever opens; whether it is used is known when both SYNs are.
  tcb.windowScaling = u8(setting(SET_WINDOW_SCALING) != 0);
  beginWindow(tcb);
  beginTimestamps(tcb);
  beginUserTimeout(tcb);
  beginSack(tcb);
  beginEcn(tcb);
  enterTable(tcb);
}

export function setIss(tcb: Tcb, iss: Seq): void {
  tcb.iss = iss;
  tcb.sndUna = iss;
  tcb.sndNxt = iss;
  tcb.sndEnd = iss.plus(1);
  tcb.sndSml = iss;
  tcb.recover = iss.minus(1);
  tcb.rexmitNxt = iss;
}

/** The MSS that the SYN in `segment` names or leaves to be assumed. */
export function peerMss(): u32 {
  if (segment.hasMss && segment.mss != 0) return max(segment.mss, MSS_MIN);
  return segment.family == 4 ? MSS_DEFAULT_4 : MSS_DEFAULT_6;
}

/** Take IRS, MSS and window scale from the SYN in `segment`. */
export function takeSyn(tcb: Tcb): void {
  tcb.irs = segment.seq;
  tcb.rcvNxt = segment.seq.plus(1);
  tcb.rcvRead = tcb.rcvNxt;
  tcb.rcvAcked = tcb.rcvNxt;
  // The window of a SYN is never scaled, and our own SYN offers at most what its field says.
  tcb.rcvAdv = tcb.rcvNxt.plus(min<u32>(tcb.rcvBuf, 0xffff));
  tcb.peerMss = u16(peerMss());
  takeSynTimestamp(tcb);
  takeUserTimeout(tcb);
  takeSackPermitted(tcb);
  takeSynEcn(tcb);
  fitSegments(tcb);
  if (!segment.hasWindowScale) {
    tcb.windowScaling = 0;
    tcb.rcvWscale = 0;
  } else if (tcb.windowScaling) tcb.sndWscale = u8(segment.windowScale);
  startWindow(tcb);
}

/** Set a child's 4-tuple from the SYN in `segment`. */
export function takeTuple(tcb: Tcb): void {
  tcb.family = u8(segment.family);
  tcb.localAddressHigh = addressHigh(segment.family, segment.destination);
  tcb.localAddressLow = addressLow(segment.family, segment.destination);
  tcb.remoteAddressHigh = addressHigh(segment.family, segment.source);
  tcb.remoteAddressLow = addressLow(segment.family, segment.source);
  tcb.localPort = u16(segment.destinationPort);
  tcb.remotePort = u16(segment.sourcePort);
}

/** Linux counts ESTABLISHED and CLOSE-WAIT as current (tcpCurrEstab, RFC 4022). */
function isCurrent(state: i32): bool {
  return state == ESTABLISHED || state == CLOSE_WAIT;
}

function isUnfinished(state: i32): bool {
  return state != CLOSED && state != TIME_WAIT;
}

/** Connections closed by their user that are not over yet, nor in TIME-WAIT. */
let orphans: u32 = 0;

/** The user of `tcb` has closed it. */
export function orphan(tcb: Tcb): void {
  tcb.held = 0;
  if (tcb.orphan) return;
  tcb.orphan = 1;
  if (isUnfinished(tcb.state)) orphans++;
}

/** Whether the last orphan is one too many: tcp_max_orphans. */
export function tooManyOrphans(): bool {
  return orphans > u32(setting(SET_MAX_ORPHANS));
}

export function setState(tcb: Tcb, state: i32): void {
  if (isCurrent(tcb.state) != isCurrent(state)) {
    if (isCurrent(state)) count(CNT_CURR_ESTAB);
    else uncount(CNT_CURR_ESTAB);
  }
  if (tcb.orphan && isUnfinished(tcb.state) && !isUnfinished(state)) orphans--;
  if (state == TIME_WAIT) countTimeWait(1);
  else if (tcb.state == TIME_WAIT) countTimeWait(-1);
  tcb.state = u8(state);
}

/** Both SYNs are acknowledged. */
export function establish(tcb: Tcb): void {
  setState(tcb, ESTABLISHED);
  tcb.retransmits = 0;
  tcb.backoff = 0;
  if (tcb.synRetransmitted) afterSynLoss(tcb);
  startWindow(tcb);
  tcb.heardAt = now;
  if (tcb.keepAlive) restartKeepalive(tcb);
  raise(tcb, EV_ESTABLISHED | EV_WRITABLE);
}

/** RFC 9293 §3.10.7.4: other timers off, 2 MSL on. Also called to start it again. */
export function enterTimeWait(tcb: Tcb): void {
  if (tcb.state != TIME_WAIT) {
    if (timeWaits() >= u32(setting(SET_MAX_TW_BUCKETS))) {
      overflow(tcb);
      return;
    }
    setState(tcb, TIME_WAIT);
    count(CNT_TW);
    clearScoreboard(tcb);
    tcb.sndStream.clear();
    tcb.runs.clear();
    raise(tcb, EV_CLOSED);
  }
  const ackAt = tcb.ackAt;
  disarmAll(tcb);
  tcb.ackAt = ackAt;
  armWait(tcb, now + TIME_WAIT_MICROS);
}

/** There is one TIME-WAIT too many (tcp_max_tw_buckets): the connection ends with its last ACK. */
function overflow(tcb: Tcb): void {
  count(CNT_TCP_TIME_WAIT_OVERFLOW);
  if (tcb.ackNow || tcb.acksOwed) lastAck(tcb);
  finish(tcb, 0, EV_CLOSED);
}

/**
 * Nobody holds the connection any more, and if it is in TIME-WAIT, with everything said, a quarter of a slot will do
 * from now on. Without memory for that it stays as it is, and so does one whose packets go by a route.
 */
export function abridge(tcb: Tcb): void {
  if (tcb.state != TIME_WAIT || tcb.held || tcb.inAccept || tcb.ipOptions) return;
  if (tcb.ackNow || tcb.acksOwed || tcb.ackAt != NEVER) return;
  const at = newTimeWait(tcb.waitAt);
  if (at == 0) return;
  const it = TimeWait.at(at);
  memory.copy(at, changetype<usize>(tcb), TCB_STATE);
  it.hops = tcb.hops;
  it.rcvWscale = tcb.rcvWscale;
  it.slot = tcb.slot;
  it.generation = tcb.generation;
  it.flow = tcb.flow;
  it.pseudo = tcb.pseudo;
  it.ipId = tcb.ipId;
  it.tsAge = tcb.tsAge;
  it.sndNxt = tcb.sndNxt;
  it.rcvNxt = tcb.rcvNxt;
  // What the last ACK said of it, so that the field can say it again.
  it.rcvWnd = tcb.rcvWnd;
  assert((it.rcvWnd >> it.rcvWscale) << it.rcvWscale == it.rcvWnd);
  it.maxSndWnd = tcb.maxSndWnd;
  it.tsRecent = tcb.tsRecent;
  it.challengeAt = u32(u64(tcb.challengeAt));
  it.challenges = now - tcb.challengeAt < SECOND ? u16(tcb.challenges) : 0;
  it.tsOk = tcb.tsOk;
  it.mayFragment = tcb.mayFragment;
  finish(tcb, 0, 0);
  enterTable(Tcb.at(at));
}

/** A new connection takes the place of the one in TIME-WAIT at `at`; returns the SND.NXT it was at. */
export function replaceTimeWait(at: usize): Seq {
  const tcb = Tcb.at(at);
  const brief = tcb.state == TIME_WAIT_BRIEF;
  const sndNxt = brief ? TimeWait.at(at).sndNxt : tcb.sndNxt;
  count(CNT_TW_RECYCLED);
  if (brief) endTimeWait(TimeWait.at(at));
  else finish(tcb, 0, 0);
  return sndNxt;
}

/** Our FIN is acknowledged. Nobody waits for the peer's once the holder has gone: Linux's tcp_fin_timeout. */
export function enterFinWait2(tcb: Tcb): void {
  setState(tcb, FIN_WAIT_2);
  if (tcb.orphan) armWait(tcb, now + f64(setting(SET_FIN_TIMEOUT)) * SECOND);
}

/** The connection is over: `error` (results.ts) says how, 0 for well; `event` is told to the holder. */
export function finish(tcb: Tcb, error: i32, event: u32): void {
  if (tcb.state == CLOSED) return;
  if (tcb.openedFast) leavePending(tcb, error == ERR_RESET);
  else if (tcb.state == SYN_RECEIVED && tcb.passive) leaveBacklog(tcb);
  // A refusal is an answer, and the user's own doing none at all.
  else if (tcb.choices & FAST_OPEN && error && error != ERR_REFUSED && error != ERR_ABORTED)
    fastOpenFailed(tcb);
  leaveTable(tcb);
  leaveMemory(tcb);
  setState(tcb, CLOSED);
  disarmAll(tcb);
  tcb.error = error;
  clearScoreboard(tcb);
  forgetRecords(tcb);
  tcb.sndStream.clear();
  tcb.runs.clear();
  if (event) raise(tcb, event);
  if (!tcb.held && !tcb.inAccept) freeTcb(tcb);
}

/** Give back a TCB in CLOSED, with whatever it still holds. */
export function freeTcb(tcb: Tcb): void {
  assert(tcb.state == CLOSED && !tcb.inAccept);
  tcb.rcvStream.clear();
  forgetRecords(tcb);
  if (tcb.annex) dropAnnex(tcb);
  release(tcb);
}

/** A SYN,ACK of ours is acknowledged: whether the listener still has a place for the connection. */
export function canAccept(tcb: Tcb): bool {
  return backlogLeft(tcb) != 0;
}

/** What a connection that hears nothing ends with: the reason, if ICMP gave one. */
export function timeoutError(tcb: Tcb): i32 {
  return tcb.softError ? tcb.softError : ERR_TIMED_OUT;
}
