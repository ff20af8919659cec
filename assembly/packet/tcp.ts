import { add, sum } from "../checksum.ts";
import { count } from "../counters.ts";
import { Seq } from "../seq.ts";
import { CNT_IN_CSUM_ERRORS, CNT_IN_ERRS } from "../shared/counters.ts";
import { ip, pseudoSum } from "./ip.ts";
import { parseOptions } from "./options.ts";
import { NO_FAST_OPEN, segment, TCP_HEADER } from "./segment.ts";

/** Whether the checksum of the TCP segment in `ip` is right. */
export function isTcpIntact(): bool {
  const length = ip.payloadLength;
  // RFC 9293 §3.1, MUST-3. The sum over a good segment is minus zero.
  return add(sum(ip.payload, length), pseudoSum(ip.family, ip.source, ip.destination, length)) == 0xffff;
}

/**
 * Check the TCP segment of the packet in `ip` and open it into `segment`. False when dropped, which is counted.
 * Without `verify` its checksum may be wrong.
 */
export function parseTcp(verify: bool = true): bool {
  const header = ip.payload;
  const length = ip.payloadLength;
  if (length < TCP_HEADER) {
    count(CNT_IN_ERRS);
    return false;
  }
  const headerLength: u32 = (load<u8>(header, 12) >> 4) << 2;
  if (headerLength < TCP_HEADER || headerLength > length) {
    count(CNT_IN_ERRS);
    return false;
  }
  if (verify && !ip.isTrusted && !isTcpIntact()) {
    count(CNT_IN_CSUM_ERRORS);
    count(CNT_IN_ERRS);
    return false;
  }
  segment.family = ip.family;
  segment.source = ip.source;
  segment.destination = ip.destination;
  segment.ecn = ip.ecn;
  segment.ports = load<u32>(header);
  segment.sourcePort = bswap<u16>(load<u16>(header));
  segment.destinationPort = bswap<u16>(load<u16>(header, 2));
  segment.seq = Seq.of(bswap<u32>(load<u32>(header, 4)));
  segment.ack = Seq.of(bswap<u32>(load<u32>(header, 8)));
  segment.flags = load<u8>(header, 13);
  segment.window = bswap<u16>(load<u16>(header, 14));
  segment.urgent = bswap<u16>(load<u16>(header, 18));
  segment.up = segment.seq.plus(segment.urgent);
  segment.text = header + headerLength;
  const textLength = length - headerLength;
  segment.textLength = textLength;
  const size = ip.segmentSize;
  if (size && textLength > size) {
    segment.segments = (textLength + size - 1) / size;
    segment.size = size;
  } else {
    segment.segments = 1;
    segment.size = textLength;
  }
  if (headerLength > TCP_HEADER) {
    if (!parseOptions(header, headerLength, segment)) count(CNT_IN_ERRS);
  } else {
    segment.hasMss = false;
    segment.hasWindowScale = false;
    segment.hasTimestamp = false;
    segment.hasSack = false;
    segment.userTimeout = 0;
    segment.sackBlocks = 0;
    segment.fastOpen = NO_FAST_OPEN;
  }
  return true;
}
