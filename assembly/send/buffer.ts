import { initialWindow } from "../congestion/newreno.ts";
import { spareBlocks } from "../pool.ts";
import { setting } from "../settings.ts";
import { SET_WMEM_DEFAULT, SET_WMEM_MAX } from "../shared/control.ts";
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
  return min(most - queued, max(spare, queued == 0 ? u32(BLOCK_SIZE) : 0));
}
