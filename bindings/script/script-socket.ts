import { STREAM_MAX } from "../../assembly/shared/sizes.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import type { Connection, Listener, State, TcpInfo, UdpSocket } from "../types.ts";
import { applyListenerOption, applyOption } from "./apply-option.ts";
import { ErrorQueue } from "./error-queue.ts";
import { errnoOf } from "./outcome.ts";
import { SendQueue } from "./send-queue.ts";
import type { SocketDefaults } from "./socket-defaults.ts";

/** TCP_NOTSENT_LOWAT: no bound from here on. */
const NO_LIMIT = 0x7fffffff;
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
  /** Text that may wait unsent before it is no longer writable; 0: as much as there is room for. */
  notsentLowat: number;
  /** TCP_FASTOPEN; TCP_FASTOPEN_CONNECT; TCP_FASTOPEN_KEY, as the engine takes it. */
  fastOpen = 0;
  fastOpenConnect = false;
  fastOpenKey = "";
  /** A call that opens the connection as it sends is under way. */
  sendsFast = false;
  /** SO_OOBINLINE. */
  urgentInLine = false;
  /** SO_ZEROCOPY: sends with MSG_ZEROCOPY are told of. */
  zeroCopy = false;
  readonly errorQueue = new ErrorQueue();
  /** Octets the program has written. */
  written = 0;
  /** SO_SNDBUF as Linux counts, once it was set. */
  private sendQueue: SendQueue | undefined;
  /** Octets of SO_RCVBUF, once it was set. */
  receiveBuffer: number | undefined;
  /** The largest window the peer has offered. */
  private maxWindow = 0;
  /** A program was told that there is no room. */
  noSpace = false;
  /** Octets acknowledged when that was last looked at. */
  private freedAt = 0;
  /** How often there was room again for one that was. */
  private roomAgain = 0;
  /** Octets the program has read. */
  taken = 0;
  /** How many had to be read to reach the urgent octet that was taken out of its turn. */
  urgentTaken: number | undefined;
  /** recvmsg() tells how much is left to read. */
  tellsUnread = false;
  /** First and last local port that connect() may choose. */
  portRange: readonly [number, number] | undefined;
  congestion: string;
  readonly defaults: SocketDefaults;
  /** Seconds in which a connection must come about. */
  keepInit: number;
  /** Options as set, by level and number. */
  readonly values = new Map<string, number>();
  /** Options for the engine, those of a listener for the connections it accepts as well. */
  private readonly wanted = new Map<string, unknown>();
  private holding = false;
  /** Corked, but for what was written before TCP_NODELAY was set: that goes. */
  private uncorked = false;
  /** The time for a connection to come about is running. */
  private opening = false;
  /** The connection's error has been told to the program, which happens once. */
  private errorTold = false;

  constructor(nonblocking: boolean, congestion: string, defaults: SocketDefaults, datagrams = false) {
    this.datagrams = datagrams;
    this.nonblocking = nonblocking;
    this.congestion = congestion;
    this.defaults = defaults;
    this.keepInit = defaults.keepInit;
    if (defaults.sendSpace) {
      this.sendQueue = new SendQueue(undefined, defaults.sendSpace, defaults.sendMost);
      this.wanted.set("sendBuffer", this.sendQueue.most);
    }
    this.notsentLowat = defaults.notsentLowat;
    const { keepIdle, keepInterval, keepCount } = defaults;
    if (keepIdle !== DEFAULT_SETTINGS.tcpKeepaliveTime) this.wanted.set("keepAliveIdle", keepIdle);
    if (keepInterval !== DEFAULT_SETTINGS.tcpKeepaliveIntvl)
      this.wanted.set("keepAliveInterval", keepInterval);
    if (keepCount !== DEFAULT_SETTINGS.tcpKeepaliveProbes) this.wanted.set("keepAliveCount", keepCount);
  }

  setOption(name: string, value: unknown): void {
    if (this.connection) {
      this.uncorked = name === "noDelay" && value === true && this.wanted.get("cork") === true;
      if (this.uncorked) applyOption(this.connection, "cork", false);
      applyOption(this.connection, name, value);
    }
    if (this.listener) applyListenerOption(this.listener, name, value);
    this.wanted.set(name, value);
  }

  /** MSG_MORE: what is written waits for more, until something is written without it or something arrives. */
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

  /** The connection is being opened: it must come about in time. */
  open(connection: Connection): void {
    this.adopt(connection);
    this.connecting = true;
    this.limitOpening();
  }

  limitOpening(): void {
    const opening = this.connecting || this.state === "SYN-SENT";
    if (!opening || !this.connection || this.keepInit === 0) return;
    this.opening = true;
    applyOption(this.connection, "userTimeout", this.keepInit * 1000);
  }

  /** The stack has sent what it wanted to. Once a connection has come about, what was for its beginning is over. */
  progress(now: number): void {
    if (this.uncorked && this.connection) applyOption(this.connection, "cork", true);
    this.uncorked = false;
    const { connection, written, acknowledged } = this;
    if (connection) {
      const info = connection.state === "CLOSED" ? undefined : connection.info();
      const unsent = info?.notsentBytes ?? 0;
      this.maxWindow = Math.max(this.maxWindow, info?.sndWnd ?? 0);
      this.errorQueue.progress(written - unsent, acknowledged, now);
      if (acknowledged > this.freedAt) this.freed(info);
      this.freedAt = acknowledged;
    }
    if (!this.opening || /^SYN/.test(this.state)) return;
    this.opening = false;
    if (this.state !== "CLOSED")
      applyOption(this.connection!, "userTimeout", this.wanted.get("userTimeout") ?? 0);
  }

  /** An ACK has made room, which whoever was told that there is none is told of. */
  private freed(info: TcpInfo | undefined): void {
    if (!this.noSpace) return;
    if (info) this.sendQueue?.grow(info.sndCwnd, info.sndMss);
    if (!this.hasRoom) return;
    this.noSpace = false;
    this.roomAgain++;
  }

  listen(listener: Listener): void {
    this.listener = listener;
    for (const [name, value] of this.wanted) applyListenerOption(listener, name, value);
    if (this.fastOpen) applyListenerOption(listener, "fastOpen", this.fastOpen);
    if (this.fastOpenKey) applyListenerOption(listener, "fastOpenKey", this.fastOpenKey);
  }

  /** Options that this one's connections begin with. */
  inherit(from: ScriptSocket): void {
    for (const [name, value] of from.wanted) this.wanted.set(name, value);
    for (const [key, value] of from.values) this.values.set(key, value);
    this.linger = from.linger;
    this.lowWater = from.lowWater;
    this.notsentLowat = from.notsentLowat;
    this.tellsUnread = from.tellsUnread;
    this.zeroCopy = from.zeroCopy;
    const asked = from.sendQueue?.asked;
    if (asked !== undefined) this.sendQueue = new SendQueue(asked);
    this.receiveBuffer = from.receiveBuffer;
    this.keepInit = from.keepInit;
  }

  /** SO_SNDBUF */
  set sendBuffer(size: number) {
    if (this.defaults.dialect === "bsd") return;
    this.sendQueue = new SendQueue(size);
    // What the engine takes is not to be the bound.
    this.setOption("sendBuffer", this.sendQueue.most);
  }

  /**
   * Text of several segments arrives together. Linux gives twice what SO_RCVBUF asks for and counts records in it, half of
   * which, as it first supposes, is not text: of such ones all but a little is.
   */
  takeLongRecord(): void {
    if (this.receiveBuffer === undefined || this.defaults.dialect === "bsd") return;
    this.setOption("receiveBuffer", Math.min(2 * this.receiveBuffer, STREAM_MAX));
  }

  /** All that would wake a program that waits for the socket: another text when any of it has happened. */
  get happened(): string {
    const received = this.taken + (this.connection?.readable ?? 0);
    return `${this.state} ${received} ${this.roomAgain} ${this.errorQueue.told} ${this.pendingError ?? ""}`;
  }

  /** How many of `length` octets may be written now, by a program that has waited for room or not. */
  mayWrite(length: number, waited: boolean): number {
    const { acknowledged, connection, maxWindow, notsentLowat, sendQueue, written } = this;
    if (!connection) return length;
    // What waits unsent is bounded in records, too.
    if (!sendQueue && notsentLowat > 0 && notsentLowat < NO_LIMIT && this.defaults.dialect === "linux") {
      this.sendQueue = new SendQueue(undefined, this.defaults.sendBuffer, this.defaults.sendMost);
      return this.mayWrite(length, waited);
    }
    if (!sendQueue) return length;
    if (waited && !sendQueue.welcomes(written, acknowledged)) return 0;
    const { notsentBytes, sndCwnd, sndMss, sndWnd } = connection.info();
    return sendQueue.take(length, {
      written,
      acknowledged,
      left: written - notsentBytes,
      mss: sndMss,
      cwnd: sndCwnd,
      window: sndWnd,
      maxWindow: Math.max(maxWindow, sndWnd),
      notsentLowat: notsentLowat || Number.POSITIVE_INFINITY,
    });
  }

  /** Whether text written now would be sent before long enough that more is welcome. */
  get hasRoom(): boolean {
    const { connection, notsentLowat } = this;
    if (!connection || connection.writable === 0) return false;
    if (this.sendQueue && !this.sendQueue.welcomes(this.written, this.acknowledged)) return false;
    return notsentLowat === 0 || connection.info().notsentBytes * 2 < notsentLowat >>> 0;
  }

  forget(): void {
    this.connection = undefined;
    this.listener = undefined;
    this.connecting = false;
    this.readShut = false;
    this.writeShut = false;
  }

  /** Octets written and acknowledged, or given up. */
  get acknowledged(): number {
    return this.written - (this.state === "CLOSED" ? 0 : this.connection!.unacked);
  }

  get state(): State {
    return this.connection?.state ?? "CLOSED";
  }

  /** Its SYN waits for text (Fast Open). */
  get waitsForText(): boolean {
    return this.state === "SYN-SENT" && this.connection!.info().segsOut === 0;
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

  /** Octets to read, and one where none is left and the peer has no more to say. */
  get unread(): number {
    const readable = this.connection?.readable ?? 0;
    return readable === 0 && PEER_FINISHED.has(this.state) ? 1 : readable;
  }

  /** Whether the peer has no more to say. */
  get peerFinished(): boolean {
    return PEER_FINISHED.has(this.state);
  }

  /** Whether the peer has no more to say and all of it was read. */
  get atEnd(): boolean {
    const { connection } = this;
    if (!connection || connection.readable > 0) return false;
    return this.readShut || PEER_FINISHED.has(connection.state) || connection.state === "CLOSED";
  }
}
