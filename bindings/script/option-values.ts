import type { Expr } from "./ast.ts";
import { ERRNO, optionName, SOCK_STREAM } from "./constants.ts";
import { errnoOf, type Outcome, ok, Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import { sendBufferInUse } from "./send-queue.ts";
import {
  BUFFERS,
  CONGESTION,
  ENGINE,
  HARMLESS,
  LINGER,
  LOW_WATER,
  socketOption,
  tcpOption,
} from "./socket-options.ts";
import { exprText, field, numberOf, required } from "./values.ts";
import { wholeSegment } from "./whole-segment.ts";

/** Without knowing better (RFC 9293 MUST-15). */
const DEFAULT_MSS = 536;
const NEVER_SHARED = new Set(["CLOSED", "LISTEN", "SYN-SENT"]);

/** What ICMP's prohibitions, and a protocol that is not there, are elsewhere; for BSD they are refusals. */
const PROHIBITED: ReadonlySet<number | string> = new Set([
  ERRNO.EHOSTUNREACH!,
  ERRNO.ENETUNREACH!,
  ERRNO.ENOPROTOOPT!,
]);

/** @param bsdHabits whether errors may be those of BSD in place of our own */
export function getSocketOption(socket: ScriptSocket, args: readonly Expr[], bsdHabits: boolean): Outcome {
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
  if (bsdHabits && key === socketOption("SO_ERROR") && expected !== 0) {
    // RFC 9293 MUST-56 has a connection go on for what BSD ends it for; what was said is the same.
    const soft = value === 0 ? socket.connection?.softError : undefined;
    const told = soft ? ERRNO[errnoOf(soft)]! : value;
    if (told === expected || (expected === ERRNO.ECONNREFUSED && PROHIBITED.has(told))) return ok();
  }
  return ok(0, expected === value ? undefined : `the value is ${value}, expected ${exprText(wanted)}`);
}

/** Values that are kept nowhere else, by option. */
const VALUES: Readonly<Record<string, (socket: ScriptSocket, set: number | undefined) => number | string>> = {
  [socketOption("SO_ERROR")]: (socket) => {
    const errno = socket.takeError();
    return errno === undefined ? 0 : ERRNO[errno]!;
  },
  [socketOption("SO_TYPE")]: () => SOCK_STREAM,
  [socketOption("SO_ACCEPTCONN")]: (socket) => (socket.listener ? 1 : 0),
  [socketOption("SO_OOBINLINE")]: (socket) => (socket.urgentInLine ? 1 : 0),
  [socketOption("SO_ZEROCOPY")]: (socket) => (socket.zeroCopy ? 1 : 0),
  [LOW_WATER]: (socket) => socket.lowWater,
  [CONGESTION]: (socket) => socket.congestion,
  [tcpOption("TCP_MAXSEG")]: segmentSize,
  [tcpOption("TCP_NOTSENT_LOWAT")]: (_, set = 0) => set,
  [tcpOption("TCP_INQ")]: (socket) => (socket.tellsUnread ? 1 : 0),
  [tcpOption("TCP_KEEPINIT")]: (socket) => socket.keepInit,
  [tcpOption("TCP_KEEPIDLE")]: ({ defaults }, set = defaults.keepIdle) => set,
  [tcpOption("TCP_KEEPINTVL")]: ({ defaults }, set = defaults.keepInterval) => set,
  [tcpOption("TCP_KEEPCNT")]: ({ defaults }, set = defaults.keepCount) => set,
  [tcpOption("TCP_NOOPT")]: () => 0,
  // BSD says that it is on by the bit that marks a connection's.
  [tcpOption("TCP_FASTOPEN")]: ({ defaults, fastOpen }) =>
    defaults.dialect === "bsd" && fastOpen ? 0x80000000 : fastOpen,
  [tcpOption("TCP_FASTOPEN_CONNECT")]: ({ fastOpenConnect }) => (fastOpenConnect ? 1 : 0),
  [socketOption("SO_RCVBUF")]: receiveBuffer,
  [socketOption("SO_SNDBUF")]: ({ defaults }, set) =>
    set === undefined ? defaults.sendBuffer : defaults.dialect === "bsd" ? set : sendBufferInUse(set),
};

/** Linux doubles a buffer's size to have room for its own records. */
const inUse = ({ dialect }: ScriptSocket["defaults"], size: number) => (dialect === "bsd" ? size : size * 2);

function receiveBuffer({ connection, defaults, state }: ScriptSocket, set: number | undefined): number {
  if (set !== undefined) return inUse(defaults, set);
  const space = defaults.receiveBuffer;
  if (defaults.dialect !== "bsd" || !connection || NEVER_SHARED.has(state)) return space;
  // Whole segments, once it is known how long they are.
  const segment = wholeSegment(connection.info());
  return Math.ceil(space / segment) * segment;
}

function segmentSize({ connection, defaults, state }: ScriptSocket, set: number | undefined): number {
  if (defaults.dialect === "bsd")
    return connection && !NEVER_SHARED.has(state) ? wholeSegment(connection.info()) : DEFAULT_MSS;
  return connection ? connection.info().sndMss : (set ?? DEFAULT_MSS);
}

function currentValue(socket: ScriptSocket, level: number, number: number, key: string): number | string {
  const set = socket.values.get(key);
  const own = VALUES[key];
  if (own) return own(socket, set);
  if (set !== undefined) return BUFFERS.has(key) ? inUse(socket.defaults, set) : set;
  const initial = ENGINE[key]?.initial ?? (HARMLESS.has(key) ? 0 : undefined);
  if (initial === undefined) throw new Unsupported(`the stack cannot tell ${optionName(level, number)}`);
  return initial;
}
