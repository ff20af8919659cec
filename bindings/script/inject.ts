import type { IcmpPacket, PacketAction } from "./ast.ts";
import { ACK, flagsOfAce } from "./flags.ts";
import type { Flow } from "./flow.ts";
import { icmpCode, icmpType } from "./icmp-names.ts";
import { NotApplicable } from "./outcome.ts";
import { type Ends, ICMP, ICMP_6, icmpMessage, TCP, tcpSegment, UDP, udpDatagram, wrap } from "./wire.ts";

/** Octets of the quoted transport header: ports and sequence number. */
const QUOTED = 8;
const UNREACHABLE_4 = 3;
export const PATCHED = "not applicable: a packet whose octets are changed by name";

/** An inbound packet of the script's, on the wire. */
export function inject(packet: PacketAction, flow: Flow, ends: Ends): Uint8Array {
  if (packet.patched) throw new NotApplicable(PATCHED);
  if (packet.kind === "icmp") return injectIcmp(packet, flow, ends);
  if (packet.kind === "udp") {
    const { source = flow.remotePort, destination = flow.localPort } = packet.ports ?? {};
    return wrap(ends, UDP, udpDatagram(source, destination, packet.length), packet.ip);
  }
  if (packet.udp) throw new NotApplicable("not applicable: TCP in UDP");
  const flags = packet.ace === undefined ? packet.flags : packet.flags | flagsOfAce(packet.ace);
  return wrap(ends, TCP, tcpSegment(flow.toLive(packet, flags)), packet.ip);
}

function injectIcmp(packet: IcmpPacket, flow: Flow, ends: Ends): Uint8Array {
  const { family } = ends;
  const type = icmpType(family, packet.type);
  if (type === undefined) throw new NotApplicable(`IPv${family} has no ICMP ${packet.type}`);
  const code = packet.code === undefined ? 0 : icmpCode(family, packet.type, packet.code);
  if (code === undefined) throw new NotApplicable(`IPv${family} has no ICMP ${packet.type} ${packet.code}`);
  const protocol = family === 4 ? ICMP : ICMP_6;
  if (packet.id !== undefined || packet.type.startsWith("echo_"))
    return wrap(
      ends,
      protocol,
      icmpMessage(type, code, (packet.id ?? 0) << 16, new Uint8Array(0)),
      packet.ip,
    );
  const back = { family, source: ends.destination, destination: ends.source };
  const quoted = wrap(
    back,
    packet.quotedUdp === undefined ? TCP : UDP,
    packet.quotedUdp === undefined
      ? quotedSegment(packet, flow)
      : udpDatagram(flow.localPort, flow.remotePort, packet.quotedUdp),
    {},
  );
  // The next hop's MTU is the lower half of the word in IPv4 (RFC 1191 §4), all of it in IPv6.
  const rest = (packet.mtu ?? 0) & (family === 4 && type === UNREACHABLE_4 ? 0xffff : -1);
  const header = family === 4 ? 20 : 40;
  return wrap(ends, protocol, icmpMessage(type, code, rest, quoted.subarray(0, header + QUOTED)), packet.ip);
}

/** The segment of ours that is complained about. */
function quotedSegment(packet: IcmpPacket, flow: Flow): Uint8Array {
  return tcpSegment({
    sourcePort: flow.localPort,
    destinationPort: flow.remotePort,
    // A message that says nothing of what it quotes is about sequence number 0 of the script: the SYN.
    seq: ((packet.quotedSeq ?? 0) + (flow.localLive ?? 0)) >>> 0,
    ack: 0,
    flags: ACK,
    window: 0,
    urgent: 0,
    options: [],
    length: packet.quotedLength ?? 0,
  });
}
