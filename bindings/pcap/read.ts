import { type CapturedPacket, hex, malformed } from "./format.ts";
import { isPcap, readPcap } from "./read-pcap.ts";
import { isPcapng, readPcapng } from "./read-pcapng.ts";

/**
 * The IP packets of a capture, in the file's order: classic pcap (either byte order, micro- or nanoseconds) or pcapng
 * (any number of sections and interfaces), with link types NULL, ETHERNET (and VLAN tags), RAW, LOOP, LINUX_SLL, IPV4,
 * IPV6 and LINUX_SLL2. Frames that carry no IP are passed over.
 *
 * @param bytes the whole file; the packets' `data` are views of it
 * @throws SynwaveError ERR_CAPTURE_FORMAT, while iterating, for a file of another kind, one that is cut off or broken,
 * or a packet of another link type; the message tells where
 */
export function* readCapture(bytes: Uint8Array): Generator<CapturedPacket, void, undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) throw malformed(0, `the capture ends after ${bytes.length} octets`);
  if (isPcap(view)) yield* readPcap(bytes, view);
  else if (isPcapng(view)) yield* readPcapng(bytes, view);
  else throw malformed(0, `${hex(view.getUint32(0))}, which begins neither a pcap nor a pcapng file,`);
}
