import { finish, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { Fifo } from "../fifo.ts";
import { hash4 } from "../hash.ts";
import { FRAGMENT, IPV4_HEADER, IPV6_HEADER } from "../packet/ip.ts";
import { CTL_HASH_KEY } from "../shared/control.ts";
import { CNT_FRAG_CREATES, CNT_FRAG_OKS } from "../shared/counters.ts";
import { CHECKSUM_PARTIAL, MARK_CHECKSUM_SHIFT } from "../shared/marks.ts";
import { commitRaw, fits, ipHeader, nextPacket } from "./packet.ts";

// Packets that belong to no connection and cannot be made when they leave, for what they carry is gone by then: answers
// to echo requests, ICMP errors, datagrams of users. They are made at once, fragments and all, and wait in one queue.

/** Octets that may wait: for users as in Linux's wmem_default, and room for the largest echo behind them. */
const USERS_LIMIT: u32 = 212992;
const ANSWERS_LIMIT: u32 = USERS_LIMIT + 131072;

const FRAGMENT_HEADER: u32 = 8;
const TTL: u32 = 64;
const MORE_FRAGMENTS: u32 = 0x2000;
const DONT_FRAGMENT: u32 = 0x4000;

const waiting = Fifo.at(memory.data(24, 8));
if (offsetof<Fifo>() > 24) ERROR("the queue outgrew its place");
/** Length and mark of the packet, and IP header with fragment header of the packet being made. */
const scratch = memory.data(8 + 40 + 8, 8);
let identifications: u32 = 0;

/**
 * Post a datagram: 8 octets of transport header and `length` octets of payload, checksummed already, cut into fragments
 * where it is larger than `mtu`. `addresses`: 16 octets local, 16 octets remote. `partial`: the checksum of a whole one is
 * left to the link. False when there is no room for it.
 */
export function post(
  family: u32,
  addresses: usize,
  protocol: u32,
  header: usize,
  payload: usize,
  length: u32,
  mtu: u32,
  dontFragment: bool,
  forUser: bool,
  partial: bool = false,
): bool {
  const total = length + 8;
  const ipLength = ipHeader(family);
  const whole = ipLength + total <= mtu;
  const most = (mtu - ipLength - (whole || family == 4 ? 0 : FRAGMENT_HEADER)) & ~7;
  const pieces: u32 = whole ? 1 : (total + most - 1) / most;
  const octets = total + pieces * (8 + ipLength + FRAGMENT_HEADER + 7);
  if (waiting.octets + octets > (forUser ? USERS_LIMIT : ANSWERS_LIMIT)) return false;
  if (!waiting.reserve(octets)) return false;
  const id = hash4(CTL_HASH_KEY, ++identifications, protocol, family);
  if (whole) {
    const mark = partial ? CHECKSUM_PARTIAL << MARK_CHECKSUM_SHIFT : 0;
    piece(family, addresses, protocol, total, dontFragment ? DONT_FRAGMENT : 0, id, false, mark);
    waiting.put(header, 8);
    waiting.put(payload, length);
    waiting.end();
    return true;
  }
  for (let offset: u32 = 0; offset < total; offset += most) {
    const size = min(most, total - offset);
    const more = offset + size < total ? MORE_FRAGMENTS : 0;
    piece(family, addresses, protocol, size, (offset >> 3) | more, id, true);
    if (offset == 0) {
      waiting.put(header, 8);
      waiting.put(payload, size - 8);
    } else waiting.put(payload + offset - 8, size);
    waiting.end();
    count(CNT_FRAG_CREATES);
  }
  count(CNT_FRAG_OKS);
  return true;
}

/** Put length, mark and the headers of a packet that carries `size` octets. `place`: as IPv4 writes flags and offset. */
function piece(
  family: u32,
  addresses: usize,
  protocol: u32,
  size: u32,
  place: u32,
  id: u32,
  isFragment: bool,
  mark: u32 = 0,
): void {
  const at = scratch + 8;
  let length = ipHeader(family);
  if (family == 4) {
    store<u32>(at, 0x45 | (u32(bswap<u16>(u16(IPV4_HEADER + size))) << 16));
    store<u16>(at, bswap<u16>(u16(id)), 4);
    store<u16>(at, bswap<u16>(u16(place)), 6);
    store<u32>(at, TTL | (protocol << 8), 8);
    store<u32>(at, load<u32>(addresses, 12), 12);
    store<u32>(at, load<u32>(addresses, 28), 16);
    store<u16>(at, u16(finish(sum(at, IPV4_HEADER))), 10);
  } else {
    const extra: u32 = isFragment ? FRAGMENT_HEADER : 0;
    store<u32>(at, 0x60);
    store<u16>(at, bswap<u16>(u16(size + extra)), 4);
    store<u16>(at, u16((isFragment ? FRAGMENT : protocol) | (TTL << 8)), 6);
    memory.copy(at + 8, addresses, 32);
    if (isFragment) {
      const more: u32 = place & MORE_FRAGMENTS ? 1 : 0;
      store<u16>(at, u16(protocol), IPV6_HEADER);
      store<u16>(at, bswap<u16>(u16(((place & 0x1fff) << 3) | more)), IPV6_HEADER + 2);
      store<u32>(at, id, IPV6_HEADER + 4);
      length += FRAGMENT_HEADER;
    }
  }
  store<u32>(scratch, length + size);
  store<u32>(scratch, mark, 4);
  waiting.put(scratch, 8 + length);
}

/** Octets that wait to be sent. */
export function posted(): u32 {
  return waiting.octets;
}

/** Move up to `octets` of what waits into the batch. False when the batch is full before that. */
export function emitPosted(octets: u32): bool {
  const before = waiting.octets;
  while (waiting.octets && before - waiting.octets < octets) {
    const entry = waiting.next();
    const length = load<u32>(entry);
    const mark = load<u32>(entry, 4);
    if (!fits(length)) return false;
    waiting.take(0, 8);
    waiting.take(nextPacket(), length);
    waiting.done();
    commitRaw(length, mark);
  }
  return true;
}
