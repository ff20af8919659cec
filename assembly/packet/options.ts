import { Seq } from "../seq.ts";
import { NO_FAST_OPEN, Segment, SYN, TCP_HEADER } from "./segment.ts";

const EOL: u32 = 0;
const NOP: u32 = 1;
const MSS: u32 = 2;
const WINDOW_SCALE: u32 = 3;
const SACK_PERMITTED: u32 = 4;
export const SACK: u32 = 5;
const TIMESTAMPS: u32 = 8;
const USER_TIMEOUT: u32 = 28;
const FAST_OPEN: u32 = 34;
/** The option's kind before it had one of its own (RFC 6994), and the two octets that tell it from other experiments. */
const EXPERIMENTAL: u32 = 254;
const FAST_OPEN_MAGIC: u16 = 0x89f9;
/** NOP, NOP, timestamps, its length: how everybody writes it (RFC 7323 appendix A). */
export const TIMESTAMPS_ALIGNED: u32 = 0x0a080101;
/** SACK-permitted, its length, timestamps, its length: how Linux begins. */
const TIMESTAMPS_BEHIND_SACK: u32 = 0x0a080204;
/** Octets of the timestamps option with its padding. */
export const TIMESTAMPS_LENGTH: u32 = 12;

/** Octets of the user timeout option. */
export const USER_TIMEOUT_LENGTH: u32 = 4;

/** RFC 7323 §2.3: a larger shift counts as this. */
export const WINDOW_SCALE_MAX: u32 = 14;

/**
 * Read the options of the TCP header at `header` into `segment`. Unknown options are skipped by their length
 * (RFC 9293 §3.1, MUST-6); a length below two or past the header ends the reading (MUST-7), with what was read kept.
 * Of an option that stands twice the last counts. False when a length was impossible.
 */
export function parseOptions(header: usize, headerLength: u32, segment: Segment): bool {
  segment.hasMss = false;
  segment.mss = 0;
  segment.hasWindowScale = false;
  segment.windowScale = 0;
  segment.hasTimestamp = false;
  segment.hasSack = false;
  segment.userTimeout = 0;
  segment.sackBlocks = 0;
  segment.fastOpen = NO_FAST_OPEN;
  // Almost every segment of almost every connection.
  if (headerLength == TCP_HEADER + TIMESTAMPS_LENGTH && load<u32>(header, TCP_HEADER) == TIMESTAMPS_ALIGNED) {
    takeTimestamps(header + TCP_HEADER + 4, segment);
    return true;
  }
  const syn = segment.has(SYN);
  let at = TCP_HEADER;
  while (at < headerLength) {
    const kind: u32 = load<u8>(header + at);
    if (kind == EOL) return true;
    if (kind == NOP) {
      at++;
      continue;
    }
    if (at + 1 >= headerLength) return false;
    const length: u32 = load<u8>(header + at + 1);
    if (length < 2 || at + length > headerLength) return false;
    if (kind == TIMESTAMPS && length == 10) takeTimestamps(header + at + 2, segment);
    else if (kind == SACK && length > 2 && ((length - 2) & 7) == 0) {
      segment.sackAt = header + at + 2;
      segment.sackBlocks = (length - 2) >> 3;
    } else if (kind == USER_TIMEOUT && length == 4)
      segment.userTimeout = bswap<u16>(load<u16>(header + at + 2));
    // MSS, window scale and SACK-permitted mean something on a SYN only, and at their own length only.
    if (syn) {
      if (kind == MSS && length == 4) {
        segment.hasMss = true;
        segment.mss = bswap<u16>(load<u16>(header + at + 2));
      } else if (kind == WINDOW_SCALE && length == 3) {
        segment.hasWindowScale = true;
        segment.windowScale = min<u32>(load<u8>(header + at + 2), WINDOW_SCALE_MAX);
      } else if (kind == SACK_PERMITTED && length == 2) segment.hasSack = true;
      else if (kind == FAST_OPEN) takeFastOpen(header + at + 2, length - 2, false, segment);
      else if (kind == EXPERIMENTAL && length >= 4 && load<u16>(header + at + 2) == FAST_OPEN_MAGIC)
        takeFastOpen(header + at + 4, length - 4, true, segment);
    }
    at += length;
  }
  return true;
}

function takeTimestamps(at: usize, segment: Segment): void {
  segment.hasTimestamp = true;
  segment.tsValue = bswap<u32>(load<u32>(at));
  segment.tsEcho = bswap<u32>(load<u32>(at, 4));
}

/** RFC 7413 §4.1.1: nothing, or an even number of octets from 4 to 16. */
function takeFastOpen(at: usize, length: u32, experimental: bool, segment: Segment): void {
  const valid = length == 0 || (length >= 4 && length <= 16 && !(length & 1));
  segment.fastOpen = valid ? i32(length) : NO_FAST_OPEN;
  segment.fastOpenCookie = at;
  segment.fastOpenExperimental = experimental;
}

/**
 * Write a Fast Open option with the `length` octets of cookie at `cookie`, padded behind; returns the octets written. Kind
 * 254 is what servers from before RFC 7413 know.
 */
export function writeFastOpen(to: usize, cookie: usize, length: u32, experimental: bool): u32 {
  const header: u32 = experimental ? 4 : 2;
  store<u8>(to, u8(experimental ? EXPERIMENTAL : FAST_OPEN));
  store<u8>(to, u8(header + length), 1);
  if (experimental) store<u16>(to, FAST_OPEN_MAGIC, 2);
  memory.copy(to + header, cookie, length);
  const written = (header + length + 3) & ~3;
  memory.fill(to + header + length, u8(NOP), written - header - length);
  return written;
}

/** Write a timestamps option, with padding in front or SACK-permitted; returns the octets written. */
export function writeTimestamps(to: usize, value: u32, echo: u32, sackPermitted: bool = false): u32 {
  store<u32>(to, sackPermitted ? TIMESTAMPS_BEHIND_SACK : TIMESTAMPS_ALIGNED);
  store<u32>(to, bswap<u32>(value), 4);
  store<u32>(to, bswap<u32>(echo), 8);
  return TIMESTAMPS_LENGTH;
}

/** Write a user timeout option (RFC 5482 §3.3); returns the octets written. */
export function writeUserTimeout(to: usize, value: u32): u32 {
  store<u16>(to, 0x041c);
  store<u16>(to, bswap<u16>(u16(value)), 2);
  return 4;
}

/** Write one block of a SACK option. */
export function writeSackBlock(to: usize, start: Seq, end: Seq): void {
  store<u32>(to, bswap<u32>(start.u32));
  store<u32>(to, bswap<u32>(end.u32), 4);
}

/** Write SACK-permitted, padded in front unless timestamps follow it; returns the octets written. */
export function writeSackPermitted(to: usize): u32 {
  store<u32>(to, 0x02040101);
  return 4;
}

/** Write an MSS option; returns the octets written. */
export function writeMss(to: usize, mss: u32): u32 {
  store<u16>(to, 0x0402);
  store<u16>(to, bswap<u16>(u16(mss)), 2);
  return 4;
}

/** Write a window scale option, padded in front; returns the octets written. */
export function writeWindowScale(to: usize, shift: u32): u32 {
  store<u32>(to, 0x00030301 | (shift << 24));
  return 4;
}
