/** What a shell command of a script comes to. Nothing is ever run: commands are recognized. */
export interface Effect {
  /** Kernel settings by their last name, with their value as written. */
  sysctls: [key: string, value: string][];
  /** Files of zeros that are made: path and octets. */
  files: [path: string, size: number][];
  /** That so many connections are in a state. */
  counts: { state: string; count: number }[];
  /** What is remembered of servers is forgotten. */
  forgets?: boolean;
  /** Why the script cannot be run here. */
  unsupported?: string;
  /** Why what follows cannot be run here; where nothing does, the command was to tidy up. */
  refused?: string;
}

/** What the shell script that Linux's own tests begin with sets. */
const LINUX_TEST: [string, string][] = [
  ["tcp_rmem", "4096 540000 15728640"],
  ["tcp_wmem", "4096 262144 4194304"],
  ["tcp_timestamps", "1"],
  ["tcp_syn_retries", "5"],
  ["tcp_synack_retries", "5"],
  ["tcp_frto", "2"],
  ["tcp_sack", "1"],
  ["tcp_dsack", "1"],
  ["tcp_fack", "0"],
  ["tcp_reordering", "3"],
  ["tcp_congestion_control", "cubic"],
  ["tcp_slow_start_after_idle", "0"],
  ["tcp_early_retrans", "4"],
  ["tcp_recovery", "1"],
  ["tcp_tso_win_divisor", "3"],
  ["tcp_ecn", "0"],
  ["tcp_fastopen", "0x70403"],
  ["tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"],
  ["tcp_syncookies", "1"],
];

/** What Linux's selftests' own copy of that script sets otherwise. */
const SELFTESTS: [string, string][] = [["tcp_fastopen", "0x3"]];

/** Names of the other dialect, and what they are here; a function makes the value. */
const BSD: Readonly<Record<string, string | ((value: string) => [string, string][])>> = {
  "net.inet.tcp.rfc1323": (value) => [
    ["tcp_window_scaling", value === "0" ? "0" : "1"],
    ["tcp_timestamps", value === "0" ? "0" : "1"],
  ],
  "net.inet.tcp.rexmit_slop": "tcp_rexmit_slop",
  "net.inet.tcp.rexmit_initial": "tcp_rto_init_ms",
  "net.inet.tcp.sack.enable": "tcp_sack",
  "net.inet.tcp.ecn.enable": "tcp_ecn",
  "net.inet.tcp.syncookies": "tcp_syncookies",
  "net.inet.tcp.keepidle": (value) => [["tcp_keepalive_time", thousandth(value)]],
  "net.inet.tcp.keepintvl": (value) => [["tcp_keepalive_intvl", thousandth(value)]],
  "net.inet.tcp.keepcnt": "tcp_keepalive_probes",
  "net.inet.tcp.keepinit": "keepinit",
  "net.inet.tcp.fastopen.client_enable": "fastopen.client_enable",
  "net.inet.tcp.fastopen.server_enable": "fastopen.server_enable",
  "net.inet.tcp.fastopen.path_disable_time": "tcp_fastopen_path_disable_time",
  // What they come to depends on one another.
  "net.inet.tcp.recvspace": "recvspace",
  "net.inet.tcp.sendspace": "sendspace",
  "kern.ipc.maxsockbuf": "maxsockbuf",
  "net.inet.tcp.drop_synfin": "tcp_drop_synfin",
  "net.inet.tcp.icmp_may_rst": "tcp_icmp_may_rst",
  "net.inet.tcp.path_mtu_discovery": "tcp_mtu_discovery",
};

/** Settings of the other dialect that make a stack behave against RFC 5961 or RFC 9293 unless they are as here. */
const AGAINST: Readonly<Record<string, string>> = {
  "net.inet.tcp.insecure_rst": "0",
  "net.inet.tcp.insecure_syn": "0",
  "net.inet.tcp.blackhole": "0",
};

/** The same of RFC 3168: ECT on whatever is no new text (ECN++). */
const AGAINST_ECN = "net.inet.tcp.ecn.plusplus";

/** Settings that ask for what this stack leaves alone, unless they are as here. */
const BEYOND: Readonly<Record<string, string>> = {
  "net.inet.tcp.rexmit_drop_options": "0",
};

const thousandth = (value: string) => String(Math.round(Number(value) / 1000));

const NOTHING = [
  /sysctl_restore/,
  /^ethtool\b/,
  /^(nstat|dmesg|tcpdump)\b/,
  // Makes a key for Fast Open known to the other dialect's kernel.
  /^(if \[ ! -e |then cc |fi$|\.\/setkey$)/,
  /^(true|:|sync|sleep\b.*|echo\b[^>]*)$/,
  /\bhostcache\.purgenow\b/,
  /^(kldload|kldstat|kldunload)\b/,
  /^(\/bin\/)?(rm|chmod|cat)\s/,
  /^grep\s.*\s\/proc\//,
  /^sysctl\s+(-\w+\s+)*[\w.]+$/,
];

/** `dd if=/dev/zero of=PATH bs=OCTETS count=BLOCKS`, in any order: the file it makes. */
function fileOf(command: string): [path: string, size: number] | undefined {
  const operand = (name: string) => new RegExp(`\\b${name}=(\\S+)`).exec(command)?.[1];
  const path = operand("of");
  if (path === undefined || operand("if") !== "/dev/zero") return undefined;
  return [path, Number(operand("bs") ?? 512) * Number(operand("count") ?? Number.NaN)];
}

/** Split at newlines, semicolons and &&, outside of quotes. */
function simpleCommands(text: string): string[] {
  const commands: string[] = [];
  let current = "";
  for (const [piece] of text.replace(/\\\r?\n/g, " ").matchAll(/"[^"]*"|'[^']*'|&&|[\s\S]/g)) {
    if (piece === "\n" || piece === ";" || piece === "&&") {
      commands.push(current.trim());
      current = "";
    } else current += piece;
  }
  commands.push(current.trim());
  return commands.filter((command) => command !== "" && !command.startsWith("#"));
}

/** `$((a*b))`: products, sums and differences of whole numbers. */
function arithmetic(text: string): string {
  return text.replace(/\$\(\(([\d\s*+-]+)\)\)/g, (_, sum: string) => {
    const terms = sum.replace(/\s+/g, "").match(/[+-]?\d+(\*\d+)*/g) ?? [];
    return String(
      terms.reduce(
        (total, term) => total + term.split("*").reduce((product, n) => product * Number(n), 1),
        0,
      ),
    );
  });
}

const ASSIGNMENT = /([\w./-]+?)\s*=\s*("[^"]*"|'[^']*'|\S+)/g;

function assign(effect: Effect, path: string, raw: string): void {
  const value = raw.replace(/^(["'])([\s\S]*)\1$/, "$2").trim();
  const name = path.replace(/^\/proc\/sys\//, "").replaceAll("/", ".");
  if ((AGAINST[name] ?? value) !== value)
    effect.refused ??= `${name}=${value} asks for what RFC 5961 and RFC 9293 forbid`;
  if (name === AGAINST_ECN && value !== "0")
    effect.refused ??= `${name}=${value} asks for what RFC 3168 forbids`;
  if ((BEYOND[name] ?? value) !== value) effect.refused ??= `not applicable: ${name}=${value}`;
  if (name === "net.ipv4.tcp_wmem") effect.sysctls.push(["own_wmem", value], ["own_wmem_most", value]);
  const known = BSD[name];
  if (typeof known === "function") effect.sysctls.push(...known(value));
  else
    effect.sysctls.push([
      known ?? (name.startsWith("net.inet.") ? name : name.slice(name.lastIndexOf(".") + 1)),
      value,
    ]);
}

function recognize(command: string, effect: Effect): void {
  if (/(^|\/|\s)defaults\.sh$/.test(command))
    effect.sysctls.push(...LINUX_TEST, ...(/\bcommon\//.test(command) ? [] : SELFTESTS));
  else if (/^ip\s+tcp_metrics\s+flush\b/.test(command)) effect.forgets = true;
  else if (/^(\/bin\/)?dd\s/.test(command)) {
    const file = fileOf(command);
    if (file && Number.isFinite(file[1])) effect.files.push(file);
  } else if (NOTHING.some((pattern) => pattern.test(command))) return;
  else if (/^(sudo\s+)?(\S*\/)?(set_sysctls\.py|sysctl)\s/.test(command)) {
    for (const [, path, value] of command.matchAll(ASSIGNMENT)) assign(effect, path!, value!);
  } else if (/^echo\s.*>\s*\/proc\/sys\//.test(command)) {
    const found = /^echo\s+(?:-n\s+)?("[^"]*"|'[^']*'|\S+)\s*>\s*(\S+)$/.exec(command);
    if (found) assign(effect, found[2]!, found[1]!);
    else effect.unsupported ??= `command not supported: ${command}`;
  } else if (/^sockstat\b/.test(command)) {
    const found = /grep\s+(?:-\w+\s+)*(\w+)\s*\|\s*grep\s+(?:-\w+\s+)*(\d+)/.exec(command);
    if (found) effect.counts.push({ state: found[1]!, count: Number(found[2]) });
    else effect.unsupported ??= `command not supported: ${command}`;
  } else if (/^tcpdrop\b/.test(command)) effect.refused ??= `not applicable: ${command}`;
  else if (/^(tc|ip|ifconfig|route|setkey)\b/.test(command))
    effect.unsupported ??= `not applicable: ${command}`;
  else effect.unsupported ??= `command not supported: ${command}`;
}

export function understand(text: string): Effect {
  const effect: Effect = { sysctls: [], files: [], counts: [] };
  for (const command of simpleCommands(arithmetic(text))) recognize(command.replace(/\s+/g, " "), effect);
  return effect;
}
