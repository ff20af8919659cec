import type { IpFields, TcpOption } from "./ast.ts";
import { AE } from "./flags.ts";
import { decodeOptions } from "./tcp-options.ts";

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMP_6 = 58;

/** Both ends of a packet: addresses in 16 octets, IPv4 as ::ffff:a.b.c.d. */
export interface Ends {
  family: 4 | 6;
  source: Uint8Array;
  destination: Uint8Array;
}

export interface TcpFields {
  sourcePort: number;
  destinationPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  urgent: number;
  options: readonly number[];
  /** Octets of text, all of them zero. */
  length: number;
}

/** What a live packet is, as far as scripts can say. */
export interface LivePacket {
  family: 4 | 6;
  protocol: number;
  tos: number;
  ttl: number;
  flowLabel: number;
  sourcePort: number;
  destinationPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  urgent: number;
  options: TcpOption[];
  length: number;
  icmpType: number;
  icmpCode: number;
  icmpRest: number;
  /** What no stack should send: a wrong checksum or length, reserved bits, text that is not zeros. */
  flaws: string[];
}

const ECN = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: 2 } as const;

/** The ECN bits a script asks for. */
export function ecnBits(name: NonNullable<IpFields["ecn"]>): number {
  return ECN[name];
}

function sum(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  let total = initial;
  for (let i = start; i < end; i += 2) total += (bytes[i]! << 8) | (i + 1 < end ? bytes[i + 1]! : 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}

function pseudo({ family, source, destination }: Ends, protocol: number, length: number): number {
  const from = family === 4 ? 12 : 0;
  return sum(source, from, 16, sum(destination, from, 16, protocol + length));
}

const checksumAt: Readonly<Record<number, number>> = { [ICMP]: 2, [TCP]: 16, [UDP]: 6, [ICMP_6]: 2 };

/** An IP packet around `segment`, whose checksum field is zero; both checksums are put in. */
export function wrap(ends: Ends, protocol: number, segment: Uint8Array, ip: IpFields): Uint8Array {
  const { family } = ends;
  const header = family === 4 ? 20 : 40;
  const packet = new Uint8Array(header + segment.length);
  const view = new DataView(packet.buffer);
  const tos = ip.tos ?? ((ip.dscp ?? 0) << 2) | (ip.ecn ? ecnBits(ip.ecn) : 0);
  const ttl = ip.ttl ?? 255;
  packet.set(segment, header);
  const covered = protocol === ICMP ? 0 : pseudo(ends, protocol, segment.length);
  const check = ~sum(segment, 0, segment.length, covered) & 0xffff;
  view.setUint16(header + checksumAt[protocol]!, check === 0 && protocol === UDP ? 0xffff : check);
  if (family === 4) {
    view.setUint16(0, 0x4500 | tos);
    view.setUint16(2, packet.length);
    view.setUint8(8, ttl);
    view.setUint8(9, protocol);
    packet.set(ends.source.subarray(12), 12);
    packet.set(ends.destination.subarray(12), 16);
    view.setUint16(10, ~sum(packet, 0, 20) & 0xffff);
    return packet;
  }
  view.setUint32(0, ((6 << 28) | (tos << 20) | (ip.flowLabel ?? 0)) >>> 0);
  view.setUint16(4, segment.length);
  view.setUint8(6, protocol);
  view.setUint8(7, ttl);
  packet.set(ends.source, 8);
  packet.set(ends.destination, 24);
  return packet;
}

export function tcpSegment(fields: TcpFields): Uint8Array {
  const header = 20 + fields.options.length;
  const segment = new Uint8Array(header + fields.length);
  const view = new DataView(segment.buffer);
  view.setUint16(0, fields.sourcePort);
  view.setUint16(2, fields.destinationPort);
  view.setUint32(4, fields.seq);
  view.setUint32(8, fields.ack);
  view.setUint16(12, (header << 10) | (fields.flags & 0x1ff));
  view.setUint16(14, fields.window);
  view.setUint16(18, fields.urgent);
  segment.set(fields.options, 20);
  return segment;
}

export function udpDatagram(sourcePort: number, destinationPort: number, length: number): Uint8Array {
  const datagram = new Uint8Array(8 + length);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, datagram.length);
  return datagram;
}

/** An ICMP message: `rest` is the second word of its header. */
export function icmpMessage(type: number, code: number, rest: number, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(8 + body.length);
  message[0] = type;
  message[1] = code;
  new DataView(message.buffer).setUint32(4, rest);
  message.set(body, 8);
  return message;
}

/** Read a packet of the stack's. */
export function decode(packet: Uint8Array): LivePacket {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const family = packet[0]! >> 4 === 6 ? 6 : 4;
  const start = family === 4 ? (packet[0]! & 15) * 4 : 40;
  const live: LivePacket = {
    family,
    protocol: family === 4 ? packet[9]! : packet[6]!,
    tos: family === 4 ? packet[1]! : (view.getUint16(0) >> 4) & 255,
    ttl: family === 4 ? packet[8]! : packet[7]!,
    flowLabel: family === 4 ? 0 : view.getUint32(0) & 0xfffff,
    sourcePort: 0,
    destinationPort: 0,
    seq: 0,
    ack: 0,
    flags: 0,
    window: 0,
    urgent: 0,
    options: [],
    length: packet.length - start,
    icmpType: 0,
    icmpCode: 0,
    icmpRest: 0,
    flaws: [],
  };
  const total = family === 4 ? view.getUint16(2) : view.getUint16(4) + 40;
  if (total !== packet.length) live.flaws.push(`IP length ${total} of ${packet.length}`);
  if (family === 4 && sum(packet, 0, start) !== 0xffff) live.flaws.push("wrong IP checksum");
  checkSum(packet, start, live);
  if (live.protocol === TCP) decodeTcp(packet, view, start, live);
  else if (live.protocol === UDP) {
    live.sourcePort = view.getUint16(start);
    live.destinationPort = view.getUint16(start + 2);
    live.length = view.getUint16(start + 4) - 8;
  } else if (live.protocol === ICMP || live.protocol === ICMP_6) {
    live.icmpType = packet[start]!;
    live.icmpCode = packet[start + 1]!;
    live.icmpRest = view.getUint32(start + 4);
  }
  return live;
}

function checkSum(packet: Uint8Array, start: number, live: LivePacket): void {
  const ends = {
    family: live.family,
    source: new Uint8Array(16),
    destination: new Uint8Array(16),
  };
  const [at, size] = live.family === 4 ? [12, 4] : [8, 16];
  ends.source.set(packet.subarray(at, at + size), 16 - size);
  ends.destination.set(packet.subarray(at + size, at + 2 * size), 16 - size);
  const covered = live.protocol === ICMP ? 0 : pseudo(ends, live.protocol, packet.length - start);
  const none =
    live.protocol === UDP && live.family === 4 && packet[start + 6] === 0 && packet[start + 7] === 0;
  if (!none && sum(packet, start, packet.length, covered) !== 0xffff) live.flaws.push("wrong checksum");
}

function decodeTcp(packet: Uint8Array, view: DataView, start: number, live: LivePacket): void {
  const word = view.getUint16(start + 12);
  const text = start + (word >> 12) * 4;
  live.sourcePort = view.getUint16(start);
  live.destinationPort = view.getUint16(start + 2);
  live.seq = view.getUint32(start + 4);
  live.ack = view.getUint32(start + 8);
  live.flags = word & (AE | 0xff);
  live.window = view.getUint16(start + 14);
  live.urgent = view.getUint16(start + 18);
  live.length = packet.length - text;
  if (word & 0xe00) live.flaws.push(`reserved bits ${(word >> 9) & 7}`);
  const options = decodeOptions(packet.subarray(start + 20, text));
  if (options) live.options = options;
  else live.flaws.push("options of an impossible length");
  for (let i = text; i < packet.length; i++)
    if (packet[i] !== 0) {
      live.flaws.push(`text that was never written, at ${i - text}`);
      break;
    }
}
