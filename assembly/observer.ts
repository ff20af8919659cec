import { addressHigh, addressLow } from "./addresses.ts";
import { finish as complete, sum } from "./checksum.ts";
import { count } from "./counters.ts";
import { enterTable, leaveTable, lookupSegment } from "./demux.ts";
import { enterConversations, leaveConversations, oldestConversation } from "./observer/ages.ts";
import {
  ACKED,
  CLIENT,
  Conversation,
  Direction,
  FIN_SEEN,
  SERVER,
  SYN_SEEN,
  SYNCED,
} from "./observer/conversation.ts";
import { crowded, readEnd, readHeld, readSegment, takeText, unread } from "./observer/text.ts";
import { IPV4_HEADER, IPV6_HEADER, ip, PROTOCOL_TCP, parseIp } from "./packet/ip.ts";
import { ACK, FIN, RST, SYN, segment, TCP_HEADER } from "./packet/segment.ts";
import { isTcpIntact, parseTcp } from "./packet/tcp.ts";
import { eventArea, giveSlot, rxArea, takeSlot } from "./pool.ts";
import { Seq } from "./seq.ts";
import {
  CNT_IN_CSUM_ERRORS,
  CNT_IN_DELIVERS,
  CNT_IN_DISCARDS,
  CNT_IN_RECEIVES,
  CNT_IN_TRUNCATED_PKTS,
  CNT_IN_UNKNOWN_PROTOS,
  CNT_REASM_FAILS,
} from "./shared/counters.ts";
import {
  BEGAN_MIDSTREAM,
  BEGAN_SYN,
  BEGAN_SYN_ACK,
  ENDED_BOTH_FIN,
  ENDED_CLIENT_FIN,
  ENDED_CLIENT_RESET,
  ENDED_SERVER_FIN,
  ENDED_SERVER_RESET,
  READ_END,
  READ_NOTHING,
  READING_SIDE,
  READING_SLOT,
} from "./shared/observer-layout.ts";
import { OBSERVED_MAX } from "./shared/sizes.ts";
import { Tcb } from "./tcb.ts";

// Conversations between others, put together from their packets. A packet is opened by observe(); reading() is then
// called until it has nothing more to tell. What a packet brings about (an older conversation ends, one gives way, holes
// are given up, text is read) is a row of steps, each resumed where the last call of reading() left it.

const PACKET_MAX: u32 = 65535;
/** The largest window there is (RFC 7323 §2.3): no acknowledgment is honestly farther ahead. */
const REACH: u32 = 1 << 30;

let numbers: u32 = 0;
let now: f64 = 0;
/** Octets of the segment's text that were captured. */
let captured: u32 = 0;

// What is left to be done, in this order. Zero or false: nothing.
/** The conversation to give back, once its last figures were read. */
let spent: usize = 0;
/** The conversation to read to its end. */
let leaving: usize = 0;
/** Every conversation is to leave. */
let finishing: bool = false;
/** The segment has not been entered in a conversation. */
let arriving: bool = false;
/** The direction to read, holes and all, to make room. */
let relieved: usize = 0;
/** The direction whose text was acknowledged. */
let acknowledged: usize = 0;
/** The direction whose text the segment has. */
let receiving: usize = 0;

/** A SYN that began a conversation in place of another, known by the answer to it. */
let successor: bool = false;
let successorTime: f64 = 0;

/**
 * Open the packet in the receive ring: `length` octets of `original` (0: unknown) were captured, at `time`, in
 * whatever unit. With `verify` a wrong checksum is a reason to pass it over. False when it was, which is counted.
 */
export function observe(length: u32, original: u32, verify: bool, time: f64): bool {
  count(CNT_IN_RECEIVES);
  now = time;
  const whole = mend(length, original, verify);
  if (whole == 0) return false;
  // What was not captured reads as zero, not as what the ring held before.
  if (whole > length) memory.fill(rxArea + length, 0, whole - length);
  if (!parseIp(rxArea, whole)) {
    if (ip.isFragment) count(CNT_REASM_FAILS);
    return false;
  }
  if (ip.protocol != PROTOCOL_TCP) {
    count(CNT_IN_UNKNOWN_PROTOS);
    return false;
  }
  const end = rxArea + min(length, whole);
  const header = ip.payload;
  if (ip.payloadLength >= TCP_HEADER && isCut(header, TCP_HEADER, end)) return false;
  if (!parseTcp(false)) return false;
  if (isCut(header, u32(segment.text - header), end)) return false;
  const room = u32(end - segment.text);
  captured = min(segment.textLength, room);
  if (captured == segment.textLength && !isTcpIntact() && refuse(verify)) return false;
  count(CNT_IN_DELIVERS);
  arriving = true;
  return true;
}

/** Whether `octets` at `at` go beyond what was captured; counted. */
function isCut(at: usize, octets: u32, end: usize): bool {
  if (at + octets <= end) return false;
  count(CNT_IN_TRUNCATED_PKTS);
  return true;
}

/** Count a wrong checksum; whether the packet is to be passed over for it. */
function refuse(verify: bool): bool {
  count(CNT_IN_CSUM_ERRORS);
  if (verify) count(CNT_IN_DISCARDS);
  return verify;
}

/**
 * Make good what a network interface would have filled in, had the packet been captured behind it: the length of a
 * segment yet to be cut up, and IPv4's checksum. Returns the octets of the whole packet; 0 when it was passed over.
 */
function mend(length: u32, original: u32, verify: bool): u32 {
  const at = rxArea;
  const wire = min(original ? original : length, PACKET_MAX);
  if (length && load<u8>(at) >> 4 == 6) {
    if (isCut(at, IPV6_HEADER, at + length)) return 0;
    if (load<u16>(at, 4) == 0 && load<u8>(at, 6) == PROTOCOL_TCP && wire > IPV6_HEADER)
      store<u16>(at, bswap<u16>(u16(wire - IPV6_HEADER)), 4);
    const whole = u32(bswap<u16>(load<u16>(at, 4))) + IPV6_HEADER;
    return original && whole > original ? length : whole;
  }
  // Anything but IPv4 is left for parseIp to refuse.
  if (length == 0 || load<u8>(at) >> 4 != 4) return max<u32>(length, 1);
  const header: u32 = (load<u8>(at) & 15) << 2;
  if (isCut(at, max(header, IPV4_HEADER), at + length)) return 0;
  if (header < IPV4_HEADER) return length;
  if (complete(sum(at, header)) != 0 && refuse(verify)) return 0;
  if (load<u16>(at, 2) == 0) store<u16>(at, bswap<u16>(u16(wire)), 2);
  store<u16>(at, 0, 10);
  store<u16>(at, u16(complete(sum(at, header))), 10);
  const whole: u32 = bswap<u16>(load<u16>(at, 2));
  return original && whole > original ? length : max<u32>(whole, 1);
}

/** Nothing more will be observed: every conversation is to be read to its end. */
export function conclude(): void {
  finishing = true;
}

/** The next thing to tell, one of READ_…; its details stand in the event area (observer-layout.ts). */
export function reading(): u32 {
  let found: u32 = READ_NOTHING;
  while (found == READ_NOTHING) {
    if (spent) {
      // What tells a slot in use from one that is not.
      Conversation.at(spent).family = 0;
      giveSlot(spent);
      spent = 0;
    } else if (leaving) found = readLeaving(Conversation.at(leaving));
    else if (finishing) {
      leaving = oldestConversation();
      finishing = leaving != 0;
    } else if (arriving) arriving = !arrive();
    else if (relieved) {
      found = readHeld(Direction.at(relieved), true);
      if (found == READ_NOTHING) relieved = 0;
      else tellWhere(relieved);
    } else if (acknowledged) {
      found = readHeld(Direction.at(acknowledged), false);
      if (found == READ_NOTHING) acknowledged = 0;
      else tellWhere(acknowledged);
    } else if (receiving) {
      found = readReceiving(Direction.at(receiving));
    } else break;
  }
  return found;
}

/** Say which conversation's which direction it is: a direction lies in its conversation's slot. */
function tellWhere(address: usize): void {
  const direction = Direction.at(address);
  store<u32>(eventArea, direction.slot, READING_SLOT);
  store<u32>(eventArea, direction.side, READING_SIDE);
}

function readLeaving(conversation: Conversation): u32 {
  for (let side = CLIENT; side <= SERVER; side++) {
    const direction = conversation.direction(side);
    let found = readHeld(direction, true);
    if (found == READ_NOTHING) found = readEnd(direction);
    if (found != READ_NOTHING) {
      tellWhere(direction.address);
      return found;
    }
  }
  leaveTable(changetype<Tcb>(conversation));
  leaveConversations(conversation);
  store<u32>(eventArea, conversation.slot, READING_SLOT);
  spent = leaving;
  leaving = 0;
  return READ_END;
}

function readReceiving(direction: Direction): u32 {
  let found = readHeld(direction, false);
  if (found == READ_NOTHING && unread) {
    found = readSegment(direction);
    relieved = crowded;
  } else if (found == READ_NOTHING) receiving = 0;
  if (found != READ_NOTHING) tellWhere(direction.address);
  return found;
}

/** The conversation of the segment, or 0. `fromClient` says which side sent it. */
let fromClient: bool = false;
function lookup(): usize {
  fromClient = true;
  let at = lookupSegment();
  if (at == 0) {
    fromClient = false;
    turn();
    at = lookupSegment();
    turn();
  }
  return at;
}

/** Swap source and destination. */
function turn(): void {
  const address = segment.source;
  segment.source = segment.destination;
  segment.destination = address;
  const port = segment.sourcePort;
  segment.sourcePort = segment.destinationPort;
  segment.destinationPort = port;
  segment.ports = rotl<u32>(segment.ports, 16);
}

/** Enter the segment in its conversation. False when another conversation must leave first. */
function arrive(): bool {
  let at = lookup();
  if (at) {
    if (!isSucceeded(Conversation.at(at))) {
      enter(Conversation.at(at));
      return true;
    }
    leaving = at;
    return false;
  }
  at = takeSlot();
  if (at == 0) {
    leaving = oldestConversation();
    return false;
  }
  begin(Conversation.at(at));
  enter(Conversation.at(at));
  return true;
}

/**
 * Whether the segment belongs to a new conversation of the same tuple. A SYN begins one when the old is over or was
 * never answered; else only the answer to it tells it from a stray or forged one (RFC 5961 §4).
 */
function isSucceeded(conversation: Conversation): bool {
  const side = fromClient ? CLIENT : SERVER;
  if (!segment.has(SYN) || segment.has(RST)) return false;
  if (segment.has(ACK)) {
    if (conversation.rivalFrom != 2 - side || segment.ack != conversation.rivalIsn.plus(1)) return false;
    successor = true;
    successorTime = conversation.rivalTime;
    return true;
  }
  const mine = conversation.direction(side);
  if (mine.has(SYNCED) && mine.first == segment.seq.plus(1)) return false;
  if (conversation.ended >= u8(ENDED_BOTH_FIN)) return true;
  const other = conversation.direction(1 - side);
  if (mine.has(SYNCED) && other.packets == 0) return true;
  // The first that is seen of this side: its beginning, and no rival.
  if (!mine.has(SYNCED)) return false;
  conversation.rivalFrom = 1 + side;
  conversation.rivalIsn = segment.seq;
  conversation.rivalTime = now;
  return false;
}

function begin(conversation: Conversation): void {
  const syn = segment.has(SYN);
  // Where the beginning is missing, the server is who has the lower port.
  if (syn) fromClient = !segment.has(ACK);
  else fromClient = segment.sourcePort >= segment.destinationPort;
  if (!fromClient) turn();
  conversation.clientHigh = addressHigh(segment.family, segment.source);
  conversation.clientLow = addressLow(segment.family, segment.source);
  conversation.serverHigh = addressHigh(segment.family, segment.destination);
  conversation.serverLow = addressLow(segment.family, segment.destination);
  conversation.clientPort = u16(segment.sourcePort);
  conversation.serverPort = u16(segment.destinationPort);
  conversation.family = u8(segment.family);
  if (!fromClient) turn();
  conversation.number = numbers++;
  conversation.firstTime = now;
  conversation.lastTime = now;
  conversation.rtt = -1;
  for (let side = CLIENT; side <= SERVER; side++) {
    const direction = conversation.direction(side);
    direction.slot = conversation.slot;
    direction.side = side;
  }
  conversation.began = u8(syn ? (fromClient ? BEGAN_SYN : BEGAN_SYN_ACK) : BEGAN_MIDSTREAM);
  if (successor) {
    successor = false;
    conversation.began = u8(BEGAN_SYN);
    conversation.firstTime = successorTime;
    conversation.synTime = successorTime;
    conversation.handshake = 1;
    conversation.direction(CLIENT).packets = 1;
    conversation.direction(CLIENT).flags = SYN_SEEN;
  }
  enterTable(changetype<Tcb>(conversation));
  enterConversations(conversation);
}

function sync(direction: Direction, at: Seq): void {
  direction.flags |= SYNCED;
  direction.first = at;
  direction.next = at;
  direction.ready = at;
  direction.high = at;
}

function enter(conversation: Conversation): void {
  leaveConversations(conversation);
  enterConversations(conversation);
  if (now > conversation.lastTime) conversation.lastTime = now;
  const side = fromClient ? CLIENT : SERVER;
  const mine = conversation.direction(side);
  const other = conversation.direction(1 - side);
  mine.packets += 1;
  if (conversation.rivalFrom == 1 + side && segment.has(SYN)) return;
  timeHandshake(conversation, mine);
  const start = segment.has(SYN) ? segment.seq.plus(1) : segment.seq;
  if (segment.has(RST)) {
    // Its numbers may be anything, and its text is a remark, not the stream's (RFC 9293 §3.5.3).
    if (conversation.ended < u8(ENDED_BOTH_FIN))
      conversation.ended = u8(fromClient ? ENDED_CLIENT_RESET : ENDED_SERVER_RESET);
    return;
  }
  // A SYN,ACK may be answered anew, with another number, as long as nobody has acknowledged the first.
  if (!mine.has(SYNCED) || (segment.has(SYN) && mine.high == mine.first && !mine.has(ACKED)))
    sync(mine, start);
  if (segment.has(SYN)) mine.flags |= SYN_SEEN;
  if (segment.has(ACK)) takeAck(other, segment.ack);
  takeExtent(conversation, mine, start);
  if (captured) {
    takeText(start, segment.text, captured, segment.textLength);
    receiving = mine.address;
  }
}

function takeAck(other: Direction, ack: Seq): void {
  if (!other.has(SYNCED)) sync(other, ack);
  if (ack > other.next && ack.since(other.next) > REACH) return;
  if (other.has(ACKED) && ack <= other.acked) return;
  other.acked = ack;
  other.flags |= ACKED;
  acknowledged = other.address;
}

/** What the segment says of its direction's length, whether or not it was captured whole. */
function takeExtent(conversation: Conversation, mine: Direction, start: Seq): void {
  const end = start.plus(segment.textLength);
  // Strays far ahead say nothing (see `leap`).
  if (end > mine.high && end.since(mine.next) <= u32(OBSERVED_MAX)) mine.high = end;
  if (!segment.has(FIN)) return;
  if (!mine.has(FIN_SEEN)) mine.finAt = end;
  mine.flags |= FIN_SEEN;
  if (conversation.ended < u8(ENDED_BOTH_FIN))
    conversation.ended |= u8(fromClient ? ENDED_CLIENT_FIN : ENDED_SERVER_FIN);
}

/** The handshake's round trip, SYN to the ACK of SYN,ACK; repetitions leave in doubt what answers what (Karn). */
function timeHandshake(conversation: Conversation, mine: Direction): void {
  const phase = conversation.handshake;
  if (segment.has(RST) || phase == 3) return;
  if (segment.has(SYN) && mine.has(SYN_SEEN)) conversation.handshake = 3;
  else if (segment.has(SYN) && !segment.has(ACK) && fromClient && phase == 0) {
    conversation.synTime = now;
    conversation.handshake = 1;
  } else if (segment.has(SYN) && segment.has(ACK) && !fromClient && phase == 1) conversation.handshake = 2;
  else if (!segment.has(SYN) && segment.has(ACK) && fromClient && phase == 2) {
    conversation.rtt = now - conversation.synTime;
    conversation.handshake = 3;
  }
}
