import type { Clock } from "../clock.ts";
import type { SynwaveError } from "../errors.ts";
import type {
  Connection,
  ConnectOptions,
  EngineEvent,
  Listener,
  ListenOptions,
  UdpOptions,
  UdpSocket,
} from "../types.ts";

export type ConnectionEventType = Exclude<EngineEvent["type"], "accepted" | "datagram">;

/** Whoever owns a connection: hangs on `connection.context`, so that an event finds it without a search. */
export interface ConnectionHandler {
  onConnectionEvent(type: ConnectionEventType): void;
  /** The stack closed (orderly) or broke, and `error` says why; the handler releases its connection. */
  onStackEnd(error: SynwaveError, orderly: boolean): void;
}

/** Whoever owns a listener: hangs on `listener.context`. */
export interface ListenerHandler {
  onAccepted(): void;
  /** The stack closed (`undefined`) or broke; the handler closes its listener. */
  onStackEnd(error: SynwaveError | undefined): void;
}

/** Whoever owns a UDP socket: hangs on `socket.context`. */
export interface DatagramHandler {
  onDatagram(): void;
  /** Datagrams that found the queue of those to be sent full. */
  readonly waiting: number;
  /**
   * Send the one that has waited longest.
   * @param empty nothing is in the queue, so that what does not fit now never will
   * @returns false, and it waits on, when there is no room for it
   */
  onRoom(empty: boolean): boolean;
  /** The stack closed (`undefined`) or broke; the handler closes its socket. */
  onStackEnd(error: SynwaveError | undefined): void;
}

/** What sockets of any flavour need of the stack that drives them. */
export interface SocketHost {
  readonly clock: Clock;
  /** OPEN, active. @throws SynwaveError as `engine.connect` does; ERR_ENGINE_CLOSED once the stack is closing */
  connect(options: ConnectOptions, handler: ConnectionHandler): Connection;
  /** Take charge of a connection that came from `accept`. */
  adopt(connection: Connection, handler: ConnectionHandler): void;
  /** CLOSE or ABORT, and no more events: the connection is spent. Nothing happens to it once the stack is broken. */
  release(connection: Connection, handler: ConnectionHandler, how: "close" | "abort"): void;
  /** OPEN, passive. @throws SynwaveError as `engine.listen` does; ERR_ENGINE_CLOSED once the stack is closing */
  listen(options: ListenOptions, handler: ListenerHandler): Listener;
  /** Close a listener that came from `listen`. */
  unlisten(listener: Listener, handler: ListenerHandler): void;
  /** @throws SynwaveError as `engine.bindUdp` does; ERR_ENGINE_CLOSED once the stack is closing */
  bindUdp(options: UdpOptions, handler: DatagramHandler): UdpSocket;
  /** Close a UDP socket that came from `bindUdp`. */
  unbindUdp(socket: UdpSocket, handler: DatagramHandler): void;
  /** Call `onRoom` when the queue has been sent: one datagram of every such handler in turn, until it is full again. */
  whenRoom(handler: DatagramHandler): void;
  /** Say that a connection or a UDP socket was used: everything of one turn leaves together at its end. */
  flush(): void;
  /** Call back in a later turn of the event loop. */
  nextTurn(callback: () => void): void;
  /**
   * The address behind `hostname`: itself when it is one, otherwise what the stack's `resolve` option says.
   * @throws SynwaveError ENOTSUP for a name when there is no such option
   */
  resolve(hostname: string): string | Promise<string>;
}
