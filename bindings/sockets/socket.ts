import { SynwaveError } from "../errors.ts";
import type { TcpInfo } from "../types.ts";
import { onAbort } from "./abort.ts";
import { isAddress, parseSocketAddress, type SocketAddress } from "./address.ts";
import type { SocketHost } from "./host.ts";
import { Session, type SessionOptions, type SocketInfo } from "./session.ts";

export interface SocketOptions extends SessionOptions {
  /** Ends the socket, connected or not: ABORT_ERR at this side, RST at the other. */
  signal?: AbortSignal;
  /** Default: chosen by the engine. */
  localPort?: number;
  /** Default: the first address of the remote address's family. */
  localAddress?: string;
  /** "off" is all there is. */
  secureTransport?: "off";
}

/**
 * A TCP connection as the WinterTC Sockets API shapes it. Promises and streams may fail with nobody looking.
 *
 * Where that text leaves a choice: a reset rejects `closed`, so that it is never mistaken for an orderly end; aborting
 * `writable` resets the connection; cancelling `readable` discards what the peer still sends.
 */
export class Socket {
  readonly secureTransport = "off";
  readonly upgraded = false;
  readonly #session: Session;

  /** @internal Sockets come from `stack.connect` and `stack.listen`. */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Resolves once connected; rejects with ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ABORT_ERR … */
  get opened(): Promise<SocketInfo> {
    return this.#session.opened;
  }

  /**
   * Resolves once `close` is called, or both sides have ended and what came was read; rejects with what broke the
   * connection.
   */
  get closed(): Promise<void> {
    return this.#session.closed;
  }

  /** A byte stream. Text is taken from the connection only as it is asked for: a reader that stops closes the window. */
  get readable(): ReadableStream<Uint8Array> {
    return this.#session.readable;
  }

  /** A write is done once the send buffer has all of it. */
  get writable(): WritableStream<Uint8Array> {
    return this.#session.writable;
  }

  /**
   * End both streams; what the send buffer has still goes out.
   * @param reason what `writable`, and `opened` if it is pending, fail with
   */
  close(reason?: unknown): Promise<void> {
    this.#session.close(reason);
    return this.#session.closed;
  }

  /** @throws SynwaveError ENOTSUP */
  startTls(): Socket {
    throw new SynwaveError("ENOTSUP", 'startTls needs secureTransport "starttls", and this socket has "off"');
  }

  /** Linux tcp_info; undefined while there is no connection. */
  info(): TcpInfo | undefined {
    return this.#session.connection?.info();
  }
}

/** See `Stack.connect`. */
export function connectSocket(
  host: SocketHost,
  address: SocketAddress | string,
  options: SocketOptions = {},
): Socket {
  const { hostname, port } = parseSocketAddress(address);
  const { signal, localPort, localAddress, secureTransport = "off" } = options;
  if (secureTransport !== "off")
    throw new SynwaveError(
      "ENOTSUP",
      `secureTransport must be "off", not ${JSON.stringify(secureTransport)}`,
    );
  const session = new Session(host, options);
  const open = (remoteAddress: string): void => {
    if (session.finished) return;
    session.begin(
      host.connect(
        {
          remoteAddress,
          remotePort: port,
          ...(localPort === undefined ? {} : { localPort }),
          ...(localAddress === undefined ? {} : { localAddress }),
        },
        session,
      ),
    );
  };
  if (isAddress(hostname)) {
    try {
      open(hostname);
    } catch (error) {
      // What is wrong with the call is thrown; what is wrong with the world comes by `opened`.
      if (error instanceof SynwaveError && (error.code === "EINVAL" || error.code === "ERR_ENGINE_CLOSED"))
        throw error;
      session.fail(error);
    }
  } else
    Promise.resolve(host.resolve(hostname))
      .then(open)
      .catch((error: unknown) => session.fail(error));
  const stop = onAbort(signal, (error) => session.fail(error));
  if (stop !== undefined) session.closed.then(stop, stop);
  return new Socket(session);
}
