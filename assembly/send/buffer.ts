import { annexOf } from "../annex.ts";
import { fedWindow } from "../congestion/control.ts";
import { initialWindow } from "../congestion/window.ts";
import { blocksLeft, spareBlocks, takeGiven } from "../pool.ts";
import { nextForMemory, raise, waitingForMemory, wantMemory } from "../queues.ts";
import { setting } from "../settings.ts";
import { ANNEX_SEND, ANNEX_SEND_BYTES, SEND_BUFFER, SEND_NOTSENT_LOWAT } from "../shared/annex-layout.ts";
import { EV_WRITABLE, SET_NOTSENT_LOWAT, SET_WMEM_DEFAULT, SET_WMEM_MAX } from "../shared/control.ts";
import { BLOCK_SIZE } from "../shared/sizes.ts";
import { Tcb } from "../tcb.ts";

/** Linux's default of tcp_notsent_lowat. */
const NO_LIMIT: u32 = 0xffffffff;

/** A size that the user has set, one of those in shared/annex-layout.ts; 0 when it was not. */
function chosen(tcb: Tcb, size: usize): u32 {
  return tcb.annex ? load<u32>(usize(tcb.annex) + size) : 0;
}

/** The user sets one of them. False when there is no memory for it. */
export function setSendBuffer(tcb: Tcb, size: usize, octets: u32): bool {
  const annex = annexOf(tcb);
  if (annex == 0) return false;
  store<u32>(annex + size, octets);
  if (tcb.blocked) wakeWriter(tcb);
  return true;
}

/** A connection begins with what is set on its listener, if memory permits. */
export function inheritSendBuffer(child: Tcb, listener: Tcb): void {
  if (listener.annex == 0) return;
  const annex = annexOf(child);
  if (annex) memory.copy(annex + ANNEX_SEND, usize(listener.annex) + ANNEX_SEND, ANNEX_SEND_BYTES);
}

/** Octets that may be queued: twice what congestion control lets fly, between tcp_wmem's default and maximum. */
function limit(tcb: Tcb): u32 {
  const fixed = chosen(tcb, SEND_BUFFER);
  if (fixed) return fixed;
  const wanted = 2 * max(fedWindow(tcb), initialWindow(tcb.sndMss));
  return min(max(wanted, u32(setting(SET_WMEM_DEFAULT))), u32(setting(SET_WMEM_MAX)));
}

/** Octets of text that may wait to be sent, tcp_notsent_lowat: fewer must, for `write` to take more. */
function unsentLimit(tcb: Tcb): u32 {
  const own = chosen(tcb, SEND_NOTSENT_LOWAT);
  return own ? own : u32(setting(SET_NOTSENT_LOWAT));
}

function unsentText(tcb: Tcb): u32 {
  return tcb.sndNxt < tcb.sndEnd ? tcb.sndEnd.since(tcb.sndNxt) : 0;
}

/** What memory is given for, or a block's worth for a connection that has nothing queued. */
function bufferRoom(tcb: Tcb): u32 {
  const queued = tcb.sndEnd.since(tcb.sndTextStart);
  const most = limit(tcb);
  if (queued >= most) return 0;
  const spare = spareBlocks(tcb.sndStream.blocks) * BLOCK_SIZE;
  return min(most - queued, max(spare, queued == 0 && blocksLeft() != 0 ? u32(BLOCK_SIZE) : 0));
}

/** Octets `write` may take now. */
export function sendRoom(tcb: Tcb): u32 {
  const most = unsentLimit(tcb);
  if (most == NO_LIMIT) return bufferRoom(tcb);
  const unsent = unsentText(tcb);
  if (unsent >= most) return 0;
  // As Linux takes whole buffers: a limit of one octet means that all before has been sent, not single octets.
  return min(bufferRoom(tcb), max(most, u32(BLOCK_SIZE)) - unsent);
}

/** `write` took less than it was given: a `writable` event follows, from an ACK or, if memory was short, from memory. */
export function refused(tcb: Tcb): void {
  tcb.blocked = 1;
  if (tcb.sndEnd.since(tcb.sndTextStart) < limit(tcb) && unsentText(tcb) < unsentLimit(tcb)) wantMemory(tcb);
}

/** Something was acknowledged: tell a writer that was refused, once there is room worth being woken for. */
export function wakeWriter(tcb: Tcb): void {
  // Two thirds may fill up again before that, and half of what may wait to be sent.
  if (bufferRoom(tcb) < tcb.sndEnd.since(tcb.sndTextStart) >> 1) return;
  const most = unsentLimit(tcb);
  if (most != NO_LIMIT && unsentText(tcb) > (most - 1) >> 1) return;
  tcb.blocked = 0;
  raise(tcb, EV_WRITABLE);
}

/** Something was sent: that makes room where what waits to be sent is limited. */
export function wakeUnsent(tcb: Tcb): void {
  if (unsentLimit(tcb) != NO_LIMIT) wakeWriter(tcb);
}

/**
 * Wake writers that were refused for want of memory, in their order, as far as what has been given back goes. Whether
 * there were any.
 */
export function wakeWriters(): bool {
  if (!takeGiven()) return false;
  const before = blocksLeft();
  let left = before;
  // Each is asked once; whoever still has no room goes behind the others.
  for (let waiters = waitingForMemory(); waiters && left; waiters--) {
    const tcb = Tcb.at(nextForMemory());
    if (tcb.blocked && tcb.held && !tcb.finQueued) {
      if (sendRoom(tcb) != 0) {
        tcb.blocked = 0;
        raise(tcb, EV_WRITABLE);
        left--;
      } else wantMemory(tcb);
    }
  }
  return left != before;
}
