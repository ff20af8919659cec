import { addressHigh, addressLow, isAnswerableFrom } from "../addresses.ts";
import { count } from "../counters.ts";
import { lookupSegment } from "../demux.ts";
import { finish } from "../lifecycle.ts";
import {
  ECHO,
  ECHO_REPLY,
  ECHO_REPLY6,
  ECHO6,
  FRAGMENTATION_NEEDED,
  ICMP_HEADER,
  isIcmpIntact,
  PARAMETER_PROBLEM,
  PARAMETER_PROBLEM6,
  parseQuote,
  quote,
  REDIRECT,
  SOURCE_QUENCH,
  TIME_EXCEEDED,
  TIME_EXCEEDED6,
  TOO_BIG6,
  UNREACHABLE,
  UNREACHABLE6,
} from "../packet/icmp.ts";
import { ip, PROTOCOL_TCP, PROTOCOL_UDP } from "../packet/ip.ts";
import { segment } from "../packet/segment.ts";
import { learnPath, packetTooBig, pathMtu } from "../path.ts";
import { answerEcho } from "../send/icmp.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import { EV_RESET, SET_ICMP_MAY_RST } from "../shared/control.ts";
import {
  CNT_ATTEMPT_FAILS,
  CNT_ICMP_IN_CSUM_ERRORS,
  CNT_ICMP_IN_DEST_UNREACHS,
  CNT_ICMP_IN_ECHO_REPS,
  CNT_ICMP_IN_ECHOS,
  CNT_ICMP_IN_ERRORS,
  CNT_ICMP_IN_MSGS,
  CNT_ICMP_IN_PARM_PROBS,
  CNT_ICMP_IN_REDIRECTS,
  CNT_ICMP_IN_SRC_QUENCHS,
  CNT_ICMP_IN_TIME_EXCDS,
  CNT_ICMP6_IN_CSUM_ERRORS,
  CNT_ICMP6_IN_DEST_UNREACHS,
  CNT_ICMP6_IN_ECHO_REPLIES,
  CNT_ICMP6_IN_ECHOS,
  CNT_ICMP6_IN_ERRORS,
  CNT_ICMP6_IN_MSGS,
  CNT_ICMP6_IN_PARM_PROBLEMS,
  CNT_ICMP6_IN_PKT_TOO_BIGS,
  CNT_ICMP6_IN_TIME_EXCDS,
  CNT_IN_ADDR_ERRORS,
  CNT_IN_DELIVERS,
  CNT_OUT_OF_WINDOW_ICMPS,
} from "../shared/counters.ts";
import { ERR_NET_UNREACHABLE, ERR_NO_PROTOCOL, ERR_REFUSED, ERR_UNREACHABLE } from "../shared/results.ts";
import { SYN_RECEIVED, SYN_SENT, TIME_WAIT, TIME_WAIT_BRIEF } from "../shared/states.ts";
import { Tcb } from "../tcb.ts";
import { isUdpSource } from "../udp.ts";

// What ICMP says of packets of ours, RFC 1122 §3.2.2 and §4.2.3.9, RFC 5927. Anyone on the path's edge can forge it: it
// counts only when it quotes a segment in flight, and ends no connection that is synchronized.

/** What is to be made of an error: an ERR_ of results.ts, and whether it is hard. */
let error: i32 = 0;
let hard: bool = false;

export function icmpArrives(): void {
  if (!isAnswerableFrom(ip.family, ip.source, ip.destination)) {
    count(CNT_IN_ADDR_ERRORS);
    return;
  }
  const six = ip.family == 6;
  count(CNT_IN_DELIVERS);
  count(six ? CNT_ICMP6_IN_MSGS : CNT_ICMP_IN_MSGS);
  if (ip.payloadLength < ICMP_HEADER) {
    malformed();
    return;
  }
  if (!isIcmpIntact()) {
    count(six ? CNT_ICMP6_IN_CSUM_ERRORS : CNT_ICMP_IN_CSUM_ERRORS);
    malformed();
    return;
  }
  const type: u32 = load<u8>(ip.payload);
  const code: u32 = load<u8>(ip.payload, 1);
  if (six) message6(type, code);
  else message4(type, code);
}

function malformed(): void {
  count(ip.family == 6 ? CNT_ICMP6_IN_ERRORS : CNT_ICMP_IN_ERRORS);
}

/** Other types than these are taken for nothing (RFC 1122 §3.2.2). */
function message4(type: u32, code: u32): void {
  if (type == ECHO) {
    count(CNT_ICMP_IN_ECHOS);
    answerEcho();
  } else if (type == ECHO_REPLY) count(CNT_ICMP_IN_ECHO_REPS);
  else if (type == UNREACHABLE) {
    count(CNT_ICMP_IN_DEST_UNREACHS);
    if (code == FRAGMENTATION_NEEDED) errorArrives(true);
    else if (code <= 15) {
      classify4(code);
      errorArrives(false);
    }
  } else if (type == TIME_EXCEEDED) {
    count(CNT_ICMP_IN_TIME_EXCDS);
    soft(ERR_UNREACHABLE);
  } else if (type == PARAMETER_PROBLEM) {
    count(CNT_ICMP_IN_PARM_PROBS);
    soft(ERR_UNREACHABLE);
  } else if (type == SOURCE_QUENCH) count(CNT_ICMP_IN_SRC_QUENCHS);
  else if (type == REDIRECT) count(CNT_ICMP_IN_REDIRECTS);
}

function message6(type: u32, code: u32): void {
  if (type == ECHO6) {
    count(CNT_ICMP6_IN_ECHOS);
    answerEcho();
  } else if (type == ECHO_REPLY6) count(CNT_ICMP6_IN_ECHO_REPLIES);
  else if (type == UNREACHABLE6) {
    count(CNT_ICMP6_IN_DEST_UNREACHS);
    // RFC 4443 §3.1: 1 prohibited, 4 port unreachable, 5 and 6 refused by policy or route: no use trying again.
    hard = code == 1 || code >= 4;
    error = code == 0 ? ERR_NET_UNREACHABLE : code == 4 ? ERR_REFUSED : ERR_UNREACHABLE;
    if (code <= 6) errorArrives(false);
  } else if (type == TOO_BIG6) {
    count(CNT_ICMP6_IN_PKT_TOO_BIGS);
    errorArrives(true);
  } else if (type == TIME_EXCEEDED6) {
    count(CNT_ICMP6_IN_TIME_EXCDS);
    soft(ERR_UNREACHABLE);
  } else if (type == PARAMETER_PROBLEM6) {
    count(CNT_ICMP6_IN_PARM_PROBLEMS);
    soft(ERR_UNREACHABLE);
  }
}

function soft(reason: i32): void {
  error = reason;
  hard = false;
  errorArrives(false);
}

/**
 * Codes of ICMPv4's unreachable, as Linux divides them: 0, 1, 5, 11 and 12 may pass (RFC 1122 §3.2.2.1), the others say
 * that there is nobody, or that somebody forbids it.
 */
function classify4(code: u32): void {
  hard = !(code <= 1 || code == 5 || code == 11 || code == 12);
  if (code == 2) error = ERR_NO_PROTOCOL;
  else if (code == 3) error = ERR_REFUSED;
  else if (code == 0 || code == 6 || code == 9 || code == 11) error = ERR_NET_UNREACHABLE;
  else error = ERR_UNREACHABLE;
}

/** Deliver the error to whom it concerns (MUST-54): it says that a packet of ours was too big, or `error`. */
function errorArrives(tooBig: bool): void {
  if (!parseQuote()) {
    malformed();
    return;
  }
  if (quote.protocol == PROTOCOL_TCP) tcpError(tooBig);
  else if (quote.protocol == PROTOCOL_UDP && tooBig) udpTooBig();
}

function tcpError(tooBig: bool): void {
  // The quoted segment went the other way: its source is our end.
  segment.family = ip.family;
  segment.source = quote.destination;
  segment.destination = quote.source;
  segment.ports = rotl(load<u32>(quote.transport), 16);
  segment.sourcePort = bswap<u16>(load<u16>(quote.transport, 2));
  segment.destinationPort = bswap<u16>(load<u16>(quote.transport));
  const at = lookupSegment();
  if (at == 0) {
    malformed();
    return;
  }
  const tcb = Tcb.at(at);
  if (tcb.state == TIME_WAIT || tcb.state == TIME_WAIT_BRIEF) return;
  // RFC 5927 §4.1: SND.UNA =< SEG.SEQ < SND.NXT.
  const seq = Seq.of(bswap<u32>(load<u32>(quote.transport, 4)));
  // A probe, of the window or whether the peer still lives, goes one below.
  const lowest = tcb.probes || tcb.keepProbes ? tcb.sndUna.minus(1) : tcb.sndUna;
  if (seq < lowest || seq >= tcb.sndNxt) {
    count(CNT_OUT_OF_WINDOW_ICMPS);
    return;
  }
  if (tooBig) packetTooBig(tcb, mtuTold());
  else if (hard && (tcb.state == SYN_SENT || tcb.state == SYN_RECEIVED) && setting(SET_ICMP_MAY_RST)) {
    count(CNT_ATTEMPT_FAILS);
    // Nobody has heard of a connection that a peer began and never finished.
    finish(tcb, error, tcb.passive && !tcb.openedFast ? 0 : EV_RESET);
  } else tcb.softError = i8(error);
}

const remote = memory.data(16, 8);

/** RFC 8085 §3.2: what a socket of ours sent will be cut smaller from now on. */
function udpTooBig(): void {
  const family = ip.family;
  if (!isUdpSource(family, quote.source, bswap<u16>(load<u16>(quote.transport)))) {
    malformed();
    return;
  }
  store<u64>(remote, addressHigh(family, quote.destination));
  store<u64>(remote, addressLow(family, quote.destination), 8);
  learnPath(family, remote, mtuTold(), pathMtu(remote));
}

/** RFC 1191 §5: sizes that links have, for routers that say nothing of theirs. */
const PLATEAUS = memory.data<u16>([65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68]);

/** The next-hop MTU the message tells, or what it lets suppose. */
function mtuTold(): u32 {
  if (ip.family == 6) return bswap<u32>(load<u32>(ip.payload, 4));
  const told: u32 = bswap<u16>(load<u16>(ip.payload, 6));
  if (told) return told;
  let at = PLATEAUS;
  while (load<u16>(at) > 68 && load<u16>(at) >= quote.length) at += 2;
  return load<u16>(at);
}
