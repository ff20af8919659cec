import { SynwaveError, show } from "../errors.ts";

/** What a message may be made of; several pieces become one datagram. */
export type Message = string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[];

export type Sent = (error: Error | null, octets: number) => void;

export interface BindOptions {
  port?: number | undefined;
  /** Default: every address of the stack. */
  address?: string | undefined;
}

export interface DgramOptions {
  type: "udp4" | "udp6";
  /** Of "udp6": no IPv4 either, where no address is bound. */
  ipv6Only?: boolean | undefined;
  /** Closes the socket. */
  signal?: AbortSignal | undefined;
}

function octetsOf(piece: unknown): Buffer {
  if (typeof piece === "string") return Buffer.from(piece);
  if (ArrayBuffer.isView(piece)) return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  throw new SynwaveError("EINVAL", `a message is made of strings, Buffers or views, not ${show(piece)}`);
}

/** `(message[, offset, length][, port[, address]][, callback])` as one; a connected socket names no port. */
export function sendArguments(
  args: readonly unknown[],
  connected: boolean,
): { bytes: Buffer; port: unknown; address: unknown; sent: Sent | undefined } {
  const given = [...args];
  const sent = given.findIndex((argument, at) => at > 0 && typeof argument === "function");
  const callback = sent < 0 ? undefined : (given.splice(sent)[0] as Sent);
  const [message, ...rest] = given;
  const bytes = Array.isArray(message) ? Buffer.concat(message.map(octetsOf)) : octetsOf(message);
  // Two numbers say a place in a message where a port is due as well, or where none may be given.
  const sliced = connected ? typeof rest[1] === "number" : rest[2] != null && typeof rest[1] === "number";
  if (!sliced) {
    const [port, address] = rest;
    return { bytes, port, address, sent: callback };
  }
  const [offset, length, port, address] = rest as [number, number, unknown, unknown];
  if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
    throw new SynwaveError(
      "EINVAL",
      `offset ${show(offset)} and length ${show(length)} reach out of a message of ${bytes.length} octets`,
    );
  return { bytes: bytes.subarray(offset, offset + length), port, address, sent: callback };
}

/** `(options, callback)`, `(port, address, callback)` and what lies between as one. */
export function bindArguments(args: readonly unknown[]): {
  options: BindOptions;
  listening: (() => void) | undefined;
} {
  const last = args.at(-1);
  const listening = typeof last === "function" ? (last as () => void) : undefined;
  const [first, second] = args;
  if (typeof first === "object" && first !== null) {
    if ("fd" in first) throw new SynwaveError("ENOTSUP", "a socket over a stack has no descriptor");
    return { options: first as BindOptions, listening };
  }
  return {
    options: {
      ...(first == null || typeof first === "function" ? {} : { port: first as number }),
      ...(typeof second === "string" ? { address: second } : {}),
    },
    listening,
  };
}
