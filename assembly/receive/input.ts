import { addressHigh, addressLow, isAnswerable } from "../addresses.ts";
import { count } from "../counters.ts";
import { fetchConnections, lookupListener, lookupSegment } from "../demux.ts";
import { replaceTimeWait } from "../lifecycle.ts";
import { ip, PROTOCOL_ICMP, PROTOCOL_ICMP6, PROTOCOL_TCP, PROTOCOL_UDP, parseIp } from "../packet/ip.ts";
import { ACK, FIN, RST, SYN, segment } from "../packet/segment.ts";
import { parseTcp } from "../packet/tcp.ts";
import { isCrowded, rxArea, rxMarks, rxTable, staging } from "../pool.ts";
import { reset } from "../send/replies.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import { SET_DROP_SYNFIN } from "../shared/control.ts";
import {
  CNT_IN_ADDR_ERRORS,
  CNT_IN_DELIVERS,
  CNT_IN_ERRS,
  CNT_IN_RECEIVES,
  CNT_IN_SEGS,
  CNT_IN_UNKNOWN_PROTOS,
} from "../shared/counters.ts";
import { MARK_CHECKSUM_SHIFT, MARK_SEGMENTS } from "../shared/marks.ts";
import { TIME_WAIT, TIME_WAIT_BRIEF } from "../shared/states.ts";
import { noRoute, routeArrives } from "../source-route.ts";
import { Tcb } from "../tcb.ts";
import { TimeWait } from "../time-wait.ts";
import { isNewer, isOutdated } from "../timestamps.ts";
import { udpArrives } from "../udp.ts";
import { expireFragments, fragmentArrives } from "./fragments.ts";
import { icmpArrives } from "./icmp.ts";
import { listenArrives } from "./listen-arrives.ts";
import { forgetModel, isPredicted, takeModel } from "./predicted.ts";
import { segmentArrives } from "./segment-arrives.ts";
import { timeWaitArrives } from "./time-wait-arrives.ts";

/**
 * Have the receive ring's table, which counts from `base`, count from where the ring begins. Its packets must stand one behind the
 * other in the first `octets`; returns which is the first that does not, -1 if all do.
 */
export function misplaced(packets: u32, base: u32, octets: u32): i32 {
  let end: u32 = 0;
  for (let i: u32 = 0; i < packets; i++) {
    const entry = rxTable + (i << 3);
    const offset = load<u32>(entry) - base;
    const length = load<u32>(entry, 4);
    if (offset < end || offset > octets || length > octets - offset) return i;
    store<u32>(entry, offset);
    end = offset + length;
  }
  return -1;
}

/** Process the `packets` packets of the receive ring; `marked`: the words beside them say something (marks.ts). */
export function arrive(packets: u32, marked: bool): void {
  expireFragments();
  forgetModel();
  if (isCrowded()) fetchConnections(packets);
  for (let i: u32 = 0; i < packets; i++) {
    const entry = rxTable + (i << 3);
    const at = rxArea + load<u32>(entry);
    const length = load<u32>(entry, 4);
    count(CNT_IN_RECEIVES);
    if (!marked && isPredicted(at, length)) continue;
    forgetModel();
    if (!parseIp(at, length)) {
      if (!ip.isFragment) continue;
      const whole = fragmentArrives();
      if (whole == 0 || !parseIp(staging, whole)) continue;
    } else if (marked) {
      const mark = load<u32>(rxMarks + (i << 2));
      ip.isTrusted = mark >>> MARK_CHECKSUM_SHIFT != 0;
      ip.segmentSize = mark & MARK_SEGMENTS;
    }
    if (ip.optionsLength == 0) noRoute();
    else if (!routeArrives()) continue;
    if (ip.protocol == PROTOCOL_TCP) tcpArrives();
    else if (ip.protocol == (ip.family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6)) icmpArrives();
    else if (ip.protocol == PROTOCOL_UDP) udpArrives();
    else count(CNT_IN_UNKNOWN_PROTOS);
  }
}

function tcpArrives(): void {
  count(CNT_IN_SEGS);
  if (!parseTcp()) return;
  if (segment.segments > 1) count(CNT_IN_SEGS, segment.segments - 1);
  if (segment.has(SYN) && segment.has(FIN) && setting(SET_DROP_SYNFIN)) {
    count(CNT_IN_ERRS);
    return;
  }
  const at = lookupSegment();
  let floor = Seq.of(0);
  if (at) {
    const tcb = Tcb.at(at);
    const state = tcb.state;
    const brief = TimeWait.at(at);
    if (state == TIME_WAIT_BRIEF ? !reopens(brief) : state != TIME_WAIT || !reopens(tcb)) {
      count(CNT_IN_DELIVERS);
      if (state == TIME_WAIT_BRIEF) timeWaitArrives(brief);
      else {
        segmentArrives(tcb);
        takeModel(ip.at, ip.payload, tcb);
      }
      return;
    }
    // RFC 9293 §3.6.1 (MAY-2), RFC 6191: the new connection's numbers begin beyond the old one's.
    floor = replaceTimeWait(at);
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

/**
 * Whether the segment is a SYN that may replace a connection in TIME-WAIT: somebody listens, and it is newer. `T` is a Tcb
 * or a TimeWait.
 */
function reopens<T>(tcb: T): bool {
  if (!segment.has(SYN) || segment.has(ACK | RST) || tcb.held) return false;
  if (isOutdated(tcb) || !(segment.seq > tcb.rcvNxt || isNewer(tcb))) return false;
  return lookupListener(tcb.localAddressHigh, tcb.localAddressLow, tcb.localPort) != 0;
}
