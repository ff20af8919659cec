import { ip, parseIp } from "../../assembly/packet/ip.ts";
import { segment } from "../../assembly/packet/segment.ts";
import { parseTcp } from "../../assembly/packet/tcp.ts";

export function probe_parseIp(at: usize, length: u32): bool {
  return parseIp(at, length);
}

/** Of the packet that `parseIp` has just taken. */
export function probe_parseTcp(): bool {
  return parseTcp();
}

export function probe_ipProtocol(): u32 {
  return ip.protocol;
}

export function probe_ipEcn(): u32 {
  return ip.ecn;
}

export function probe_segmentFamily(): u32 {
  return segment.family;
}

export function probe_segmentSource(): usize {
  return segment.source;
}

export function probe_segmentDestination(): usize {
  return segment.destination;
}

export function probe_segmentSourcePort(): u32 {
  return segment.sourcePort;
}

export function probe_segmentDestinationPort(): u32 {
  return segment.destinationPort;
}

export function probe_segmentSeq(): u32 {
  return segment.seq.u32;
}

export function probe_segmentAck(): u32 {
  return segment.ack.u32;
}

export function probe_segmentFlags(): u32 {
  return segment.flags;
}

export function probe_segmentWindow(): u32 {
  return segment.window;
}

export function probe_segmentUrgent(): u32 {
  return segment.urgent;
}

export function probe_segmentText(): usize {
  return segment.text;
}

export function probe_segmentTextLength(): u32 {
  return segment.textLength;
}

export function probe_segmentLength(): u32 {
  return segment.length;
}
