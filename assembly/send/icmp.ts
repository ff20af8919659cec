import { addressHigh, addressLow } from "../addresses.ts";
import { add, finish, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { ECHO_REPLY, ECHO_REPLY6, ICMP_HEADER, UNREACHABLE, UNREACHABLE6 } from "../packet/icmp.ts";
import { IPV4_HEADER, IPV6_HEADER, ip, PROTOCOL_ICMP, PROTOCOL_ICMP6, pseudoSum } from "../packet/ip.ts";
import { pathMtu } from "../path.ts";
import {
  CNT_ICMP_OUT_DEST_UNREACHS,
  CNT_ICMP_OUT_ECHO_REPS,
  CNT_ICMP_OUT_ERRORS,
  CNT_ICMP_OUT_MSGS,
  CNT_ICMP_OUT_RATE_LIMIT_GLOBAL,
  CNT_ICMP_OUT_TIME_EXCDS,
  CNT_ICMP6_OUT_DEST_UNREACHS,
  CNT_ICMP6_OUT_ECHO_REPLIES,
  CNT_ICMP6_OUT_ERRORS,
  CNT_ICMP6_OUT_MSGS,
  CNT_ICMP6_OUT_RATE_LIMIT_HOST,
  CNT_ICMP6_OUT_TIME_EXCDS,
} from "../shared/counters.ts";
import { now, SECOND } from "../time.ts";
import { post } from "./outbox.ts";

/** The message's header, and the addresses it goes between: local, remote. */
const header = memory.data(8, 8);
const addresses = memory.data(32, 8);

/** Send `type` and `code`, the four octets at `rest` and `length` octets at `body` back where the packet in `ip` came from. */
function answer(type: u32, code: u32, rest: u32, body: usize, length: u32): bool {
  const family = ip.family;
  store<u64>(addresses, addressHigh(family, ip.destination));
  store<u64>(addresses, addressLow(family, ip.destination), 8);
  store<u64>(addresses, addressHigh(family, ip.source), 16);
  store<u64>(addresses, addressLow(family, ip.source), 24);
  store<u32>(header, type | (code << 8));
  store<u32>(header, rest, 4);
  const octets = length + ICMP_HEADER;
  const protocol = family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6;
  let total = add(sum(header, ICMP_HEADER), sum(body, length));
  if (family == 6) total = add(total, pseudoSum(6, ip.destination, ip.source, octets, protocol));
  store<u16>(header, u16(finish(total)), 2);
  const mtu = pathMtu(addresses + 16);
  const sent = post(family, addresses, protocol, header, body, length, mtu, false, false);
  if (sent) count(family == 4 ? CNT_ICMP_OUT_MSGS : CNT_ICMP6_OUT_MSGS);
  else count(family == 4 ? CNT_ICMP_OUT_ERRORS : CNT_ICMP6_OUT_ERRORS);
  return sent;
}

/** Answer the echo request in `ip`: the same identifier, number and data (RFC 1122 §3.2.2.6, RFC 4443 §4.2). */
export function answerEcho(): void {
  const six = ip.family == 6;
  const body = ip.payload + ICMP_HEADER;
  if (
    answer(six ? ECHO_REPLY6 : ECHO_REPLY, 0, load<u32>(ip.payload, 4), body, ip.payloadLength - ICMP_HEADER)
  )
    count(six ? CNT_ICMP6_OUT_ECHO_REPLIES : CNT_ICMP_OUT_ECHO_REPS);
}

/** Linux's icmp_msgs_per_sec and icmp_msgs_burst: errors in a second, and at once. */
const ERRORS_PER_SECOND: f64 = 1000;
const ERRORS_AT_ONCE: f64 = 50;
let credit: f64 = ERRORS_AT_ONCE;
let creditAt: f64 = 0;

function mayTell(): bool {
  credit = min(ERRORS_AT_ONCE, credit + ((now - creditAt) * ERRORS_PER_SECOND) / SECOND);
  creditAt = now;
  if (credit < 1) return false;
  credit--;
  return true;
}

/** RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c): an error quotes as much as a packet of these lengths holds. */
const ERROR_MAX_4: u32 = 576;
const ERROR_MAX_6: u32 = 1280;

/** Tell where the packet in `ip` came from what is wrong with it. Whether that may be told is the caller's to know. */
export function sendError(type: u32, code: u32): void {
  const six = ip.family == 6;
  if (!mayTell()) {
    count(six ? CNT_ICMP6_OUT_RATE_LIMIT_HOST : CNT_ICMP_OUT_RATE_LIMIT_GLOBAL);
    return;
  }
  const most = (six ? ERROR_MAX_6 - IPV6_HEADER : ERROR_MAX_4 - IPV4_HEADER) - ICMP_HEADER;
  if (!answer(type, code, 0, ip.at, min(ip.length, most))) return;
  if (type == (six ? UNREACHABLE6 : UNREACHABLE))
    count(six ? CNT_ICMP6_OUT_DEST_UNREACHS : CNT_ICMP_OUT_DEST_UNREACHS);
  else count(six ? CNT_ICMP6_OUT_TIME_EXCDS : CNT_ICMP_OUT_TIME_EXCDS);
}
