import { addressOctets, addressText } from "./addresses.ts";
import { checksum, octets, parse } from "./packet.ts";

/*
 * IP, ICMP and UDP packets, built and read the slow and obvious way, without a line of the engine's own code.
 */

export const ICMP = 1;
export const UDP = 17;
export const ICMP6 = 58;

const two = (n: number) => [(n >>> 8) & 255, n & 255];
const four = (n: number) => [...two(n >>> 16), ...two(n)];

export interface Ip {
  src: string;
  dst: string;
  protocol: number;
  ttl?: number;
  tos?: number;
  id?: number;
  /** Octets from the beginning of the datagram; with `more`, a fragment. */
  offset?: number;
  more?: boolean;
  dontFragment?: boolean;
  /** An IPv6 fragment header although there is one piece only. */
  atomic?: boolean;
}

/** An IP packet. */
export function ip(fields: Ip, payload: ArrayLike<number>): Uint8Array {
  const { src, dst, protocol, ttl = 64, tos = 0, id = 0, offset = 0, more = false } = fields;
  const body = Array.from(payload);
  const from = addressOctets(src);
  const to = addressOctets(dst);
  if (from.length === 4) {
    const place = (fields.dontFragment ? 0x4000 : 0) | (more ? 0x2000 : 0) | (offset / 8);
    const header = [0x45, tos, ...two(20 + body.length), ...two(id), ...two(place), ttl, protocol, 0, 0];
    header.push(...from, ...to);
    [header[10], header[11]] = two(checksum(header)) as [number, number];
    return Uint8Array.from([...header, ...body]);
  }
  const cut = more || offset > 0 || fields.atomic;
  const extra = cut ? [protocol, 0, ...two(offset | Number(more)), ...four(id)] : [];
  const length = two(extra.length + body.length);
  const begin = [0x60 | (tos >> 4), (tos & 15) << 4, 0, 0, ...length, cut ? 44 : protocol, ttl];
  return Uint8Array.from([...begin, ...from, ...to, ...extra, ...body]);
}

function pseudo(src: string, dst: string, length: number, protocol: number): number[] {
  return [...addressOctets(src), ...addressOctets(dst), ...four(length), ...four(protocol)];
}

/** An ICMP message in an IP packet of the addresses' family. `rest`: the four octets behind the checksum. */
export function icmp(
  addresses: { src: string; dst: string },
  type: number,
  code: number,
  rest: number,
  body: ArrayLike<number>,
): Uint8Array {
  const protocol = addresses.src.includes(":") ? ICMP6 : ICMP;
  const message = [type, code, 0, 0, ...four(rest), ...Array.from(body)];
  const covered = protocol === ICMP6 ? pseudo(addresses.src, addresses.dst, message.length, ICMP6) : [];
  [message[2], message[3]] = two(checksum(covered, message)) as [number, number];
  return ip({ ...addresses, protocol }, message);
}

/** The octets of a UDP datagram, its checksum right unless it is given. */
export function udpOctets(
  fields: { src: string; dst: string; srcPort: number; dstPort: number; checksum?: number; length?: number },
  data: Uint8Array | string,
): Uint8Array {
  const body = octets(data);
  const length = 8 + body.length;
  const datagram = [
    ...two(fields.srcPort),
    ...two(fields.dstPort),
    ...two(fields.length ?? length),
    0,
    0,
    ...body,
  ];
  const sum = checksum(pseudo(fields.src, fields.dst, length, UDP), datagram) || 0xffff;
  [datagram[6], datagram[7]] = two(fields.checksum ?? sum) as [number, number];
  return Uint8Array.from(datagram);
}

export function udp(...[fields, data]: Parameters<typeof udpOctets>): Uint8Array {
  return ip({ src: fields.src, dst: fields.dst, protocol: UDP }, udpOctets(fields, data));
}

export interface ReadIp {
  version: 4 | 6;
  src: string;
  dst: string;
  protocol: number;
  id: number;
  offset: number;
  more: boolean;
  dontFragment: boolean;
  tos: number;
  payload: Uint8Array;
  length: number;
}

/** Read an IP packet as strictly as can be. */
export function readIp(packet: Uint8Array): ReadIp {
  const at16 = (i: number) => (packet[i]! << 8) | packet[i + 1]!;
  const must = (condition: boolean, what: string) => {
    if (!condition) throw new Error(`malformed packet: ${what} in ${Buffer.from(packet).toString("hex")}`);
  };
  const version = packet[0]! >> 4;
  must(version === 4 || version === 6, `version ${version}`);
  if (version === 4) {
    must(packet[0] === 0x45 && at16(2) === packet.length, "header");
    must(checksum(packet.subarray(0, 20)) === 0, "IP checksum");
    return {
      version,
      src: addressText(packet.subarray(12, 16)),
      dst: addressText(packet.subarray(16, 20)),
      protocol: packet[9]!,
      id: at16(4),
      offset: (at16(6) & 0x1fff) * 8,
      more: (at16(6) & 0x2000) !== 0,
      dontFragment: (at16(6) & 0x4000) !== 0,
      tos: packet[1]!,
      payload: packet.slice(20),
      length: packet.length,
    };
  }
  must(at16(4) === packet.length - 40, "payload length");
  const cut = packet[6] === 44;
  return {
    version: 6,
    src: addressText(packet.subarray(8, 24)),
    dst: addressText(packet.subarray(24, 40)),
    protocol: cut ? packet[40]! : packet[6]!,
    id: cut ? at16(44) * 0x10000 + at16(46) : 0,
    offset: cut ? at16(42) & 0xfff8 : 0,
    more: cut && (packet[43]! & 1) === 1,
    dontFragment: true,
    tos: ((packet[0]! & 15) << 4) | (packet[1]! >> 4),
    payload: packet.slice(cut ? 48 : 40),
    length: packet.length,
  };
}

/** Put the fragments of one datagram together; they must fit without a gap. */
export function join(packets: readonly Uint8Array[]): ReadIp {
  const pieces = packets.map(readIp);
  const first = pieces[0]!;
  const payload: number[] = [];
  for (const piece of pieces) {
    if (piece.offset !== payload.length || piece.id !== first.id || piece.protocol !== first.protocol)
      throw new Error(`fragment at ${piece.offset} of ${piece.id} after ${payload.length} of ${first.id}`);
    payload.push(...piece.payload);
  }
  if (pieces.at(-1)!.more) throw new Error("the last fragment is missing");
  return { ...first, more: false, payload: Uint8Array.from(payload) };
}

export interface ReadIcmp {
  src: string;
  dst: string;
  type: number;
  code: number;
  rest: number;
  body: Uint8Array;
}

/** Read an ICMP message, checksum and all. */
export function readIcmp(...packets: Uint8Array[]): ReadIcmp {
  const { src, dst, protocol, payload } = join(packets);
  if (protocol !== ICMP && protocol !== ICMP6) throw new Error(`protocol ${protocol} is not ICMP`);
  const covered = protocol === ICMP6 ? pseudo(src, dst, payload.length, ICMP6) : [];
  if (checksum(covered, payload) !== 0) throw new Error("ICMP checksum");
  const rest = new DataView(payload.buffer).getUint32(4);
  return { src, dst, type: payload[0]!, code: payload[1]!, rest, body: payload.slice(8) };
}

export interface ReadUdp {
  src: string;
  dst: string;
  srcPort: number;
  dstPort: number;
  checksum: number;
  data: Uint8Array;
}

/** Read a UDP datagram, checksum and all. */
export function readUdp(...packets: Uint8Array[]): ReadUdp {
  const { src, dst, protocol, payload } = join(packets);
  if (protocol !== UDP) throw new Error(`protocol ${protocol} is not UDP`);
  const at16 = (i: number) => (payload[i]! << 8) | payload[i + 1]!;
  if (at16(4) !== payload.length) throw new Error(`UDP length ${at16(4)} of ${payload.length}`);
  if (checksum(pseudo(src, dst, payload.length, UDP), payload) !== 0) throw new Error("UDP checksum");
  return { src, dst, srcPort: at16(0), dstPort: at16(2), checksum: at16(6), data: payload.slice(8) };
}

/** Cut the payload of an IP packet without options or extension headers into fragments of `size` octets. */
export function fragments(packet: Uint8Array, size: number, id = 0x777): Uint8Array[] {
  const { src, dst, protocol, payload, tos } = readIp(packet);
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < payload.length; offset += size) {
    const more = offset + size < payload.length;
    pieces.push(ip({ src, dst, protocol, tos, id, offset, more }, payload.subarray(offset, offset + size)));
  }
  return pieces;
}

/** Read a packet of whatever kind, as strictly as can be. */
export function check(packet: Uint8Array): void {
  const { protocol, offset, more } = readIp(packet);
  if (protocol === 6) parse(packet);
  else if (offset > 0 || more) return;
  else if (protocol === UDP) readUdp(packet);
  else readIcmp(packet);
}
