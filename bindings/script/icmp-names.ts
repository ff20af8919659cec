interface Kind {
  type: number;
  /** By code number. */
  codes: readonly string[];
}

const V4: Readonly<Record<string, Kind>> = {
  echo_reply: { type: 0, codes: [] },
  unreachable: {
    type: 3,
    codes: [
      "net_unreachable",
      "host_unreachable",
      "protocol_unreachable",
      "port_unreachable",
      "frag_needed",
      "source_route_failed",
      "net_unknown",
      "host_unknown",
      "source_host_isolated",
      "net_prohibited",
      "host_prohibited",
      "net_unreachable_for_tos",
      "host_unreachable_for_tos",
      "packet_filtered",
      "precedence_violation",
      "precedence_cutoff",
    ],
  },
  source_quench: { type: 4, codes: [] },
  redirect: { type: 5, codes: [] },
  echo_request: { type: 8, codes: [] },
  router_advertisement: { type: 9, codes: [] },
  router_solicitation: { type: 10, codes: [] },
  time_exceeded: { type: 11, codes: ["ttl_exceeded_in_transit", "frag_reass_exceeded"] },
  parameter_problem: { type: 12, codes: [] },
  timestamp_request: { type: 13, codes: [] },
  timestamp_reply: { type: 14, codes: [] },
  information_request: { type: 15, codes: [] },
  information_reply: { type: 16, codes: [] },
  address_mask_request: { type: 17, codes: [] },
  address_mask_reply: { type: 18, codes: [] },
};

const V6: Readonly<Record<string, Kind>> = {
  unreachable: {
    type: 1,
    codes: ["no_route", "admin_prohibited", "not_neighbour", "address_unreachable", "port_unreachable"],
  },
  packet_too_big: { type: 2, codes: [] },
  time_exceeded: { type: 3, codes: ["exceeded_hop_limit", "exceeded_frag_time"] },
  parameter_problem: { type: 4, codes: ["header_field", "unknown_next_header", "unknown_option"] },
  echo_request: { type: 128, codes: [] },
  echo_reply: { type: 129, codes: [] },
  router_solicitation: { type: 133, codes: [] },
  router_advertisement: { type: 134, codes: [] },
};

const of = (family: number) => (family === 4 ? V4 : V6);

function numbered(prefix: string, text: string): number | undefined {
  const found = new RegExp(`^${prefix}_(\\d+)$`).exec(text);
  return found && Number(found[1]) < 256 ? Number(found[1]) : undefined;
}

/** The number of an ICMP type, undefined when that family has none by the name. */
export function icmpType(family: number, name: string): number | undefined {
  return of(family)[name]?.type ?? numbered("type", name);
}

export function icmpCode(family: number, type: string, name: string): number | undefined {
  const found = of(family)[type]?.codes.indexOf(name) ?? -1;
  return found >= 0 ? found : numbered("code", name);
}

/** How a script would write type and code. */
export function icmpText(family: number, type: number, code: number): string {
  for (const [name, kind] of Object.entries(of(family)))
    if (kind.type === type) return `${name} ${kind.codes[code] ?? `code_${code}`}`;
  return `type_${type} code_${code}`;
}
