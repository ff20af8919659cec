import { addressHigh, addressLow, isAnswerable } from "../addresses.ts";
import { count } from "../counters.ts";
import { lookupListener, lookupSegment } from "../demux.ts";
import { beginConnection, finish, newTcb, setIss, setState, takeSyn, takeTuple } from "../lifecycle.ts";
import { acceptRoom, enterBacklog, synRoom } from "../listener.ts";
import { ip, PROTOCOL_TCP, parseIp } from "../packet/ip.ts";
import { ACK, RST, SYN, segment } from "../packet/segment.ts";
import { parseTcp } from "../packet/tcp.ts";
import { isExhausted, rxArea, rxTable } from "../pool.ts";
import { wantOutput } from "../queues.ts";
import { reset, resetAck } from "../send/replies.ts";
import { Seq } from "../seq.ts";
import {
  CNT_IN_ADDR_ERRORS,
  CNT_IN_DELIVERS,
  CNT_IN_RECEIVES,
  CNT_IN_SEGS,
  CNT_IN_UNKNOWN_PROTOS,
  CNT_LISTEN_DROPS,
  CNT_LISTEN_OVERFLOWS,
  CNT_PASSIVE_OPENS,
  CNT_TCP_MEMORY_PRESSURES,
  CNT_TCP_REQ_Q_FULL_DROP,
  CNT_TW_RECYCLED,
} from "../shared/counters.ts";
import { SYN_RECEIVED, TIME_WAIT } from "../shared/states.ts";
import { Tcb } from "../tcb.ts";
import { segmentArrives } from "./segment-arrives.ts";

/** Process the `packets` packets of the receive ring. */
export function arrive(packets: u32): void {
  for (let i: u32 = 0; i < packets; i++) {
    const entry = rxTable + (i << 3);
    count(CNT_IN_RECEIVES);
    if (!parseIp(rxArea + load<u32>(entry), load<u32>(entry, 4))) continue;
    if (ip.protocol == PROTOCOL_TCP) tcpArrives();
    else count(CNT_IN_UNKNOWN_PROTOS);
  }
}

function tcpArrives(): void {
  count(CNT_IN_SEGS);
  if (!parseTcp()) return;
  const at = lookupSegment();
  let floor = Seq.of(0);
  if (at) {
    const tcb = Tcb.at(at);
    if (tcb.state != TIME_WAIT || !reopens(tcb)) {
      count(CNT_IN_DELIVERS);
      segmentArrives(tcb);
      return;
    }
    // RFC 9293 §3.6.1 (MAY-2), RFC 6191: the new connection's numbers begin beyond the old one's.
    floor = tcb.sndNxt;
    count(CNT_TW_RECYCLED);
    finish(tcb, 0, 0);
  }
  if (!isAnswerable()) {
    count(CNT_IN_ADDR_ERRORS);
    return;
  }
  count(CNT_IN_DELIVERS);
  const listener = lookupListener(
    addressHigh(segment.family, segment.destination),
    addressLow(segment.family, segment.destination),
    u16(segment.destinationPort),
  );
  if (listener) listenArrives(Tcb.at(listener), floor);
  else reset();
}

/** Whether the segment is a SYN that may replace a connection in TIME-WAIT: somebody listens, and it is newer. */
function reopens(tcb: Tcb): bool {
  if (!segment.has(SYN) || segment.has(ACK | RST) || tcb.held || !(segment.seq > tcb.rcvNxt)) return false;
  return lookupListener(tcb.localAddressHigh, tcb.localAddressLow, tcb.localPort) != 0;
}

/** RFC 9293 §3.10.7.2. */
function listenArrives(listener: Tcb, floor: Seq): void {
  if (segment.has(RST)) return;
  if (segment.has(ACK)) {
    resetAck();
    return;
  }
  if (!segment.has(SYN)) return;
  if (!acceptRoom(listener)) {
    count(CNT_LISTEN_OVERFLOWS);
    count(CNT_LISTEN_DROPS);
    return;
  }
  if (!synRoom(listener)) {
    count(CNT_TCP_REQ_Q_FULL_DROP);
    count(CNT_LISTEN_DROPS);
    return;
  }
  const at = isExhausted() ? 0 : newTcb();
  if (at == 0) {
    count(CNT_TCP_MEMORY_PRESSURES);
    count(CNT_LISTEN_DROPS);
    return;
  }
  const child = Tcb.at(at);
  takeTuple(child);
  beginConnection(child);
  if (floor != Seq.of(0) && child.iss <= floor) setIss(child, floor.plus(65537));
  takeSyn(child);
  enterBacklog(listener, child);
  setState(child, SYN_RECEIVED);
  child.sndWnd = segment.window;
  child.maxSndWnd = segment.window;
  child.sndWl1 = segment.seq;
  child.synPending = 1;
  count(CNT_PASSIVE_OPENS);
  wantOutput(child);
  // Text and FIN on a SYN are left for the peer to repeat: only the SYN will be acknowledged.
}
