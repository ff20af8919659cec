import { SynwaveError } from "../errors.ts";

/** Link types, as tcpdump.org registers them. */
export const LINKTYPE_NULL = 0;
export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_RAW = 101;
export const LINKTYPE_LOOP = 108;
export const LINKTYPE_LINUX_SLL = 113;
export const LINKTYPE_IPV4 = 228;
export const LINKTYPE_IPV6 = 229;
export const LINKTYPE_LINUX_SLL2 = 276;

/** pcapng block types. */
export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_PACKET = 2;
export const BLOCK_SIMPLE = 3;
export const BLOCK_STATISTICS = 5;
export const BLOCK_ENHANCED = 6;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** pcapng options; the numbers mean other things in other blocks. */
export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
export const SECTION_APPLICATION = 4;
export const INTERFACE_NAME = 2;
export const INTERFACE_RESOLUTION = 9;
export const INTERFACE_OFFSET = 14;
export const PACKET_FLAGS = 2;
export const STATISTICS_START = 2;
export const STATISTICS_END = 3;
export const STATISTICS_RECEIVED = 4;
export const STATISTICS_DROPPED = 5;

export type Direction = "inbound" | "outbound";

/** The lowest two bits of a packet's flags. */
export const FLAG_INBOUND = 1;
export const FLAG_OUTBOUND = 2;

export interface CapturedPacket {
  /** Milliseconds since 1970, or since whatever the capture counts from. */
  readonly time: number;
  /** The IP packet, as much of it as was captured: a view of the capture. */
  readonly data: Uint8Array;
  /** What surrounded it: a LINKTYPE number. */
  readonly linkType: number;
  /** Octets the IP packet had on the wire. */
  readonly originalLength: number;
  /** Where the capture says so. */
  readonly direction: Direction | undefined;
}

/** The error for a capture that is not what it should be. */
export function malformed(offset: number, what: string): SynwaveError {
  return new SynwaveError("ERR_CAPTURE_FORMAT", `${what} at offset ${offset}`);
}

export function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
