import { addressOctets, addressText } from "./addresses.ts";

/*
 * Packets for tests, built and read the slow and obvious way, without a line of the engine's own code.
 */

/** TCP flags in the order in which they are written: "SA" is SYN,ACK. */
const FLAGS = "FSRPAUEC";

export interface Options {
  mss?: number;
  ws?: number;
  sackPermitted?: true;
  ts?: [value: number, echo: number];
  sack?: [left: number, right: number][];
}

export interface Fields {
  src: string;
  dst: string;
  srcPort: number;
  dstPort: number;
  /** 32 bits; larger and negative numbers wrap. */
  seq?: number;
  ack?: number;
  /** Letters of "FSRPAUEC". */
  flags?: string;
  window?: number;
  urgent?: number;
  options?: Options;
  /** Octets of options as they are, in place of `options`; padded with zeros to a multiple of four. */
  rawOptions?: readonly number[];
  text?: Uint8Array | string;
  ttl?: number;
  /** DSCP and ECN. */
  tos?: number;
  id?: number;
  /** Octets of IPv4 options as they are; padded with zeros to a multiple of four. */
  ipOptions?: readonly number[];
}

export interface Packet {
  version: 4 | 6;
  src: string;
  dst: string;
  srcPort: number;
  dstPort: number;
  seq: number;
  ack: number;
  flags: string;
  window: number;
  urgent: number;
  options: Options;
  /** Kinds of all options in order, EOL and NOP included. */
  kinds: number[];
  text: Uint8Array;
  ttl: number;
  tos: number;
  id: number;
  dontFragment: boolean;
  reserved: number;
  /** Octets of IPv4 options. */
  ipOptions: number[];
  /** Octets of the IP packet. */
  length: number;
}

/** RFC 1071, sixteen bits at a time. */
export function checksum(...parts: ArrayLike<number>[]): number {
  let sum = 0;
  let high = true;
  for (const part of parts)
    for (let i = 0; i < part.length; i++) {
      sum += high ? part[i]! << 8 : part[i]!;
      high = !high;
    }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

const two = (n: number) => [(n >>> 8) & 255, n & 255];
const four = (n: number) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

export function octets(text: Uint8Array | string): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : text;
}

function optionOctets(options: Options): number[] {
  const bytes: number[] = [];
  if (options.mss !== undefined) bytes.push(2, 4, ...two(options.mss));
  if (options.ws !== undefined) bytes.push(3, 3, options.ws);
  if (options.sackPermitted) bytes.push(4, 2);
  if (options.ts) bytes.push(8, 10, ...four(options.ts[0]), ...four(options.ts[1]));
  if (options.sack) bytes.push(5, 2 + 8 * options.sack.length, ...options.sack.flat().flatMap(four));
  return bytes;
}

/** An IP packet with a TCP segment in it, both checksums right. */
export function build(fields: Fields): Uint8Array {
  const source = addressOctets(fields.src);
  const destination = addressOctets(fields.dst);
  const options = [...(fields.rawOptions ?? optionOctets(fields.options ?? {}))];
  while (options.length % 4 !== 0) options.push(0);
  const text = octets(fields.text ?? "");
  let flags = 0;
  for (const letter of fields.flags ?? "A") {
    const bit = FLAGS.indexOf(letter);
    if (bit < 0) throw new Error(`no such flag: ${letter}`);
    flags |= 1 << bit;
  }
  const tcp = [
    ...two(fields.srcPort),
    ...two(fields.dstPort),
    ...four(fields.seq ?? 0),
    ...four(fields.ack ?? 0),
    (20 + options.length) << 2,
    flags,
    ...two(fields.window ?? 65535),
    0,
    0,
    ...two(fields.urgent ?? 0),
    ...options,
  ];
  const length = tcp.length + text.length;
  const pseudo = [...source, ...destination, ...four(length), ...four(6)];
  [tcp[16], tcp[17]] = two(checksum(pseudo, tcp, text)) as [number, number];

  const tos = fields.tos ?? 0;
  let header: number[];
  if (source.length === 4) {
    const options = [...(fields.ipOptions ?? [])];
    while (options.length % 4 !== 0) options.push(0);
    header = [
      0x45 + options.length / 4,
      tos,
      ...two(20 + options.length + length),
      ...two(fields.id ?? 0),
      0x40,
      0,
      fields.ttl ?? 64,
      6,
      0,
      0,
      ...source,
      ...destination,
      ...options,
    ];
    [header[10], header[11]] = two(checksum(header)) as [number, number];
  } else {
    header = [
      0x60 | (tos >> 4),
      (tos & 15) << 4,
      0,
      0,
      ...two(length),
      6,
      fields.ttl ?? 64,
      ...source,
      ...destination,
    ];
  }
  return Uint8Array.from([...header, ...tcp, ...text]);
}

/** Read a packet as strictly as can be; whatever a decent host would never send is an error. */
export function parse(packet: Uint8Array): Packet {
  const at16 = (i: number) => (packet[i]! << 8) | packet[i + 1]!;
  const at32 = (i: number) => at16(i) * 0x10000 + at16(i + 2);
  const must = (condition: boolean, what: string) => {
    if (!condition) throw new Error(`malformed packet: ${what} in ${Buffer.from(packet).toString("hex")}`);
  };
  const version = packet[0]! >> 4;
  must(version === 4 || version === 6, `version ${version}`);
  const start = version === 4 ? (packet[0]! & 15) * 4 : 40;
  must(packet.length >= start + 20, "headers cut short");
  if (version === 4) {
    must(start >= 20, `header of ${start} octets`);
    must(at16(2) === packet.length, `total length ${at16(2)} of ${packet.length}`);
    must(checksum(packet.subarray(0, start)) === 0, "IP checksum");
    must((at16(6) & 0xbfff) === 0, "fragment");
    must(packet[9] === 6, `protocol ${packet[9]}`);
  } else {
    must(at16(4) === packet.length - 40, `payload length ${at16(4)} of ${packet.length - 40}`);
    must(packet[6] === 6, `next header ${packet[6]}`);
  }
  const source = version === 4 ? packet.subarray(12, 16) : packet.subarray(8, 24);
  const ipOptions = version === 4 ? [...packet.subarray(20, start)] : [];
  const destination = version === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40);
  // What the checksum covers is where the packet goes in the end: a source route's last address (RFC 9293 §3.1).
  const routed = ipOptions[0] === 131 || ipOptions[0] === 137;
  const final = routed ? ipOptions.slice(ipOptions[1]! - 4, ipOptions[1]!) : destination;
  const segment = packet.subarray(start);
  must(checksum([...source, ...final, ...four(segment.length), ...four(6)], segment) === 0, "TCP checksum");
  const offset = (packet[start + 12]! >> 4) * 4;
  must(offset >= 20 && offset <= segment.length, `data offset ${offset}`);

  const options: Options = {};
  const kinds: number[] = [];
  const end = start + offset;
  for (let i = start + 20; i < end; ) {
    const kind = packet[i]!;
    kinds.push(kind);
    if (kind === 0) {
      must(
        packet.subarray(i, end).every((octet) => octet === 0),
        "padding that is not zero",
      );
      break;
    }
    if (kind === 1) {
      i++;
      continue;
    }
    const size = packet[i + 1]!;
    must(i + 1 < end && size >= 2 && i + size <= end, `option ${kind} of length ${size}`);
    if (kind === 2) {
      must(size === 4, `MSS of length ${size}`);
      options.mss = at16(i + 2);
    } else if (kind === 3) {
      must(size === 3, `window scale of length ${size}`);
      options.ws = packet[i + 2]!;
    } else if (kind === 4) {
      must(size === 2, `SACK-permitted of length ${size}`);
      options.sackPermitted = true;
    } else if (kind === 5) {
      must(size >= 10 && (size - 2) % 8 === 0, `SACK of length ${size}`);
      options.sack = [];
      for (let j = i + 2; j < i + size; j += 8) options.sack.push([at32(j), at32(j + 4)]);
    } else if (kind === 8) {
      must(size === 10, `timestamps of length ${size}`);
      options.ts = [at32(i + 2), at32(i + 6)];
    }
    i += size;
  }

  const bits = packet[start + 13]!;
  return {
    version: version as 4 | 6,
    src: addressText(source),
    dst: addressText(destination),
    srcPort: at16(start),
    dstPort: at16(start + 2),
    seq: at32(start + 4),
    ack: at32(start + 8),
    flags: [...FLAGS].filter((_, bit) => bits & (1 << bit)).join(""),
    window: at16(start + 14),
    urgent: at16(start + 18),
    options,
    kinds,
    text: segment.slice(offset),
    ttl: version === 4 ? packet[8]! : packet[7]!,
    tos: version === 4 ? packet[1]! : ((packet[0]! & 15) << 4) | (packet[1]! >> 4),
    id: version === 4 ? at16(4) : 0,
    dontFragment: version === 4 ? (packet[6]! & 0x40) !== 0 : true,
    reserved: packet[start + 12]! & 15,
    ipOptions,
    length: packet.length,
  };
}
