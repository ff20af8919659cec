import { checkCookie, grants, makeCookie, restoreOptions } from "../cookies.ts";
import { count } from "../counters.ts";
import { grantEcn } from "../ecn.ts";
import { opensFast, synAck } from "../fast-open/server.ts";
import {
  beginConnection,
  headers,
  newTcb,
  peerMss,
  setIss,
  setState,
  takeSyn,
  takeTuple,
} from "../lifecycle.ts";
import {
  acceptRoom,
  enqueueAccept,
  enterBacklog,
  enterPending,
  sentCookies,
  setCookieTime,
  synRoom,
} from "../listener.ts";
import { ACK, RST, SYN, segment } from "../packet/segment.ts";
import { isExhausted } from "../pool.ts";
import { wantOutput } from "../queues.ts";
import { answerSyn, grantOptions, resetAck } from "../send/replies.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import { SET_MTU, SET_SYNCOOKIES, SET_TIMESTAMPS } from "../shared/control.ts";
import {
  CNT_LISTEN_DROPS,
  CNT_LISTEN_OVERFLOWS,
  CNT_PASSIVE_OPENS,
  CNT_SYNCOOKIES_FAILED,
  CNT_SYNCOOKIES_RECV,
  CNT_SYNCOOKIES_SENT,
  CNT_TCP_MEMORY_PRESSURES,
  CNT_TCP_REQ_Q_FULL_DO_COOKIES,
  CNT_TCP_REQ_Q_FULL_DROP,
} from "../shared/counters.ts";
import { SYN_RECEIVED } from "../shared/states.ts";
import { takeRoute } from "../source-route.ts";
import { Tcb } from "../tcb.ts";
import { inheritOptions, listenerMss } from "../user-options.ts";
import { firstBuffer, receiveScale } from "../window.ts";
import { segmentArrives } from "./segment-arrives.ts";
import { takeSynText } from "./text.ts";

// SEGMENT ARRIVES for a listener.

/** Value of tcp_syncookies: not only when the queue is full. */
const ALWAYS: i32 = 2;

/** RFC 9293 §3.10.7.2. */
export function listenArrives(listener: Tcb, floor: Seq): void {
  if (segment.has(RST)) return;
  if (segment.has(ACK)) {
    if (segment.has(SYN) || !cookieReturns(listener)) resetAck();
    return;
  }
  if (!segment.has(SYN)) return;
  if (!acceptRoom(listener)) {
    count(CNT_LISTEN_OVERFLOWS);
    count(CNT_LISTEN_DROPS);
    return;
  }
  const cookies = setting(SET_SYNCOOKIES);
  if (cookies == ALWAYS || !synRoom(listener)) {
    if (cookies) {
      sendCookie(listener);
    } else {
      count(CNT_TCP_REQ_Q_FULL_DROP);
      count(CNT_LISTEN_DROPS);
    }
    return;
  }
  const at: usize = isExhausted() ? 0 : newTcb();
  if (at == 0) {
    count(CNT_TCP_MEMORY_PRESSURES);
    count(CNT_LISTEN_DROPS);
    return;
  }
  const child = Tcb.at(at);
  takeTuple(child);
  beginConnection(child);
  inheritOptions(child, listener);
  if (floor != Seq.of(0) && child.iss <= floor) setIss(child, floor.plus(65537));
  takeSyn(child);
  takeRoute(child);
  child.listener = u32(changetype<usize>(listener));
  const fast = opensFast(child, listener);
  if (fast) enterPending(listener, child);
  else enterBacklog(listener, child);
  setState(child, SYN_RECEIVED);
  child.sndWnd = segment.window;
  child.maxSndWnd = segment.window;
  child.sndWl1 = segment.seq;
  child.synPending = synAck;
  count(CNT_PASSIVE_OPENS);
  wantOutput(child);
  // Otherwise text on a SYN is left for the peer to repeat, as its FIN always is: only the SYN will be acknowledged.
  if (!fast) return;
  takeSynText(child);
  enqueueAccept(child);
}

/** Answer a SYN that the queue has no place for, keeping nothing of it. */
function sendCookie(listener: Tcb): void {
  const mtu: u32 = setting(SET_MTU);
  const advMss = listenerMss(listener, mtu - headers(segment.family));
  const at = answerSyn(makeCookie(peerMss()), advMss, min<u32>(firstBuffer(listener), 0xffff));
  if (at && segment.hasTimestamp && setting(SET_TIMESTAMPS))
    grantOptions(at, grants(), receiveScale(listener));
  setCookieTime(listener);
  count(CNT_TCP_REQ_Q_FULL_DO_COOKIES);
  count(CNT_SYNCOOKIES_SENT);
}

/** Whether the ACK for a listener proves that its sender was sent a cookie; if so, its connection begins with it. */
function cookieReturns(listener: Tcb): bool {
  if (!setting(SET_SYNCOOKIES) || !sentCookies(listener)) return false;
  const mss = checkCookie();
  if (mss == 0) {
    count(CNT_SYNCOOKIES_FAILED);
    return false;
  }
  count(CNT_SYNCOOKIES_RECV);
  if (!acceptRoom(listener)) {
    // The peer will repeat it.
    count(CNT_LISTEN_OVERFLOWS);
    count(CNT_LISTEN_DROPS);
    return true;
  }
  const at: usize = isExhausted() ? 0 : newTcb();
  if (at == 0) {
    count(CNT_TCP_MEMORY_PRESSURES);
    count(CNT_LISTEN_DROPS);
    return true;
  }
  const child = Tcb.at(at);
  takeTuple(child);
  beginConnection(child);
  inheritOptions(child, listener);
  setIss(child, segment.ack.minus(1));
  child.sndNxt = segment.ack;
  // The SYN as it was, as far as the cookie tells.
  segment.seq = segment.seq.minus(1);
  segment.hasMss = true;
  segment.mss = mss;
  const ecn = restoreOptions(child.tsOffset);
  takeSyn(child);
  if (ecn) grantEcn(child);
  segment.seq = segment.seq.plus(1);
  enterBacklog(listener, child);
  setState(child, SYN_RECEIVED);
  count(CNT_PASSIVE_OPENS);
  segmentArrives(child);
  return true;
}
