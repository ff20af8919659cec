import { sipHash } from "../hash.ts";
import { md5 } from "../md5.ts";
import { CTL_FAST_OPEN_KEY_COUNT, CTL_FAST_OPEN_KEYS, CTL_HASH_KEY, CTL_SECRET } from "../shared/control.ts";
import { TCB_LOCAL_ADDRESS, TCB_REMOTE_ADDRESS } from "../shared/tcb-layout.ts";
import { Tcb } from "../tcb.ts";

// Fast Open cookies, RFC 7413 §4.1.2: a keyed hash of both addresses, which nobody can make for an address it does not
// receive packets at. SipHash-2-4 as in Linux, so that servers which share an address and a key share their cookies.

/** Octets of a cookie of ours; of a key; and of anybody's cookie, at least and at most (§4.1.1). */
export const COOKIE: u32 = 8;
export const KEY: u32 = 16;
export const COOKIE_LEAST: i32 = 4;
export const COOKIE_MOST: i32 = 16;

/** The key of an engine that was given none, and what it is made from. */
const own = memory.data(16, 8);
const message = memory.data(40, 8);
let made: bool = false;
/** Sets the key apart from others that are made from the same secret. */
const PURPOSE: u64 = 0x7413;

function ownKey(): usize {
  if (!made) {
    memory.copy(message, CTL_SECRET, 16);
    memory.copy(message + 16, CTL_HASH_KEY, 16);
    store<u64>(message, PURPOSE, 32);
    md5(own, message, 40);
    made = true;
  }
  return own;
}

/** Keys of every listener that has none of its own: the one cookies are made under, then the one before it. */
export function engineKeys(): usize {
  return load<u32>(CTL_FAST_OPEN_KEY_COUNT) ? usize(CTL_FAST_OPEN_KEYS) : ownKey();
}

export function engineKeyCount(): u32 {
  return max<u32>(load<u32>(CTL_FAST_OPEN_KEY_COUNT), 1);
}

/** The cookie for the remote address of `tcb`, under the key at `key`, as it stands in the option. */
export function makeCookie(tcb: Tcb, key: usize): u64 {
  const at = changetype<usize>(tcb);
  const skip: u32 = tcb.family == 4 ? 12 : 0;
  return sipHash(key, at + TCB_REMOTE_ADDRESS + skip, at + TCB_LOCAL_ADDRESS + skip, 16 - skip);
}
