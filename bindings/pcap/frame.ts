import {
  type CapturedPacket,
  type Direction,
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_LOOP,
  LINKTYPE_NULL,
  LINKTYPE_RAW,
  malformed,
} from "./format.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_PROVIDER_VLAN = 0x88a8;
const ETHERTYPE_OLD_PROVIDER_VLAN = 0x9100;

const AF_INET = 2;
/** NetBSD and OpenBSD, FreeBSD, macOS, Linux. */
const AF_INET6 = [24, 28, 30, 10];

function isIp(etherType: number): boolean {
  return etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6;
}

function isVlan(etherType: number): boolean {
  return (
    etherType === ETHERTYPE_VLAN ||
    etherType === ETHERTYPE_PROVIDER_VLAN ||
    etherType === ETHERTYPE_OLD_PROVIDER_VLAN
  );
}

/** Where the IP packet begins behind an EtherType at `typeAt` and a header up to `header`; -1 when it is none. */
function behindEtherType(
  view: DataView,
  start: number,
  length: number,
  typeAt: number,
  header: number,
): number {
  if (length < header) return -1;
  let type = view.getUint16(start + typeAt);
  let skip = header;
  while (isVlan(type)) {
    if (length < skip + 4) return -1;
    type = view.getUint16(start + skip + 2);
    skip += 4;
  }
  return isIp(type) ? skip : -1;
}

function behindFamily(view: DataView, start: number, length: number, linkType: number): number {
  if (length < 4) return -1;
  let family = view.getUint32(start);
  // LINKTYPE_NULL has the byte order of the machine that captured, which the file does not tell.
  if (linkType === LINKTYPE_NULL && family > 0xffff) family = view.getUint32(start, true);
  return family === AF_INET || AF_INET6.includes(family) ? 4 : -1;
}

/** Octets in front of the IP packet; -1 when the frame carries none. */
function headerLength(view: DataView, start: number, length: number, linkType: number, at: number): number {
  switch (linkType) {
    case LINKTYPE_RAW:
    case LINKTYPE_IPV4:
    case LINKTYPE_IPV6:
      return 0;
    case LINKTYPE_ETHERNET:
      return behindEtherType(view, start, length, 12, 14);
    case LINKTYPE_LINUX_SLL:
      return behindEtherType(view, start, length, 14, 16);
    case LINKTYPE_LINUX_SLL2:
      return behindEtherType(view, start, length, 0, 20);
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      return behindFamily(view, start, length, linkType);
    default:
      throw malformed(at, `a packet of link type ${linkType}, which is not supported,`);
  }
}

/** The length a packet's own header gives; 0 when it says none (offloaded segments do not) or is cut short. */
function statedLength(view: DataView, start: number, length: number): number {
  const version = length > 0 ? view.getUint8(start) >> 4 : 0;
  if (version === 4 && length >= 20) return view.getUint16(start + 2);
  if (version === 6 && length >= 40) {
    const payload = view.getUint16(start + 4);
    return payload === 0 ? 0 : payload + 40;
  }
  return 0;
}

/**
 * The IP packet in a frame; undefined when it carries something else (ARP and its like).
 *
 * @param start the frame's first octet in `bytes`, `length` octets of `original` captured
 * @param at where to say an unsupported link type occurred
 */
export function packetOfFrame(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  length: number,
  original: number,
  linkType: number,
  time: number,
  direction: Direction | undefined,
  at: number,
): CapturedPacket | undefined {
  const header = headerLength(view, start, length, linkType, at);
  if (header < 0) return undefined;
  const from = start + header;
  let captured = length - header;
  let originalLength = Math.max(captured, original - header);
  // Short frames are padded, and the padding is not the packet's. Raw packets are shown as they are.
  const stated = header > 0 ? statedLength(view, from, captured) : 0;
  if (stated >= 20 && stated < originalLength) {
    originalLength = stated;
    captured = Math.min(captured, stated);
  }
  return { time, data: bytes.subarray(from, from + captured), linkType, originalLength, direction };
}
