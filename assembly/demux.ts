import { hash4, hash6 } from "./hash.ts";
import { PROTOCOL_TCP } from "./packet/ip.ts";
import { segment } from "./packet/segment.ts";
import { fetchSlot, hashMask, hashTable, rxArea, rxTable } from "./pool.ts";
import { CTL_HASH_KEY } from "./shared/control.ts";
import { ESTABLISHED, LISTEN } from "./shared/states.ts";
import { TCB_ANNEX, TCB_LOCAL_ADDRESS, TCB_REMOTE_ADDRESS, TCB_STATE } from "./shared/tcb-layout.ts";
import { Tcb } from "./tcb.ts";

// Connections by 4-tuple: a chained table under a keyed hash, so that a stranger cannot choose tuples that collide.
// Listeners by port, in a table of their own.

const LISTENER_BUCKETS: u32 = 256;
const listeners = memory.data(256 * 4, 4);

function bucket(hash: u32): usize {
  return hashTable + ((hash & hashMask) << 2);
}

function hashOf(tcb: Tcb): u32 {
  const at = changetype<usize>(tcb);
  // Both ports in network order, the remote one first: as they stand in an arriving segment.
  const ports = u32(bswap<u16>(tcb.remotePort)) | (u32(bswap<u16>(tcb.localPort)) << 16);
  return tcb.family == 4
    ? hash4(
        CTL_HASH_KEY,
        load<u32>(at, TCB_REMOTE_ADDRESS + 12),
        load<u32>(at, TCB_LOCAL_ADDRESS + 12),
        ports,
      )
    : hash6(CTL_HASH_KEY, at + TCB_REMOTE_ADDRESS, at + TCB_LOCAL_ADDRESS, ports);
}

/** The connection the segment belongs to, or 0. */
export function lookupSegment(): usize {
  const remotePort = u16(segment.sourcePort);
  const localPort = u16(segment.destinationPort);
  if (segment.family == 4) {
    const remote = load<u32>(segment.source);
    const local = load<u32>(segment.destination);
    let at = usize(load<u32>(bucket(hash4(CTL_HASH_KEY, remote, local, segment.ports))));
    while (at) {
      const tcb = Tcb.at(at);
      if (
        load<u32>(at, TCB_REMOTE_ADDRESS + 12) == remote &&
        tcb.remotePort == remotePort &&
        tcb.localPort == localPort &&
        load<u32>(at, TCB_LOCAL_ADDRESS + 12) == local &&
        tcb.family == 4
      )
        return at;
      at = tcb.hashNext;
    }
    return 0;
  }
  const remoteHigh = load<u64>(segment.source);
  const remoteLow = load<u64>(segment.source, 8);
  const localHigh = load<u64>(segment.destination);
  const localLow = load<u64>(segment.destination, 8);
  let at = usize(load<u32>(bucket(hash6(CTL_HASH_KEY, segment.source, segment.destination, segment.ports))));
  while (at) {
    const tcb = Tcb.at(at);
    if (
      tcb.remoteAddressLow == remoteLow &&
      tcb.remotePort == remotePort &&
      tcb.localPort == localPort &&
      tcb.remoteAddressHigh == remoteHigh &&
      tcb.localAddressLow == localLow &&
      tcb.localAddressHigh == localHigh &&
      tcb.family == 6
    )
      return at;
    at = tcb.hashNext;
  }
  return 0;
}

/**
 * Fetch the connections of the `packets` packets in the receive ring, for all of them together: where there are very many
 * connections, each is waited for as long as all of these. What is no ordinary packet is left out.
 */
export function fetchConnections(packets: u32): void {
  for (let i: u32 = 0; i < packets; i++) {
    const entry = rxTable + (i << 3);
    const packet = rxArea + load<u32>(entry);
    if (load<u32>(entry, 4) < 40 || load<u8>(packet) != 0x45 || load<u8>(packet, 9) != PROTOCOL_TCP) continue;
    const hash = hash4(CTL_HASH_KEY, load<u32>(packet, 12), load<u32>(packet, 16), load<u32>(packet, 20));
    const at = usize(load<u32>(bucket(hash)));
    if (at == 0) continue;
    fetchSlot(at);
    const annex = usize(load<u32>(at, TCB_ANNEX));
    if (annex && load<u8>(at, TCB_STATE) == ESTABLISHED) fetchSlot(annex);
  }
}

/** Another connection with the addresses and ports of `tcb`, or 0. */
export function lookupTwin(tcb: Tcb): usize {
  let at = usize(load<u32>(bucket(hashOf(tcb))));
  while (at) {
    const other = Tcb.at(at);
    if (
      other.remotePort == tcb.remotePort &&
      other.localPort == tcb.localPort &&
      other.remoteAddressLow == tcb.remoteAddressLow &&
      other.remoteAddressHigh == tcb.remoteAddressHigh &&
      other.localAddressLow == tcb.localAddressLow &&
      other.localAddressHigh == tcb.localAddressHigh &&
      other.family == tcb.family
    )
      return at;
    at = other.hashNext;
  }
  return 0;
}

export function enterTable(tcb: Tcb): void {
  const head = bucket(hashOf(tcb));
  tcb.hashNext = load<u32>(head);
  store<u32>(head, u32(changetype<usize>(tcb)));
}

function unlink(head: usize, tcb: Tcb): void {
  const target = u32(changetype<usize>(tcb));
  let at = load<u32>(head);
  if (at == target) {
    store<u32>(head, tcb.hashNext);
    return;
  }
  while (at) {
    const previous = Tcb.at(at);
    at = previous.hashNext;
    if (at == target) {
      previous.hashNext = tcb.hashNext;
      return;
    }
  }
  assert(false);
}

export function leaveTable(tcb: Tcb): void {
  unlink(bucket(hashOf(tcb)), tcb);
}

function listenerBucket(port: u32): usize {
  return listeners + ((port & (LISTENER_BUCKETS - 1)) << 2);
}

/** Whether the listener is bound to one address, rather than to all. */
export function isBound(listener: Tcb): bool {
  return listener.family != 0;
}

/** The listener for a local address (16 octets, IPv4 mapped) and port; one bound to the address wins. 0 when none. */
export function lookupListener(addressHigh: u64, addressLow: u64, port: u16): usize {
  let wildcard: usize = 0;
  let at = usize(load<u32>(listenerBucket(port)));
  while (at) {
    const tcb = Tcb.at(at);
    assert(tcb.state == LISTEN);
    if (tcb.localPort == port) {
      if (!isBound(tcb)) wildcard = at;
      else if (tcb.localAddressHigh == addressHigh && tcb.localAddressLow == addressLow) return at;
    }
    at = tcb.hashNext;
  }
  return wildcard;
}

/** Whether a listener on this port would stand in the way of one bound to `address` (or to all, family 0). */
export function listenerConflicts(family: u8, addressHigh: u64, addressLow: u64, port: u16): bool {
  let at = usize(load<u32>(listenerBucket(port)));
  while (at) {
    const tcb = Tcb.at(at);
    if (tcb.localPort == port) {
      if (!isBound(tcb) || family == 0) return true;
      if (tcb.localAddressHigh == addressHigh && tcb.localAddressLow == addressLow) return true;
    }
    at = tcb.hashNext;
  }
  return false;
}

export function enterListeners(tcb: Tcb): void {
  const head = listenerBucket(tcb.localPort);
  tcb.hashNext = load<u32>(head);
  store<u32>(head, u32(changetype<usize>(tcb)));
}

export function leaveListeners(tcb: Tcb): void {
  unlink(listenerBucket(tcb.localPort), tcb);
}
