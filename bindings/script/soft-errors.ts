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

/** Codes that RFC 1122 §3.2.2.1 does not divide: with Linux they end a connection that is being opened, with BSD none. */
const PASSING: Readonly<Record<string, string>> = {
  net_unknown: "net_unreachable",
  host_unknown: "host_unreachable",
  source_host_isolated: "host_unreachable",
  precedence_violation: "host_unreachable",
  precedence_cutoff: "host_unreachable",
};

/** An error of a BSD script's as BSD takes it. */
export function asPassing(packet: IcmpPacket): IcmpPacket {
  const code = packet.type === "unreachable" && packet.code !== undefined ? PASSING[packet.code] : undefined;
  return code === undefined ? packet : { ...packet, code };
}

/**
 * Linux gives up a connection that is being opened for any ICMP error, for those too that RFC 9293 MUST-56 has end nothing:
 * its scripts' are made final.
 */
export function asFinal(packet: IcmpPacket, state: State | undefined): IcmpPacket {
  const opening = state === "SYN-SENT" || state === "SYN-RECEIVED";
  const code = packet.type === "unreachable" && packet.code !== undefined ? FINAL[packet.code] : undefined;
  return opening && code !== undefined ? { ...packet, code } : packet;
}
