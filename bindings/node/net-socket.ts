import { Duplex } from "node:stream";
import type { ClockEntry } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import { onAbort } from "../sockets/abort.ts";
import { checkPort } from "../sockets/address.ts";
import type { ConnectionEventType, ConnectionHandler, SocketHost } from "../sockets/host.ts";
import type { Connection } from "../types.ts";
import { type ConnectOptions, connectArguments, type SocketConstructorOptions } from "./net-arguments.ts";
import { type AddressInfo, asSystemError, familyOf } from "./net-shapes.ts";

/** Octets in one chunk of data, at most. */
const CHUNK = 64 * 1024;

/** What the server that accepted a socket wants to know of it. */
export interface Acceptor {
  connectionClosed(): void;
}

/** `net.Socket` over a stack. */
export class StackSocket extends Duplex {
  /** Between `connect()` and 'connect'. */
  connecting = false;
  /** The idle time of `setTimeout`, in milliseconds; undefined before it was called. */
  timeout: number | undefined;
  /** The server that accepted it. */
  server: unknown = null;

  readonly #host: SocketHost;
  #connection: Connection | undefined;
  #acceptor: Acceptor | undefined;
  #remote: { address: string; port: number } | undefined;
  #local: { address: string; port: number } | undefined;
  readonly #handler: ConnectionHandler = {
    onConnectionEvent: (type) => this.#event(type),
    onStackEnd: (error, orderly) => {
      this.#resetting = true;
      this.destroy(orderly ? undefined : error);
    },
  };

  /** The stream asked for data and has not got it. */
  #wanted = false;
  #ended = false;
  #bytesRead = 0;

  /** What `_write` was given last, and how far it is. */
  #chunks: Buffer[] = [];
  #chunkIndex = 0;
  #chunkOffset = 0;
  #inFlight = 0;
  #written: ((error?: Error | null) => void) | undefined;
  #bytesGiven = 0;

  #resetting = false;
  #noDelay: boolean | undefined;
  #keepAlive: readonly [enable: boolean, seconds: number] | undefined;
  #idleEntry: ClockEntry | undefined;
  #lastActivity = 0;
  #stopSignal: (() => void) | undefined;

  constructor(
    host: SocketHost,
    options: SocketConstructorOptions = {},
    accepted?: { connection: Connection; acceptor: Acceptor; pause: boolean },
  ) {
    super({
      allowHalfOpen: Boolean(options.allowHalfOpen),
      emitClose: false, // 'close' here says whether there was an error
      ...(options.readableHighWaterMark === undefined
        ? {}
        : { readableHighWaterMark: options.readableHighWaterMark }),
      ...(options.writableHighWaterMark === undefined
        ? {}
        : { writableHighWaterMark: options.writableHighWaterMark }),
    });
    this.#host = host;
    this.on("end", () => {
      if (!this.allowHalfOpen) this.write = writeAfterEnd;
    });
    if (accepted !== undefined) {
      this.#acceptor = accepted.acceptor;
      this.#connection = accepted.connection;
      this.#noteAddresses(accepted.connection);
      host.adopt(accepted.connection, this.#handler);
      if (accepted.pause) this.pause();
      else this.read(0);
    }
    this.#stopSignal = onAbort(options.signal, (error) => this.destroy(error));
  }

  connect(options: ConnectOptions, connected?: () => void): this;
  connect(port: number | string, host?: string, connected?: () => void): this;
  connect(port: number | string, connected?: () => void): this;
  connect(...args: unknown[]): this {
    const { options, connected } = connectArguments(args);
    if (this.connecting || this.#connection !== undefined)
      throw new SynwaveError(
        "EISCONN",
        `the socket is connected to ${this.#remote?.address ?? options.host} already`,
      );
    if (this.destroyed) throw new SynwaveError("EBADF", "the socket is destroyed; connect a new one");
    const port = checkPort(options.port);
    const hostname = options.host || "localhost";
    if (typeof hostname !== "string")
      throw new SynwaveError("EINVAL", `host must be a string, not ${typeof hostname}`);
    const localPort = options.localPort === undefined ? undefined : checkPort(options.localPort);
    if (options.noDelay !== undefined) this.setNoDelay(options.noDelay);
    if (options.keepAlive !== undefined) this.setKeepAlive(options.keepAlive, options.keepAliveInitialDelay);
    if (connected !== undefined) this.once("connect", connected);
    this.connecting = true;
    this.#touch();
    const open = (remoteAddress: string): void => {
      if (!this.connecting) return;
      this.#remote = { address: remoteAddress, port };
      try {
        this.#connection = this.#host.connect(
          {
            remoteAddress,
            remotePort: port,
            ...(localPort === undefined ? {} : { localPort }),
            ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
          },
          this.#handler,
        );
        if (this.#noDelay !== undefined) this.#connection.setOption("noDelay", this.#noDelay);
        this.#applyKeepAlive(this.#connection);
      } catch (error) {
        this.destroy(asSystemError(error, "connect", remoteAddress, port));
      }
    };
    // Never at once: whoever calls has still to listen for 'error'.
    Promise.resolve()
      .then(() => this.#host.resolve(hostname))
      .then(open)
      .catch((error: unknown) => this.destroy(asSystemError(error, "getaddrinfo", hostname, port)));
    return this;
  }

  /** No connection yet, or no more. */
  get pending(): boolean {
    return this.#connection === undefined || this.connecting;
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Octets given to `write`, sent or still waiting. */
  get bytesWritten(): number {
    return this.#bytesGiven + Math.max(0, this.writableLength - this.#inFlight);
  }

  get remoteAddress(): string | undefined {
    return this.connecting ? undefined : this.#remote?.address;
  }

  get remotePort(): number | undefined {
    return this.connecting ? undefined : this.#remote?.port;
  }

  get remoteFamily(): "IPv4" | "IPv6" | undefined {
    const address = this.remoteAddress;
    return address === undefined ? undefined : familyOf(address);
  }

  get localAddress(): string | undefined {
    return this.#local?.address;
  }

  get localPort(): number | undefined {
    return this.#local?.port;
  }

  get localFamily(): "IPv4" | "IPv6" | undefined {
    return this.#local === undefined ? undefined : familyOf(this.#local.address);
  }

  /** The local end; empty while there is none. */
  address(): AddressInfo | Record<string, never> {
    if (this.#local === undefined) return {};
    const { address, port } = this.#local;
    return { address, family: familyOf(address), port };
  }

  /** Emit 'timeout' after `milliseconds` without data in or out; 0 turns it off. The connection stays. */
  setTimeout(milliseconds: number, timedOut?: () => void): this {
    if (typeof milliseconds !== "number" || !(milliseconds >= 0) || milliseconds === Number.POSITIVE_INFINITY)
      throw new SynwaveError("EINVAL", `a timeout must be a number of milliseconds, not ${milliseconds}`);
    if (this.destroyed) return this;
    this.timeout = milliseconds;
    this.#stopIdle();
    if (milliseconds > 0) {
      this.#touch();
      if (timedOut !== undefined) this.once("timeout", timedOut);
    } else if (timedOut !== undefined) this.removeListener("timeout", timedOut);
    return this;
  }

  setNoDelay(noDelay = true): this {
    this.#noDelay = Boolean(noDelay);
    if (this.#connection !== undefined) {
      this.#connection.setOption("noDelay", this.#noDelay);
      this.#host.flush();
    }
    return this;
  }

  /** Probes after `initialDelay` ms of silence, whole seconds of it; 0 leaves the time as it is. */
  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#keepAlive = [Boolean(enable), Math.floor(initialDelay / 1000)];
    if (this.#connection !== undefined) {
      this.#applyKeepAlive(this.#connection);
      this.#host.flush();
    }
    return this;
  }

  #applyKeepAlive(connection: Connection): void {
    if (this.#keepAlive === undefined) return;
    const [enable, seconds] = this.#keepAlive;
    if (seconds > 0) connection.setOption("keepAliveIdle", Math.min(seconds, 32767));
    connection.setOption("keepAlive", enable);
  }

  /** What keeps the process alive is the stack's link, not one socket. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** End, then destroy once all is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  }

  /** RST instead of FIN, then destroy. */
  resetAndDestroy(): this {
    if (this.connecting) this.once("connect", () => this.#reset());
    else if (this.#connection !== undefined) this.#reset();
    else this.destroy(new SynwaveError("ENOTCONN", "the socket is not connected"));
    return this;
  }

  override _read(): void {
    this.#wanted = true;
    if (this.connecting || this.#connection === undefined) return;
    this.#fill();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    this.#chunks.push(chunk);
    this.#startWrite(chunk.length, written);
  }

  override _writev(chunks: { chunk: Buffer }[], written: (error?: Error | null) => void): void {
    let total = 0;
    for (const { chunk } of chunks) total += chunk.length;
    // Many small pieces cross into the engine together.
    if (total <= CHUNK)
      this.#chunks.push(
        Buffer.concat(
          chunks.map(({ chunk }) => chunk),
          total,
        ),
      );
    else for (const { chunk } of chunks) this.#chunks.push(chunk);
    this.#startWrite(total, written);
  }

  override _final(finished: (error?: Error | null) => void): void {
    if (this.connecting) {
      this.once("connect", () => this._final(finished));
      return;
    }
    try {
      this.#connection?.shutdown();
      this.#host.flush();
    } catch (error) {
      finished(asSystemError(error, "shutdown"));
      return;
    }
    finished();
  }

  override _destroy(error: Error | null, destroyed: (error?: Error | null) => void): void {
    const hadError = Boolean(error);
    const opened = !this.connecting;
    this.connecting = false;
    this.#stopSignal?.();
    this.#stopIdle();
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined)
      this.#host.release(connection, this.#handler, opened && !this.#resetting ? "close" : "abort");
    const written = this.#written;
    this.#written = undefined;
    this.#chunks = [];
    written?.(error ?? new SynwaveError("ECONNABORTED", "the socket was closed before the write was done"));
    destroyed(error);
    this.#acceptor?.connectionClosed();
    // A turn later, as node:net: after 'error' and whatever the ends of both directions still bring.
    this.#host.nextTurn(() => this.emit("close", hadError));
  }

  #event(type: ConnectionEventType): void {
    switch (type) {
      case "established":
        this.#established();
        break;
      case "readable":
        if (this.#wanted) this.#fill();
        break;
      case "writable":
        this.#writeOn();
        break;
      case "closed":
        if (this.connecting)
          this.#failed(new SynwaveError("ECONNABORTED", "closed before it was established"));
        else if (this.#wanted) this.#fill();
        break;
      case "reset":
      case "timedOut":
        this.#failed(
          this.#connection?.error ?? new SynwaveError("ECONNRESET", "the peer reset the connection"),
        );
        break;
    }
  }

  #established(): void {
    if (!this.connecting || this.#connection === undefined) return;
    this.connecting = false;
    this.#noteAddresses(this.#connection);
    this.#touch();
    this.emit("connect");
    this.emit("ready");
    this.#writeOn();
    if (!this.isPaused()) this.read(0);
    if (this.#wanted) this.#fill();
  }

  /** The peer or the network ended it. Data that came before is read first. */
  #failed(error: Error): void {
    if (this.connecting)
      this.destroy(asSystemError(error, "connect", this.#remote?.address, this.#remote?.port));
    else if ((this.#connection?.readable ?? 0) === 0) this.destroy(asSystemError(error, "read"));
    else if (this.#wanted) this.#fill();
  }

  #noteAddresses({ remoteAddress, remotePort, localAddress, localPort }: Connection): void {
    this.#remote = { address: remoteAddress, port: remotePort };
    this.#local = { address: localAddress, port: localPort };
  }

  #fill(): void {
    while (this.#wanted && !this.#ended) {
      const connection = this.#connection;
      if (connection === undefined) return;
      const chunk = Buffer.allocUnsafe(Math.max(1, Math.min(connection.readable, CHUNK)));
      let taken: number;
      try {
        taken = connection.read(chunk);
      } catch (error) {
        this.destroy(asSystemError(error, "read"));
        return;
      }
      if (taken === 0) return;
      this.#touch();
      this.#host.flush();
      this.#wanted = false; // pushing may ask for more at once
      if (taken < 0) {
        this.#ended = true;
        this.push(null);
        this.read(0); // 'end' comes even when nobody reads, if there is nothing to be read
        return;
      }
      this.#bytesRead += taken;
      if (this.push(taken === chunk.length ? chunk : chunk.subarray(0, taken))) this.#wanted = true;
    }
  }

  #startWrite(octets: number, written: (error?: Error | null) => void): void {
    this.#chunkIndex = 0;
    this.#chunkOffset = 0;
    this.#inFlight = octets;
    this.#bytesGiven += octets;
    this.#written = written;
    if (this.connecting) return;
    if (this.#connection === undefined)
      this.#writeDone(new SynwaveError("ENOTCONN", "the socket is not connected"));
    else this.#writeOn();
  }

  #writeOn(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#written === undefined || this.connecting) return;
    try {
      while (this.#chunkIndex < this.#chunks.length) {
        const chunk = this.#chunks[this.#chunkIndex]!;
        const rest = this.#chunkOffset === 0 ? chunk : chunk.subarray(this.#chunkOffset);
        const taken = connection.write(rest);
        if (taken > 0) this.#touch();
        if (taken < rest.length) {
          this.#chunkOffset += taken;
          this.#host.flush();
          return;
        }
        this.#chunkIndex++;
        this.#chunkOffset = 0;
      }
    } catch (error) {
      this.#writeDone(asSystemError(error, "write"));
      return;
    }
    this.#host.flush();
    this.#writeDone();
  }

  #writeDone(error?: Error): void {
    const written = this.#written;
    this.#written = undefined;
    this.#chunks.length = 0;
    this.#inFlight = 0;
    written?.(error);
  }

  #reset(): void {
    this.#resetting = true;
    this.destroy();
  }

  /** Data went in or out. The entry stays where it is, and asks for the rest of the time when it fires. */
  #touch(): void {
    if (!this.timeout) return;
    this.#lastActivity = this.#host.clock.now();
    this.#idleEntry ??= this.#host.clock.at(this.#lastActivity + this.timeout, this.#idleWake);
  }

  readonly #idleWake = (): void => {
    this.#idleEntry = undefined;
    if (!this.timeout) return;
    const due = this.#lastActivity + this.timeout;
    if (this.#host.clock.now() >= due) this.emit("timeout");
    else this.#idleEntry = this.#host.clock.at(due, this.#idleWake);
  };

  #stopIdle(): void {
    if (this.#idleEntry !== undefined) this.#host.clock.cancel(this.#idleEntry);
    this.#idleEntry = undefined;
  }
}

/** Stands in for `write` once the peer has ended and half-open is not allowed. */
function writeAfterEnd(this: StackSocket, ...args: unknown[]): boolean {
  const error = new SynwaveError("EPIPE", "the peer has ended the connection");
  const written = args.find((argument) => typeof argument === "function") as
    | ((error: Error) => void)
    | undefined;
  if (written !== undefined) process.nextTick(written, error);
  this.destroy(error);
  return false;
}
