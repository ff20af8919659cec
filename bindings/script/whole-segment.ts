import type { TcpInfo } from "../types.ts";

const OPTION_TIMESTAMPS = 1;
/** Octets of the timestamps option, padded. */
const TIMESTAMPS_LENGTH = 12;

/** The longest segment, options included. */
export function wholeSegment({ sndMss, options }: Pick<TcpInfo, "sndMss" | "options">): number {
  return sndMss + (options & OPTION_TIMESTAMPS ? TIMESTAMPS_LENGTH : 0);
}
