import { initialWindow } from "../congestion/window.ts";
import { blocksLeft, spareBlocks, takeGiven } from "../pool.ts";
import { nextForMemory, raise, waitingForMemory, wantMemory } from "../queues.ts";
import { setting } from "../settings.ts";
import { EV_WRITABLE, SET_WMEM_DEFAULT, SET_WMEM_MAX } from "../shared/control.ts";
import { BLOCK_SIZE } from "../shared/sizes.ts";
import { Tcb } from "../tcb.ts";

/** Octets that may be queued: twice what the congestion window lets fly, between tcp_wmem's default and maximum. */
function limit(tcb: Tcb): u32 {
  const wanted = 2 * max(tcb.cwnd, initialWindow(tcb.sndMss));
  return min(max(wanted, u32(setting(SET_WMEM_DEFAULT))), u32(setting(SET_WMEM_MAX)));
}

/** Octets `write` may take now: what memory is given for, or a block's worth for a connection that has nothing queued. */
export function sendRoom(tcb: Tcb): u32 {
  const queued = tcb.sndEnd.since(tcb.sndTextStart);
  const most = limit(tcb);
  if (queued >= most) return 0;
  const spare = spareBlocks(tcb.sndStream.blocks) * BLOCK_SIZE;
  return min(most - queued, max(spare, queued == 0 && blocksLeft() != 0 ? u32(BLOCK_SIZE) : 0));
}

/** `write` took less than it was given: a `writable` event follows, from an ACK or, if memory was short, from memory. */
export function refused(tcb: Tcb): void {
  tcb.blocked = 1;
  if (tcb.sndEnd.since(tcb.sndTextStart) < limit(tcb)) wantMemory(tcb);
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
