import { count } from "../counters.ts";
import { allowsFastOpen, keyCountOf, keysOf, pendingRoom } from "../listener.ts";
import { writeFastOpen } from "../packet/options.ts";
import { segment } from "../packet/segment.ts";
import { setting } from "../settings.ts";
import { SET_FAST_OPEN } from "../shared/control.ts";
import {
  CNT_TCP_FAST_OPEN_COOKIE_REQD,
  CNT_TCP_FAST_OPEN_LISTEN_OVERFLOW,
  CNT_TCP_FAST_OPEN_PASSIVE,
  CNT_TCP_FAST_OPEN_PASSIVE_ALT_KEY,
  CNT_TCP_FAST_OPEN_PASSIVE_FAIL,
} from "../shared/counters.ts";
import { FAST_OPEN_COOKIE_NOT_REQUIRED, FAST_OPEN_SERVER } from "../shared/user-options.ts";
import { SYN_COOKIE, SYN_COOKIE_EXPERIMENTAL, SYN_PLAIN, Tcb } from "../tcb.ts";
import { COOKIE, engineKeyCount, engineKeys, KEY, makeCookie } from "./cookie.ts";

// RFC 7413 §4.2.2, server: what comes of the Fast Open option of a SYN.

/** Which SYN,ACK `child`, whose SYN is in `segment`, owes: one of Tcb's SYN_. Written by opensFast(). */
export let synAck: u8 = SYN_PLAIN;

function keys(tcb: Tcb): usize {
  const listener = usize(tcb.listener);
  return listener && keyCountOf(Tcb.at(listener)) ? keysOf(Tcb.at(listener)) : engineKeys();
}

function keyCount(tcb: Tcb): u32 {
  const listener = usize(tcb.listener);
  const count = listener ? keyCountOf(Tcb.at(listener)) : 0;
  return count ? count : engineKeyCount();
}

/** Index of the key that the cookie in `segment` was made under; -1 when it is none of ours for this peer. */
function checkCookie(child: Tcb): i32 {
  if (segment.fastOpen != i32(COOKIE)) return -1;
  const cookie = load<u64>(segment.fastOpenCookie);
  const most = i32(keyCount(child));
  for (let i: i32 = 0; i < most; i++)
    if (makeCookie(child, keys(child) + usize(u32(i) * KEY)) == cookie) return i;
  return -1;
}

/**
 * Whether `child` of `listener` is the user's at once, with what text came on its SYN, without waiting for the peer to
 * prove that it is where it says it is. Whose cookie is wrong, old or asked for is sent one.
 */
export function opensFast(child: Tcb, listener: Tcb): bool {
  const length = segment.fastOpen;
  synAck = SYN_PLAIN;
  if (length < 0 && segment.textLength == 0) return false;
  if (length == 0) count(CNT_TCP_FAST_OPEN_COOKIE_REQD);
  const bits = setting(SET_FAST_OPEN);
  if (!(bits & FAST_OPEN_SERVER) || !allowsFastOpen(listener)) return false;
  // §5.1: spoofed SYNs with cookies that were stolen cost no more than these.
  if (!pendingRoom(listener)) {
    count(CNT_TCP_FAST_OPEN_LISTEN_OVERFLOW);
    return false;
  }
  if (!(bits & FAST_OPEN_COOKIE_NOT_REQUIRED)) {
    if (length < 0) return false;
    const fresh = segment.fastOpenExperimental ? SYN_COOKIE_EXPERIMENTAL : SYN_COOKIE;
    const key = length ? checkCookie(child) : -1;
    if (key != 0) synAck = fresh;
    if (key > 0) count(CNT_TCP_FAST_OPEN_PASSIVE_ALT_KEY);
    if (key < 0) {
      if (length) count(CNT_TCP_FAST_OPEN_PASSIVE_FAIL);
      return false;
    }
  }
  count(CNT_TCP_FAST_OPEN_PASSIVE);
  return true;
}

const fresh = memory.data(8, 8);

/** Write the option that the SYN,ACK of kind `due` owes; returns the octets written. */
export function writeCookie(to: usize, tcb: Tcb, due: u8): u32 {
  if (due != SYN_COOKIE && due != SYN_COOKIE_EXPERIMENTAL) return 0;
  store<u64>(fresh, makeCookie(tcb, keys(tcb)));
  return writeFastOpen(to, fresh, COOKIE, due == SYN_COOKIE_EXPERIMENTAL);
}
