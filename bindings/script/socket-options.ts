import { SynwaveError } from "../errors.ts";
import { congestionControl } from "../settings.ts";
import { applyListenerOption } from "./apply-option.ts";
import type { Expr } from "./ast.ts";
import { constant, optionName, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_TCP } from "./constants.ts";
import { fail, NotApplicable, type Outcome, ok, Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import { field, required } from "./values.ts";

const option = (level: number, name: string) => `${level}:${constant(name)}`;
export const socketOption = (name: string) => option(SOL_SOCKET, name);
export const tcpOption = (name: string) => option(SOL_TCP, name);

/** Options of the engine's, the value as it takes it, and what a socket that never set it has. */
export const ENGINE: Readonly<
  Record<string, { name: string; value(n: number): unknown; initial?: number; least?: number; most?: number }>
> = {
  [tcpOption("TCP_NODELAY")]: { name: "noDelay", value: Boolean, initial: 0 },
  [tcpOption("TCP_CORK")]: { name: "cork", value: Boolean, initial: 0 },
  [socketOption("SO_KEEPALIVE")]: { name: "keepAlive", value: Boolean, initial: 0 },
  // All ones are no bound.
  [socketOption("SO_MAX_PACING_RATE")]: {
    name: "maxPacingRate",
    value: (rate) => (rate === -1 ? 0 : rate),
    initial: -1,
  },
  [tcpOption("TCP_KEEPIDLE")]: { name: "keepAliveIdle", value: Number, least: 1, most: 32767 },
  [tcpOption("TCP_KEEPINTVL")]: { name: "keepAliveInterval", value: Number, least: 1, most: 32767 },
  [tcpOption("TCP_KEEPCNT")]: { name: "keepAliveCount", value: Number, least: 1, most: 127 },
  [tcpOption("TCP_USER_TIMEOUT")]: { name: "userTimeout", value: Number, initial: 0 },
  [tcpOption("TCP_MAXSEG")]: { name: "maxSegment", value: Number, least: 88, most: 32767 },
  [tcpOption("TCP_QUICKACK")]: { name: "quickAck", value: Boolean },
  [tcpOption("TCP_LINGER2")]: { name: "finTimeout", value: Number, initial: 60 },
  [tcpOption("TCP_SYNCNT")]: { name: "synRetries", value: Number, least: 1, most: 127 },
  [tcpOption("TCP_WINDOW_CLAMP")]: { name: "windowClamp", value: Number },
  // The two lowest bits of TOS are ECN's.
  [option(SOL_IP, "IP_TOS")]: { name: "dscp", value: (tos) => tos >> 2, initial: 0, most: 255 },
  [option(SOL_IPV6, "IPV6_TCLASS")]: { name: "dscp", value: (tos) => tos >> 2, initial: 0, most: 255 },
  [option(SOL_IP, "IP_TTL")]: { name: "hopLimit", value: Number, initial: 64, least: 1, most: 255 },
  [option(SOL_IPV6, "IPV6_UNICAST_HOPS")]: {
    name: "hopLimit",
    value: Number,
    initial: 64,
    least: 1,
    most: 255,
  },
};

/** Options that change nothing here: no other program competes for ports, and path MTU discovery
 * is part of the stack. */
export const HARMLESS = new Set([
  ...["SO_DEBUG", "SO_REUSEADDR", "SO_REUSEPORT", "SO_PRIORITY", "SO_MARK", "SO_INCOMING_CPU"].map(
    socketOption,
  ),
  option(SOL_IP, "IP_MTU_DISCOVER"),
  option(SOL_IPV6, "IPV6_MTU_DISCOVER"),
  option(SOL_IP, "IP_BIND_ADDRESS_NO_PORT"),
  option(SOL_IP, "IP_FREEBIND"),
]);

/** Buffer sizes hold for the whole engine; the runner has read them from the script before it was made. */
export const BUFFERS = new Set(
  ["SO_SNDBUF", "SO_RCVBUF", "SO_SNDBUFFORCE", "SO_RCVBUFFORCE"].map(socketOption),
);
/** What Linux makes of less. */
const LEAST_RECEIVE_BUFFER = 1152;
const SEND_BUFFERS = new Set(["SO_SNDBUF", "SO_SNDBUFFORCE"].map(socketOption));
export const LINGER = socketOption("SO_LINGER");
export const LOW_WATER = socketOption("SO_RCVLOWAT");
export const CONGESTION = tcpOption("TCP_CONGESTION");
const FAST_OPEN_CONNECT = tcpOption("TCP_FASTOPEN_CONNECT");
const FAST_OPEN_KEY = tcpOption("TCP_FASTOPEN_KEY");

/** Options that are the socket's own affair, and what setting them does. */
const OWN: Readonly<Record<string, (socket: ScriptSocket, value: number) => void>> = {
  [socketOption("SO_RCVLOWAT")]: (socket, value) => {
    socket.lowWater = Math.max(1, value);
  },
  [socketOption("SO_ZEROCOPY")]: (socket, value) => {
    socket.zeroCopy = value !== 0;
  },
  [socketOption("SO_TIMESTAMPING")]: (socket, value) => {
    // The SYN is an octet before the first, until it is acknowledged.
    const base = socket.state === "SYN-SENT" ? -1 : 0;
    socket.errorQueue.timestamp(value, socket.acknowledged + base);
  },
  [socketOption("SO_OOBINLINE")]: (socket, value) => {
    socket.urgentInLine = value !== 0;
  },
  [tcpOption("TCP_NOTSENT_LOWAT")]: (socket, value) => {
    socket.notsentLowat = value;
  },
  [tcpOption("TCP_INQ")]: (socket, value) => {
    socket.tellsUnread = value !== 0;
  },
  [tcpOption("TCP_KEEPINIT")]: (socket, value) => {
    socket.keepInit = value;
    socket.limitOpening();
  },
  [tcpOption("TCP_SYNCNT")]: (socket, value) => {
    // As long as so many repetitions take, a second after the SYN the first and each twice as long after the one before.
    socket.keepInit = 2 ** Math.min(value + 1, 16) - 1;
    socket.limitOpening();
  },
  [option(SOL_IP, "IP_LOCAL_PORT_RANGE")]: (socket, value) => {
    // Last and first port; 0 leaves a bound to the engine.
    const [first, last] = [value & 0xffff, value >>> 16];
    socket.portRange = value === 0 ? undefined : [first || 1, last || 65535];
  },
  [tcpOption("TCP_FASTOPEN")]: (socket, value) => {
    socket.fastOpen = value;
    if (socket.listener) applyListenerOption(socket.listener, "fastOpen", value);
  },
  [FAST_OPEN_CONNECT]: (socket, value) => {
    socket.fastOpenConnect = value !== 0;
  },
  [tcpOption("TCP_NOOPT")]: ({ defaults }, value) => {
    if (value && !defaults.withoutOptions) throw new NotApplicable("not applicable: TCP_NOOPT");
  },
};

/** Keys of 16 octets, which C writes with escapes, as the engine takes them. */
function fastOpenKey(text: string): string {
  const octets = text.replace(/\\x([0-9a-f]{1,2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const group = (at: number) => {
    let hex = "";
    for (let i = 3; i >= 0; i--) hex += (octets.charCodeAt(at + i) & 255).toString(16).padStart(2, "0");
    return hex;
  };
  const keys: string[] = [];
  for (let at = 0; at < octets.length; at += 16) keys.push([0, 4, 8, 12].map((i) => group(at + i)).join("-"));
  return keys.join(",");
}

/** @param mayOpenFast whether the kernel's setting lets clients use Fast Open */
export function setSocketOption(socket: ScriptSocket, args: readonly Expr[], mayOpenFast: boolean): Outcome {
  const level = required(args[1], "a level");
  const number = required(args[2], "an option");
  const value = args[3];
  const key = `${level}:${number}`;
  if (key === LINGER) {
    const on = required(field(value, "onoff"), "onoff") !== 0;
    socket.linger = on ? required(field(value, "linger"), "linger") : undefined;
    return ok();
  }
  if (key === CONGESTION && value?.kind === "string") {
    if (congestionControl(value.value) === undefined)
      throw new Unsupported(`the engine has no congestion control ${value.value}`);
    socket.setOption("congestionControl", value.value);
    socket.congestion = value.value;
    return ok();
  }
  if (key === FAST_OPEN_CONNECT && !mayOpenFast) return fail("EOPNOTSUPP");
  if (key === FAST_OPEN_KEY && value?.kind === "string") {
    const length = required(args[4], "a length");
    if (length !== 16 && length !== 32) return fail("EINVAL");
    socket.fastOpenKey = fastOpenKey(value.value);
    if (socket.listener) applyListenerOption(socket.listener, "fastOpenKey", socket.fastOpenKey);
    return ok();
  }
  const given = required(value, "a value");
  socket.values.set(key, given);
  if (SEND_BUFFERS.has(key)) socket.sendBuffer = given;
  else if (BUFFERS.has(key)) socket.receiveBuffer = Math.max(given, LEAST_RECEIVE_BUFFER);
  if (BUFFERS.has(key) || HARMLESS.has(key)) return ok();
  const known = ENGINE[key];
  if (known && (given < (known.least ?? given) || given > (known.most ?? given))) return fail("EINVAL");
  const own = OWN[key];
  if (own) {
    own(socket, given);
    return ok();
  }
  if (!known) throw new Unsupported(`the stack has no ${optionName(level, number)}`);
  try {
    socket.setOption(known.name, known.value(given));
  } catch (error) {
    if (!(error instanceof SynwaveError && error.code === "EINVAL")) throw error;
    return fail("EINVAL");
  }
  return ok();
}
