import type { Listener, ListenOptions } from "../types.ts";
import { checkPort } from "./address.ts";
import { Arrivals } from "./arrivals.ts";
import type { ListenerHandler, SocketHost } from "./host.ts";
import { Session, type SessionOptions } from "./session.ts";
import { Socket } from "./socket.ts";

export interface SocketListenOptions extends ListenOptions, SessionOptions {
  /** Ends the listener: a pending `next` rejects with ABORT_ERR. Sockets it gave are not touched. */
  signal?: AbortSignal;
}

/**
 * Iterates over the sockets that peers open, each once. A connection waits in the engine's backlog until it is asked
 * for. Leaving the loop closes the listener.
 */
export class SocketListener implements AsyncIterableIterator<Socket, undefined> {
  /** Resolves after `close`; rejects with what broke it. */
  readonly closed: Promise<void>;
  readonly port: number;
  readonly address: string | undefined;
  readonly #host: SocketHost;
  readonly #options: SessionOptions;
  readonly #listener: Listener;
  readonly #arrivals: Arrivals<Socket>;

  /** @internal Listeners come from `stack.listen`. */
  constructor(host: SocketHost, options: SocketListenOptions) {
    const { port, address, backlog, signal } = options ?? {};
    this.#host = host;
    this.#options = options;
    const handler: ListenerHandler = {
      onAccepted: () => this.#arrivals.wake(),
      onStackEnd: (error) => this.#arrivals.end(error),
    };
    this.#listener = host.listen(
      {
        port: checkPort(port, 0),
        ...(address === undefined ? {} : { address }),
        ...(backlog === undefined ? {} : { backlog }),
      },
      handler,
    );
    this.port = this.#listener.port;
    this.address = this.#listener.address;
    this.#arrivals = new Arrivals(
      () => this.#accept(),
      () => host.unlisten(this.#listener, handler),
      signal,
    );
    this.closed = this.#arrivals.closed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next socket; `done` after `close`. Rejects once with what broke the listener. */
  next(): Promise<IteratorResult<Socket, undefined>> {
    return this.#arrivals.next();
  }

  return(): Promise<IteratorResult<Socket, undefined>> {
    return this.#arrivals.return();
  }

  /** Stop listening; connections not yet asked for are reset. Idempotent. */
  close(): void {
    this.#arrivals.end(undefined);
  }

  #accept(): Socket | undefined {
    const connection = this.#listener.accept();
    if (connection === undefined) return undefined;
    const session = new Session(this.#host, this.#options);
    session.accept(connection);
    return new Socket(session);
  }
}
