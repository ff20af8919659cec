import { hash6 } from "../hash.ts";
import { segment } from "../packet/segment.ts";
import { cookieCache } from "../pool.ts";
import { setting } from "../settings.ts";
import { CTL_HASH_KEY, SET_FAST_OPEN_PATH_DISABLE } from "../shared/control.ts";
import { COOKIE_CACHE_SETS, COOKIE_CACHE_WAYS, COOKIE_ENTRY } from "../shared/sizes.ts";
import { now, SECOND } from "../time.ts";
import { COOKIE_MOST } from "./cookie.ts";

// What a client remembers of servers, RFC 7413 §4.1.3: their cookie and MSS, and that there was no use in trying. In
// place of what was not used for longest.

/** Which option to ask by: RFC 7413's; the experimental one once that was not answered; and then no other any more. */
const ASK_EXPERIMENTAL: u8 = 1;
const ASK_BY_RFC: u8 = 2;

/** One server, by its address. */
@unmanaged
@final
export class Remembered {
  addressHigh: u64;
  addressLow: u64;
  cookie0: u64;
  cookie1: u64;
  usedAt: f64;
  /** Fast Open is not tried until then. */
  disabledUntil: f64;
  mss: u16;
  /** Octets; 0 for none. */
  length: u8;
  /** The cookie came in the experimental option. */
  experimental: u8;
  asked: u8;

  @inline get cookie(): usize {
    return changetype<usize>(this) + offsetof<Remembered>("cookie0");
  }

  get isDisabled(): bool {
    return this.disabledUntil > now;
  }

  /** Whether the option to send next is the experimental one. */
  get usesExperimental(): bool {
    return this.length ? this.experimental != 0 : this.asked == ASK_EXPERIMENTAL;
  }

  /** A cookie came with the SYN,ACK in `segment`, from a peer that takes segments of `mss`. */
  take(mss: u32): void {
    memory.copy(this.cookie, segment.fastOpenCookie, segment.fastOpen);
    this.length = u8(segment.fastOpen);
    this.experimental = u8(segment.fastOpenExperimental);
    this.mss = u16(min<u32>(mss, 0xffff));
    this.disabledUntil = 0;
  }

  /** There was no use in trying. */
  refuse(): void {
    this.disabledUntil = now + f64(setting(SET_FAST_OPEN_PATH_DISABLE)) * SECOND;
  }

  /** A cookie was asked for and none came. */
  askOtherwise(): void {
    this.asked = this.asked == 0 ? ASK_EXPERIMENTAL : ASK_BY_RFC;
    this.refuse();
  }
}

if (<i32>offsetof<Remembered>() > COOKIE_ENTRY)
  ERROR("what is remembered of a server does not fit its place");
if (COOKIE_MOST != 16) ERROR("a cookie does not fit its place");

function firstOf(address: usize): usize {
  const hash = hash6(CTL_HASH_KEY, address, address, 0);
  return cookieCache + (hash & (COOKIE_CACHE_SETS - 1)) * COOKIE_CACHE_WAYS * COOKIE_ENTRY;
}

/** What is remembered of the 16 octets at `address`; null when nothing is. */
export function recall(address: usize): Remembered | null {
  let at = firstOf(address);
  for (let way: u32 = 0; way < u32(COOKIE_CACHE_WAYS); way++) {
    const entry = changetype<Remembered>(at);
    if (entry.addressHigh == load<u64>(address) && entry.addressLow == load<u64>(address, 8)) {
      entry.usedAt = now;
      return entry;
    }
    at += COOKIE_ENTRY;
  }
  return null;
}

/** The place for what is to be remembered of `address`. */
export function remember(address: usize): Remembered {
  const known = recall(address);
  if (known) return known;
  let at = firstOf(address);
  let oldest = at;
  for (let way: u32 = 1; way < u32(COOKIE_CACHE_WAYS); way++) {
    at += COOKIE_ENTRY;
    if (changetype<Remembered>(at).usedAt < changetype<Remembered>(oldest).usedAt) oldest = at;
  }
  memory.fill(oldest, 0, COOKIE_ENTRY);
  memory.copy(oldest, address, 16);
  const entry = changetype<Remembered>(oldest);
  entry.usedAt = now;
  return entry;
}
