import { add, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { headerSum, IPV4_HEADER, IPV6_HEADER, PROTOCOL_TCP } from "../packet/ip.ts";
import { TIMESTAMPS_ALIGNED, TIMESTAMPS_LENGTH } from "../packet/options.ts";
import { ACK, PSH, segment, TCP_HEADER } from "../packet/segment.ts";
import { isScored, scoreboard } from "../recovery/scoreboard.ts";
import { CNT_IN_DELIVERS, CNT_IN_SEGS } from "../shared/counters.ts";
import { ESTABLISHED } from "../shared/states.ts";
import { Tcb } from "../tcb.ts";
import { textStored } from "./text.ts";

// Header prediction. Most packets of a batch are the text that follows the text of the packet before them, with the same
// header but for numbers and checksums. Such a one leaves everything it could change as its model, which went the long way
// (segment-arrives.ts), has left it, but for the text it brings; that is summed while it is copied to where it belongs, and
// counts only if the sum is right. 70 ns instead of 190, and one pass over the text less.

/** The packet, in the receive ring, whose like is looked for; 0: none. What it was parsed into is in `segment` still. */
let model: usize = 0;
/** Its connection. */
let flow: usize = 0;
/** Octets of its IP and its TCP header. */
let ipLength: u32 = 0;
let tcpLength: u32 = 0;

/** Flags and header length, as they stand in a header, without PSH. */
const EXCEPT_PUSH: u16 = 0xffff ^ u16(PSH << 8);

/** The ring is another's, or the connection may be. */
export function forgetModel(): void {
  model = 0;
}

/** `segment`, which came with the packet at `at` and whose TCP header stands at `tcp`, has arrived for `tcb`. */
export function takeModel(at: usize, tcp: usize, tcb: Tcb): void {
  const before: u32 = u32(tcp - at);
  // Without options and extension headers.
  if (before != (segment.family == 4 ? IPV4_HEADER : IPV6_HEADER)) return;
  const header = u32(load<u8>(tcp, 12) >> 4) << 2;
  if (header != TCP_HEADER) {
    if (header != TCP_HEADER + TIMESTAMPS_LENGTH || load<u32>(tcp, TCP_HEADER) != TIMESTAMPS_ALIGNED) return;
    if (!tcb.tsOk) return;
  } else if (tcb.tsOk) return;
  if ((load<u8>(tcp, 13) & ~u8(PSH)) != u8(ACK)) return;
  if (!isPlain(tcb) || segment.textLength == 0 || segment.ack != tcb.sndUna) return;
  // Of text that was late, or came again, the next packet may be, too.
  if (segment.seq.plus(segment.textLength) != tcb.rcvNxt || tcb.sndWl1 != segment.seq) return;
  model = at;
  flow = changetype<usize>(tcb);
  ipLength = before;
  tcpLength = header;
}

/** Nothing is under way that an ordinary segment with text could end or change. */
function isPlain(tcb: Tcb): bool {
  return (
    tcb.state == ESTABLISHED &&
    !tcb.runs.count &&
    !tcb.finHeld &&
    !tcb.finReceived &&
    !tcb.orphan &&
    !tcb.urgent &&
    !tcb.dsackLength &&
    tcb.rcvAcked != tcb.rcvNxt &&
    !(isScored(tcb) && scoreboard(tcb).tlpOut)
  );
}

/**
 * Take the packet of `length` octets at `at` if it is the text that follows its model's. False when it is not, or not
 * intact, or its text finds no memory: then nothing was done that counts.
 */
export function isPredicted(at: usize, length: u32): bool {
  const like = model;
  if (like == 0 || length < ipLength + tcpLength) return false;
  let total: u32;
  if (ipLength == IPV4_HEADER) {
    total = bswap<u16>(load<u16>(at, 2));
    if (
      load<u16>(at) != load<u16>(like) ||
      load<u16>(at, 6) != load<u16>(like, 6) ||
      load<u8>(at, 9) != u8(PROTOCOL_TCP) ||
      load<u64>(at, 12) != load<u64>(like, 12)
    )
      return false;
    if (headerSum(at) != 0xffff) return false;
  } else {
    total = IPV6_HEADER + bswap<u16>(load<u16>(at, 4));
    if (
      load<u32>(at) != load<u32>(like) ||
      load<u8>(at, 6) != u8(PROTOCOL_TCP) ||
      load<u64>(at, 8) != load<u64>(like, 8) ||
      load<u64>(at, 16) != load<u64>(like, 16) ||
      load<u64>(at, 24) != load<u64>(like, 24) ||
      load<u64>(at, 32) != load<u64>(like, 32)
    )
      return false;
  }
  if (total > length || total <= ipLength + tcpLength) return false;
  const tcp = at + ipLength;
  const other = like + ipLength;
  if (
    load<u32>(tcp) != load<u32>(other) ||
    load<u32>(tcp, 8) != load<u32>(other, 8) ||
    ((load<u16>(tcp, 12) ^ load<u16>(other, 12)) & EXCEPT_PUSH) != 0 ||
    load<u16>(tcp, 14) != load<u16>(other, 14)
  )
    return false;
  if (
    tcpLength != TCP_HEADER &&
    (load<u32>(tcp, 20) != load<u32>(other, 20) || load<u64>(tcp, 24) != load<u64>(other, 24))
  )
    return false;
  const tcb = Tcb.at(flow);
  const next = tcb.rcvNxt;
  if (bswap<u32>(load<u32>(tcp, 4)) != next.u32) return false;
  const textLength = total - ipLength - tcpLength;
  if (textLength > tcb.rcvWnd) return false;
  const textSum = tcb.rcvStream.putSum(tcb.rcvRead, next, tcp + tcpLength, textLength);
  if (textSum < 0) return false;
  const pseudo = add(tcb.pseudo, bswap<u16>(u16(total - ipLength)));
  if (add(add(sum(tcp, tcpLength), u32(textSum)), pseudo) != 0xffff) return false;
  count(CNT_IN_SEGS);
  count(CNT_IN_DELIVERS);
  tcb.segsIn++;
  tcb.sndWl1 = next;
  segment.seq = next;
  segment.text = tcp + tcpLength;
  segment.textLength = textLength;
  segment.segments = 1;
  segment.size = textLength;
  textStored(tcb);
  return true;
}
