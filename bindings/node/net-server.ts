import { EventEmitter } from "node:events";
import { SynwaveError } from "../errors.ts";
import { onAbort } from "../sockets/abort.ts";
import { checkPort } from "../sockets/address.ts";
import type { ListenerHandler, SocketHost } from "../sockets/host.ts";
import type { Listener } from "../types.ts";
import { listenArguments, type ServerListenOptions } from "./net-arguments.ts";
import { type AddressInfo, asSystemError, familyOf } from "./net-shapes.ts";
import type { StackSocket } from "./net-socket.ts";

export interface ServerOptions {
  /** Default false: sockets end when their peer has ended. */
  allowHalfOpen?: boolean | undefined;
  /** Sockets read nothing until they are resumed. */
  pauseOnConnect?: boolean | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  keepAliveInitialDelay?: number | undefined;
  highWaterMark?: number | undefined;
}

/** Makes the socket of an accepted connection. */
export type SocketMaker = (
  options: ServerOptions,
  connection: NonNullable<ReturnType<Listener["accept"]>>,
  acceptor: { connectionClosed(): void },
) => StackSocket;

/** The ends of a connection that was turned away. */
export interface DropInfo {
  localAddress: string;
  localPort: number;
  localFamily: "IPv4" | "IPv6";
  remoteAddress: string;
  remotePort: number;
  remoteFamily: "IPv4" | "IPv6";
}

export interface ServerEvents {
  listening: [];
  connection: [socket: StackSocket];
  drop: [data: DropInfo];
  close: [];
  error: [error: Error];
}

/** `net.Server` over a stack. */
export class StackServer extends EventEmitter<ServerEvents> {
  /** Connections beyond these are reset, and told of by 'drop'. */
  maxConnections: number | undefined;

  readonly #host: SocketHost;
  readonly #makeSocket: SocketMaker;
  readonly #options: ServerOptions;
  readonly #handler: ListenerHandler = {
    onAccepted: () => this.#accepted(),
    onStackEnd: (error) => {
      this.#stop();
      if (error !== undefined) this.emit("error", error);
    },
  };
  #listener: Listener | undefined;
  #connections = 0;
  #stopSignal: (() => void) | undefined;

  constructor(
    host: SocketHost,
    makeSocket: SocketMaker,
    options: ServerOptions,
    connected?: (socket: StackSocket) => void,
  ) {
    super();
    this.#host = host;
    this.#makeSocket = makeSocket;
    this.#options = options;
    if (connected !== undefined) this.on("connection", connected);
  }

  /** 'listening' follows, or 'error': EADDRINUSE, EADDRNOTAVAIL … */
  listen(options: ServerListenOptions, listening?: () => void): this;
  listen(port?: number | string, host?: string, backlog?: number, listening?: () => void): this;
  listen(port?: number | string, host?: string, listening?: () => void): this;
  listen(port?: number | string, backlog?: number, listening?: () => void): this;
  listen(port?: number | string, listening?: () => void): this;
  listen(listening?: () => void): this;
  listen(...args: unknown[]): this {
    if (this.#listener !== undefined)
      throw new SynwaveError("EISCONN", `the server listens on port ${this.#listener.port} already`);
    const { options, listening } = listenArguments(args);
    const port = checkPort(options.port ?? 0, 0);
    if (options.signal?.aborted) {
      this.close();
      return this;
    }
    if (listening !== undefined) this.once("listening", listening);
    try {
      this.#listener = this.#host.listen(
        {
          port,
          ...(options.host === undefined ? {} : { address: options.host }),
          ...(options.backlog === undefined ? {} : { backlog: options.backlog }),
        },
        this.#handler,
      );
    } catch (error) {
      const told = asSystemError(error, "listen", options.host ?? "::", port);
      process.nextTick(() => this.emit("error", told));
      return this;
    }
    this.#stopSignal = onAbort(options.signal, () => this.close());
    process.nextTick(() => {
      if (this.#listener !== undefined) this.emit("listening");
    });
    return this;
  }

  get listening(): boolean {
    return this.#listener !== undefined;
  }

  /** Null before 'listening' and after `close`. */
  address(): AddressInfo | null {
    if (this.#listener === undefined) return null;
    const { address = "::", port } = this.#listener;
    return { address, family: familyOf(address), port };
  }

  getConnections(told: (error: Error | null, count: number) => void): this {
    process.nextTick(told, null, this.#connections);
    return this;
  }

  /** Accept no more; 'close' comes when the last connection has ended. */
  close(closed?: (error?: Error) => void): this {
    if (closed !== undefined) {
      if (this.#listener === undefined)
        this.once("close", () => closed(new SynwaveError("ENOTCONN", "the server is not listening")));
      else this.once("close", () => closed());
    }
    this.#stop();
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #stop(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#stopSignal?.();
    if (listener !== undefined) this.#host.unlisten(listener, this.#handler);
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (this.#listener === undefined && this.#connections === 0) process.nextTick(() => this.emit("close"));
  }

  #accepted(): void {
    for (;;) {
      const connection = this.#listener?.accept();
      if (connection === undefined) return;
      if (this.maxConnections !== undefined && this.#connections >= this.maxConnections) {
        const { localAddress, localPort, remoteAddress, remotePort } = connection;
        connection.abort();
        this.#host.flush();
        this.emit("drop", {
          localAddress,
          localPort,
          localFamily: familyOf(localAddress),
          remoteAddress,
          remotePort,
          remoteFamily: familyOf(remoteAddress),
        });
        continue;
      }
      this.#connections++;
      const socket = this.#makeSocket(this.#options, connection, {
        connectionClosed: () => {
          this.#connections--;
          this.#closeIfIdle();
        },
      });
      socket.server = this;
      if (this.#options.noDelay) socket.setNoDelay(true);
      if (this.#options.keepAlive) socket.setKeepAlive(true, this.#options.keepAliveInitialDelay);
      this.emit("connection", socket);
    }
  }
}
