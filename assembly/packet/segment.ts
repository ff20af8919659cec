import { Seq } from "../seq.ts";

export const FIN: u32 = 0x01;
export const SYN: u32 = 0x02;
export const RST: u32 = 0x04;
export const PSH: u32 = 0x08;
export const ACK: u32 = 0x10;
export const URG: u32 = 0x20;
export const ECE: u32 = 0x40;
export const CWR: u32 = 0x80;

/** Ports lie at 0, SEQ at 4, ACK at 8, offset and flags at 12, window at 14, checksum at 16, urgent pointer at 18. */
export const TCP_HEADER: u32 = 20;

/** Segment.fastOpen of one without the option, or with a cookie of a length that none has. */
export const NO_FAST_OPEN: i32 = -1;

/**
 * One arrived TCP segment, checked and in host order: the record that cannot be wrong. There is a single one, overwritten
 * by the next packet. Trimming to the window changes seq, text, textLength and flags.
 */
@unmanaged
@final
export class Segment {
  /** 4 or 6. */
  family: u32;
  /** Where the addresses stand in the packet: 4 or 16 octets each. */
  source: usize;
  destination: usize;
  sourcePort: u32;
  destinationPort: u32;
  /** Both ports as one word in network order, for demux. */
  ports: u32;
  seq: Seq;
  ack: Seq;
  flags: u32;
  /** The window field as it stands, unscaled. */
  window: u32;
  urgent: u32;
  /** SEG.UP: where the urgent text ends, if URG says so; what trimming does to seq does nothing to it. */
  up: Seq;
  text: usize;
  textLength: u32;
  /** Segments that came as this one, and octets of text of each but the last; trimming changes neither. */
  segments: u32;
  size: u32;
  ecn: u32;
  // Options; 0 or false when absent.
  mss: u32;
  hasMss: bool;
  hasWindowScale: bool;
  windowScale: u32;
  hasTimestamp: bool;
  tsValue: u32;
  tsEcho: u32;
  /** Of RFC 5482, as it stands. */
  userTimeout: u32;
  /** SACK-permitted. */
  hasSack: bool;
  /** Where the blocks of a SACK option stand, and how many. */
  sackAt: usize;
  sackBlocks: u32;
  /** Octets of a SYN's Fast Open cookie, 0 where one is asked for, NO_FAST_OPEN without; where it stands; by which option. */
  fastOpen: i32;
  fastOpenCookie: usize;
  fastOpenExperimental: bool;

  /** SEG.LEN: text, and one each for SYN and FIN. */
  @inline get length(): u32 {
    return this.textLength + ((this.flags >> 1) & 1) + (this.flags & 1);
  }

  @inline has(flags: u32): bool {
    return (this.flags & flags) != 0;
  }
}

/** The segment being processed. */
export const segment = changetype<Segment>(memory.data(sizeof<usize>() * 32, 8));
if (offsetof<Segment>() > sizeof<usize>() * 32) ERROR("Segment outgrew its place");
