import type { State } from "../types.ts";
import type { IcmpPacket } from "./ast.ts";

/** Codes of unreachable that may pass, and those that say the same of what is not there at all. */
const FINAL: Readonly<Record<string, string>> = {
  net_unreachable: "net_unknown",
  host_unreachable: "host_unknown",
  source_route_failed: "host_unknown",
  no_route: "admin_prohibited",
  address_unreachable: "admin_prohibited",
};

/**
 * Linux gives up a connection that is being opened for any ICMP error, for those too that RFC 9293 MUST-56 has end nothing:
 * its scripts' are made final.
 */
export function asFinal(packet: IcmpPacket, state: State | undefined): IcmpPacket {
  const opening = state === "SYN-SENT" || state === "SYN-RECEIVED";
  const code = packet.type === "unreachable" && packet.code !== undefined ? FINAL[packet.code] : undefined;
  return opening && code !== undefined ? { ...packet, code } : packet;
}
