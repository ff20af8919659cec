import { blocksLeft, blocksTotal } from "./pool.ts";
import { BLOCK_SIZE } from "./shared/sizes.ts";
import { Tcb } from "./tcb.ts";

// The receive window: RFC 9293 §3.8.6.2.2, never moving its right edge left (§3.8.6, SHLD-14).

/** Octets the peer may still send beyond RCV.NXT as far as memory goes. */
function room(tcb: Tcb): u32 {
  const unread = tcb.rcvNxt.since(tcb.rcvRead);
  if (unread >= tcb.rcvBuf) return 0;
  const own = tcb.rcvBuf - unread;
  // While less than a quarter of the pool is left, nobody is promised more than a small share of it.
  const left = blocksLeft();
  if (left >= blocksTotal() >> 2) return own;
  return min(own, (left >> 3) * BLOCK_SIZE);
}

/** Where the right edge would stand if it were advertised now, as a distance from RCV.NXT. */
function candidate(tcb: Tcb): u32 {
  const offered = tcb.rcvWnd;
  const free = room(tcb);
  // Receiver's silly window avoidance: open by a segment or half the buffer, or not at all.
  return free > offered && free - offered >= min(tcb.rcvBuf >> 1, u32(tcb.advMss)) ? free : offered;
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
