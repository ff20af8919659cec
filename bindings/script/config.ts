import { SynwaveError } from "../errors.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import type { Script, ScriptEvent } from "./ast.ts";
import { understand } from "./commands.ts";
import { constant } from "./constants.ts";
import { type Dialect, dialectOf } from "./dialect.ts";
import { NotApplicable } from "./outcome.ts";
import { settingsFor } from "./profile.ts";
import { type SocketDefaults, setDefault, socketDefaults } from "./socket-defaults.ts";
import { numberOf } from "./values.ts";

/** How a script is run: its own options, and those that override them. */
export interface Config {
  family: 4 | 6;
  localAddress: string;
  /** Length of the local network's prefix. */
  prefix: number;
  remoteAddress: string;
  port: number;
  mtu: number;
  /** Microseconds, and percent of the time since the event before. */
  tolerance: number;
  tolerancePercent: number;
  timestampTick: number;
  checkEchoes: boolean;
  strictSegments: boolean;
  /** Kinds of expectations whose failure does not end the run. */
  nonFatal: ReadonlySet<string>;
  settings: Partial<Settings>;
  congestion: string;
  /** Kernel settings that the engine has nothing to do with. */
  ignored: string[];
  /** Kernel settings that the script does not make and takes for granted. */
  presumed: string[];
  /** Octets that a packet of the script's longer than a segment counts as a multiple of. */
  segment: number | undefined;
  /** What sockets begin with before the script's first event. */
  socketDefaults: SocketDefaults;
  /** Files that commands have made: octets by path. */
  files: Map<string, number>;
}

const ADDRESSES = {
  4: { localAddress: "192.168.0.1", prefix: 16, remoteAddress: "192.0.2.1", mtu: 1500 },
  6: { localAddress: "fd3d:0a0b:17d6::1", prefix: 48, remoteAddress: "fd3d:fa7b:d17d::1", mtu: 1520 },
} as const;

/** Words that scripts expect to be defined, by family. */
export const DEFINES: Readonly<Record<4 | 6, Readonly<Record<string, string>>>> = {
  4: {
    TFO_COOKIE: "3021b9d889017eeb",
    TFO_COOKIE_ZERO: "b7c12350a90dc8f5",
    CODE: "host_unreachable",
    CMSG_LEVEL_IP: "SOL_IP",
    CMSG_TYPE_RECVERR: "IP_RECVERR",
  },
  6: {
    TFO_COOKIE: "c1d1e9742a47a9bc",
    TFO_COOKIE_ZERO: "82af1a8f9a205c34",
    CODE: "address_unreachable",
    CMSG_LEVEL_IP: "SOL_IPV6",
    CMSG_TYPE_RECVERR: "IPV6_RECVERR",
  },
};

/** Options that concern what real packets need, or that only say where the network is. */
const IRRELEVANT = new Set([
  "define",
  "dialect",
  "send_omit_free",
  "verbose",
  "speed",
  "init_scripts",
  "code_command",
  "code_format",
  "code_sockopt",
  "gateway_ip",
  "live_gateway_ip",
  "netmask_ip",
  "connect_port",
  "so_filename",
  "debug",
  "tcp_ts_ecr_scaled",
]);

function integer(name: string, value: string): number {
  if (!/^\d+$/.test(value))
    throw new SynwaveError("EINVAL", `option --${name} must be a whole number, not ${JSON.stringify(value)}`);
  return Number(value);
}

/** The family a file's name tells, if it does. */
function familyOfName(name: string): 4 | 6 | undefined {
  const found = /v([46])\.pkt$/.exec(name);
  return found ? (Number(found[1]) as 4 | 6) : undefined;
}

/** The address family a script is for: said by an option, or by its name. */
export function familyOf(script: Script, overrides: Readonly<Record<string, string>>): 4 | 6 {
  const version = overrides.ip_version ?? script.options.findLast(({ name }) => name === "ip_version")?.value;
  if (version === undefined) return familyOfName(script.name) ?? 4;
  if (!["ipv4", "ipv6", "ipv4-mapped-ipv6"].includes(version))
    throw new SynwaveError(
      "EINVAL",
      `option --ip_version must be ipv4 or ipv6, not ${JSON.stringify(version)}`,
    );
  return version === "ipv6" ? 6 : 4;
}

/**
 * @param overrides options that prevail over the script's own, by name
 * @param relaxed what the script asks for may be had in another way: see `relaxations`
 * @throws SynwaveError EINVAL for an option that is unknown or cannot be
 * @throws NotApplicable for what this stack has no place for
 */
export function configure(
  script: Script,
  overrides: Readonly<Record<string, string>> = {},
  relaxed = false,
): Config {
  const given = new Map(script.options.map(({ name, value }) => [name, value]));
  for (const [name, value] of Object.entries(overrides)) given.set(name, value);
  const family = familyOf(script, overrides);
  if (family !== (familyOfName(script.name) ?? family))
    throw new NotApplicable(`not applicable: the script is not for IPv${family}`);
  const dialect = chosenDialect(given.get("dialect")) ?? dialectOf(script);
  const config: Config = {
    family,
    ...ADDRESSES[family],
    // The other dialect has the same for both families.
    ...(dialect === "bsd" && { mtu: ADDRESSES[4].mtu }),
    port: 8080,
    tolerance: 4000,
    tolerancePercent: 12.5,
    timestampTick: 0,
    checkEchoes: false,
    strictSegments: false,
    nonFatal: new Set(),
    settings: {},
    congestion: "",
    ignored: [],
    presumed: [],
    segment: undefined,
    socketDefaults: socketDefaults(dialect),
    files: new Map(),
  };
  for (const [name, value] of given) setOption(config, name, value);
  const sysctls = initialSysctls(script);
  const init = script.init && understand(script.init.text);
  for (const [key, value] of init?.sysctls ?? []) setDefault(config.socketDefaults, key, value);
  for (const [path, size] of init?.files ?? []) config.files.set(path, size);
  if (dialect === "bsd")
    sysctls.unshift(...BSD_LIMITS, ...bsdBuffers(sysctls), ...initialRto(script), [
      "tcp_fastopen",
      bsdFastOpen(sysctls),
    ]);
  else {
    // Linux asks again, however often there is no answer.
    sysctls.unshift(["tcp_fastopen_path_disable_time", "0"]);
    presume(script, config, sysctls);
  }
  sysctls.push(...bufferSizes(script.events, dialect, dialect === "bsd" ? maxsockbuf(sysctls) : 0));
  if (relaxed && script.events.some(forbidsOptions)) {
    config.socketDefaults.withoutOptions = true;
    sysctls.push(["tcp_window_scaling", "0"], ["tcp_timestamps", "0"], ["tcp_sack", "0"]);
  }
  Object.assign(config, settingsFor(sysctls));
  const congestion = config.settings.tcpCongestionControl ?? DEFAULT_SETTINGS.tcpCongestionControl;
  // As Linux calls it.
  config.congestion = congestion === "newreno" ? "reno" : congestion;
  return config;
}

/** TCP_NOOPT is a socket's; here no connection of the script's has options then. */
function forbidsOptions({ action }: ScriptEvent): boolean {
  if (action.kind !== "call" || action.name !== "setsockopt") return false;
  const [, , option, value] = action.args;
  return option?.kind === "word" && option.name === "TCP_NOOPT" && numberOf(value) === 1;
}

function chosenDialect(name: string | undefined): Dialect | undefined {
  if (name === undefined || name === "linux" || name === "bsd") return name;
  throw new SynwaveError("EINVAL", `option --dialect must be linux or bsd, not ${JSON.stringify(name)}`);
}

function setOption(config: Config, name: string, value: string): void {
  switch (name) {
    case "ip_version":
      return;
    case "tolerance_usecs":
      config.tolerance = integer(name, value);
      return;
    case "tolerance_percent":
      config.tolerancePercent = Number(value);
      if (value === "" || !(config.tolerancePercent >= 0))
        throw new SynwaveError("EINVAL", `option --${name} must be a number, not ${JSON.stringify(value)}`);
      return;
    case "mtu":
      config.mtu = integer(name, value);
      return;
    case "mss":
      config.segment = integer(name, value);
      return;
    case "bind_port":
      config.port = integer(name, value);
      return;
    case "tcp_ts_tick_usecs":
      config.timestampTick = integer(name, value);
      return;
    case "check_ts_ecr":
      config.checkEchoes = true;
      return;
    case "strict_segments":
      config.strictSegments = true;
      return;
    case "local_ip": {
      const [address, prefix] = value.split("/");
      config.localAddress = address!;
      if (prefix !== undefined) config.prefix = integer(name, prefix);
      return;
    }
    case "remote_ip":
      config.remoteAddress = value.split("/")[0]!;
      return;
    case "non_fatal":
      config.nonFatal = new Set(value.split(/[,=]/));
      return;
    case "udp_encapsulation":
    case "tcp_md5_secret":
    case "psp_udp_port":
      throw new NotApplicable(`not applicable: --${name}`);
  }
  if (!IRRELEVANT.has(name)) throw new SynwaveError("EINVAL", `unknown option --${name}`);
}

/** Calls that may open a connection. */
const OPENS = /^(connect|sendto|sendmsg)$/;

/** Kernel settings from the commands that come before the first packet or connection. */
function initialSysctls(script: Script): [string, string][] {
  const found: [string, string][] = [];
  const take = (text: string, tidies: boolean) => {
    const { sysctls, unsupported, refused } = understand(text);
    const reason = unsupported ?? (tidies ? undefined : refused);
    if (reason !== undefined) throw new NotApplicable(reason);
    found.push(...sysctls);
  };
  if (script.init) take(script.init.text, false);
  const end = tidyingFrom(script);
  for (const [index, { action }] of script.events.entries()) {
    if ("side" in action || (action.kind === "call" && OPENS.test(action.name))) break;
    if (action.kind === "command") take(action.text, index >= end);
  }
  return found;
}

/** What a script may do when its test is over. */
const TIDYING = new Set(["close", "socket", "setsockopt", "getsockopt", "fcntl"]);

/** The first event behind which nothing is exchanged or asked any more: settings made there are put back. */
export function tidyingFrom({ events }: Script): number {
  const last = events.findLastIndex(
    ({ action }) =>
      "side" in action || action.kind === "code" || (action.kind === "call" && !TIDYING.has(action.name)),
  );
  return last + 1;
}

/** How long the other dialect's stack keeps trying, and the longest it waits. */
const BSD_LIMITS: readonly [string, string][] = [
  ["tcp_syn_retries", "12"],
  ["tcp_synack_retries", "3"],
  ["tcp_retries2", "12"],
  ["tcp_rto_max_ms", "64000"],
  ["tcp_rto_min_us", "30000"],
  ["tcp_rexmit_slop", "200"],
  // No reset ends TIME-WAIT.
  ["tcp_rfc1337", "1"],
  // Tail loss probes are another stack's of its.
  ["tcp_early_retrans", "0"],
];

/** Three seconds for long, and one today: scripts of both kinds leave it to their machine. */
function initialRto({ presumedInitialRto, presumedLinear }: Script): [string, string][] {
  return [
    ["tcp_rto_init_ms", presumedInitialRto === 1000 ? "1000" : "3000"],
    // Some of these machines double the interval only after so many repetitions.
    ["tcp_syn_linear_timeouts", presumedLinear ? "4" : "0"],
  ];
}

type Sysctls = readonly (readonly [key: string, value: string])[];

const lastOf = (sysctls: Sysctls, name: string, initial: number) =>
  Number(sysctls.findLast(([key]) => key === name)?.[1] ?? initial);
const maxsockbuf = (sysctls: Sysctls) => lastOf(sysctls, "maxsockbuf", 2097152);

/** Sizes of buffers as the other dialect says them: how much there is at first, and how much at most. */
function bsdBuffers(sysctls: Sysctls): [string, string][] {
  const most = maxsockbuf(sysctls);
  const receive = lastOf(sysctls, "recvspace", 65536);
  // What the window field can say is said whatever has not been read yet: that is more than the space itself.
  const first = Math.min(receive > 0xffff ? 2 * receive : receive, most);
  // Grows as it fills up.
  const send = Math.min(2 * lastOf(sysctls, "sendspace", 32768), most);
  return [
    ["tcp_rmem", `${Math.min(4096, first)} ${first} ${most}`],
    ["tcp_wmem", `${Math.min(4096, send)} ${send} ${most}`],
  ];
}

/** The bits of tcp_fastopen. */
function bsdFastOpen(sysctls: Sysctls): string {
  const enabled = (side: string, initial: number) => lastOf(sysctls, `fastopen.${side}_enable`, initial);
  return String((enabled("client", 1) ? 1 : 0) | (enabled("server", 0) ? 2 : 0));
}

/** What the first SYN of the stack's says of a setting that the script leaves to its machine. */
function presume(script: Script, config: Config, sysctls: [string, string][]): void {
  const most = script.presumedReceiveBuffer;
  if (most === undefined || sysctls.some(([key]) => key === "tcp_rmem")) return;
  const [least, first] = DEFAULT_SETTINGS.tcpRmem;
  const value = `${least} ${first} ${most}`;
  sysctls.push(["tcp_rmem", value]);
  config.presumed.push(`tcp_rmem=${value}`);
}

/**
 * A buffer's size is a setting of the whole engine: the first that the script asks for is made so. Linux's send buffers are
 * the sockets' own affair.
 * @param most octets that the window scale has to reach all the same
 */
function bufferSizes(events: readonly ScriptEvent[], dialect: Dialect, most: number): [string, string][] {
  const found = new Map<string, string>();
  for (const { action } of events) {
    if (action.kind !== "call" || action.name !== "setsockopt") continue;
    const option = action.args[2];
    if (option?.kind !== "word" || constant(option.name) === undefined) continue;
    const key = /^SO_RCVBUF/.test(option.name)
      ? "tcp_rmem"
      : /^SO_SNDBUF/.test(option.name) && dialect === "bsd"
        ? "tcp_wmem"
        : "";
    const size = numberOf(action.args[3]);
    if (key === "" || size === undefined || found.has(key)) continue;
    // Linux doubles what it is asked for, and counts its own records in it: what remains is what was asked for.
    const octets = Math.max(size, key === "tcp_rmem" ? 2048 : 4096);
    found.set(key, `${Math.min(4096, octets)} ${octets} ${Math.max(octets, most)}`);
  }
  return [...found];
}
