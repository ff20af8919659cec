import { hash4, hash6 } from "./hash.ts";
import { segment } from "./packet/segment.ts";
import { Seq } from "./seq.ts";
import { setting } from "./settings.ts";
import { CTL_HASH_KEY, SET_TIMESTAMPS } from "./shared/control.ts";
import {
  TCB_LOCAL_ADDRESS,
  TCB_LOCAL_PORT,
  TCB_REMOTE_ADDRESS,
  TCB_REMOTE_PORT,
} from "./shared/tcb-layout.ts";
import { Tcb } from "./tcb.ts";
import { MILLISECOND, now, SECOND } from "./time.ts";

// RFC 7323: timestamps of one millisecond, offset by a number that depends on who talks to whom (§7.1: nobody learns how
// long the host has been up). A timestamp is compared as a sequence number is. `T` is a Tcb or a TimeWait.

/** §5.5: what was remembered is worthless after 24 days, when a clock of a millisecond may have gone half round. */
const OUTDATED: f64 = 24 * 86400 * SECOND;

/** Our clock as a timestamp value, before the offset. */
export function clock(): u32 {
  return u32(u64(now / MILLISECOND));
}

/** The offset for the addresses and ports that stand at `at` as in a TCB. */
export function clockOffset(at: usize): u32 {
  const localPort: u32 = load<u16>(at, TCB_LOCAL_PORT);
  const tuple = hash6(CTL_HASH_KEY, at + TCB_REMOTE_ADDRESS, at + TCB_LOCAL_ADDRESS, localPort);
  // Not the hash that demux shows by its timing, nor the one that ports are chosen by.
  return hash4(CTL_HASH_KEY, tuple, load<u16>(at, TCB_REMOTE_PORT), 0x54534f46);
}

/** Choose the offset for the addresses and ports in `tcb`, and offer timestamps if that is set. */
export function beginTimestamps(tcb: Tcb): void {
  tcb.tsOffset = clockOffset(changetype<usize>(tcb));
  tcb.tsOk = u8(setting(SET_TIMESTAMPS) != 0);
}

/** TSval of a segment sent now. */
export function tsValue(tcb: Tcb): u32 {
  return clock() + tcb.tsOffset;
}

/** The SYN in `segment` has come: both ends must have offered (§3.2). */
export function takeSynTimestamp(tcb: Tcb): void {
  if (!segment.hasTimestamp) tcb.tsOk = 0;
  if (tcb.tsOk) remember(tcb);
}

function remember<T>(tcb: T): void {
  tcb.tsRecent = segment.tsValue;
  tcb.tsAge = now;
}

/** Whether the segment's timestamp says it is older than what was received (§5.3, R1). */
export function isOutdated<T>(tcb: T): bool {
  if (!tcb.tsOk || !segment.hasTimestamp) return false;
  return Seq.of(segment.tsValue) < Seq.of(tcb.tsRecent) && now - tcb.tsAge < OUTDATED;
}

/** Take the timestamp of an acceptable segment that begins at or before what was last acknowledged (§4.3, R3). */
export function takeTimestamp<T>(tcb: T, begins: Seq): void {
  if (!tcb.tsOk || !segment.hasTimestamp || begins > tcb.rcvAcked) return;
  if (Seq.of(segment.tsValue) >= Seq.of(tcb.tsRecent) || now - tcb.tsAge >= OUTDATED) remember(tcb);
}

/** Whether the SYN in `segment` is newer, by its timestamp, than the connection in TIME-WAIT (RFC 6191 §2). */
export function isNewer<T>(tcb: T): bool {
  return tcb.tsOk != 0 && segment.hasTimestamp && Seq.of(segment.tsValue) > Seq.of(tcb.tsRecent);
}

/** Whether the echo in `segment` is of a segment sent before `at`. */
export function isEchoOlder(tcb: Tcb, at: f64): bool {
  if (!tcb.tsOk || !segment.hasTimestamp || segment.tsEcho == 0) return false;
  return Seq.of(segment.tsEcho) < Seq.of(u32(u64(at / MILLISECOND)) + tcb.tsOffset);
}

/** Whether the SYN,ACK in `segment` echoes what no SYN of ours can have said: it is not for this connection (as in Linux). */
export function isEchoForeign(tcb: Tcb): bool {
  if (!tcb.tsOk || !segment.hasTimestamp || segment.tsEcho == 0) return false;
  const age = clock() + tcb.tsOffset - segment.tsEcho;
  return age > clock() - u32(u64(tcb.unackedSince / MILLISECOND));
}

/**
 * Round trip in microseconds that the echo in `segment` tells; 0 when it tells none. An ACK with a D-SACK answers what came
 * again, but echoes what came first, whose own ACK may have been lost long since.
 */
export function echoedRtt(tcb: Tcb): f64 {
  if (!tcb.tsOk || !segment.hasTimestamp || segment.tsEcho == 0) return 0;
  if (segment.sackBlocks && Seq.of(bswap<u32>(load<u32>(segment.sackAt))) < segment.ack) return 0;
  const age = clock() + tcb.tsOffset - segment.tsEcho;
  // An echo from the future is nobody's, and one older than any RTO not worth believing.
  return age < 0x7fffffff && f64(age) * MILLISECOND < 600 * SECOND ? max(f64(age), 1) * MILLISECOND : 0;
}
