import { isIP, isIPv4, isIPv6 } from "node:net";
import type { Stack } from "../stack.ts";
import type { Connection } from "../types.ts";
import { type ConnectOptions, connectArguments, type SocketConstructorOptions } from "./net-arguments.ts";
import { type ServerOptions, StackServer } from "./net-server.ts";
import { type Acceptor, StackSocket } from "./net-socket.ts";

export type { ConnectOptions, ServerListenOptions, SocketConstructorOptions } from "./net-arguments.ts";
export type { DropInfo, ServerEvents, ServerOptions } from "./net-server.ts";
export type { AddressInfo } from "./net-shapes.ts";
export { StackServer, StackSocket };

/** Connects a new socket; the arguments are those of `socket.connect`. */
export interface Connect {
  (options: ConnectOptions, connected?: () => void): StackSocket;
  (port: number | string, host?: string, connected?: () => void): StackSocket;
  (port: number | string, connected?: () => void): StackSocket;
}

/** The part of `node:net` that concerns TCP, over a stack. */
export interface Net {
  readonly Socket: new (options?: SocketConstructorOptions) => StackSocket;
  readonly Server: new (
    options?: ServerOptions | ((socket: StackSocket) => void),
    connected?: (socket: StackSocket) => void,
  ) => StackServer;
  readonly connect: Connect;
  readonly createConnection: Connect;
  createServer(connected?: (socket: StackSocket) => void): StackServer;
  createServer(options?: ServerOptions, connected?: (socket: StackSocket) => void): StackServer;
  readonly isIP: typeof isIP;
  readonly isIPv4: typeof isIPv4;
  readonly isIPv6: typeof isIPv6;
}

/**
 * `node:net` over `stack`: a `http.Server` takes its sockets by `emit("connection", socket)`, `http.request` by
 * `createConnection`. Errors are SynwaveErrors with Node's codes and fields.
 */
export function createNet(stack: Stack): Net {
  const { host } = stack;

  class Socket extends StackSocket {
    constructor(
      options?: SocketConstructorOptions,
      accepted?: { connection: Connection; acceptor: Acceptor; pause: boolean },
    ) {
      super(host, options, accepted);
    }
  }

  class Server extends StackServer {
    constructor(
      options?: ServerOptions | ((socket: StackSocket) => void),
      connected?: (socket: StackSocket) => void,
    ) {
      const given = typeof options === "function" ? {} : (options ?? {});
      super(
        host,
        ({ allowHalfOpen, pauseOnConnect = false, highWaterMark }, connection, acceptor) =>
          new Socket(
            { allowHalfOpen, readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark },
            { connection, acceptor, pause: pauseOnConnect },
          ),
        given,
        typeof options === "function" ? options : connected,
      );
    }
  }

  const connect = (...args: unknown[]): StackSocket => {
    const { options, connected } = connectArguments(args);
    const socket = new Socket(options);
    if (options.timeout) socket.setTimeout(options.timeout);
    return socket.connect(options, connected);
  };

  return {
    Socket,
    Server,
    connect,
    createConnection: connect,
    createServer: (
      options?: ServerOptions | ((socket: StackSocket) => void),
      connected?: (socket: StackSocket) => void,
    ) => new Server(options, connected),
    isIP,
    isIPv4,
    isIPv6,
  };
}
