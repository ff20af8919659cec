import type { SynwaveError } from "../errors.ts";
import type { Listener, ListenOptions } from "../types.ts";
import { onAbort } from "./abort.ts";
import { checkPort } from "./address.ts";
import type { ListenerHandler, SocketHost } from "./host.ts";
import { Session, type SessionOptions } from "./session.ts";
import { Socket } from "./socket.ts";

export interface SocketListenOptions extends ListenOptions, SessionOptions {
  /** Ends the listener: a pending `next` rejects with ABORT_ERR. Sockets it gave are not touched. */
  signal?: AbortSignal;
}

interface Waiter {
  resolve(result: IteratorResult<Socket, undefined>): void;
  reject(error: unknown): void;
}

const DONE: IteratorResult<Socket, undefined> = { done: true, value: undefined };

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
  readonly #waiters: Waiter[] = [];
  readonly #handler: ListenerHandler;
  #open = true;
  #error: unknown;
  #settle!: { resolve(): void; reject(error: unknown): void };
  #stopSignal: (() => void) | undefined;

  /** @internal Listeners come from `stack.listen`. */
  constructor(host: SocketHost, options: SocketListenOptions) {
    const { port, address, backlog, signal } = options ?? {};
    this.#host = host;
    this.#options = options;
    this.#handler = {
      onAccepted: () => this.#accepted(),
      onStackEnd: (error) => this.#end(error),
    };
    this.#listener = host.listen(
      {
        port: checkPort(port, 0),
        ...(address === undefined ? {} : { address }),
        ...(backlog === undefined ? {} : { backlog }),
      },
      this.#handler,
    );
    this.port = this.#listener.port;
    this.address = this.#listener.address;
    this.closed = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.closed.catch(() => {});
    this.#stopSignal = onAbort(signal, (error) => this.#end(error));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next socket; `done` after `close`. Rejects once with what broke the listener. */
  next(): Promise<IteratorResult<Socket, undefined>> {
    if (!this.#open) {
      const error = this.#error;
      this.#error = undefined;
      return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
    }
    const socket = this.#waiters.length === 0 ? this.#accept() : undefined;
    if (socket !== undefined) return Promise.resolve({ done: false, value: socket });
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<Socket, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  /** Stop listening; connections not yet asked for are reset. Idempotent. */
  close(): void {
    this.#end(undefined);
  }

  #accept(): Socket | undefined {
    const connection = this.#listener.accept();
    if (connection === undefined) return undefined;
    const session = new Session(this.#host, this.#options);
    session.accept(connection);
    return new Socket(session);
  }

  #accepted(): void {
    while (this.#waiters.length > 0) {
      const socket = this.#accept();
      if (socket === undefined) return;
      this.#waiters.shift()!.resolve({ done: false, value: socket });
    }
  }

  #end(error: SynwaveError | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stopSignal?.();
    this.#host.unlisten(this.#listener, this.#handler);
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
    if (error !== undefined && this.#waiters.length === 0) this.#error = error;
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve(DONE);
      else waiter.reject(error);
    }
  }
}
