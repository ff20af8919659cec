import { restartControl } from "./congestion/control.ts";
import { restartKeepalive } from "./keepalive.ts";
import { setFastOpen, setFastOpenKeys } from "./listener.ts";
import { fitSegments } from "./path.ts";
import { staging } from "./pool.ts";
import { handle, wantOutput } from "./queues.ts";
import { ackAtOnce } from "./receive/text.ts";
import { inheritSendBuffer, setSendBuffer } from "./send/buffer.ts";
import { limitPace, Pacing } from "./send/pacing.ts";
import { SEND_BUFFER, SEND_NOTSENT_LOWAT } from "./shared/annex-layout.ts";
import { ERR_INVALID, ERR_NO_MEMORY, ERR_STALE } from "./shared/results.ts";
import { LISTEN, SYN_SENT } from "./shared/states.ts";
import {
  OPT_CONGESTION_CONTROL,
  OPT_CORK,
  OPT_DSCP,
  OPT_FAST_OPEN,
  OPT_FAST_OPEN_KEY,
  OPT_HOP_LIMIT,
  OPT_KEEP_ALIVE,
  OPT_KEEP_COUNT,
  OPT_KEEP_IDLE,
  OPT_KEEP_INTERVAL,
  OPT_LINGER_RESET,
  OPT_MAX_PACING_RATE,
  OPT_MAX_SEGMENT,
  OPT_NO_DELAY,
  OPT_NOTSENT_LOWAT,
  OPT_RECEIVE_BUFFER,
  OPT_SEND_BUFFER,
  OPT_USER_TIMEOUT,
  OPT_USER_TIMEOUT_OPTION,
} from "./shared/user-options.ts";
import { CORK, LINGER_RESET, Tcb } from "./tcb.ts";
import { advertiseUserTimeout, inheritUserTimeout, setUserTimeout } from "./user-timeout.ts";
import { inheritWindow, setReceiveBuffer } from "./window.ts";

/** What of `flow` is the flow label. */
const FLOW_LABEL: u32 = 0xfffff;
/** DSCP stands above ECN in the traffic class, which stands above the flow label. */
const DSCP_SHIFT: u32 = 22;

/** Set an option of shared/user-options.ts on a connection; the manager has checked the value. */
export function setOption(slot: u32, generation: u32, option: u32, value: u32): i32 {
  const at = handle(slot, generation);
  if (at == 0) return ERR_STALE;
  const tcb = Tcb.at(at);
  // A listener says nothing itself: what is set on it is for the connections that begin with it.
  const talks = tcb.state != LISTEN;
  if (option == OPT_NO_DELAY) {
    tcb.noDelay = u8(value);
    if (value && talks) wantOutput(tcb);
  } else if (option == OPT_CORK) {
    choose(tcb, CORK, value);
    // Uncorked, what was held back goes.
    if (!value && talks) wantOutput(tcb);
  } else if (option == OPT_USER_TIMEOUT) setUserTimeout(tcb, value);
  else if (option == OPT_USER_TIMEOUT_OPTION) {
    advertiseUserTimeout(tcb, value);
    // What changes while they talk is told at once.
    if (value && talks && tcb.state != SYN_SENT) ackAtOnce(tcb);
  } else if (option == OPT_LINGER_RESET) choose(tcb, LINGER_RESET, value);
  else if (option == OPT_MAX_SEGMENT) {
    tcb.maxSegment = u16(value);
    if (value && talks) applyMaxSegment(tcb);
  } else if (option == OPT_DSCP) tcb.flow = (tcb.flow & FLOW_LABEL) | (value << DSCP_SHIFT);
  else if (option == OPT_HOP_LIMIT) tcb.hops = u8(value);
  else if (option == OPT_CONGESTION_CONTROL) {
    restartControl(tcb, value);
    if (talks) wantOutput(tcb);
  } else if (option == OPT_MAX_PACING_RATE) {
    if (!limitPace(tcb, value)) return ERR_NO_MEMORY;
    if (talks) wantOutput(tcb);
  } else if (option == OPT_RECEIVE_BUFFER) setReceiveBuffer(tcb, value);
  else if (option == OPT_SEND_BUFFER || option == OPT_NOTSENT_LOWAT) {
    if (!setSendBuffer(tcb, option == OPT_SEND_BUFFER ? SEND_BUFFER : SEND_NOTSENT_LOWAT, value))
      return ERR_NO_MEMORY;
  } else if (option == OPT_FAST_OPEN || option == OPT_FAST_OPEN_KEY) {
    if (talks) return ERR_INVALID;
    if (option == OPT_FAST_OPEN) setFastOpen(tcb, value);
    else setFastOpenKeys(tcb, staging, value);
  } else {
    if (option == OPT_KEEP_ALIVE) tcb.keepAlive = u8(value);
    else if (option == OPT_KEEP_IDLE) tcb.keepIdle = u16(value);
    else if (option == OPT_KEEP_INTERVAL) tcb.keepInterval = u16(value);
    else if (option == OPT_KEEP_COUNT) tcb.keepCount = u8(value);
    restartKeepalive(tcb);
  }
  return 0;
}

function choose(tcb: Tcb, bit: u8, value: u32): void {
  if (value) tcb.choices |= bit;
  else tcb.choices &= ~bit;
}

/** Send no longer segments from now on; before the SYN has gone, ask for no longer ones either (TCP_MAXSEG). */
function applyMaxSegment(tcb: Tcb): void {
  if (tcb.state != SYN_SENT) fitSegments(tcb);
  else if (tcb.sndNxt == tcb.iss) tcb.advMss = min<u16>(tcb.advMss, tcb.maxSegment);
}

/** The MSS that the SYN,ACKs of a listener ask for, where the interface takes `most`. */
export function listenerMss(listener: Tcb, most: u32): u32 {
  return listener.maxSegment ? min<u32>(most, listener.maxSegment) : most;
}

/** A connection begins with what is set on its listener, as in the sockets API; its SYN is yet to be taken. */
export function inheritOptions(child: Tcb, listener: Tcb): void {
  child.noDelay = listener.noDelay;
  child.choices = listener.choices;
  child.keepAlive = listener.keepAlive;
  child.keepIdle = listener.keepIdle;
  child.keepInterval = listener.keepInterval;
  child.keepCount = listener.keepCount;
  child.hops = listener.hops;
  child.flow |= listener.flow & ~FLOW_LABEL;
  child.maxSegment = listener.maxSegment;
  child.advMss = u16(listenerMss(listener, child.advMss));
  inheritUserTimeout(child, listener);
  inheritWindow(child, listener);
  inheritSendBuffer(child, listener);
  if (listener.annex) limitPace(child, Pacing.of(listener).most);
}
