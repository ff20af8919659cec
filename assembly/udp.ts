import { addressHigh, addressLow, isAnswerableFrom, isBroadcastFrom, isSendable } from "./addresses.ts";
import { add, finish, sum } from "./checksum.ts";
import { count } from "./counters.ts";
import { Fifo } from "./fifo.ts";
import { newTcb } from "./lifecycle.ts";
import { UNREACHABLE, UNREACHABLE6 } from "./packet/icmp.ts";
import { ip, PROTOCOL_UDP, pseudoSum } from "./packet/ip.ts";
import { isNarrow, pathMtu } from "./path.ts";
import { staging } from "./pool.ts";
import { handle, raise, release } from "./queues.ts";
import { sendError } from "./send/icmp.ts";
import { post } from "./send/outbox.ts";
import { ipHeader } from "./send/packet.ts";
import { setting } from "./settings.ts";
import { EV_DATAGRAM, SET_PARTIAL_CHECKSUMS } from "./shared/control.ts";
import {
  CNT_IN_ADDR_ERRORS,
  CNT_IN_DELIVERS,
  CNT_UDP_IN_CSUM_ERRORS,
  CNT_UDP_IN_DATAGRAMS,
  CNT_UDP_IN_ERRORS,
  CNT_UDP_NO_PORTS,
  CNT_UDP_OUT_DATAGRAMS,
  CNT_UDP_RCVBUF_ERRORS,
  CNT_UDP_SNDBUF_ERRORS,
} from "./shared/counters.ts";
import {
  ERR_AGAIN,
  ERR_IN_USE,
  ERR_INVALID,
  ERR_NO_MEMORY,
  ERR_STALE,
  ERR_TOO_LONG,
} from "./shared/results.ts";
import { DATAGRAMS } from "./shared/states.ts";
import { TCB_RCV_TEXT } from "./shared/tcb-layout.ts";
import { UDP_FAMILY, UDP_LENGTH, UDP_LOCAL, UDP_PAYLOAD, UDP_PORT, UDP_REMOTE } from "./shared/udp-layout.ts";
import { Tcb } from "./tcb.ts";

// UDP, RFC 768. A socket is a slot whose first fields are a TCB's, with the datagrams that wait to be read where the text
// of a connection would be.

const UDP_HEADER: u32 = 8;
/** Linux's net.core.rmem_default: octets that may wait at a socket, what belongs to each datagram included. */
const RECEIVE_LIMIT: u32 = 212992;
const PAYLOAD_MAX_4: u32 = 65535 - 20 - UDP_HEADER;
const PAYLOAD_MAX_6: u32 = 65535 - UDP_HEADER;

const BUCKETS: u32 = 256;
const sockets = memory.data(256 * 4, 4);
const header = memory.data(8, 8);

function bucket(port: u32): usize {
  return sockets + ((port & (BUCKETS - 1)) << 2);
}

function queueOf(socket: Tcb): Fifo {
  return Fifo.at(changetype<usize>(socket) + TCB_RCV_TEXT);
}

/** The socket for a local address and port; one bound to the address wins. 0 when there is none. */
function lookup(high: u64, low: u64, port: u32): usize {
  let wildcard: usize = 0;
  let at = usize(load<u32>(bucket(port)));
  while (at) {
    const socket = Tcb.at(at);
    if (u32(socket.localPort) == port) {
      if (socket.family == 0) wildcard = at;
      else if (socket.localAddressHigh == high && socket.localAddressLow == low) return at;
    }
    at = usize(socket.hashNext);
  }
  return wildcard;
}

/** Whether a socket bound to the address in staging (`family` 0: to all) and port would be refused. */
export function udpInUse(family: u32, port: u32): bool {
  let at = usize(load<u32>(bucket(port)));
  while (at) {
    const socket = Tcb.at(at);
    if (u32(socket.localPort) == port) {
      if (socket.family == 0 || family == 0) return true;
      if (socket.localAddressHigh == load<u64>(staging) && socket.localAddressLow == load<u64>(staging, 8))
        return true;
    }
    at = usize(socket.hashNext);
  }
  return false;
}

/** Bind a socket to the address in staging (`family` 0: to all) and port. Returns the slot. */
export function udpBind(family: u32, port: u32): i32 {
  if (udpInUse(family, port)) return ERR_IN_USE;
  const at = newTcb();
  if (at == 0) return ERR_NO_MEMORY;
  const socket = Tcb.at(at);
  socket.state = u8(DATAGRAMS);
  socket.family = u8(family);
  socket.held = 1;
  socket.localAddressHigh = load<u64>(staging);
  socket.localAddressLow = load<u64>(staging, 8);
  socket.localPort = u16(port);
  const head = bucket(port);
  socket.hashNext = load<u32>(head);
  store<u32>(head, u32(at));
  return socket.slot;
}

/** The socket a handle names, or 0. */
function named(slot: u32, generation: u32): usize {
  const at = handle(slot, generation);
  return at && Tcb.at(at).state == DATAGRAMS ? at : 0;
}

export function udpClose(slot: u32, generation: u32): i32 {
  const at = named(slot, generation);
  if (at == 0) return ERR_STALE;
  const socket = Tcb.at(at);
  queueOf(socket).clear();
  const head = bucket(socket.localPort);
  if (load<u32>(head) == u32(at)) store<u32>(head, socket.hashNext);
  else {
    let previous = Tcb.at(usize(load<u32>(head)));
    while (previous.hashNext != u32(at)) previous = Tcb.at(usize(previous.hashNext));
    previous.hashNext = socket.hashNext;
  }
  release(socket);
  return 0;
}

/** Whether a socket is bound to the port that a quoted datagram of ours came from. */
export function isUdpSource(family: u32, source: usize, port: u32): bool {
  return lookup(addressHigh(family, source), addressLow(family, source), port) != 0;
}

/** Send `length` octets; staging holds local address, remote address and, at UDP_PAYLOAD, the octets. */
export function udpSend(slot: u32, generation: u32, remotePort: u32, length: u32): i32 {
  const at = named(slot, generation);
  if (at == 0) return ERR_STALE;
  const four = load<u64>(staging, 16) == 0 && load<u32>(staging, 24) == 0xffff0000;
  const family: u32 = four ? 4 : 6;
  if (length > (four ? PAYLOAD_MAX_4 : PAYLOAD_MAX_6)) return ERR_TOO_LONG;
  if (!isSendable(load<u64>(staging, 16), load<u64>(staging, 24))) return ERR_INVALID;
  const total = length + UDP_HEADER;
  const skip: usize = four ? 12 : 0;
  store<u16>(header, bswap<u16>(Tcb.at(at).localPort));
  store<u16>(header, bswap<u16>(u16(remotePort)), 2);
  store<u32>(header, bswap<u16>(u16(total)), 4);
  const pseudo = pseudoSum(family, staging + skip, staging + 16 + skip, total, PROTOCOL_UDP);
  const remote = staging + 16;
  const mtu = pathMtu(remote);
  const whole = !isNarrow(remote);
  // Nobody completes the sum of what is in pieces.
  const partial = setting(SET_PARTIAL_CHECKSUMS) != 0 && ipHeader(family) + total <= mtu;
  if (partial) store<u16>(header, u16(pseudo), 6);
  else {
    const checksum = finish(add(pseudo, add(sum(header, UDP_HEADER), sum(staging + UDP_PAYLOAD, length))));
    // Zero would say that there is none.
    store<u16>(header, checksum ? u16(checksum) : 0xffff, 6);
  }
  if (
    !post(family, staging, PROTOCOL_UDP, header, staging + UDP_PAYLOAD, length, mtu, whole, true, partial)
  ) {
    count(CNT_UDP_SNDBUF_ERRORS);
    return ERR_NO_MEMORY;
  }
  count(CNT_UDP_OUT_DATAGRAMS);
  return length;
}

/** Take the datagram that has waited longest: its particulars and octets go to staging, where udp-layout.ts says. */
export function udpReceive(slot: u32, generation: u32): i32 {
  const at = named(slot, generation);
  if (at == 0) return ERR_STALE;
  const queue = queueOf(Tcb.at(at));
  if (queue.octets == 0) return ERR_AGAIN;
  queue.next();
  queue.take(staging, UDP_PAYLOAD);
  const length = load<u32>(staging, UDP_LENGTH);
  queue.take(staging + UDP_PAYLOAD, length);
  queue.done();
  return length;
}

function refuse(): void {
  count(CNT_UDP_IN_ERRORS);
}

/** The datagram in `ip`, RFC 1122 §4.1. */
export function udpArrives(): void {
  const toAll = isBroadcastFrom(ip.family, ip.source, ip.destination);
  if (!toAll && !isAnswerableFrom(ip.family, ip.source, ip.destination)) {
    count(CNT_IN_ADDR_ERRORS);
    return;
  }
  count(CNT_IN_DELIVERS);
  const length: u32 = ip.payloadLength < UDP_HEADER ? 0 : bswap<u16>(load<u16>(ip.payload, 4));
  if (length < UDP_HEADER || length > ip.payloadLength) {
    refuse();
    return;
  }
  if (!isIntact(length)) {
    count(CNT_UDP_IN_CSUM_ERRORS);
    refuse();
    return;
  }
  const high = addressHigh(ip.family, ip.destination);
  const low = addressLow(ip.family, ip.destination);
  const at = lookup(high, low, bswap<u16>(load<u16>(ip.payload, 2)));
  if (at == 0) {
    count(CNT_UDP_NO_PORTS);
    // RFC 1122 §3.2.2: nothing sent to more than one host is answered.
    if (!toAll) sendError(ip.family == 4 ? UNREACHABLE : UNREACHABLE6, ip.family == 4 ? 3 : 4);
    return;
  }
  deliver(Tcb.at(at), high, low, length - UDP_HEADER);
}

/** RFC 1122 §4.1.3.4: zero says that the sender made none; RFC 8200 §8.1: over IPv6 it must. */
function isIntact(length: u32): bool {
  if (load<u16>(ip.payload, 6) == 0) return ip.family == 4;
  if (ip.isTrusted) return true;
  const pseudo = pseudoSum(ip.family, ip.source, ip.destination, length, PROTOCOL_UDP);
  return add(sum(ip.payload, length), pseudo) == 0xffff;
}

const particulars = memory.data(48, 8);

function deliver(socket: Tcb, localHigh: u64, localLow: u64, length: u32): void {
  const queue = queueOf(socket);
  if (queue.octets + UDP_PAYLOAD + length > RECEIVE_LIMIT || !queue.reserve(UDP_PAYLOAD + length)) {
    count(CNT_UDP_RCVBUF_ERRORS);
    refuse();
    return;
  }
  store<u64>(particulars, localHigh, UDP_LOCAL);
  store<u64>(particulars, localLow, UDP_LOCAL + 8);
  store<u64>(particulars, addressHigh(ip.family, ip.source), UDP_REMOTE);
  store<u64>(particulars, addressLow(ip.family, ip.source), UDP_REMOTE + 8);
  store<u32>(particulars, length, UDP_LENGTH);
  store<u16>(particulars, bswap<u16>(load<u16>(ip.payload)), UDP_PORT);
  store<u16>(particulars, u16(ip.family), UDP_FAMILY);
  queue.put(particulars, UDP_PAYLOAD);
  queue.put(ip.payload + UDP_HEADER, length);
  queue.end();
  count(CNT_UDP_IN_DATAGRAMS);
  raise(socket, EV_DATAGRAM);
}

if (UDP_PAYLOAD > 48) ERROR("particulars outgrew their place");
