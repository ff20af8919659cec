import { hash6 } from "./hash.ts";
import { headers } from "./lifecycle.ts";
import { TIMESTAMPS_LENGTH } from "./packet/options.ts";
import { wantOutput } from "./queues.ts";
import { resendAll } from "./recovery/newreno.ts";
import { setting } from "./settings.ts";
import { CTL_HASH_KEY, SET_MTU } from "./shared/control.ts";
import { SYN_SENT } from "./shared/states.ts";
import { TCB_REMOTE_ADDRESS } from "./shared/tcb-layout.ts";
import { SYN_PLAIN, Tcb } from "./tcb.ts";
import { now, SECOND } from "./time.ts";

// Path MTU discovery, RFC 1191 and RFC 8201: what routers have told of the way to a destination, kept for ten minutes,
// after which a larger packet is tried again.

/** RFC 1191 §6.3, and Linux's net.ipv4.route.mtu_expires. */
const EXPIRES: f64 = 600 * SECOND;
/** Linux's net.ipv4.route.min_pmtu: a path that takes less gets packets of this size that may be fragmented. */
const MIN_PMTU_4: u32 = 552;
/** RFC 8200 §5: no link takes less, RFC 8201 §4: and no message may say so. */
const MIN_PMTU_6: u32 = 1280;

// An entry: address 0, MTU 16 (with the highest bit when packets may be fragmented), time it is valid until 24.
const WAYS: u32 = 4;
const SETS: u32 = 64;
const ENTRY: u32 = 32;
const table = memory.data(4 * 64 * 32, 8);
/** While nothing was ever told nothing is looked up. */
let known: bool = false;

const FRAGMENTABLE: u32 = 0x80000000;

function set(address: usize): usize {
  const hash = hash6(CTL_HASH_KEY, address, address, 0);
  return table + (hash & (SETS - 1)) * WAYS * ENTRY;
}

function find(address: usize): usize {
  if (!known) return 0;
  const first = set(address);
  for (let way: u32 = 0; way < WAYS; way++) {
    const entry = first + way * ENTRY;
    if (
      load<u64>(entry) == load<u64>(address) &&
      load<u64>(entry, 8) == load<u64>(address, 8) &&
      load<f64>(entry, 24) > now
    )
      return entry;
  }
  return 0;
}

/** The MTU of the path to the 16 octets at `address`. */
export function pathMtu(address: usize): u32 {
  const entry = find(address);
  const mtu = u32(setting(SET_MTU));
  return entry ? min(mtu, load<u32>(entry, 16) & ~FRAGMENTABLE) : mtu;
}

/** Whether packets to `address` must not say "don't fragment", for the path takes less than the least MTU. */
export function isNarrow(address: usize): bool {
  const entry = find(address);
  return entry != 0 && (load<u32>(entry, 16) & FRAGMENTABLE) != 0;
}

/** Remember what was told, in place of what would be forgotten first. */
function remember(address: usize, mtu: u32, narrow: bool): void {
  let entry = find(address);
  if (entry == 0) {
    entry = set(address);
    for (let way: u32 = 1; way < WAYS; way++) {
      const other = set(address) + way * ENTRY;
      if (load<f64>(other, 24) < load<f64>(entry, 24)) entry = other;
    }
  }
  memory.copy(entry, address, 16);
  store<u32>(entry, mtu | (narrow ? FRAGMENTABLE : 0), 16);
  store<f64>(entry, now + EXPIRES, 24);
  known = true;
}

/**
 * A router has told that the path to `address` takes `told` octets where `current` were thought to pass. Returns what
 * passes now: `current` when the message raises it, or says what cannot be.
 */
export function learnPath(family: u32, address: usize, told: u32, current: u32): u32 {
  if (told >= current) return current;
  if (family == 6 && told < MIN_PMTU_6) return current;
  // Another connection knows better: no message widens a path.
  const known = pathMtu(address);
  if (told >= known) return min(current, known);
  if (told < MIN_PMTU_4) {
    remember(address, MIN_PMTU_4, true);
    return min(current, MIN_PMTU_4);
  }
  remember(address, told, false);
  return told;
}

/** RFC 9293 MUST-16: Eff.snd.MSS, of what the peer takes, what the path does and what the user set. */
export function fitSegments(tcb: Tcb): void {
  tcb.sndMss = u16(min<u32>(tcb.peerMss, u32(tcb.pmtu) - headers(tcb.family)) - tcb.ipOptions);
  if (tcb.maxSegment) tcb.sndMss = min<u16>(tcb.sndMss, tcb.maxSegment);
  // RFC 9293 MUST-16: the options that every segment carries come off.
  if (tcb.tsOk) tcb.sndMss -= u16(TIMESTAMPS_LENGTH);
}

/** Begin with what is known of the path. */
export function beginPath(tcb: Tcb): void {
  const address = changetype<usize>(tcb) + TCB_REMOTE_ADDRESS;
  tcb.pmtu = u16(pathMtu(address));
  tcb.mayFragment = u8(isNarrow(address));
  const entry = find(address);
  tcb.pmtuUntil = entry ? u32(load<f64>(entry, 24) / SECOND) : 0;
}

/** A packet of `tcb` was larger than `told`: send what is in flight again, in smaller pieces. */
export function packetTooBig(tcb: Tcb, told: u32): void {
  const before = tcb.sndMss;
  const whole = tcb.mayFragment == 0;
  const address = changetype<usize>(tcb) + TCB_REMOTE_ADDRESS;
  const pmtu = learnPath(tcb.family, address, told, tcb.pmtu);
  // Packets of the least size that did not pass whole may pass in pieces.
  if (pmtu == u32(tcb.pmtu) && !(whole && isNarrow(address))) return;
  beginPath(tcb);
  fitSegments(tcb);
  if (tcb.state == SYN_SENT && tcb.flightSize > 1) {
    // Text on a SYN was too long: one without says more than waiting does.
    tcb.synPending = SYN_PLAIN;
    wantOutput(tcb);
    return;
  }
  if (tcb.sndMss >= before && whole == (tcb.mayFragment == 0)) return;
  // What may fly is counted in segments: as many as before, each smaller (Linux).
  tcb.cwnd = max(u32((u64(tcb.cwnd) * tcb.sndMss) / before), tcb.sndMss);
  resendAll(tcb);
  wantOutput(tcb);
}

/** What was told of the path is old: try as much as the interface takes. A message will say if that is too much. */
export function widenPath(tcb: Tcb): void {
  if (now < f64(tcb.pmtuUntil) * SECOND) return;
  beginPath(tcb);
  fitSegments(tcb);
}
