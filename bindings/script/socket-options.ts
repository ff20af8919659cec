import { SynwaveError } from "../errors.ts";
import type { Connection } from "../types.ts";
import type { Expr } from "./ast.ts";
import {
  constant,
  ERRNO,
  optionName,
  SOCK_STREAM,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
} from "./constants.ts";
import { fail, type Outcome, ok, Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import { exprText, field, numberOf, required } from "./values.ts";

const option = (level: number, name: string) => `${level}:${constant(name)}`;
const socketOption = (name: string) => option(SOL_SOCKET, name);
const tcpOption = (name: string) => option(SOL_TCP, name);

/** Options of the engine's, the value as it takes it, and what a socket that never set it has. */
const ENGINE: Readonly<
  Record<string, { name: string; value(n: number): unknown; initial?: number; least?: number; most?: number }>
> = {
  [tcpOption("TCP_NODELAY")]: { name: "noDelay", value: Boolean, initial: 0 },
  [tcpOption("TCP_CORK")]: { name: "cork", value: Boolean, initial: 0 },
  [socketOption("SO_KEEPALIVE")]: { name: "keepAlive", value: Boolean, initial: 0 },
  [tcpOption("TCP_KEEPIDLE")]: { name: "keepAliveIdle", value: Number, initial: 7200, least: 1, most: 32767 },
  [tcpOption("TCP_KEEPINTVL")]: {
    name: "keepAliveInterval",
    value: Number,
    initial: 75,
    least: 1,
    most: 32767,
  },
  [tcpOption("TCP_KEEPCNT")]: { name: "keepAliveCount", value: Number, initial: 9, least: 1, most: 127 },
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
  [tcpOption("TCP_NOTSENT_LOWAT")]: { name: "notsentLowat", value: Number },
};

/** Options that change nothing here: no other program competes for ports, urgent text is in line always. */
const HARMLESS = new Set(
  [
    "SO_DEBUG",
    "SO_REUSEADDR",
    "SO_REUSEPORT",
    "SO_OOBINLINE",
    "SO_PRIORITY",
    "SO_MARK",
    "SO_INCOMING_CPU",
  ].map(socketOption),
);

/** Buffer sizes hold for the whole engine; the runner has read them from the script before it was made. */
const BUFFERS = new Set(["SO_SNDBUF", "SO_RCVBUF", "SO_SNDBUFFORCE", "SO_RCVBUFFORCE"].map(socketOption));
const LINGER = socketOption("SO_LINGER");
const LOW_WATER = socketOption("SO_RCVLOWAT");
const CONGESTION = tcpOption("TCP_CONGESTION");

type SetOption = (name: string, value: unknown) => void;

/** Set an option on a connection. The engine's list of options is its own affair: what it does not know, it says. */
export function applyOption(connection: Connection, name: string, value: unknown): void {
  try {
    (connection.setOption as SetOption).call(connection, name, value);
  } catch (error) {
    if (error instanceof SynwaveError && error.code === "EINVAL" && error.message.includes("unknown option"))
      throw new Unsupported(`the engine has no option ${name}`);
    throw error;
  }
}

export function setSocketOption(socket: ScriptSocket, args: readonly Expr[]): Outcome {
  const level = required(args[1], "a level");
  const number = required(args[2], "an option");
  const value = args[3];
  const key = `${level}:${number}`;
  if (HARMLESS.has(key)) return ok();
  if (key === LINGER) {
    const on = required(field(value, "onoff"), "onoff") !== 0;
    socket.linger = on ? required(field(value, "linger"), "linger") : undefined;
    return ok();
  }
  if (key === CONGESTION && value?.kind === "string") {
    socket.setOption("congestionControl", value.value);
    socket.congestion = value.value;
    return ok();
  }
  const given = required(value, "a value");
  socket.values.set(key, given);
  if (BUFFERS.has(key)) return ok();
  if (key === LOW_WATER) {
    socket.lowWater = Math.max(1, given);
    return ok();
  }
  const known = ENGINE[key];
  if (!known) throw new Unsupported(`the stack has no ${optionName(level, number)}`);
  if (given < (known.least ?? given) || given > (known.most ?? given)) return fail("EINVAL");
  try {
    socket.setOption(known.name, known.value(given));
  } catch (error) {
    if (!(error instanceof SynwaveError && error.code === "EINVAL")) throw error;
    return fail("EINVAL");
  }
  return ok();
}

export function getSocketOption(socket: ScriptSocket, args: readonly Expr[]): Outcome {
  const level = required(args[1], "a level");
  const number = required(args[2], "an option");
  const wanted = args[3]?.kind === "list" && args[3].items.length === 1 ? args[3].items[0] : args[3];
  const size = numberOf(args[4]);
  const key = `${level}:${number}`;
  if (wanted?.kind === "struct" && key === LINGER) {
    const got = { onoff: socket.linger === undefined ? 0 : 1, linger: socket.linger ?? 0 };
    for (const [name, value] of Object.entries(got)) {
      const expected = numberOf(field(wanted, name));
      if (expected !== undefined && expected !== value)
        return ok(0, `${name} is ${value}, expected ${expected}`);
    }
    return ok();
  }
  const value = currentValue(socket, level, number, key);
  const length = typeof value === "string" ? undefined : 4;
  if (size !== undefined && length !== undefined && size !== length)
    return ok(0, `the value has ${length} octets, expected ${size}`);
  if (wanted === undefined || wanted.kind === "any") return ok();
  if (wanted.kind === "string")
    return ok(
      0,
      wanted.value.replace(/(\\0|\0)+$/, "") === value
        ? undefined
        : `the value is ${value}, expected ${exprText(wanted)}`,
    );
  const expected = required(wanted, "a value");
  return ok(0, expected === value ? undefined : `the value is ${value}, expected ${exprText(wanted)}`);
}

function currentValue(socket: ScriptSocket, level: number, number: number, key: string): number | string {
  switch (key) {
    case socketOption("SO_ERROR"): {
      const errno = socket.takeError();
      return errno === undefined ? 0 : ERRNO[errno]!;
    }
    case socketOption("SO_TYPE"):
      return SOCK_STREAM;
    case socketOption("SO_ACCEPTCONN"):
      return socket.listener ? 1 : 0;
    case LOW_WATER:
      return socket.lowWater;
    case CONGESTION:
      return socket.congestion;
    case tcpOption("TCP_MAXSEG"):
      if (socket.connection) return socket.connection.info().sndMss;
  }
  const set = socket.values.get(key);
  // Linux doubles a buffer's size to have room for its own records.
  if (set !== undefined) return BUFFERS.has(key) ? set * 2 : set;
  const initial = ENGINE[key]?.initial ?? (HARMLESS.has(key) ? 0 : undefined);
  if (initial === undefined) throw new Unsupported(`the stack cannot tell ${optionName(level, number)}`);
  return initial;
}
