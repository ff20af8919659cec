import { count } from "./counters.ts";
import { SACK, writeSackBlock } from "./packet/options.ts";
import { segment } from "./packet/segment.ts";
import { Seq } from "./seq.ts";
import { setting } from "./settings.ts";
import { SET_DSACK, SET_SACK } from "./shared/control.ts";
import { CNT_TCP_DSACK_OFO_SENT, CNT_TCP_DSACK_OLD_SENT } from "./shared/counters.ts";
import { TIME_WAIT } from "./shared/states.ts";
import { Tcb } from "./tcb.ts";

// What a receiver tells of text beyond a hole (RFC 2018) and of text that has come twice (RFC 2883).

/** Blocks that fit behind two NOPs: four, or three where timestamps take their place (RFC 2018 §3). */
const BLOCKS_MAX: u32 = 4;
/** Two NOPs, kind and length, before the blocks of eight octets. */
const HEADER: u32 = 4;
const BLOCK: u32 = 8;

/** Octets of the longest option, beside timestamps or alone. */
export const SACK_MAX: u32 = HEADER + BLOCKS_MAX * BLOCK;

/** Offer SACK, if that is set. */
export function beginSack(tcb: Tcb): void {
  tcb.sackOk = u8(setting(SET_SACK) != 0);
}

/** The SYN in `segment` has come: both ends must have offered. */
export function takeSackPermitted(tcb: Tcb): void {
  if (!segment.hasSack) tcb.sackOk = 0;
}

/**
 * `length` octets from `start` have come again: the next ACK says so (RFC 2883 §4). `old`: they were acknowledged. In
 * TIME-WAIT, where none of it can be news, nothing is said of it, as in Linux.
 */
export function cameTwice(tcb: Tcb, start: Seq, length: u32, old: bool): void {
  if (!tcb.sackOk || !setting(SET_DSACK) || length == 0 || tcb.state == TIME_WAIT) return;
  tcb.dsackStart = start;
  tcb.dsackLength = u16(min<u32>(length, 0xffff));
  count(old ? CNT_TCP_DSACK_OLD_SENT : CNT_TCP_DSACK_OFO_SENT);
}

/** Octets that writeSack() would write now. */
export function sackLength(tcb: Tcb): u32 {
  if (!tcb.sackOk) return 0;
  const most = BLOCKS_MAX - u32(tcb.tsOk);
  const blocks = min(tcb.runs.count + u32(tcb.dsackLength != 0), most);
  return blocks ? HEADER + blocks * BLOCK : 0;
}

/**
 * Write the blocks: what came twice first, once (RFC 2883 §4); then the runs, those that changed last before the others
 * (RFC 2018 §4). Returns the octets written, as sackLength() says.
 */
export function writeSack(to: usize, tcb: Tcb): u32 {
  const length = sackLength(tcb);
  if (length == 0) return 0;
  store<u32>(to, 0x0101 | (SACK << 16) | ((length - 2) << 24));
  let at = to + HEADER;
  const end = to + length;
  if (tcb.dsackLength) {
    writeSackBlock(at, tcb.dsackStart, tcb.dsackStart.plus(tcb.dsackLength));
    at += BLOCK;
    tcb.dsackLength = 0;
  }
  const runs = tcb.runs;
  for (let i: u32 = 0; at < end; i++) {
    const index = runs.recent(tcb.rcvNxt, i);
    writeSackBlock(at, runs.start(index), runs.end(index));
    at += BLOCK;
  }
  return length;
}
