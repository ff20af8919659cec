import { initialWindow } from "../congestion/newreno.ts";
import { blocksLeft, blocksTotal } from "../pool.ts";
import { setting } from "../settings.ts";
import { SET_WMEM_DEFAULT, SET_WMEM_MAX } from "../shared/control.ts";
import { BLOCK_SIZE } from "../shared/sizes.ts";
import { Tcb } from "../tcb.ts";

/** Octets that may be queued: twice what the congestion window lets fly, between tcp_wmem's default and maximum. */
function limit(tcb: Tcb): u32 {
  const wanted = 2 * max(tcb.cwnd, initialWindow(tcb.sndMss));
  return min(max(wanted, u32(setting(SET_WMEM_DEFAULT))), u32(setting(SET_WMEM_MAX)));
}

/** Octets `write` may take now. The last quarter of the pool is kept for text that arrives. */
export function sendRoom(tcb: Tcb): u32 {
  const queued = tcb.sndEnd.since(tcb.sndTextStart);
  const most = limit(tcb);
  if (queued >= most) return 0;
  const left = blocksLeft();
  const reserve = blocksTotal() >> 2;
  // Below the reserve a connection still gets one block of its own: no number of full buffers stops a quiet one.
  if (left <= reserve) return queued == 0 ? min(most, BLOCK_SIZE) : 0;
  return min(most - queued, (left - reserve) * BLOCK_SIZE);
}
