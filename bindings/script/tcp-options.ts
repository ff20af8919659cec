import type { TcpOption } from "./ast.ts";

const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_OK = 4;
const SACK = 5;
const TIMESTAMPS = 8;
const MD5 = 19;
const FAST_OPEN = 34;
const ACCECN_0 = 172;
const ACCECN_1 = 174;
const EXPERIMENTAL = 254;
const FAST_OPEN_MAGIC = [0xf9, 0x89];

const two = (n: number) => [(n >>> 8) & 255, n & 255];
const three = (n: number) => [(n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const four = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

export function octetsOf(hex: string): number[] {
  return Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16));
}

export function hexOf(octets: Iterable<number>): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** One option on the wire; a digest that is to be valid is zeros. */
export function encodeOption(option: TcpOption): number[] {
  switch (option.kind) {
    case "eol":
      return [0];
    case "nop":
      return [1];
    case "mss":
      return [MSS, 4, ...two(option.value)];
    case "wscale":
      return [WINDOW_SCALE, 3, option.value];
    case "sackOK":
      return [SACK_OK, 2];
    case "sack":
      return [SACK, 2 + 8 * option.blocks.length, ...option.blocks.flat().flatMap(four)];
    case "TS":
      return [TIMESTAMPS, 10, ...four(option.value ?? 0), ...four(option.echo)];
    case "FO":
      return [FAST_OPEN, 2 + option.cookie.length / 2, ...octetsOf(option.cookie)];
    case "FOEXP":
      return [EXPERIMENTAL, 4 + option.cookie.length / 2, ...FAST_OPEN_MAGIC, ...octetsOf(option.cookie)];
    case "md5":
      return [MD5, 18, ...(option.digest === undefined ? new Array(16).fill(0) : octetsOf(option.digest))];
    case "ECN":
      return [
        option.order === 0 ? ACCECN_0 : ACCECN_1,
        2 + 3 * option.counters.length,
        ...option.counters.flatMap(three),
      ];
    case "unknown":
      return [option.number, 2 + option.hex.length / 2, ...octetsOf(option.hex)];
  }
}

export function optionsLength(options: readonly TcpOption[]): number {
  return options.reduce((sum, option) => sum + encodeOption(option).length, 0);
}

/** The options of a header, in wire order; undefined when a length is impossible. */
export function decodeOptions(bytes: Uint8Array): TcpOption[] | undefined {
  const options: TcpOption[] = [];
  const at32 = (i: number) =>
    ((bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!) >>> 0;
  for (let i = 0; i < bytes.length; ) {
    const kind = bytes[i]!;
    if (kind <= 1) {
      options.push({ kind: kind === 0 ? "eol" : "nop" });
      i++;
      continue;
    }
    const length = bytes[i + 1] ?? 0;
    if (length < 2 || i + length > bytes.length) return undefined;
    options.push(decodeOption(kind, bytes.subarray(i + 2, i + length), (at) => at32(i + 2 + at)));
    i += length;
  }
  return options;
}

function decodeOption(kind: number, body: Uint8Array, at32: (at: number) => number): TcpOption {
  const hex = hexOf(body);
  const { length } = body;
  if (kind === MSS && length === 2) return { kind: "mss", value: (body[0]! << 8) | body[1]! };
  if (kind === WINDOW_SCALE && length === 1) return { kind: "wscale", value: body[0]! };
  if (kind === SACK_OK && length === 0) return { kind: "sackOK" };
  if (kind === SACK && length % 8 === 0)
    return {
      kind: "sack",
      blocks: Array.from({ length: length / 8 }, (_, i) => [at32(i * 8), at32(i * 8 + 4)]),
    };
  if (kind === TIMESTAMPS && length === 8) return { kind: "TS", value: at32(0), echo: at32(4) };
  if (kind === FAST_OPEN) return { kind: "FO", cookie: hex };
  if (kind === EXPERIMENTAL && hex.startsWith("f989")) return { kind: "FOEXP", cookie: hex.slice(4) };
  if (kind === MD5 && length === 16) return { kind: "md5", digest: hex };
  if ((kind === ACCECN_0 || kind === ACCECN_1) && length % 3 === 0)
    return {
      kind: "ECN",
      order: kind === ACCECN_0 ? 0 : 1,
      counters: Array.from({ length: length / 3 }, (_, i) => at32(i * 3 - 1) & 0xffffff),
    };
  return { kind: "unknown", number: kind, hex };
}

export function optionText(option: TcpOption): string {
  switch (option.kind) {
    case "mss":
    case "wscale":
      return `${option.kind} ${option.value}`;
    case "sack":
      return ["sack", ...option.blocks.map(([left, right]) => `${left}:${right}`)].join(" ");
    case "TS":
      return `TS val ${option.value ?? "..."} ecr ${option.echo}`;
    case "FO":
    case "FOEXP":
      return option.cookie === "" ? option.kind : `${option.kind} ${option.cookie}`;
    case "md5":
      return `md5 ${option.digest ?? "valid"}`;
    case "ECN": {
      const names = option.order === 0 ? ["e0b", "ceb", "e1b"] : ["e1b", "ceb", "e0b"];
      return ["ECN", ...option.counters.map((count, i) => `${names[i]} ${count}`)].join(" ");
    }
    case "unknown":
      return `kind ${option.number} ${option.hex}`.trimEnd();
    default:
      return option.kind;
  }
}
