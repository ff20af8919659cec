import { SynwaveError } from "../errors.ts";

export interface SocketConstructorOptions {
  /** Default false: end when the peer has ended. */
  allowHalfOpen?: boolean | undefined;
  signal?: AbortSignal | undefined;
  readableHighWaterMark?: number | undefined;
  writableHighWaterMark?: number | undefined;
}

export interface ConnectOptions extends SocketConstructorOptions {
  port: number | string;
  /** An address; or a name, where the stack has a `resolve` option. Default "localhost". */
  host?: string | null | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  keepAliveInitialDelay?: number | undefined;
  /** As `setTimeout`. */
  timeout?: number | undefined;
}

export interface ServerListenOptions {
  port?: number | string | undefined;
  host?: string | undefined;
  backlog?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** `(options, cb)`, `(port, host, cb)` and `(port, cb)` as one. */
export function connectArguments(args: unknown[]): {
  options: ConnectOptions;
  connected: (() => void) | undefined;
} {
  const last = args.at(-1);
  const connected = typeof last === "function" ? (last as () => void) : undefined;
  const [first, second] = args;
  if (typeof first === "object" && first !== null) {
    if ("path" in first && first.path != null)
      throw new SynwaveError(
        "ENOTSUP",
        `path ${JSON.stringify(first.path)}: there are no local sockets in a TCP/IP stack`,
      );
    return { options: first as ConnectOptions, connected };
  }
  if (typeof first !== "number" && !(typeof first === "string" && /^\d+$/.test(first)))
    throw new SynwaveError("EINVAL", `connect takes a port or options, not ${JSON.stringify(first)}`);
  return { options: { port: first, ...(typeof second === "string" ? { host: second } : {}) }, connected };
}

/** `(options, cb)`, `(port, host, backlog, cb)` and what lies between as one. */
export function listenArguments(args: unknown[]): {
  options: ServerListenOptions;
  listening: (() => void) | undefined;
} {
  const last = args.at(-1);
  const listening = typeof last === "function" ? (last as () => void) : undefined;
  const plain = (listening === undefined ? args : args.slice(0, -1)).filter((argument) => argument != null);
  const [first, ...others] = plain;
  if (typeof first === "object") {
    if ("path" in first! || "fd" in first!)
      throw new SynwaveError(
        "ENOTSUP",
        "a server over a stack listens on a port, not on a path or a descriptor",
      );
    return { options: first as ServerListenOptions, listening };
  }
  const options: ServerListenOptions = {};
  if (first !== undefined) options.port = first as number;
  for (const other of others)
    if (typeof other === "string") options.host = other;
    else if (typeof other === "number") options.backlog = other;
  return { options, listening };
}
