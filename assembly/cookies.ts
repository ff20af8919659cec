import { offersEcn } from "./ecn.ts";
import { hash4, hash6 } from "./hash.ts";
import { md5 } from "./md5.ts";
import { segment } from "./packet/segment.ts";
import { Seq } from "./seq.ts";
import { setting } from "./settings.ts";
import {
  CTL_HASH_KEY,
  CTL_SECRET,
  SET_ECN,
  SET_SACK,
  SET_TIMESTAMPS,
  SET_WINDOW_SCALING,
} from "./shared/control.ts";
import { now, SECOND } from "./time.ts";
import { clock } from "./timestamps.ts";

// SYN cookies (RFC 4987 §3.6): the initial sequence number of a SYN,ACK says all that the final ACK must prove, so that
// a SYN costs no memory at all. Its low three bits name the peer's MSS; the other 29 are a keyed hash of the tuple, the
// peer's ISN, the MSS and the minute. Where the peer has timestamps, the one we send comes back with its ACK and remembers in
// its low six bits what else its SYN offered, as in Linux; without them no other option is granted.

/** How long a key is used. The final ACK may come under it or the one after: Linux's MAX_SYNCOOKIE_AGE of two minutes. */
const PERIOD: f64 = 60 * SECOND;

/** Keys of the current and the previous period, 16 octets each; and what they are made from. */
const keys = memory.data(32, 8);
const message = memory.data(40, 8);
let period: f64 = -1;

/** The MSS a cookie can name: common ones, and the least anybody is sent (RFC 9293 §3.7.1, Linux's tcp_min_snd_mss). */
const INDEX_BITS: u32 = 3;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const sizes = memory.data<u16>([48, 536, 1220, 1360, 1440, 1460, 4260, 8940]);

function makeKey(to: usize, when: f64): void {
  memory.copy(message, CTL_SECRET, 16);
  memory.copy(message + 16, CTL_HASH_KEY, 16);
  store<f64>(message, when, 32);
  md5(to, message, 40);
}

function rotate(): void {
  const current = Math.floor(now / PERIOD);
  if (current == period) return;
  period = current;
  makeKey(keys, current);
  makeKey(keys + 16, current - 1);
}

/** Hash of what a cookie vouches for, under the key at `key`; the tuple is that of `segment`. */
function mac(key: usize, isn: u32, index: u32): u32 {
  const tuple =
    segment.family == 4
      ? hash4(key, load<u32>(segment.source), load<u32>(segment.destination), segment.ports)
      : hash6(key, segment.source, segment.destination, segment.ports);
  return hash4(key, isn, tuple, index) & ~INDEX_MASK;
}

/** The sequence number to answer the SYN in `segment` with, whose peer takes segments of `mss`. */
export function makeCookie(mss: u32): Seq {
  rotate();
  let index = INDEX_MASK;
  while (index > 0 && u32(load<u16>(sizes + (index << 1))) > mss) index--;
  return Seq.of(mac(keys, segment.seq.u32, index) | index);
}

/** The MSS that the cookie acknowledged by `segment` names; 0 when it is none of ours, or too old. */
export function checkCookie(): u32 {
  rotate();
  const cookie = segment.ack.minus(1).u32;
  const isn = segment.seq.minus(1).u32;
  const index = cookie & INDEX_MASK;
  for (let age: usize = 0; age < 2; age++)
    if ((mac(keys + (age << 4), isn, index) | index) == cookie) return load<u16>(sizes + (index << 1));
  return 0;
}

/** The peer's window scale, or all of these bits for none; SACK; ECN. */
const GRANT_SCALE: u32 = 0x0f;
export const GRANT_SACK: u32 = 0x10;
export const GRANT_ECN: u32 = 0x20;
const GRANT_BITS: u32 = 6;
const GRANT_MASK: u32 = (1 << GRANT_BITS) - 1;

/** What the SYN in `segment` offers that is granted. */
export function grants(): u32 {
  const scaled = segment.hasWindowScale && setting(SET_WINDOW_SCALING) != 0;
  const sack = segment.hasSack && setting(SET_SACK) != 0;
  const ecn = offersEcn() && setting(SET_ECN) != 0;
  return (scaled ? segment.windowScale : GRANT_SCALE) | (sack ? GRANT_SACK : 0) | (ecn ? GRANT_ECN : 0);
}

export function grantsWindowScale(granted: u32): bool {
  return (granted & GRANT_SCALE) != GRANT_SCALE;
}

/** The clock with `granted` in its low bits, no later than now, so that the connection's own timestamps follow it. */
export function cookieTimestamp(granted: u32): u32 {
  const ms = clock();
  const stamped = (ms & ~GRANT_MASK) | granted;
  return stamped > ms ? stamped - (1 << GRANT_BITS) : stamped;
}

/**
 * Make `segment`, the ACK of a cookie, offer what the SYN did as far as its echo of cookieTimestamp() tells; `offset` is
 * that of our clock. What an echo of another's making says concerns nobody but its sender. Returns whether ECN was
 * granted, which is in no option.
 */
export function restoreOptions(offset: u32): bool {
  const granted = (segment.tsEcho - offset) & GRANT_MASK;
  segment.hasTimestamp = segment.hasTimestamp && setting(SET_TIMESTAMPS) != 0;
  segment.hasWindowScale = segment.hasTimestamp && grantsWindowScale(granted);
  segment.windowScale = granted & GRANT_SCALE;
  segment.hasSack = segment.hasTimestamp && (granted & GRANT_SACK) != 0;
  // It tells what, and not when: no round trip is measured by it.
  segment.tsEcho = 0;
  return segment.hasTimestamp && (granted & GRANT_ECN) != 0;
}
