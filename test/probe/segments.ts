// What is done for each segment apart from its connection, piece by piece in a row, for the micro-benchmarks.
import { add, sum } from "../../assembly/checksum.ts";
import { makeCookie } from "../../assembly/cookies.ts";
import { enterTable, lookupSegment } from "../../assembly/demux.ts";
import { newTcb } from "../../assembly/lifecycle.ts";
import { parseIp } from "../../assembly/packet/ip.ts";
import { ACK, segment, TCP_HEADER } from "../../assembly/packet/segment.ts";
import { parseTcp } from "../../assembly/packet/tcp.ts";
import { layOut, rxArea, rxTable, txArea, txTable } from "../../assembly/pool.ts";
import { Reassembly } from "../../assembly/reassembly.ts";
import { beginBatch, commit, endBatch, nextTcp, writePorts, writeTcp } from "../../assembly/send/packet.ts";
import { Seq } from "../../assembly/seq.ts";
import { RX_BYTES } from "../../assembly/shared/sizes.ts";
import { ESTABLISHED } from "../../assembly/shared/states.ts";
import { TCB_LOCAL_ADDRESS } from "../../assembly/shared/tcb-layout.ts";
import { Tcb } from "../../assembly/tcb.ts";

/** As many as a batch usually holds, each of a connection of its own. */
const BATCH: u32 = 64;
const PACKET: u32 = 40;
const PORT: u32 = 80;
/** 192.0.2.1, and 10.0.0.0 and on, as they lie in memory. */
const LOCAL: u32 = 0x010200c0;
const REMOTE: u32 = 0x0000000a;
/** Of ::ffff:0:0/96, with the address above. */
const MAPPED: u64 = 0xffff0000;

const tcbs = memory.data(64 * 4, 8);
const runs = changetype<Reassembly>(memory.data(offsetof<Reassembly>(), 8));

function remoteOf(index: u32): u32 {
  return REMOTE | (index << 24);
}

/** Lay out memory with BATCH connections, and an ACK for each in the receive ring. */
export function probe_segmentsInit(octets: u32): void {
  layOut(octets);
  memory.fill(changetype<usize>(runs), 0, offsetof<Reassembly>());
  for (let i: u32 = 0; i < BATCH; i++) {
    const at = newTcb();
    const tcb = Tcb.at(at);
    tcb.family = 4;
    tcb.state = u8(ESTABLISHED);
    tcb.localAddressLow = MAPPED | (u64(LOCAL) << 32);
    tcb.remoteAddressLow = MAPPED | (u64(remoteOf(i)) << 32);
    tcb.localPort = u16(PORT);
    tcb.remotePort = u16(40000 + i);
    enterTable(tcb);
    store<u32>(tcbs + (usize(i) << 2), u32(at));
  }
  probe_repeatSerialize(1);
  // What was made for the peers is turned round: the sum does not care.
  memory.copy(rxArea, txArea, min<u32>(BATCH * PACKET, RX_BYTES));
  memory.copy(rxTable, txTable, BATCH << 3);
  for (let i: u32 = 0; i < BATCH; i++) {
    const ip = rxArea + load<u32>(rxTable + (i << 3));
    const local = load<u32>(ip, 12);
    store<u32>(ip, load<u32>(ip, 16), 12);
    store<u32>(ip, local, 16);
    const ports = load<u32>(ip, 20);
    store<u32>(ip, rotl(ports, 16), 20);
  }
}

/** Headers of BATCH packets of 40 octets, `times` over; returns the packets of the last. */
export function probe_repeatSerialize(times: u32): u32 {
  let made: u32 = 0;
  for (let t: u32 = 0; t < times; t++) {
    beginBatch(BATCH, RX_BYTES);
    for (let i: u32 = 0; i < BATCH; i++) {
      const at = usize(load<u32>(tcbs + (usize(i) << 2)));
      const to = nextTcp(4);
      writePorts(to, PORT, 40000 + i);
      writeTcp(to, Seq.of(t + i), Seq.of(t), TCP_HEADER, ACK, 0xffff);
      const addresses = add(sum(at + TCB_LOCAL_ADDRESS + 12, 4), sum(at + TCB_LOCAL_ADDRESS + 28, 4));
      commit(4, at + TCB_LOCAL_ADDRESS, add(addresses, 6 << 8), TCP_HEADER, 0, 0, i, 0, 0);
    }
    made = endBatch();
  }
  return made;
}

/** Parse, verify and look up the BATCH packets of the receive ring, `times` over; returns how many found their connection. */
export function probe_repeatArrivals(times: u32): u32 {
  let found: u32 = 0;
  for (let t: u32 = 0; t < times; t++)
    for (let i: u32 = 0; i < BATCH; i++) {
      const entry = rxTable + (i << 3);
      if (!parseIp(rxArea + load<u32>(entry), load<u32>(entry, 4)) || !parseTcp()) continue;
      if (lookupSegment() == usize(load<u32>(tcbs + (usize(i) << 2)))) found++;
    }
  return found;
}

/** Look up the segment that was parsed last; returns how often it was found. */
export function probe_repeatLookup(times: u32): u32 {
  let found: u32 = 0;
  for (let t: u32 = 0; t < times; t++) if (lookupSegment()) found++;
  return found;
}

/** Cookies for it, with other sequence numbers. */
export function probe_repeatCookie(times: u32): u32 {
  let gathered: u32 = 0;
  for (let t: u32 = 0; t < times; t++) {
    segment.seq = Seq.of(t);
    gathered ^= makeCookie(1460).u32;
  }
  return gathered;
}

/** Runs of 100 octets behind holes of as many, one after the other, 16 at a time. */
export function probe_repeatInsert(times: u32): u32 {
  for (let t: u32 = 0; t < times; t++) {
    const start = ((t & 15) + 1) * 200;
    if (start == 200) runs.clear();
    runs.insert(Seq.of(0), Seq.of(start), Seq.of(start + 100));
  }
  return runs.count;
}
