// The options and cookies of TCP Fast Open, RFC 7413.
import type { Received } from "./peer.ts";

export const MSS = [2, 4, 1460 >> 8, 1460 & 255];
export const FAST_OPEN = 34;
export const EXPERIMENTAL = 254;
/** tcp_info's TCPI_OPT_SYN_DATA. */
export const SYN_DATA = 32;

export const hex = (text: string) => [...Buffer.from(text, "hex")];
/** The option, and the one from before it had a number. */
export const option = (cookie = "") => [...MSS, FAST_OPEN, 2 + cookie.length / 2, ...hex(cookie)];
export const experimental = (cookie = "") => [
  ...MSS,
  EXPERIMENTAL,
  4 + cookie.length / 2,
  0xf9,
  0x89,
  ...hex(cookie),
];

/** The cookie that a SYN or SYN,ACK has in the option `kind`; undefined without the option. */
export function cookieOf({ octets, kinds }: Received, kind = FAST_OPEN): string | undefined {
  if (!kinds.includes(kind)) return undefined;
  for (let i = 40; ; i += octets[i] === 1 ? 1 : octets[i + 1]!)
    if (octets[i] === kind)
      return Buffer.from(octets.slice(i + (kind === FAST_OPEN ? 2 : 4), i + octets[i + 1]!)).toString("hex");
}
