import type { State, TcpInfo } from "../types.ts";
import type { Config } from "./config.ts";

/** Linux's numbers of states. */
const LINUX_STATES: Readonly<Record<State, number>> = {
  ESTABLISHED: 1,
  "SYN-SENT": 2,
  "SYN-RECEIVED": 3,
  "FIN-WAIT-1": 4,
  "FIN-WAIT-2": 5,
  "TIME-WAIT": 6,
  CLOSED: 7,
  "CLOSE-WAIT": 8,
  "LAST-ACK": 9,
  LISTEN: 10,
  CLOSING: 11,
};

const INFINITE_THRESHOLD = 0x7fffffff;

const CONSTANTS: Readonly<Record<string, number>> = {
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
  ESTABLISHED: 1,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
  TCPI_OPT_USEC_TS: 64,
  TCPI_OPT_TFO_CHILD: 128,
  TCP_INFINITE_SSTHRESH: INFINITE_THRESHOLD,
  // The other dialect's names of states.
  TCPI_ESTABLISHED: 1,
  TCPI_SYN_SENT: 2,
  TCPI_SYN_RECEIVED: 3,
  TCPI_FIN_WAIT_1: 4,
  TCPI_FIN_WAIT_2: 5,
  TCPI_TIME_WAIT: 6,
  TCPI_CLOSED: 7,
  TCPI_CLOSE_WAIT: 8,
  TCPI_LAST_ACK: 9,
  TCPI_LISTEN: 10,
  TCPI_CLOSING: 11,
};

/** What a name in code stands for: a constant, or a field of tcp_info where the stack has it. */
export function infoName(
  name: string,
  info: TcpInfo | undefined,
  state: State,
  { segment, socketDefaults }: Pick<Config, "segment" | "socketDefaults">,
  synText: number,
): number | undefined {
  if (Object.hasOwn(CONSTANTS, name)) return CONSTANTS[name];
  // Linux's headers have states with a prefix.
  const bare = name.replace(/^TCP_/, "");
  if (Object.hasOwn(CONSTANTS, bare)) return CONSTANTS[bare];
  if (!name.startsWith("tcpi_")) return undefined;
  if (name === "tcpi_state") return LINUX_STATES[state];
  const field = name
    .slice("tcpi_".length)
    .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const value = (info as Readonly<Record<string, unknown>> | undefined)?.[field];
  if (typeof value === "boolean") return Number(value);
  if (typeof value !== "number") return undefined;
  // Linux counts our SYN as well, together with text that it carried.
  if (field === "delivered" && state !== "SYN-SENT" && state !== "SYN-RECEIVED") {
    const carried = info!.options & CONSTANTS.TCPI_OPT_SYN_DATA! ? Math.ceil(synText / info!.sndMss) : 0;
    return value + 1 - carried;
  }
  // A packet longer than the network's is several that came together.
  if (field === "rcvMss" && segment !== undefined) return Math.min(value, segment);
  // Linux counts segments, BSD octets; without a threshold both say the largest number they have.
  const counted = field === "sndCwnd" || (field === "sndSsthresh" && value < INFINITE_THRESHOLD);
  return counted && socketDefaults.dialect === "bsd" ? value * info!.sndMss : value;
}
