import type { Clock } from "../clock.ts";
import type { SynwaveError } from "../errors.ts";
import type { Connection, ConnectOptions, EngineEvent, Listener, ListenOptions } from "../types.ts";

export type ConnectionEventType = Exclude<EngineEvent["type"], "accepted">;

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
  /** Say that a connection was changed: everything changed in one turn leaves together at its end. */
  flush(): void;
  /** Call back in a later turn of the event loop. */
  nextTurn(callback: () => void): void;
  /**
   * The address behind `hostname`: itself when it is one, otherwise what the stack's `resolve` option says.
   * @throws SynwaveError ENOTSUP for a name when there is no such option
   */
  resolve(hostname: string): string | Promise<string>;
}
