import { annexOf } from "./annex.ts";
import { count } from "./counters.ts";
import { IPV4_HEADER, ip } from "./packet/ip.ts";
import { fitSegments } from "./path.ts";
import { setting } from "./settings.ts";
import { ANNEX_RECORDS, ANNEX_ROUTE } from "./shared/annex-layout.ts";
import { SET_ACCEPT_SOURCE_ROUTE } from "./shared/control.ts";
import { CNT_IN_ADDR_ERRORS, CNT_IN_DISCARDS, CNT_IN_HDR_ERRORS } from "./shared/counters.ts";
import { TCB_REMOTE_ADDRESS } from "./shared/tcb-layout.ts";
import { Tcb } from "./tcb.ts";

// Source routes of IPv4 (RFC 791 §3.1, RFC 9293 §3.9.2.1): one the user gives, or the reverse of one by which the peer's
// segments came. Few connections have one, so it stands in the TCB's annex: whether the user gave it 0, where packets go
// first 4, the option 8.

export const LOOSE: u32 = 131;
const STRICT: u32 = 137;
const EOL: u32 = 0;
const NOP: u32 = 1;

const GIVEN: usize = ANNEX_ROUTE;
const FIRST_HOP: usize = ANNEX_ROUTE + 4;
const OPTION: usize = ANNEX_ROUTE + 8;
/** Kind, length and pointer, before the addresses. */
const OPTION_HEADER: u32 = 3;
/** Addresses that 40 octets of options have room for. */
export const HOPS_MAX: u32 = 9;

/** The completed route of the packet being processed: where its addresses stand, how many, and its kind. */
let recorded: usize = 0;
let recordedHops: u32 = 0;
let recordedKind: u32 = 0;

/** What a source route makes of the packet in `ip`, which has options. False when it was dropped, which is counted. */
export function routeArrives(): bool {
  recordedHops = 0;
  const end = ip.at + IPV4_HEADER + ip.optionsLength;
  let at = ip.at + IPV4_HEADER;
  while (at < end) {
    const kind: u32 = load<u8>(at);
    if (kind == EOL) break;
    if (kind == NOP) {
      at++;
      continue;
    }
    const length: u32 = at + 1 < end ? load<u8>(at, 1) : 0;
    if (length < 2 || at + length > end) return refuse(CNT_IN_HDR_ERRORS);
    if (kind == LOOSE || kind == STRICT) {
      // RFC 1122 §3.2.1.8 (c): never two of them.
      if (recordedHops || length < OPTION_HEADER) return refuse(CNT_IN_HDR_ERRORS);
      if (!setting(SET_ACCEPT_SOURCE_ROUTE)) return refuse(CNT_IN_DISCARDS);
      // Not at its end: it is another host's, and this one forwards nothing.
      if (u32(load<u8>(at, 2)) <= length) return refuse(CNT_IN_ADDR_ERRORS);
      recorded = at + OPTION_HEADER;
      recordedHops = (length - OPTION_HEADER) >> 2;
      recordedKind = kind;
    }
    at += length;
  }
  return true;
}

function refuse(counter: usize): bool {
  recordedHops = 0;
  count(counter);
  return false;
}

/** The packet being processed has no options. */
export function noRoute(): void {
  recordedHops = 0;
}

/** Whether the packet being processed came by a source route. */
export function cameByRoute(): bool {
  return recordedHops != 0;
}

function enter(tcb: Tcb, kind: u32, hops: u32): void {
  const at = usize(tcb.annex) + OPTION;
  // The last address is the peer's own, which no router has to find out.
  store<u8>(at, u8(kind));
  store<u8>(at, u8(OPTION_HEADER + (hops << 2)), 1);
  store<u8>(at, OPTION_HEADER + 1, 2);
  const last = at + OPTION_HEADER + ((hops - 1) << 2);
  store<u32>(last, load<u32>(changetype<usize>(tcb), TCB_REMOTE_ADDRESS + 12));
  store<u8>(last, EOL, 4);
  tcb.ipOptions = u8(4 + (hops << 2));
  fitSegments(tcb);
}

/** Send the segments of `tcb` by the `hops` addresses at `from`, which no received route changes (MUST-51, MUST-52). */
export function giveRoute(tcb: Tcb, from: usize, hops: u32): bool {
  const at = annexOf(tcb);
  if (at == 0) return false;
  store<u8>(at, 1, GIVEN);
  store<u32>(at, load<u32>(from), FIRST_HOP);
  memory.copy(at + OPTION + OPTION_HEADER, from + 4, (hops - 1) << 2);
  enter(tcb, LOOSE, hops);
  return true;
}

/**
 * Send the segments of `tcb` back by the way the packet being processed has come, unless the user gave another
 * (MUST-53; a later route overrides, SHLD-24). Without memory for it they go straight.
 */
export function takeRoute(tcb: Tcb): void {
  if (recordedHops == 0 || tcb.family != 4) return;
  const at = annexOf(tcb);
  if (at == 0 || load<u8>(at, GIVEN)) return;
  const hops = recordedHops;
  store<u32>(at, load<u32>(recorded + ((hops - 1) << 2)), FIRST_HOP);
  for (let i: u32 = 1; i < hops; i++)
    store<u32>(at + OPTION + OPTION_HEADER + ((i - 1) << 2), load<u32>(recorded + ((hops - 1 - i) << 2)));
  enter(tcb, recordedKind, hops);
}

/** Octets of a route: where packets go first, and as much as the options of a header hold. */
export const ROUTE: u32 = 44;

/** The route of `tcb`, which has one. */
export function routeOf(tcb: Tcb): usize {
  return usize(tcb.annex) + FIRST_HOP;
}

/**
 * Put the route at `route` before the TCP header: the destination of the IP header at `header`, and the `length` octets
 * of options behind it.
 */
export function writeRoute(header: usize, route: usize, length: u32): void {
  store<u32>(header, load<u32>(route), 16);
  memory.copy(header + IPV4_HEADER, route + OPTION - FIRST_HOP, length);
}

if (8 + 40 > ANNEX_RECORDS - ANNEX_ROUTE) ERROR("a route does not fit its part of the annex");
