import { setting } from "../settings.ts";
import { SET_FRTO } from "../shared/control.ts";
import { Tcb } from "../tcb.ts";
import { CA_RECOVERY } from "./newreno.ts";
import { Spurious } from "./spurious.ts";

// F-RTO, RFC 5682: after a timeout only the first segment is sent again, then new text, until the peer has shown by what it
// acknowledges whether the rest was lost or late. §2.1 for peers without SACK, §3.1 for those with it.

/** Spurious.frto: the first segment was sent again and no ACK has come; one has, and new text may go (step 2b). */
const RESENT_ONE: u8 = 1;
const NEW_TEXT: u8 = 2;

/** Step 2b: how many new segments go. */
const PROBES: u32 = 2;

/**
 * Step 1: the timer has expired. Not where a recovery has sent again already, of which ACKs may tell; a timeout in the
 * middle of it begins anew.
 */
export function beginFrto(tcb: Tcb): void {
  if (tcb.annex == 0) return;
  const it = Spurious.of(tcb);
  const begins = tcb.caState < CA_RECOVERY || tcb.retransmits != 0 || it.frto != 0;
  it.frto = setting(SET_FRTO) && begins ? RESENT_ONE : 0;
}

/** Whether an ACK is to decide before more is sent again; without new text, or a window for it, none could (step 2b). */
export function awaitsFrto(tcb: Tcb): bool {
  if (!isFrtoPending(tcb)) return false;
  if (tcb.sndNxt.minus(1) > tcb.recover) return true;
  // A FIN that was sent lies beyond the end of the text.
  if (tcb.sndNxt < tcb.sndEnd && tcb.sndWnd > tcb.flightSize) return true;
  endFrto(tcb);
  return false;
}

/** Whether new text goes in place of what may be lost. */
export function isFrtoPending(tcb: Tcb): bool {
  return tcb.annex != 0 && Spurious.of(tcb).frto == NEW_TEXT;
}

/** Octets of new text that may be sent meanwhile, beside what the peer's window says. */
export function frtoRoom(tcb: Tcb): u32 {
  const sent = tcb.sndNxt.since(tcb.recover) - 1;
  const most = PROBES * tcb.sndMss;
  return most - min(most, sent);
}

/** The timeout was for a loss: it is made good as ever. */
export function endFrto(tcb: Tcb): void {
  if (tcb.annex) Spurious.of(tcb).frto = 0;
}

/** Step 2: the first ACK moves SND.UNA, though not to the end of what was in flight. */
function firstAck(tcb: Tcb, it: Spurious): void {
  it.frto = tcb.sndUna <= tcb.recover ? NEW_TEXT : 0;
}

/**
 * An ACK has come after a timeout; `advances`: SND.UNA has moved. Whether it proves the timeout spurious (§2.1).
 */
export function frtoAcked(tcb: Tcb, advances: bool): bool {
  if (tcb.annex == 0) return false;
  const it = Spurious.of(tcb);
  if (it.frto == NEW_TEXT) {
    it.frto = 0;
    if (advances) return true;
    // Step 3a.
    tcb.cwnd = min(tcb.cwnd, 3 * u32(tcb.sndMss));
  } else if (it.frto == RESENT_ONE) {
    if (advances) firstAck(tcb, it);
    else it.frto = 0;
  }
  return false;
}

/**
 * The same for a peer with SACK (§3.1). `original`: text has arrived that was in flight at the timeout and was sent once;
 * `sacked`: something has arrived beyond a hole.
 */
export function frtoScored(tcb: Tcb, advances: bool, original: bool, sacked: bool): bool {
  if (tcb.annex == 0) return false;
  const it = Spurious.of(tcb);
  if (it.frto == 0) return false;
  if (original) return true;
  if (it.frto == NEW_TEXT) {
    // Step 3a: new text has overtaken what was in flight.
    if (sacked) it.frto = 0;
  } else if (advances) firstAck(tcb, it);
  return false;
}
