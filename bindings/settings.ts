import * as control from "../assembly/shared/control.ts";
import { STREAM_MAX } from "../assembly/shared/sizes.ts";
import { CONTROL_BBR, CONTROL_CUBIC, CONTROL_NEWRENO } from "../assembly/shared/user-options.ts";
import { SynwaveError, show } from "./errors.ts";
import { requireInteger } from "./validate.ts";

/**
 * What bounds what may be in flight: CUBIC (RFC 9438) with HyStart++ (RFC 9406), BBR (draft-ietf-ccwg-bbr, version 3),
 * or NewReno, which Linux calls "reno".
 */
export type CongestionControl = "cubic" | "bbr" | "newreno" | "reno";

const CONTROLS: Readonly<Record<CongestionControl, number>> = {
  cubic: CONTROL_CUBIC,
  bbr: CONTROL_BBR,
  newreno: CONTROL_NEWRENO,
  reno: CONTROL_NEWRENO,
};

/** The engine's number of a congestion control; undefined for what is none. */
export function congestionControl(name: unknown): number | undefined {
  return typeof name === "string" && Object.hasOwn(CONTROLS, name)
    ? CONTROLS[name as CongestionControl]
    : undefined;
}

/** As it says in messages. */
export const CONGESTION_CONTROLS = Object.keys(CONTROLS)
  .map((name) => `"${name}"`)
  .join(" or ");

/** Linux sysctl names in camelCase, Linux's units and defaults. */
export interface Settings {
  /** Half-open connections per listener (256). */
  tcpMaxSynBacklog: number;
  /** Answer SYNs that find no place with cookies, which cost no memory: 0 never, 1 then (1), 2 always. */
  tcpSyncookies: number;
  /** Bound of every listener's backlog (4096). */
  somaxconn: number;
  /** First and last ephemeral port (32768, 60999). */
  ipLocalPortRange: readonly [number, number];
  /** Repetitions of a SYN before ETIMEDOUT (7: Linux's 6 give up after 127 s, RFC 9293 MUST-23 wants 180). */
  tcpSynRetries: number;
  /** Repetitions of a SYN after which the interval does not double yet (0, where Linux has 4: RFC 6298 §5.5 says that
   * it MUST double). */
  tcpSynLinearTimeouts: number;
  /** Repetitions of a SYN,ACK (5). */
  tcpSynackRetries: number;
  /** Retransmissions of anything before a `retrying` event (3). */
  tcpRetries1: number;
  /** Retransmissions of text before ETIMEDOUT (15). */
  tcpRetries2: number;
  /** Retransmissions before a closed connection is given up (0, which means 8). Its peer's shut window is probed up to
   * the longest interval, and no longer. */
  tcpOrphanRetries: number;
  /** Seconds an orphan waits in FIN-WAIT-2 (60). */
  tcpFinTimeout: number;
  /** Octets of receive buffer: minimum, default, maximum (4096, 131072, 6291456). */
  tcpRmem: readonly [number, number, number];
  /** Octets of send buffer: minimum, default, maximum (4096, 16384, 4194304). */
  tcpWmem: readonly [number, number, number];
  /** Let receive buffers grow to the maximum, as the user reads: 0 or 1 (1). */
  tcpModerateRcvbuf: number;
  /** Octets that may wait to be sent, beyond which `write` takes no more (4294967295: no limit). */
  tcpNotsentLowat: number;
  /** RFC 7323 window scaling: 0 or 1 (1). */
  tcpWindowScaling: number;
  /** RFC 7323 timestamps: 0 or 1 (1). */
  tcpTimestamps: number;
  /** RFC 2018 selective acknowledgments: 0 or 1 (1). */
  tcpSack: number;
  /** Tell of what has come twice (RFC 2883): 0 or 1 (1). */
  tcpDsack: number;
  /** Tail loss probes (RFC 8985 §7): 0 for none (3). */
  tcpEarlyRetrans: number;
  /** Find out by what is acknowledged after a timeout whether it was spurious (F-RTO, RFC 5682): 0 for no (2). */
  tcpFrto: number;
  /** Explicit congestion notification (RFC 3168): 0 never, 1 asked for and granted, 2 granted only (2). */
  tcpEcn: number;
  /** Ask without it once a SYN was lost: 0 or 1 (1). */
  tcpEcnFallback: number;
  /** Drop segments with both SYN and FIN, which nobody but scanners sends, and count them in InErrs: 0 or 1 (0; FreeBSD's
   * drop_synfin). */
  tcpDropSynfin: number;
  /** Let a hard ICMP error end a connection that is being opened: 0 or 1 (1; FreeBSD's icmp_may_rst). */
  tcpIcmpMayRst: number;
  /** Let no reset end TIME-WAIT (RFC 1337): 0 or 1 (0). */
  tcpRfc1337: number;
  /** Let `connect` choose the ports of a connection in TIME-WAIT that has timestamps: 0 or 1 (0). */
  tcpTwReuse: number;
  /** Milliseconds for which `tcpTwReuse` lets a connection rest in TIME-WAIT (1000). */
  tcpTwReuseDelay: number;
  /** Connections closed by their user that are not over yet; those beyond are reset (65536). */
  tcpMaxOrphans: number;
  /** Connections in TIME-WAIT; those beyond end at once (262144). */
  tcpMaxTwBuckets: number;
  /** Retransmission timeout before a round trip was measured (RFC 6298 §2.1), milliseconds; no sysctl of Linux's (1000). */
  tcpRtoInitMs: number;
  /** Lower bound of the retransmission timeout, microseconds (200000). */
  tcpRtoMinUs: number;
  /** Milliseconds by which the retransmission timeout is longer than what was measured says (0; FreeBSD's rexmit_slop). */
  tcpRexmitSlop: number;
  /** Upper bound of the retransmission timeout, milliseconds (120000). */
  tcpRtoMaxMs: number;
  /** Seconds that the least round trip counts for (300). */
  tcpMinRttWlen: number;
  /** Begin anew after an idle RTO (RFC 5681 §4.1): 0 or 1 (1). */
  tcpSlowStartAfterIdle: number;
  /** Reset a connection the accept queue has no place for: 0 or 1 (0). */
  tcpAbortOnOverflow: number;
  /** Challenge ACKs a second, for each connection (RFC 5961 §7; 10). Linux's setting is global. */
  tcpChallengeAckLimit: number;
  /** Seconds of silence before the first keepalive probe (7200), between probes (75), and probes (9). */
  tcpKeepaliveTime: number;
  tcpKeepaliveIntvl: number;
  tcpKeepaliveProbes: number;
  /** Seconds of user timeout that every connection tells its peer (RFC 5482), and listens for; 0 to 1966020 (0: off). */
  tcpUserTimeoutOption: number;
  /** Take IPv4 packets that came by a source route, and answer by its reverse (RFC 9293 MUST-53): 0 or 1 (0, as Linux
   * and RFC 7126 have it: they are dropped). */
  acceptSourceRoute: number;
  /** Packets taken in one `receive`; what is more is dropped and counted in InDiscards (1000). */
  netdevMaxBacklog: number;
  /** TTL or hop limit of TCP segments (64). */
  ipDefaultTtl: number;
  /** Fast Open (RFC 7413), bits as in Linux: 1 for clients, 2 for servers, 4 text on the SYN without a cookie, 0x200
   * servers ask for no cookie, 0x400 every listener, without its `fastOpen` (1). */
  tcpFastopen: number;
  /** Key of Fast Open cookies, 32 hexadecimal digits in four groups joined by "-", little-endian each as in Linux; behind
   * a comma the one before it, whose cookies are still good. Default: one that follows from the seed. */
  tcpFastopenKey: string;
  /** Seconds for which Fast Open is not tried with a server that took no text from a SYN, or gave no cookie; 0: it is
   * tried every time, as in Linux (900, as in FreeBSD's path_disable_time; RFC 7413 §4.1.3.1 asks for it). */
  tcpFastopenPathDisableTime: number;
  /** Congestion control of connections that choose none: "cubic", "bbr" or "newreno" ("cubic"). */
  tcpCongestionControl: CongestionControl;
}

export const DEFAULT_SETTINGS: Settings = {
  tcpMaxSynBacklog: 256,
  tcpSyncookies: 1,
  somaxconn: 4096,
  ipLocalPortRange: [32768, 60999],
  tcpSynRetries: 7,
  tcpSynLinearTimeouts: 0,
  tcpSynackRetries: 5,
  tcpRetries1: 3,
  tcpRetries2: 15,
  tcpOrphanRetries: 0,
  tcpFinTimeout: 60,
  tcpRmem: [4096, 131072, 6291456],
  tcpWmem: [4096, 16384, 4194304],
  tcpModerateRcvbuf: 1,
  tcpNotsentLowat: 0xffffffff,
  tcpWindowScaling: 1,
  tcpTimestamps: 1,
  tcpSack: 1,
  tcpDsack: 1,
  tcpEarlyRetrans: 3,
  tcpFrto: 2,
  tcpEcn: 2,
  tcpEcnFallback: 1,
  tcpDropSynfin: 0,
  tcpIcmpMayRst: 1,
  tcpRfc1337: 0,
  tcpTwReuse: 0,
  tcpTwReuseDelay: 1000,
  tcpMaxOrphans: 65536,
  tcpMaxTwBuckets: 262144,
  tcpRtoInitMs: 1000,
  tcpRtoMinUs: 200000,
  tcpRexmitSlop: 0,
  tcpRtoMaxMs: 120000,
  tcpMinRttWlen: 300,
  tcpSlowStartAfterIdle: 1,
  tcpAbortOnOverflow: 0,
  tcpChallengeAckLimit: 10,
  tcpKeepaliveTime: 7200,
  tcpKeepaliveIntvl: 75,
  tcpKeepaliveProbes: 9,
  tcpUserTimeoutOption: 0,
  acceptSourceRoute: 0,
  netdevMaxBacklog: 1000,
  ipDefaultTtl: 64,
  tcpFastopen: 1,
  tcpFastopenKey: "",
  tcpFastopenPathDisableTime: 900,
  tcpCongestionControl: "cubic",
};

/** Least and most of each number, and the cell of linear memory the engine reads it from, if it does. */
const NUMBERS: { [name in keyof Settings]?: readonly [least: number, most: number, cell?: number] } = {
  tcpMaxSynBacklog: [1, 0x7fffffff, control.SET_MAX_SYN_BACKLOG],
  tcpSyncookies: [0, 2, control.SET_SYNCOOKIES],
  somaxconn: [1, 65535],
  tcpSynRetries: [0, 127, control.SET_SYN_RETRIES],
  tcpSynLinearTimeouts: [0, 127, control.SET_SYN_LINEAR_TIMEOUTS],
  tcpSynackRetries: [0, 127, control.SET_SYNACK_RETRIES],
  ipDefaultTtl: [1, 255, control.SET_DEFAULT_TTL],
  tcpRetries1: [0, 127, control.SET_RETRIES1],
  tcpRetries2: [0, 127, control.SET_RETRIES2],
  tcpOrphanRetries: [0, 127, control.SET_ORPHAN_RETRIES],
  tcpFinTimeout: [0, 86400, control.SET_FIN_TIMEOUT],
  tcpModerateRcvbuf: [0, 1, control.SET_MODERATE_RCVBUF],
  tcpNotsentLowat: [1, 0xffffffff, control.SET_NOTSENT_LOWAT],
  tcpWindowScaling: [0, 1, control.SET_WINDOW_SCALING],
  tcpTimestamps: [0, 1, control.SET_TIMESTAMPS],
  tcpSack: [0, 1, control.SET_SACK],
  tcpDsack: [0, 1, control.SET_DSACK],
  tcpEarlyRetrans: [0, 4, control.SET_EARLY_RETRANS],
  tcpFrto: [0, 2, control.SET_FRTO],
  tcpEcn: [0, 2, control.SET_ECN],
  tcpEcnFallback: [0, 1, control.SET_ECN_FALLBACK],
  tcpDropSynfin: [0, 1, control.SET_DROP_SYNFIN],
  tcpIcmpMayRst: [0, 1, control.SET_ICMP_MAY_RST],
  tcpRfc1337: [0, 1, control.SET_RFC1337],
  tcpTwReuse: [0, 1, control.SET_TW_REUSE],
  tcpTwReuseDelay: [1, 60000, control.SET_TW_REUSE_DELAY],
  tcpMaxOrphans: [0, 0x7fffffff, control.SET_MAX_ORPHANS],
  tcpMaxTwBuckets: [0, 0x7fffffff, control.SET_MAX_TW_BUCKETS],
  tcpRtoInitMs: [1000, 120000, control.SET_RTO_INIT_MS],
  tcpRtoMinUs: [1000, 120000000, control.SET_RTO_MIN_US],
  tcpRexmitSlop: [0, 60000, control.SET_REXMIT_SLOP],
  tcpRtoMaxMs: [1000, 120000, control.SET_RTO_MAX_MS],
  tcpMinRttWlen: [0, 86400, control.SET_MIN_RTT_WLEN],
  tcpSlowStartAfterIdle: [0, 1, control.SET_SLOW_START_AFTER_IDLE],
  tcpAbortOnOverflow: [0, 1, control.SET_ABORT_ON_OVERFLOW],
  tcpKeepaliveTime: [1, 32767, control.SET_KEEPALIVE_TIME],
  tcpKeepaliveIntvl: [1, 32767, control.SET_KEEPALIVE_INTVL],
  tcpKeepaliveProbes: [1, 127, control.SET_KEEPALIVE_PROBES],
  tcpUserTimeoutOption: [0, 32767 * 60, control.SET_USER_TIMEOUT_OPTION],
  acceptSourceRoute: [0, 1, control.SET_ACCEPT_SOURCE_ROUTE],
  netdevMaxBacklog: [1, 0x7fffffff],
  tcpFastopen: [0, 0x7fffffff, control.SET_FAST_OPEN],
  tcpFastopenPathDisableTime: [0, 0x7fffffff, control.SET_FAST_OPEN_PATH_DISABLE],
  tcpChallengeAckLimit: [0, 0x7fffffff, control.SET_CHALLENGE_ACK_LIMIT],
};

/** Linux delays an acknowledgment by 40 ms at least; RFC 9293 MUST-58 allows less than 500. */
const DELACK_MS = 40;

function fail(name: string, wanted: string, value: unknown): never {
  throw new SynwaveError(
    "EINVAL",
    `setting ${name} must be ${wanted}, not ${typeof value === "string" ? show(value) : value}`,
  );
}

function checkAscending(name: string, value: unknown, count: number, least: number, most: number): void {
  const wanted = `${count} ascending integers from ${least} to ${most}`;
  if (!Array.isArray(value) || value.length !== count) fail(name, wanted, value);
  for (let i = 0; i < count; i++) {
    const bad = !Number.isInteger(value[i]) || value[i] < (i ? value[i - 1] : least) || value[i] > most;
    if (bad) fail(name, wanted, value);
  }
}

const FAST_OPEN_KEYS = /^([0-9a-f]{1,8}(-[0-9a-f]{1,8}){3}(,(?=.)|$)){0,2}$/i;

/**
 * The octets of the Fast Open keys in `text`, 16 each; none in an empty one.
 * @throws SynwaveError EINVAL when it is no such text
 */
export function fastOpenKeys(name: string, text: unknown): Uint8Array {
  if (typeof text !== "string" || !FAST_OPEN_KEYS.test(text))
    fail(name, "one or two keys of four groups of hexadecimal digits", text);
  const groups = text.match(/[0-9a-f]+/gi) ?? [];
  const view = new DataView(new ArrayBuffer(groups.length * 4));
  for (const [i, group] of groups.entries()) view.setUint32(i * 4, Number.parseInt(group, 16), true);
  return new Uint8Array(view.buffer);
}

/**
 * The settings with those there are filled in.
 * @throws SynwaveError EINVAL for a name that is unknown or a value that cannot be, which it names
 */
export function resolveSettings(given: Partial<Settings> = {}, before = DEFAULT_SETTINGS): Settings {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_SETTINGS, name)) throw new SynwaveError("EINVAL", `unknown setting ${name}`);
    const bounds = NUMBERS[name as keyof Settings];
    if (bounds) requireInteger(`setting ${name}`, value, bounds[0], bounds[1]);
    else if (name === "ipLocalPortRange") checkAscending(name, value, 2, 1, 65535);
    else if (name === "tcpCongestionControl") {
      if (congestionControl(value) === undefined) fail(name, CONGESTION_CONTROLS, value);
    } else if (name === "tcpFastopenKey") fastOpenKeys(name, value);
    else checkAscending(name, value, 3, 1024, STREAM_MAX);
  }
  return { ...before, ...given };
}

/** Write what the engine reads into the control block. */
export function storeSettings(settings: Settings, cells: Int32Array, bytes: Uint8Array): void {
  for (const [name, bounds] of Object.entries(NUMBERS))
    if (bounds[2] !== undefined) cells[bounds[2] >> 2] = settings[name as keyof Settings] as number;
  cells[control.SET_RMEM_DEFAULT >> 2] = settings.tcpRmem[1];
  cells[control.SET_RMEM_MAX >> 2] = settings.tcpRmem[2];
  cells[control.SET_WMEM_DEFAULT >> 2] = settings.tcpWmem[1];
  cells[control.SET_WMEM_MAX >> 2] = settings.tcpWmem[2];
  cells[control.SET_DELACK_MS >> 2] = DELACK_MS;
  const keys = fastOpenKeys("tcpFastopenKey", settings.tcpFastopenKey);
  cells[control.CTL_FAST_OPEN_KEY_COUNT >> 2] = keys.length / 16;
  bytes.set(keys, control.CTL_FAST_OPEN_KEYS);
  cells[control.SET_CONGESTION_CONTROL >> 2] = congestionControl(settings.tcpCongestionControl)!;
}
