import type { TcpOption, TcpPacket } from "./ast.ts";
import { ACK, AE, aceOf, CWR, ECE, flagText, PSH, RST, SYN } from "./flags.ts";
import type { Flow } from "./flow.ts";
import { optionText } from "./tcp-options.ts";
import { ecnBits, type LivePacket } from "./wire.ts";

export interface Leniency {
  /** What other stacks do differently, or RFCs have otherwise than the script: see `relaxations`. */
  relaxed: boolean;
  /** Microseconds of a timestamp's tick; 0: timestamps are not compared. */
  timestampTick: number;
  /** Microseconds by which a timestamp may differ. */
  tolerance: number;
  /** Whether echoed timestamps are compared as well. */
  echoes: boolean;
}

/** What `--relaxed` changes, for whoever prints that it was used. */
export const relaxations: readonly string[] = [
  "options in any order, without padding",
  "PSH not compared",
  "windows not compared, but for whether they are zero; those of resets not at all",
  "segments may be cut differently",
  "immediate ACKs may be delayed, and delayed ones immediate",
  "more duplicate ACKs than written",
  "MSS and window scale of our SYN not compared",
  "an ACK of the same in place of a repeated FIN",
  "a reset that answers text after close() may have the next number in place of the one acknowledged",
  "options of a SYN,ACK that the SYN did not offer not compared",
  "of two behaviours that a script has by #ifdef, either",
  "Linux scripts: what a timer sends may come up to 12 ms sooner, which kernels' ticks take",
  "Linux scripts: soft ICMP errors about a connection being opened are made hard, which are to end it",
  "BSD scripts: CWR not compared on what is sent again",
  "BSD scripts: ICMP errors that are neither soft nor hard by RFC 1122 are made soft",
  "BSD scripts: unread text is read before close(), which would be a reset",
  "BSD scripts: unreachable in place of refused, and told of without an end where RFC 9293 has none",
  "BSD scripts: whether a repeated SYN asks for ECN not compared",
  "BSD scripts: TCP_NOOPT leaves the MSS",
  "BSD scripts: resets where the buffer ends are put where the window does",
];

/** In which ways a live packet is not the one expected; empty when it is. */
export function differences(expected: TcpPacket, live: LivePacket, flow: Flow, leniency: Leniency): string[] {
  const actual = flow.toScript(live);
  const found = [...live.flaws];
  const differ = (what: string, wanted: unknown, got: unknown) => {
    if (wanted !== got) found.push(`${what} ${got} instead of ${wanted}`);
  };
  compareFlags(expected, actual, leniency, differ);
  if (expected.seq !== undefined)
    differ("sequence number", expected.seq, expected.absolute ? live.seq : actual.seq);
  differ("length", expected.length, actual.length);
  if (expected.flags & ACK) differ("ack", expected.ack ?? 0, actual.ack);
  compareWindow(expected, actual, leniency, differ);
  differ("urgent pointer", expected.urgent ?? 0, live.urgent);
  compareIp(expected, live, differ);
  if (expected.options) compareOptions(expected, actual.options!, live, leniency, differ);
  return found;
}

type Differ = (what: string, wanted: unknown, got: unknown) => void;

function compareFlags(expected: TcpPacket, actual: TcpPacket, { relaxed }: Leniency, differ: Differ): void {
  const ignored = (relaxed ? PSH : 0) | (expected.ace === undefined ? 0 : ECE | CWR | AE);
  const [wanted, got] = [expected.flags & ~ignored, actual.flags & ~ignored];
  if (wanted !== got) differ("flags", flagText(wanted), flagText(got));
  if (expected.ace !== undefined) differ("ACE", expected.ace, aceOf(actual.flags));
}

function compareWindow(expected: TcpPacket, actual: TcpPacket, { relaxed }: Leniency, differ: Differ): void {
  if (expected.window === undefined) return;
  if (relaxed && ((expected.window > 0 && actual.window! > 0) || expected.flags & RST)) return;
  differ("window", expected.window, actual.window);
}

function compareIp({ ip }: TcpPacket, live: LivePacket, differ: Differ): void {
  if (ip.tos !== undefined) differ("TOS", ip.tos, live.tos);
  if (ip.dscp !== undefined) differ("DSCP", ip.dscp, live.tos >> 2);
  if (ip.ttl !== undefined) differ("TTL", ip.ttl, live.ttl);
  if (ip.flowLabel !== undefined && live.family === 6) differ("flow label", ip.flowLabel, live.flowLabel);
  if (ip.ecn === undefined) return;
  const got = live.tos & 3;
  if (ip.ecn === "ect01") differ("ECN", "ECT", got === 1 || got === 2 ? "ECT" : got);
  else differ("ECN", ecnBits(ip.ecn), got);
}

function compareOptions(
  expected: TcpPacket,
  actual: TcpOption[],
  live: LivePacket,
  leniency: Leniency,
  differ: Differ,
): void {
  const plain = (option: TcpOption): string => {
    // Its value is compared by distance, below.
    if (option.kind === "TS") return leniency.echoes ? `TS ecr ${option.echo}` : "TS";
    if (leniency.relaxed && live.flags & SYN && (option.kind === "mss" || option.kind === "wscale"))
      return option.kind;
    // What the digest must be only the secret tells.
    return option.kind === "md5" ? option.kind : optionText(option);
  };
  const list = (options: TcpOption[]) => {
    const counted = leniency.relaxed
      ? options.filter(({ kind }) => kind !== "nop" && kind !== "eol")
      : options;
    const texts = counted.map(plain);
    return `<${(leniency.relaxed ? texts.sort() : texts).join(",")}>`;
  };
  const timestamps = expected.options!.find(({ kind }) => kind === "TS");
  const real = actual.find(({ kind }) => kind === "TS");
  differ("options", list(expected.options!), list(actual));
  if (timestamps?.kind !== "TS" || real?.kind !== "TS" || timestamps.value === undefined) return;
  const apart = Math.abs((real.value! - timestamps.value) | 0) * leniency.timestampTick;
  if (apart > leniency.tolerance) differ("TS val", timestamps.value, real.value);
}
