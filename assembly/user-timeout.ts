import { segment } from "./packet/segment.ts";
import { currentRto } from "./rtt.ts";
import { setting } from "./settings.ts";
import { SET_USER_TIMEOUT_OPTION } from "./shared/control.ts";
import { SYN_RECEIVED, SYN_SENT } from "./shared/states.ts";
import { Tcb } from "./tcb.ts";
import { MILLISECOND, SECOND } from "./time.ts";

// How long text may stay unacknowledged: what the user says (RFC 9293 §3.8.3), or else what both ends tell each other
// by the option of RFC 5482, where it is switched on.

/** Tcb.uto. RFC 5482 §3.1's ENABLED; and the option is to go with the next segment that is no SYN. */
const ENABLED: u8 = 1;
const OWED: u8 = 2;

/** RFC 5482 §3.3: the value counts minutes, not seconds. */
const MINUTES: u32 = 0x8000;
const VALUE: u32 = 0x7fff;

/** RFC 5482 §3.1: L_LIMIT, and an U_LIMIT that lets no peer hold memory here for longer than an hour. */
const LOWER: f64 = 100 * SECOND;
const UPPER: f64 = 3600 * SECOND;

/** `seconds` as the option says them, rounded up where it can only say minutes. */
function encode(seconds: u32): u32 {
  return seconds <= VALUE ? seconds : MINUTES | ((seconds + 59) / 60);
}

function micros(option: u32): f64 {
  return f64(option & VALUE) * (option & MINUTES ? 60 : 1) * SECOND;
}

/** Begin with the engine's setting. */
export function beginUserTimeout(tcb: Tcb): void {
  const seconds: u32 = setting(SET_USER_TIMEOUT_OPTION);
  if (seconds) advertiseUserTimeout(tcb, seconds);
}

/** Tell the peer of `seconds`, now and whenever they change, and listen to what it tells; 0 for neither. */
export function advertiseUserTimeout(tcb: Tcb, seconds: u32): void {
  tcb.advUto = u16(encode(seconds));
  tcb.uto = seconds ? ENABLED | OWED : 0;
}

/** A connection begins with what its listener says, where that says anything. */
export function inheritUserTimeout(child: Tcb, listener: Tcb): void {
  child.userTimeout = listener.userTimeout;
  if (!listener.uto) return;
  child.advUto = listener.advUto;
  child.uto = listener.uto;
}

/** The user has said how long (milliseconds; 0: not any more): no peer changes that (CHANGEABLE). */
export function setUserTimeout(tcb: Tcb, milliseconds: u32): void {
  tcb.userTimeout = milliseconds;
}

/** The option's value on a segment about to be sent; 0 when it goes without (a zero is never sent, §3.4). */
export function offerUserTimeout(tcb: Tcb, syn: bool): u32 {
  const now = syn ? tcb.uto & ENABLED : tcb.uto & OWED;
  if (!now) return 0;
  if (!syn) tcb.uto &= ~OWED;
  return tcb.advUto;
}

/** Whether a segment is owed to tell the peer of our timeout: the first one that is no SYN, or one after a change. */
export function owesUserTimeout(tcb: Tcb): bool {
  return (tcb.uto & OWED) != 0;
}

/** Take what the peer tells with the acceptable segment or SYN in `segment`. */
export function takeUserTimeout(tcb: Tcb): void {
  if (segment.userTimeout & VALUE && tcb.uto & ENABLED) tcb.remoteUto = u16(segment.userTimeout);
}

/** Microseconds that text may stay unacknowledged; 0 when only the number of retransmissions ends the connection. */
export function patience(tcb: Tcb): f64 {
  if (tcb.userTimeout) return f64(tcb.userTimeout) * MILLISECOND;
  // §3.3: states that are not synchronized keep to the default.
  if (!tcb.uto || tcb.state == SYN_SENT || tcb.state == SYN_RECEIVED) return 0;
  const longest = max(micros(tcb.advUto), micros(tcb.remoteUto));
  return min(UPPER, max(longest, max(LOWER, currentRto(tcb))));
}
