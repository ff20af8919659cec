import { type CapturedPacket, hex, malformed } from "./format.ts";
import { packetOfFrame } from "./frame.ts";

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER = 24;
const PACKET_HEADER = 16;

/** Whether a classic capture begins here, in either byte order. */
export function isPcap(view: DataView): boolean {
  for (const little of [true, false]) {
    const magic = view.getUint32(0, little);
    if (magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS) return true;
  }
  return false;
}

/** The packets of a classic capture, whose magic `isPcap` has recognised. */
export function* readPcap(bytes: Uint8Array, view: DataView): Generator<CapturedPacket, void, undefined> {
  if (bytes.length < FILE_HEADER)
    throw malformed(0, `a file header of ${FILE_HEADER} octets is cut off after ${bytes.length}`);
  const first = view.getUint32(0, true);
  const little = first === MAGIC_MICROSECONDS || first === MAGIC_NANOSECONDS;
  const perMs = view.getUint32(0, little) === MAGIC_NANOSECONDS ? 1e6 : 1e3;
  const major = view.getUint16(4, little);
  if (major !== 2) throw malformed(4, `version ${major}, not 2,`);
  // The upper half tells the length of a frame check sequence, which IP's own length makes superfluous.
  const linkType = view.getUint32(20, little) & 0xffff;
  let at = FILE_HEADER;
  while (at < bytes.length) {
    const rest = bytes.length - at;
    if (rest < PACKET_HEADER)
      throw malformed(at, `a packet header of ${PACKET_HEADER} octets is cut off after ${rest}`);
    const time = view.getUint32(at, little) * 1e3 + view.getUint32(at + 4, little) / perMs;
    const captured = view.getUint32(at + 8, little);
    const original = view.getUint32(at + 12, little);
    if (captured > rest - PACKET_HEADER)
      throw malformed(
        at + 8,
        `a packet of ${captured} octets (${hex(captured)}) with ${rest - PACKET_HEADER} left`,
      );
    const start = at + PACKET_HEADER;
    const packet = packetOfFrame(bytes, view, start, captured, original, linkType, time, undefined, 20);
    if (packet !== undefined) yield packet;
    at = start + captured;
  }
}
