import { type Clock, type ClockEntry, systemClock } from "./clock.ts";
import { nextTurn } from "./clock-turn.ts";
import { createEngine } from "./engine.ts";
import { SynwaveError } from "./errors.ts";
import type { Link } from "./links/link.ts";
import { PacketBatch } from "./packet-batch.ts";
import { isAddress, type SocketAddress } from "./sockets/address.ts";
import { type DatagramOptions, DatagramSocket } from "./sockets/datagrams.ts";
import type { ConnectionHandler, DatagramHandler, ListenerHandler, SocketHost } from "./sockets/host.ts";
import { SocketListener, type SocketListenOptions } from "./sockets/listener.ts";
import { connectSocket, type Socket, type SocketOptions } from "./sockets/socket.ts";
import type {
  Connection,
  ConnectOptions,
  Engine,
  EngineOptions,
  Listener,
  ListenOptions,
  UdpOptions,
  UdpSocket,
} from "./types.ts";

/** How long the stack works in real time before it gives the event loop a turn, in milliseconds. */
const TURN_BUDGET = 8;

export interface StackOptions extends EngineOptions {
  /** What carries the packets. The stack closes it. */
  link: Link;
  /** Default: real time. */
  clock?: Clock;
  /** Turns the names `connect` and a UDP socket's `send` are given into addresses. Default: names are refused with ENOTSUP. */
  resolve?: (hostname: string) => string | Promise<string>;
}

export interface CloseOptions {
  /** Let connections finish by themselves, instead of resetting them now. */
  graceful?: boolean;
  /** Ends a graceful wait: what is still open is reset. */
  signal?: AbortSignal;
}

export interface Stack {
  readonly engine: Engine;
  /** For other flavours of sockets, such as `createNet`. */
  readonly host: SocketHost;
  /** Resolves after `close`; rejects when the link broke or the engine trapped. */
  readonly closed: Promise<void>;
  /**
   * A socket that is being connected, at once: its `opened` says how that went.
   * @param address `{ hostname, port }`, `"192.0.2.1:80"` or `"[2001:db8::1]:80"`
   * @throws SynwaveError EINVAL for an address nobody could connect to, ENOTSUP for a name without a `resolve` option
   */
  connect(address: SocketAddress | string, options?: SocketOptions): Socket;
  /** @throws SynwaveError EADDRINUSE, EADDRNOTAVAIL, EINVAL */
  listen(options: SocketListenOptions): SocketListener;
  /**
   * A UDP socket.
   * @throws SynwaveError EADDRINUSE, EADDRNOTAVAIL, EINVAL
   */
  bindUdp(options: DatagramOptions): DatagramSocket;
  /** Counters by their Linux SNMP and TcpExt names. */
  counters(): Record<string, number>;
  /**
   * Stop listening, end every connection (ECONNABORTED at this side, RST at the other), close UDP sockets and the link.
   * Idempotent.
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Make an engine and drive it from `link` until `close`. Its mtu, and what it leaves to the link, are the link's unless they
 * are given.
 */
export async function createStack(options: StackOptions): Promise<Stack> {
  const { link, clock = systemClock, resolve, ...engineOptions } = options;
  if (typeof link?.send !== "function")
    throw new SynwaveError("EINVAL", `link must be a Link, not ${String(link)}`);
  const mtu = engineOptions.mtu ?? Math.min(link.mtu, 65535);
  if (mtu > link.mtu)
    throw new SynwaveError("EINVAL", `mtu must be at most the link's ${link.mtu}, not ${mtu}`);
  const { checksum: sums = "full", gso: most = 0 } = link;
  const { checksum = sums, gso = most } = engineOptions;
  if (gso > most || (checksum === "none" && sums !== "none"))
    throw new SynwaveError(
      "EINVAL",
      `checksum ${checksum} and gso ${gso} are more than the link's ${sums} and ${most} do`,
    );
  const engine = await createEngine({ ...engineOptions, mtu, checksum, gso });
  const driver = new Driver(engine, link, clock, resolve);
  return {
    engine: driver.engine,
    host: driver,
    closed: driver.closed,
    connect: (address, socketOptions) => connectSocket(driver, address, socketOptions),
    listen: (listenOptions) => new SocketListener(driver, listenOptions),
    bindUdp: (udpOptions) => new DatagramSocket(driver, udpOptions),
    counters: () => driver.engine.counters(),
    close: (closeOptions) => driver.close(closeOptions),
  };
}

/**
 * Link ⇄ engine ⇄ clock. Whatever changes the engine (packets, a timer, a user's call) is followed by a full drain:
 * events go to their handlers and packets to the link until there are none left, then the one clock entry is set.
 */
class Driver implements SocketHost {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly closed: Promise<void>;
  readonly #link: Link;
  readonly #resolve: StackOptions["resolve"];
  /** Has the engine make packets and the link send them; returns how many. */
  readonly #pass: (now: number) => number;
  readonly #connections = new Set<ConnectionHandler>();
  readonly #listeners = new Set<ListenerHandler>();
  readonly #datagrams = new Set<DatagramHandler>();
  /** Those of them that wait for room to send, in the order of their turns. */
  readonly #crowded = new Set<DatagramHandler>();
  #entry: ClockEntry | undefined;
  #scheduled = false;
  #draining = false;
  /** Something changed while a drain was under way: it goes round once more. */
  #again = false;
  /** Within a turn whose time is measured; under any other clock than the system's none is. */
  #turnOpen = false;
  #turnStart = 0;
  /** The turn's budget is spent: the drain goes on in the next one. */
  #deferred = false;
  #closing: Promise<void> | undefined;
  #ended = false;
  /** The engine is closed or trapped and must not be touched. */
  #broken = false;
  #idle: (() => void) | undefined;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };

  constructor(engine: Engine, link: Link, clock: Clock, resolve: StackOptions["resolve"]) {
    this.engine = engine;
    this.clock = clock;
    this.#link = link;
    this.#resolve = resolve;
    this.#pass = passTo(link, engine);
    this.closed = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.closed.catch(() => {}); // whoever wants to know looks; nobody has to
    link.closed.then(
      () => this.#linkEnded(undefined),
      (error: unknown) => this.#linkEnded(error),
    );
    link.onReceive((batch) => this.#receive(batch));
  }

  connect(options: ConnectOptions, handler: ConnectionHandler): Connection {
    this.#checkOpen();
    const connection = this.engine.connect(options);
    this.adopt(connection, handler);
    return connection;
  }

  adopt(connection: Connection, handler: ConnectionHandler): void {
    connection.context = handler;
    this.#connections.add(handler);
    this.flush();
  }

  release(connection: Connection, handler: ConnectionHandler, how: "close" | "abort"): void {
    connection.context = undefined;
    this.#connections.delete(handler);
    if (this.#broken) return;
    connection[how]();
    this.flush();
  }

  listen(options: ListenOptions, handler: ListenerHandler): Listener {
    this.#checkOpen();
    const listener = this.engine.listen(options);
    listener.context = handler;
    this.#listeners.add(handler);
    return listener;
  }

  unlisten(listener: Listener, handler: ListenerHandler): void {
    if (!this.#listeners.delete(handler)) return;
    listener.context = undefined;
    if (this.#broken) return;
    listener.close();
    this.flush();
  }

  bindUdp(options: UdpOptions, handler: DatagramHandler): UdpSocket {
    this.#checkOpen();
    const socket = this.engine.bindUdp(options);
    socket.context = handler;
    this.#datagrams.add(handler);
    return socket;
  }

  unbindUdp(socket: UdpSocket, handler: DatagramHandler): void {
    if (!this.#datagrams.delete(handler)) return;
    this.#crowded.delete(handler);
    socket.context = undefined;
    if (!this.#broken) socket.close();
  }

  whenRoom(handler: DatagramHandler): void {
    this.#crowded.add(handler);
    this.flush();
  }

  flush(): void {
    if (this.#draining) this.#again = true;
    else if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.#flushNow);
    }
  }

  nextTurn(callback: () => void): void {
    nextTurn(callback);
  }

  resolve(hostname: string): string | Promise<string> {
    if (isAddress(hostname)) return hostname;
    if (this.#resolve !== undefined) return this.#resolve(hostname);
    throw new SynwaveError(
      "ENOTSUP",
      `hostname ${JSON.stringify(hostname)} is not an IP address, and the stack has no resolve option`,
    );
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  readonly #flushNow = (): void => {
    this.#scheduled = false;
    this.#drain();
  };

  readonly #wake = (): void => {
    this.#entry = undefined;
    if (this.#ended) return;
    try {
      this.engine.advance(this.clock.now());
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#drain();
  };

  readonly #endTurn = (): void => {
    this.#turnOpen = false;
    if (!this.#deferred) return;
    this.#deferred = false;
    this.#drain();
  };

  #receive(batch: PacketBatch): void {
    if (this.#ended) return;
    try {
      this.engine.receiveBatch(batch, this.clock.now());
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#drain();
  }

  #drain(): void {
    if (this.#draining) {
      this.#again = true; // a link that delivers inside `send`: the drain that sends will see to it
      return;
    }
    if (this.#ended || this.#deferred) return;
    let now = this.clock.now();
    if (!this.#turnOpen && this.clock === systemClock) {
      this.#turnOpen = true;
      this.#turnStart = now;
      nextTurn(this.#endTurn);
    }
    this.#draining = true;
    try {
      for (;;) {
        if (this.#turnOpen && now - this.#turnStart > TURN_BUDGET) {
          this.#deferred = true;
          break;
        }
        this.#again = false;
        const events = this.engine.poll();
        for (const event of events) {
          try {
            if (event.type === "accepted")
              (event.listener.context as ListenerHandler | undefined)?.onAccepted();
            else if (event.type === "datagram")
              (event.socket.context as DatagramHandler | undefined)?.onDatagram();
            else (event.connection.context as ConnectionHandler | undefined)?.onConnectionEvent(event.type);
          } catch (error) {
            rethrowLater(error);
          }
        }
        this.#transmit(now);
        this.#giveRoom();
        if ((events.length === 0 && !this.#again) || this.#ended) break;
        now = this.clock.now();
      }
    } catch (error) {
      this.#draining = false;
      this.#fail(error);
      return;
    }
    this.#draining = false;
    if (this.#ended) return;
    this.#arm();
    if (this.#idle !== undefined && this.#isIdle()) this.#idle();
  }

  #transmit(now: number): void {
    while (!this.#ended && this.#pass(now) > 0);
  }

  /** The queue of datagrams is empty: those that found it full go there, whatever more one socket has behind all others. */
  #giveRoom(): void {
    let empty = true;
    for (const handler of this.#crowded) {
      if (!handler.onRoom(empty)) return;
      empty = false;
      this.#again = true;
      this.#crowded.delete(handler);
      if (handler.waiting > 0) this.#crowded.add(handler); // which this loop comes to in its turn
    }
  }

  /** A later deadline leaves the entry as it is: it wakes early once, which is cheaper than to set it anew every time. */
  #arm(): void {
    const deadline = this.engine.nextDeadline();
    if (this.#entry !== undefined) {
      if (deadline !== undefined && this.#entry.when <= deadline) return;
      this.clock.cancel(this.#entry);
      this.#entry = undefined;
    }
    if (deadline !== undefined) this.#entry = this.clock.at(deadline, this.#wake);
  }

  #checkOpen(): void {
    if (this.#ended || this.#closing !== undefined)
      throw new SynwaveError("ERR_ENGINE_CLOSED", "the stack is closed");
  }

  async #close({ graceful = false, signal }: CloseOptions): Promise<void> {
    await undefined; // never in the middle of a drain that called whoever calls this
    if (!this.#ended) {
      for (const handler of [...this.#listeners]) guarded(() => handler.onStackEnd(undefined));
      if (graceful) await this.#untilIdle(signal);
      // Packets that come in answer to the resets are nobody's any more.
      this.#link.onReceive(undefined);
      this.#endDatagrams(undefined);
      this.#endConnections(new SynwaveError("ECONNABORTED", "the stack was closed"), true);
      if (!this.#ended) this.#transmit(this.clock.now());
    }
    await this.#stop();
    this.#settle.resolve();
  }

  /** Resolves when no connection has anything left to do but TIME-WAIT, or when `signal` says that it is enough. */
  #untilIdle(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#idle = undefined;
        signal?.removeEventListener("abort", done);
        resolve();
      };
      if (this.#ended || signal?.aborted) return done();
      this.#idle = done;
      signal?.addEventListener("abort", done);
      this.flush();
    });
  }

  #isIdle(): boolean {
    if (this.#connections.size > 0) return false;
    return this.engine
      .connections()
      .every(({ info }) => info.state === "TIME-WAIT" || info.state === "CLOSED");
  }

  #linkEnded(cause: unknown): void {
    if (this.#ended || this.#closing !== undefined) return;
    const why =
      cause === undefined ? "was closed" : `failed: ${cause instanceof Error ? cause.message : cause}`;
    this.#fail(new SynwaveError("ECONNABORTED", `the link ${why}`, { cause }));
  }

  /** The end that nobody asked for. */
  #fail(cause: unknown): void {
    if (this.#ended) return;
    const error =
      cause instanceof SynwaveError
        ? cause
        : new SynwaveError("ECONNABORTED", `the stack broke: ${String(cause)}`, { cause });
    this.#ended = true;
    this.#broken = true;
    this.#settle.reject(error);
    for (const handler of [...this.#listeners]) guarded(() => handler.onStackEnd(error));
    this.#endDatagrams(error);
    this.#endConnections(error, false);
    this.#idle?.();
    this.#stop().catch(() => {}); // `closed` tells of the first error already
  }

  #endConnections(error: SynwaveError, orderly: boolean): void {
    for (const handler of [...this.#connections]) guarded(() => handler.onStackEnd(error, orderly));
    this.#connections.clear();
  }

  #endDatagrams(error: SynwaveError | undefined): void {
    for (const handler of [...this.#datagrams]) guarded(() => handler.onStackEnd(error));
  }

  async #stop(): Promise<void> {
    this.#ended = true;
    this.#broken = true;
    this.#link.onReceive(undefined);
    if (this.#entry !== undefined) this.clock.cancel(this.#entry);
    this.#entry = undefined;
    this.engine.close();
    await this.#link.close();
  }
}

function passTo(link: Link, engine: Engine): (now: number) => number {
  if (link.borrows) {
    const send = (batch: PacketBatch): void => link.send(batch);
    return (now) => engine.transmitTo(send, now);
  }
  const batch = new PacketBatch(64, Math.max(128 * 1024, 4 * (engine.mtu + 8)));
  return (now) => {
    const count = engine.transmitBatch(batch, now);
    if (count > 0) link.send(batch);
    return count;
  };
}

/** A handler's fault is its owner's to hear of, and must not stop the drain that called it. */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    rethrowLater(error);
  }
}
