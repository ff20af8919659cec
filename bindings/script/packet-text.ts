import type { IpFields, PacketAction, Ports, TcpPacket } from "./ast.ts";
import { flagText } from "./flags.ts";
import { optionText } from "./tcp-options.ts";

function ipText(ip: IpFields): string {
  const parts: string[] = [];
  if (ip.ecn !== undefined) parts.push(ip.ecn);
  if (ip.tos !== undefined) parts.push(`tos 0x${ip.tos.toString(16).padStart(2, "0")}`);
  if (ip.dscp !== undefined) parts.push(`dscp ${ip.dscp}`);
  if (ip.flowLabel !== undefined) parts.push(`flowlabel 0x${ip.flowLabel.toString(16).padStart(5, "0")}`);
  if (ip.ttl !== undefined) parts.push(`ttl ${ip.ttl}`);
  return parts.length > 0 ? `[${parts.join(",")}] ` : "";
}

const portsText = (ports: Ports | undefined) => (ports ? `${ports.source} > ${ports.destination} ` : "");

function sequenceText({ seq, length, absolute }: TcpPacket): string {
  if (seq === undefined) return `...(${length})`;
  return `${seq}:${(seq + length) % 2 ** 32}(${length})${absolute ? "!" : ""}`;
}

/** A packet in the notation of scripts, without its direction. */
export function packetText(packet: PacketAction): string {
  const start = ipText(packet.ip);
  if (packet.kind === "udp") return `${start}${portsText(packet.ports)}udp (${packet.length})`;
  if (packet.kind === "icmp") {
    const { type, code, mtu, id, quotedSeq, quotedLength = 0, quotedUdp } = packet;
    const parts = ["icmp", type];
    if (code !== undefined) parts.push(code);
    if (mtu !== undefined) parts.push(`mtu ${mtu}`);
    if (id !== undefined) parts.push(`id ${id}`);
    if (quotedSeq !== undefined) parts.push(`[${quotedSeq}:${quotedSeq + quotedLength}(${quotedLength})]`);
    if (quotedUdp !== undefined) parts.push(`[udp (${quotedUdp})]`);
    return start + parts.join(" ");
  }
  const parts = [flagText(packet.flags, packet.ace), sequenceText(packet)];
  if (packet.ack !== undefined) parts.push(`ack ${packet.ack}`);
  if (packet.window !== undefined) parts.push(`win ${packet.window}`);
  if (packet.urgent !== undefined) parts.push(`urg ${packet.urgent}`);
  if (packet.options === undefined) parts.push("<...>");
  else if (packet.options.length > 0) parts.push(`<${packet.options.map(optionText).join(",")}>`);
  if (packet.udp) parts.push(`/ udp (${packet.udp.source} > ${packet.udp.destination})`);
  return `${start}${portsText(packet.ports)}${parts.join(" ")}`;
}
