import { addressHigh, addressLow } from "../addresses.ts";
import { add, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { PROTOCOL_TCP } from "../packet/ip.ts";
import { writeMss } from "../packet/options.ts";
import { ACK, RST, SYN, segment, TCP_HEADER } from "../packet/segment.ts";
import { Seq } from "../seq.ts";
import { CNT_OUT_RSTS, CNT_TCP_RETRANS_FAIL } from "../shared/counters.ts";
import { TCB_LOCAL_ADDRESS } from "../shared/tcb-layout.ts";
import { Tcb } from "../tcb.ts";
import { commit, fits, ipHeader, nextTcp, writePorts, writeTcp } from "./packet.ts";

// Segments that belong to no connection, or to one that is gone by the time they leave: resets. They wait in a ring of
// fixed records; when it is full the newest is dropped, as a network may drop any reset.

/** As many as a batch of arriving packets can ask for. */
const RECORDS: u32 = 512;
const MSS_OPTION: u32 = 4;
const RECORD: u32 = 56;
// An entry: local address 0, remote address 16, ports 32 and 34, SEQ 36, ACK 40, flags 44, family 48, hop limit 49; of a
// SYN,ACK also the MSS 52 and the window 54, of a connection's reset its flow 52.
const ring = memory.data(512 * 56, 8);
let head: u32 = 0;
let waiting: u32 = 0;

function next(): usize {
  if (waiting == RECORDS) {
    count(CNT_TCP_RETRANS_FAIL);
    return 0;
  }
  const at = ring + ((head + waiting) & (RECORDS - 1)) * RECORD;
  waiting++;
  return at;
}

function put(at: usize, localPort: u32, remotePort: u32, seq: Seq, ack: Seq, flags: u32, family: u32): void {
  store<u16>(at, u16(localPort), 32);
  store<u16>(at, u16(remotePort), 34);
  store<u32>(at, seq.u32, 36);
  store<u32>(at, ack.u32, 40);
  store<u32>(at, flags, 44);
  store<u32>(at, family, 48);
  store<u32>(at, 0, 52);
}

function answer(seq: Seq, ack: Seq, flags: u32): usize {
  const at = next();
  if (at == 0) return 0;
  store<u64>(at, addressHigh(segment.family, segment.destination));
  store<u64>(at, addressLow(segment.family, segment.destination), 8);
  store<u64>(at, addressHigh(segment.family, segment.source), 16);
  store<u64>(at, addressLow(segment.family, segment.source), 24);
  put(at, segment.destinationPort, segment.sourcePort, seq, ack, flags, segment.family);
  return at;
}

/** Answer the SYN in `segment` with <SEQ=seq><ACK=SEG.SEQ+1><CTL=SYN,ACK>, an MSS option and a window, and forget it. */
export function answerSyn(seq: Seq, mss: u32, window: u32): void {
  const at = answer(seq, segment.seq.plus(1), SYN | ACK);
  if (at) store<u32>(at, mss | (window << 16), 52);
}

/** Answer `segment` as RFC 9293 §3.10.7.1 has it for a connection that does not exist. */
export function reset(): void {
  if (segment.has(RST)) return;
  if (segment.has(ACK)) answer(segment.ack, Seq.of(0), RST);
  else answer(Seq.of(0), segment.seq.plus(segment.length), RST | ACK);
}

/** Answer a segment with an unacceptable ACK: <SEQ=SEG.ACK><CTL=RST>. */
export function resetAck(): void {
  if (!segment.has(RST)) answer(segment.ack, Seq.of(0), RST);
}

/** Answer text that nobody is left to read: <SEQ=SND.NXT><CTL=RST>. */
export function resetUnread(tcb: Tcb): void {
  answer(tcb.sndNxt, Seq.of(0), RST);
}

/** Tell the peer of `tcb` that the connection is aborted. Like Linux's, the reset acknowledges, which RFC 9293 allows. */
export function resetConnection(tcb: Tcb): void {
  const at = next();
  if (at == 0) return;
  memory.copy(at, changetype<usize>(tcb) + TCB_LOCAL_ADDRESS, 32);
  put(at, tcb.localPort, tcb.remotePort, tcb.sndNxt, tcb.rcvNxt, RST | ACK, tcb.family);
  store<u8>(at, tcb.hops, 49);
  store<u32>(at, tcb.flow, 52);
}

/** Move replies into the batch. False when it is full before they are all in. */
export function emitReplies(): bool {
  while (waiting) {
    const at = ring + head * RECORD;
    const family: u32 = load<u8>(at, 48);
    if (!fits(ipHeader(family) + TCP_HEADER + MSS_OPTION)) return false;
    const to = nextTcp(family);
    const flags = load<u32>(at, 44);
    let length = TCP_HEADER;
    let window: u32 = 0;
    let flow = load<u32>(at, 52);
    if (flags & SYN) {
      flow = 0;
      length += writeMss(to + TCP_HEADER, load<u16>(at, 52));
      window = load<u16>(at, 54);
    }
    writePorts(to, load<u16>(at, 32), load<u16>(at, 34));
    writeTcp(to, Seq.of(load<u32>(at, 36)), Seq.of(load<u32>(at, 40)), length, flags, window);
    // The fixed octets of a mapped address would spoil the sum.
    const skip: u32 = family == 4 ? 12 : 0;
    const addresses = add(sum(at + skip, 16 - skip), sum(at + 16 + skip, 16 - skip));
    commit(family, at, add(addresses, PROTOCOL_TCP << 8), length, 0, 0, 0, flow, load<u8>(at, 49));
    if (flags & RST) count(CNT_OUT_RSTS);
    head = (head + 1) & (RECORDS - 1);
    waiting--;
  }
  return true;
}
