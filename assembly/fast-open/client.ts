import { count } from "../counters.ts";
import { headers, peerMss } from "../lifecycle.ts";
import { writeFastOpen } from "../packet/options.ts";
import { segment } from "../packet/segment.ts";
import { wantOutput } from "../queues.ts";
import { recordLeft } from "../records.ts";
import { resendAll } from "../recovery/newreno.ts";
import { markAll } from "../recovery/rack.ts";
import { beginScoreboard, isScored, recordFrom } from "../recovery/scoreboard.ts";
import { setting } from "../settings.ts";
import { SET_FAST_OPEN } from "../shared/control.ts";
import { CNT_TCP_FAST_OPEN_ACTIVE, CNT_TCP_FAST_OPEN_ACTIVE_FAIL } from "../shared/counters.ts";
import { SYN_SENT } from "../shared/states.ts";
import { TCB_REMOTE_ADDRESS } from "../shared/tcb-layout.ts";
import { FAST_OPEN_CLIENT, FAST_OPEN_WITHOUT_COOKIE } from "../shared/user-options.ts";
import { FAST_OPEN, RECORDS, SYN_DATA, SYN_PLAIN, SYN_WAITS, Tcb } from "../tcb.ts";
import { startRtx } from "../timers.ts";
import { Remembered, recall, remember } from "./cache.ts";
import { COOKIE_LEAST } from "./cookie.ts";

// RFC 7413 §4.2.1 and §4.2.2, client: text on the SYN for servers whose cookie is known, a request for one otherwise.

/** What a SYN leaves free of a segment for options of its own and of middleboxes: what Linux leaves. */
const OPTIONS: u32 = 40;

function address(tcb: Tcb): usize {
  return changetype<usize>(tcb) + TCB_REMOTE_ADDRESS;
}

function cookieLength(known: Remembered | null): u32 {
  return known ? u32(known.length) : 0;
}

function isDisabled(known: Remembered | null): bool {
  return known ? known.isDisabled : false;
}

/** OPEN asked for it: the SYN waits for the first text, if it may carry some, or else asks for a cookie. */
export function beginFastOpen(tcb: Tcb): void {
  const bits = setting(SET_FAST_OPEN);
  if (!(bits & FAST_OPEN_CLIENT)) return;
  const known = recall(address(tcb));
  if (isDisabled(known)) return;
  tcb.choices |= FAST_OPEN;
  if (bits & FAST_OPEN_WITHOUT_COOKIE || cookieLength(known)) tcb.synPending = SYN_WAITS;
}

/** Octets of text that the SYN has room for. */
export function synRoom(tcb: Tcb): u32 {
  const known = recall(address(tcb));
  let mss = min<u32>(tcb.advMss, u32(tcb.pmtu) - headers(tcb.family));
  if (known && known.mss != 0) mss = min<u32>(mss, known.mss);
  return mss > OPTIONS ? mss - OPTIONS : 0;
}

/** SEND: the SYN need not wait any more. */
export function synMayGo(tcb: Tcb): void {
  tcb.synPending = SYN_PLAIN;
}

/** Whether the SYN about to be sent is the one of `tcb` that may have the option; one that is repeated goes without (§4.2.2). */
export function isFastSyn(tcb: Tcb): bool {
  return (tcb.choices & FAST_OPEN) != 0 && tcb.state == SYN_SENT && tcb.sndNxt == tcb.iss;
}

/** Octets of text that the SYN carries. */
export function synText(tcb: Tcb): u32 {
  const queued = tcb.sndEnd.since(tcb.iss) - 1;
  if (queued == 0) return 0;
  const known = recall(address(tcb));
  if (!cookieLength(known) && !(setting(SET_FAST_OPEN) & FAST_OPEN_WITHOUT_COOKIE)) return 0;
  const most = tcb.choices & RECORDS ? recordLeft(tcb, tcb.iss.plus(1)) : queued;
  return min(min(queued, most), synRoom(tcb));
}

/** Write the option of a SYN: the cookie, or the question for one. Returns the octets written. */
export function writeRequest(to: usize, tcb: Tcb): u32 {
  const known = recall(address(tcb));
  const length = cookieLength(known);
  if (length == 0 && setting(SET_FAST_OPEN) & FAST_OPEN_WITHOUT_COOKIE) return 0;
  return writeFastOpen(to, known ? known.cookie : 0, length, known ? known.usesExperimental : false);
}

/** The SYN is acknowledged by `segment`: what became of its text, and what is known of the server now. */
export function synAnswered(tcb: Tcb): void {
  tcb.choices &= ~FAST_OPEN;
  const from = tcb.iss.plus(1);
  const sent = tcb.sndNxt.since(from);
  const acked = segment.ack.since(from);
  if (acked) {
    tcb.bytesAcked += acked;
    if (segment.ack == tcb.sndEnd) tcb.sndStream.clear();
    else tcb.sndStream.trim(from, segment.ack);
  }
  if (sent) {
    if (acked == sent) {
      tcb.choices |= SYN_DATA;
      count(CNT_TCP_FAST_OPEN_ACTIVE);
    } else {
      count(CNT_TCP_FAST_OPEN_ACTIVE_FAIL);
    }
  }
  learn(tcb, sent, acked);
}

/** The connection is established, and its SYN's text, or the end of it, was not taken: it is sent again at once (§4.2.2). */
export function resendSynText(tcb: Tcb): void {
  beginScoreboard(tcb);
  if (isScored(tcb)) recordFrom(tcb, tcb.sndUna, tcb.flightSize, 0);
  if (isScored(tcb)) markAll(tcb);
  else resendAll(tcb);
  startRtx(tcb);
  wantOutput(tcb);
}

/** Remember what the SYN,ACK in `segment` says of its sender. */
function learn(tcb: Tcb, sent: u32, acked: u32): void {
  const known = recall(address(tcb));
  const withCookie = cookieLength(known) != 0;
  const asked = withCookie || !(setting(SET_FAST_OPEN) & FAST_OPEN_WITHOUT_COOKIE);
  // A cookie nobody asked for is not taken.
  if (asked && segment.fastOpen >= COOKIE_LEAST) {
    remember(address(tcb)).take(peerMss());
    return;
  }
  if (sent && segment.hasMss) remember(address(tcb)).mss = u16(min<u32>(peerMss(), 0xffff));
  if (sent) {
    if (acked == 0) remember(address(tcb)).refuse();
  } else if (!withCookie) {
    const entry = remember(address(tcb));
    // A SYN that had to be repeated went without the question.
    if (tcb.synRetransmitted) entry.refuse();
    else entry.askOtherwise();
  }
}

/** §4.1.3.1: nothing came of a SYN with the option. */
export function fastOpenFailed(tcb: Tcb): void {
  tcb.choices &= ~FAST_OPEN;
  if (tcb.sndNxt == tcb.iss) return;
  count(CNT_TCP_FAST_OPEN_ACTIVE_FAIL);
  remember(address(tcb)).refuse();
}
