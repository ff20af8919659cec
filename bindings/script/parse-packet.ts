import type {
  IcmpPacket,
  IpFields,
  PacketAction,
  Ports,
  Side,
  TcpOption,
  TcpPacket,
  UdpPacket,
} from "./ast.ts";
import { FLAG_LETTERS } from "./flags.ts";
import { icmpCode, icmpType } from "./icmp-names.ts";
import type { Lexer, Token } from "./lexer.ts";
import { optionsLength } from "./tcp-options.ts";
import { expect, expectNumber, expectWord, takeIf } from "./tokens.ts";

/** What is left of the longest IP packet behind the longest headers. */
const LONGEST = 65535 - 40 - 60;

/** A packet, its direction being read. */
export function parsePacket(lexer: Lexer, side: Side): PacketAction {
  const open = lexer.peek();
  const close = takeIf(lexer, "[") ? "]" : takeIf(lexer, "(") ? ")" : undefined;
  if (close === "]" && lexer.peek().kind === "integer") return parseQuotingIcmp(lexer, side, open);
  const ip = close === undefined ? {} : parseIp(lexer, side, close);
  const token = lexer.peek();
  if (token.kind === "word" && ["ipv4", "ipv6", "gre", "mpls", "psp"].includes(token.text))
    throw lexer.error(token, `packets inside ${token.text} are not supported`);
  if (takeIf(lexer, "icmp")) return parseIcmp(lexer, side, ip);
  const ports = parsePorts(lexer);
  const packet = takeIf(lexer, "udp") ? parseUdp(lexer, side, ip, ports) : parseTcp(lexer, side, ip, ports);
  const next = lexer.peek();
  if (next.kind === "mark" && next.text === "{") skipPatch(lexer, packet);
  return packet;
}

/** The older notation of ICMP: what it quotes stands in front. */
function parseQuotingIcmp(lexer: Lexer, side: Side, open: Token): IcmpPacket {
  const quote = parseQuote(lexer);
  expect(lexer, "]");
  expect(lexer, "icmp");
  const packet = parseIcmp(lexer, side, {});
  if (packet.quotedSeq !== undefined || packet.quotedUdp !== undefined)
    throw lexer.error(open, "an ICMP message quotes one packet");
  return Object.assign(packet, quote);
}

/** `{rep header field value}` and its like change octets of the packet after it is made. */
function skipPatch(lexer: Lexer, packet: PacketAction): void {
  while (!takeIf(lexer, "}")) {
    const token = lexer.next();
    if (token.kind === "end") throw lexer.error(token, "a brace is not closed");
  }
  packet.patched = true;
}

function parseIp(lexer: Lexer, side: Side, close: string): IpFields {
  const ip: IpFields = {};
  do {
    const token = lexer.next();
    switch (token.text) {
      case "noecn":
      case "ect0":
      case "ect1":
      case "ce":
        ip.ecn = token.text;
        break;
      case "ect01":
        if (side === "in") throw lexer.error(token, "ect01 may only be expected");
        ip.ecn = token.text;
        break;
      case "tos":
      case "class":
        ip.tos = expectNumber(lexer, token.text, 255);
        break;
      case "dscp":
        ip.dscp = expectNumber(lexer, token.text, 63);
        break;
      case "ecn":
        ip.ecn = (["noecn", "ect1", "ect0", "ce"] as const)[expectNumber(lexer, token.text, 3)]!;
        break;
      case "flowlabel":
        ip.flowLabel = expectNumber(lexer, token.text, 0xfffff);
        break;
      case "ttl":
      case "hlim":
        ip.ttl = expectNumber(lexer, token.text, 255);
        break;
      default:
        throw lexer.error(token, `unknown IP field ${token.text}`);
    }
  } while (takeIf(lexer, ","));
  expect(lexer, close);
  return ip;
}

function parsePorts(lexer: Lexer): Ports | undefined {
  const token = lexer.peek();
  // A digit may also be an ACE count, which a dot follows.
  if (token.kind !== "integer" || !/^\d+\s*>/.test(lexer.source.slice(token.start, token.start + 16)))
    return undefined;
  const source = expectNumber(lexer, "a port", 65535);
  expect(lexer, ">");
  return { source, destination: expectNumber(lexer, "a port", 65535) };
}

function parseUdp(lexer: Lexer, side: Side, ip: IpFields, ports: Ports | undefined): UdpPacket {
  expect(lexer, "(");
  const length = expectNumber(lexer, "a length", 65507);
  expect(lexer, ")");
  return { kind: "udp", side, ip, ...(ports && { ports }), length };
}

function parseTcp(lexer: Lexer, side: Side, ip: IpFields, ports: Ports | undefined): TcpPacket {
  const start = lexer.peek();
  const packet: TcpPacket = {
    kind: "tcp",
    side,
    ip,
    ...(ports && { ports }),
    ...parseFlags(lexer),
    length: 0,
    options: [],
  };
  parseSequence(lexer, packet);
  if (packet.seq === undefined && side === "in")
    throw lexer.error(start, "an inbound packet needs its number");
  if (side === "in" && packet.length > LONGEST)
    throw lexer.error(start, `a packet cannot hold ${packet.length} octets of text`);
  if (takeIf(lexer, "ack")) {
    packet.ack = expectNumber(lexer, "an acknowledgment number");
    takeIf(lexer, "!");
  }
  if (takeIf(lexer, "win")) packet.window = expectNumber(lexer, "a window", 65535);
  else if (side === "in") throw lexer.error(lexer.peek(), "an inbound packet needs a window");
  if (takeIf(lexer, "urg")) packet.urgent = expectNumber(lexer, "an urgent pointer", 65535);
  if (lexer.peek().kind === "mark" && lexer.peek().text === "<") parseOptions(lexer, packet);
  if (takeIf(lexer, "/")) {
    expect(lexer, "udp");
    expect(lexer, "(");
    const outer = parsePorts(lexer);
    if (!outer) throw lexer.error(lexer.peek(), "expected two ports");
    packet.udp = outer;
    expect(lexer, ")");
  }
  return packet;
}

/** Letters, dots and an ACE count, however the lexer has cut them. */
function parseFlags(lexer: Lexer): { flags: number; ace?: number } {
  const first = lexer.peek();
  if (takeIf(lexer, "-")) return { flags: 0 };
  let text = "";
  for (let token = lexer.peek(); ; token = lexer.peek()) {
    const part =
      (token.kind === "integer" && /^[0-7]$/.test(token.text) && lexer.source[token.start + 1] === ".") ||
      (token.kind === "word" && /^[SFRPUEWA0-7]+$/.test(token.text)) ||
      (token.kind === "float" && /^\.[0-7]$/.test(token.text)) ||
      (token.kind === "mark" && token.text === ".");
    if (!part) break;
    text += lexer.next().text;
  }
  const digits = text.replace(/[^0-7]/g, "");
  if (text === "" || digits.length > 1) throw lexer.error(first, `expected TCP flags, got ${first.text}`);
  let flags = 0;
  for (const letter of text) flags |= FLAG_LETTERS[letter] ?? 0;
  return digits === "" ? { flags } : { flags, ace: Number(digits) };
}

function parseSequence(lexer: Lexer, packet: TcpPacket): void {
  const first = lexer.peek();
  const any = takeIf(lexer, "...");
  if (!any) packet.seq = expectNumber(lexer, "a sequence number");
  let end: number | undefined;
  if (!any) {
    expect(lexer, ":");
    end = expectNumber(lexer, "a sequence number");
  }
  expect(lexer, "(");
  packet.length = expectNumber(lexer, "a length");
  expect(lexer, ")");
  if (!any && (packet.seq! + packet.length) % 2 ** 32 !== end)
    throw lexer.error(first, `${packet.seq}:${end} are not ${packet.length} octets`);
  if (takeIf(lexer, "!")) packet.absolute = true;
}

function parseOptions(lexer: Lexer, packet: TcpPacket): void {
  const start = expect(lexer, "<");
  if (takeIf(lexer, "...")) {
    if (packet.side === "in") throw lexer.error(start, "an inbound packet needs its options");
    delete packet.options;
    expect(lexer, ">");
    return;
  }
  const options: TcpOption[] = [];
  if (!takeIf(lexer, ">")) {
    do options.push(parseOption(lexer));
    while (takeIf(lexer, ","));
    expect(lexer, ">");
  }
  const length = optionsLength(options);
  if (length % 4 !== 0 || length > 40)
    throw lexer.error(start, `${length} octets of options, not a multiple of 4 up to 40`);
  packet.options = options;
}

function parseOption(lexer: Lexer): TcpOption {
  const token = lexer.next();
  const kind = token.text;
  switch (kind) {
    case "nop":
    case "eol":
    case "sackOK":
      return { kind };
    case "mss":
      return { kind, value: expectNumber(lexer, "an MSS", 65535) };
    case "wscale":
      return { kind, value: expectNumber(lexer, "a window scale", 255) };
    case "sack": {
      const blocks: [number, number][] = [];
      while (lexer.peek().kind === "integer") {
        const left = expectNumber(lexer, "a block's left edge");
        expect(lexer, ":");
        blocks.push([left, expectNumber(lexer, "a block's right edge")]);
      }
      return { kind, blocks };
    }
    case "TS": {
      expect(lexer, "val");
      const any = takeIf(lexer, "...");
      const value = any ? undefined : expectNumber(lexer, "a timestamp");
      expect(lexer, "ecr");
      const echo = expectNumber(lexer, "an echo reply");
      const liveEcho = takeIf(lexer, "!");
      return { kind, ...(value !== undefined && { value }), echo, ...(liveEcho && { liveEcho }) };
    }
    case "FO":
    case "FOEXP":
      // Longer than any cookie may be: as long as options are.
      return { kind, cookie: parseHex(lexer, 38) };
    case "md5": {
      if (takeIf(lexer, "valid")) return { kind };
      return { kind, digest: parseHex(lexer, 16) };
    }
    case "ECN":
      return parseAccEcn(lexer);
  }
  throw lexer.error(token, `unknown TCP option ${kind}`);
}

/** Octets in hexadecimal, which may look like a number or a word. */
function parseHex(lexer: Lexer, most: number): string {
  const token = lexer.peek();
  if (token.kind !== "word" && token.kind !== "integer") return "";
  if (!/^([0-9a-f]{2})*$/i.test(token.text) || token.text.length > most * 2)
    throw lexer.error(token, `expected up to ${most} octets in hexadecimal, got ${token.text}`);
  return lexer.next().text.toLowerCase();
}

function parseAccEcn(lexer: Lexer): TcpOption {
  const names: string[] = [];
  const counters: number[] = [];
  while (lexer.peek().kind === "word") {
    const token = lexer.next();
    names.push(token.text);
    counters.push(expectNumber(lexer, "a counter", 0xffffff));
    const whole = ["e0b,ceb,e1b", "e1b,ceb,e0b"].some((order) => order.startsWith(names.join(",")));
    if (!whole) throw lexer.error(token, `the ECN option has no ${token.text} here`);
  }
  return { kind: "ECN", order: names[0] === "e1b" ? 1 : 0, counters };
}

function parseIcmp(lexer: Lexer, side: Side, ip: IpFields): IcmpPacket {
  const token = lexer.peek();
  const packet: IcmpPacket = { kind: "icmp", side, ip, type: expectWord(lexer, "an ICMP type") };
  const next = lexer.peek();
  if (next.kind === "word" && next.text !== "mtu" && next.text !== "id") {
    packet.code = lexer.next().text;
    if ([4, 6].every((family) => icmpCode(family, packet.type, packet.code!) === undefined))
      throw lexer.error(next, `unknown ICMP code ${packet.code} of ${packet.type}`);
  }
  if ([4, 6].every((family) => icmpType(family, packet.type) === undefined))
    throw lexer.error(token, `unknown ICMP type ${packet.type}`);
  if (takeIf(lexer, "mtu")) packet.mtu = expectNumber(lexer, "an MTU");
  if (takeIf(lexer, "id")) packet.id = expectNumber(lexer, "an identifier", 65535);
  if (!takeIf(lexer, "[")) return packet;
  if (takeIf(lexer, "udp")) {
    expect(lexer, "(");
    packet.quotedUdp = expectNumber(lexer, "a length", 65507);
    expect(lexer, ")");
  } else Object.assign(packet, parseQuote(lexer));
  expect(lexer, "]");
  return packet;
}

/** The sequence numbers of the segment an ICMP message quotes. */
function parseQuote(lexer: Lexer): Required<Pick<IcmpPacket, "quotedSeq" | "quotedLength">> {
  const quotedSeq = expectNumber(lexer, "a sequence number");
  expect(lexer, ":");
  expectNumber(lexer, "a sequence number");
  expect(lexer, "(");
  const quotedLength = expectNumber(lexer, "a length");
  expect(lexer, ")");
  return { quotedSeq, quotedLength };
}
