import { add, finish, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { headerSum, IPV4_HEADER, IPV6_HEADER } from "../packet/ip.ts";
import { TIMESTAMPS_LENGTH } from "../packet/options.ts";
import { CWR, PSH, TCP_HEADER } from "../packet/segment.ts";
import { Seq } from "../seq.ts";
import { CNT_OUT_SEGS } from "../shared/counters.ts";
import { Tcb } from "../tcb.ts";
import { commitRaw, copyText, leavesSums, nextPacket } from "./packet.ts";

// What follows a segment of new text in the same breath has its header but for numbers, PSH and checksums: it is copied from
// there, and what the header says of the connection need not be found out again.

/** The packet whose header that is, in the transmit area; 0: none. */
let first: usize = 0;
let ipLength: u32 = 0;
let tcpLength: u32 = 0;
/** Its flags, without PSH. */
let flags: u32 = 0;

/** What comes next may be of another connection, or of another time. */
export function endBurst(): void {
  first = 0;
}

/** The packet at `at`, with a TCP header of `header` octets that has `said` as its flags, was a segment of new text. */
export function beginBurst(tcb: Tcb, at: usize, header: u32, said: u32): void {
  // What is said of holes, of urgent text or of a window that was reduced is said once, or depends on where a segment stands.
  if (header != (tcb.tsOk ? TCP_HEADER + TIMESTAMPS_LENGTH : TCP_HEADER)) return;
  if (tcb.urgent || said & CWR || tcb.ipOptions || leavesSums) return;
  first = at;
  ipLength = tcb.family == 4 ? IPV4_HEADER : IPV6_HEADER;
  tcpLength = header;
  flags = said & ~PSH;
}

export function isBurst(): bool {
  return first != 0;
}

/** Make the packet of the next `length` octets of text, at `seq`; there must be room for it. */
export function repeat(tcb: Tcb, seq: Seq, length: u32, push: bool): void {
  const at = nextPacket();
  const tcp = at + ipLength;
  const text = tcp + tcpLength;
  let to = at;
  for (let from = first; to + 8 <= text; from += 8, to += 8) store<u64>(to, load<u64>(from));
  // What is left of a header of 52 octets.
  if (to < text) store<u32>(to, load<u32>(to - at + first));
  const segmentLength = tcpLength + length;
  const id = tcb.ipId;
  tcb.ipId = id + 1;
  tcb.segsOut++;
  if (ipLength == IPV4_HEADER) {
    store<u16>(at, bswap<u16>(u16(ipLength + segmentLength)), 2);
    store<u16>(at, bswap<u16>(id), 4);
    store<u16>(at, 0, 10);
    store<u16>(at, u16(finish(headerSum(at))), 10);
  } else store<u16>(at, bswap<u16>(u16(segmentLength)), 4);
  store<u32>(tcp, bswap<u32>(seq.u32), 4);
  store<u8>(tcp, u8(push ? flags | PSH : flags), 13);
  store<u16>(tcp, 0, 16);
  const textSum = copyText(text, tcb.sndStream, seq, length);
  const pseudo = add(tcb.pseudo, bswap<u16>(u16(segmentLength)));
  store<u16>(tcp, u16(finish(add(add(sum(tcp, tcpLength), textSum), pseudo))), 16);
  commitRaw(ipLength + segmentLength, 0);
  count(CNT_OUT_SEGS);
}
