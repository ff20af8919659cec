import * as c from "./constants.ts";
import { fail, type Outcome, ok } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";

// The engine delivers urgent text in line (RFC 9293 §3.8.5). BSD sockets take its last octet out, unless SO_OOBINLINE.

/** Octets to read before the urgent one; undefined: none was told of. */
function distance({ connection }: ScriptSocket): number | undefined {
  const urgent = connection?.urgent ?? 0;
  return urgent > 0 ? urgent - 1 : undefined;
}

const wasTaken = (socket: ScriptSocket, before: number) => socket.urgentTaken === socket.taken + before;

/** SIOCATMARK: whether the urgent octet is the next one. */
export function atMark(socket: ScriptSocket): boolean {
  return distance(socket) === 0;
}

/** At most so many octets that they end before the urgent one. */
export function markEnd(socket: ScriptSocket, length: number): number {
  const before = socket.urgentInLine ? undefined : distance(socket);
  return before === undefined ? length : Math.min(length, before);
}

/** Pass over an urgent octet whose turn has come: who wanted it has asked for it. */
export function afterMark(socket: ScriptSocket): void {
  const { connection, urgentInLine } = socket;
  if (!connection || urgentInLine || distance(socket) !== 0 || connection.readable === 0) return;
  socket.taken += Math.max(connection.read(new Uint8Array(1)), 0);
}

/** Whether an urgent octet has come that nobody has taken. */
export function urgentWaits(socket: ScriptSocket): boolean {
  const before = distance(socket);
  return before !== undefined && socket.connection!.readable > before && !wasTaken(socket, before);
}

/** recv(MSG_OOB) */
export function receiveUrgent(socket: ScriptSocket, flags: number): Outcome {
  const before = distance(socket);
  if (socket.urgentInLine || before === undefined || wasTaken(socket, before)) return fail("EINVAL");
  if (!urgentWaits(socket)) return fail("EAGAIN");
  if (!(flags & c.MSG_PEEK)) socket.urgentTaken = socket.taken + before;
  return ok(1);
}
