import { WINDOW_SCALE_MAX } from "./packet/options.ts";
import { spareBlocks } from "./pool.ts";
import { setting } from "./settings.ts";
import { SET_RMEM_DEFAULT, SET_RMEM_MAX } from "./shared/control.ts";
import { BLOCK_SIZE } from "./shared/sizes.ts";
import { SYN_SENT } from "./shared/states.ts";
import { RECEIVE_BUFFER_FIXED, Tcb } from "./tcb.ts";

// The receive window: RFC 9293 §3.8.6.2.2, never moving its right edge left (§3.8.6, SHLD-14).

/** The buffer of a connection of this listener's, until it grows. */
export function firstBuffer(listener: Tcb): u32 {
  return listener.isReceiveBufferFixed ? listener.rcvBuf : u32(setting(SET_RMEM_DEFAULT));
}

/**
 * The window scale offered with `tcb`, a connection's or a listener's: that of the largest buffer it may come to have
 * (RFC 7323 §2.3), by the setting; of memory there may be less.
 */
export function receiveScale(tcb: Tcb): u32 {
  const most = tcb.isReceiveBufferFixed ? tcb.rcvBuf : u32(setting(SET_RMEM_MAX));
  let scale: u32 = 0;
  while (scale < WINDOW_SCALE_MAX && most > u32(0xffff) << scale) scale++;
  return scale;
}

/** A connection begins: as the settings have it. */
export function beginWindow(tcb: Tcb): void {
  tcb.rcvBuf = firstBuffer(tcb);
  tcb.rcvWscale = tcb.windowScaling ? u8(receiveScale(tcb)) : 0;
}

/** It does so with what is set on its listener, whose choices it has taken. */
export function inheritWindow(child: Tcb, listener: Tcb): void {
  if (!listener.isReceiveBufferFixed) return;
  child.rcvBuf = listener.rcvBuf;
  beginWindow(child);
}

/** The user sets the buffer's size; from now on it stays as it is (SO_RCVBUF). What was offered stays so, too. */
export function setReceiveBuffer(tcb: Tcb, octets: u32): void {
  tcb.choices |= RECEIVE_BUFFER_FIXED;
  tcb.rcvBuf = octets;
  // The scale has been told once the SYN has gone.
  if (tcb.state == SYN_SENT && tcb.sndNxt == tcb.iss) beginWindow(tcb);
}

/** Octets the peer may still send beyond RCV.NXT as far as memory goes. */
function room(tcb: Tcb): u32 {
  const unread = tcb.rcvNxt.since(tcb.rcvRead);
  if (unread >= tcb.rcvBuf) return 0;
  const own = tcb.rcvBuf - unread;
  // No more than memory would be given for; a block's worth at least, which is.
  const spare = spareBlocks(tcb.rcvStream.blocks) * BLOCK_SIZE;
  return min(own, max(spare, unread < u32(BLOCK_SIZE) ? u32(BLOCK_SIZE) - unread : 0));
}

/** Where the right edge would stand if it were advertised now, as a distance from RCV.NXT. */
function candidate(tcb: Tcb): u32 {
  const offered = tcb.rcvWnd;
  const free = room(tcb);
  // Receiver's silly window avoidance: open by a segment or half the buffer, or not at all.
  if (free <= offered || free - offered < min(tcb.rcvBuf >> 1, u32(tcb.advMss))) return offered;
  // What the window field cannot say is no room: a peer told of it would see the same window again.
  return min(free, max(offered, u32(0xffff) << tcb.rcvWscale));
}

/** The window field of a segment about to be sent; moves the advertised edge. */
export function advertise(tcb: Tcb): u32 {
  const scale: u32 = tcb.rcvWscale;
  const offered = tcb.rcvWnd;
  const wanted = candidate(tcb);
  // A new edge is rounded down to what the field can say; the old edge up, or it would move left.
  let field = wanted >> scale;
  if (field << scale < offered) field = (offered + (1 << scale) - 1) >> scale;
  field = min<u32>(field, 0xffff);
  tcb.rcvAdv = tcb.rcvNxt.plus(max(offered, field << scale));
  return field;
}

/** Whether reading has made enough room that the peer should be told without waiting for its next segment. */
export function worthTelling(tcb: Tcb): bool {
  const offered = tcb.rcvWnd;
  const wanted = candidate(tcb);
  return (
    wanted > offered &&
    offered < tcb.rcvBuf >> 1 &&
    wanted - offered >= min(tcb.rcvBuf >> 1, 2 * u32(tcb.advMss))
  );
}
