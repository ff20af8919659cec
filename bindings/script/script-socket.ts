import type { Connection, Listener, State, UdpSocket } from "../types.ts";
import { errnoOf } from "./outcome.ts";
import { applyOption } from "./socket-options.ts";

/** States in which the peer's end of stream has been received. */
const PEER_FINISHED = new Set<State>(["CLOSE-WAIT", "LAST-ACK", "CLOSING", "TIME-WAIT"]);

/** A BSD socket over a listener or a connection of the engine's. */
export class ScriptSocket {
  listener: Listener | undefined;
  connection: Connection | undefined;
  /** A datagram socket, and what it is in the engine once it is bound. */
  readonly datagrams: boolean;
  udp: UdpSocket | undefined;
  /** Port of the peer a datagram socket is connected to. */
  peerPort: number | undefined;
  nonblocking: boolean;
  /** Port it is bound to; undefined: none yet. */
  port: number | undefined;
  /** connect() said that it is under way and has not been told the end. */
  connecting = false;
  readShut = false;
  writeShut = false;
  /** Seconds; undefined: off. */
  linger: number | undefined;
  lowWater = 1;
  congestion: string;
  /** Options as set, by level and number. */
  readonly values = new Map<string, number>();
  /** Options for the engine, those of a listener for the connections it accepts as well. */
  private readonly wanted = new Map<string, unknown>();
  private holding = false;
  /** The connection's error has been told to the program, which happens once. */
  private errorTold = false;

  constructor(nonblocking: boolean, congestion: string, datagrams = false) {
    this.datagrams = datagrams;
    this.nonblocking = nonblocking;
    this.congestion = congestion;
  }

  setOption(name: string, value: unknown): void {
    if (this.connection) applyOption(this.connection, name, value);
    this.wanted.set(name, value);
  }

  /** MSG_MORE: what is written waits for more, until something is written without it. */
  holdBack(more: boolean): void {
    if (more === this.holding || this.wanted.get("cork") === true) return;
    this.holding = more;
    if (this.connection) applyOption(this.connection, "cork", more);
  }

  adopt(connection: Connection): void {
    this.connection = connection;
    this.errorTold = false;
    for (const [name, value] of this.wanted) applyOption(connection, name, value);
  }

  /** Options that this one's connections begin with. */
  inherit(from: ScriptSocket): void {
    for (const [name, value] of from.wanted) this.wanted.set(name, value);
    for (const [key, value] of from.values) this.values.set(key, value);
    this.linger = from.linger;
    this.lowWater = from.lowWater;
  }

  forget(): void {
    this.connection = undefined;
    this.listener = undefined;
    this.connecting = false;
    this.readShut = false;
    this.writeShut = false;
  }

  get state(): State {
    return this.connection?.state ?? "CLOSED";
  }

  get pendingError(): string | undefined {
    const error = this.connection?.error;
    return error && !this.errorTold ? errnoOf(error) : undefined;
  }

  takeError(): string | undefined {
    const errno = this.pendingError;
    if (errno !== undefined) this.errorTold = true;
    return errno;
  }

  /** Whether the peer has no more to say and all of it was read. */
  get atEnd(): boolean {
    const { connection } = this;
    if (!connection || connection.readable > 0) return false;
    return this.readShut || PEER_FINISHED.has(connection.state) || connection.state === "CLOSED";
  }
}
