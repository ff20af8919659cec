import { SynwaveError } from "../errors.ts";
import type { Connection } from "../types.ts";
import type { ConnectionEventType, ConnectionHandler, SocketHost } from "./host.ts";

/** Octets in one chunk of `readable`, at most. */
const CHUNK = 64 * 1024;

/** Where text goes that nobody wants any more. Written only. */
let bin: Uint8Array | undefined;

export interface SocketInfo {
  remoteAddress: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
  /** Null: there is no TLS to negotiate it. */
  alpn: null;
}

export interface SessionOptions {
  /** Keep the writable open when the peer has ended. Default false. */
  allowHalfOpen?: boolean;
  /** Octets that `writable` queues ahead of the send buffer before `desiredSize` falls to 0. Default 64 KiB. */
  highWaterMark?: number;
}

interface Settlers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** A promise that may be rejected with nobody looking. */
function handled<T>(): Settlers<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  const what = typeof chunk === "object" ? (chunk?.constructor?.name ?? "null") : typeof chunk;
  throw new SynwaveError("EINVAL", `a chunk to be written must be a Uint8Array or other bytes, not ${what}`);
}

/** One connection as a pair of web streams: what a `Socket` shows of it. */
export class Session implements ConnectionHandler {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly #host: SocketHost;
  readonly #allowHalfOpen: boolean;
  readonly #opened = handled<SocketInfo>();
  readonly #closed = handled<void>();
  #connection: Connection | undefined;
  #established = false;
  /** `closed` is settled. */
  #finished = false;
  /** Both directions are over as far as the engine is concerned; text may still wait for its reader. */
  #over = false;

  #reading!: ReadableByteStreamController;
  /** A consumer waits for text: it is taken from the engine only then, so that the window closes on a slow one. */
  #wanted = false;
  #discarding = false;
  #readDone = false;

  #writing!: WritableStreamDefaultController;
  #chunk: Uint8Array | undefined;
  #chunkTaken!: () => void;
  #chunkRefused!: (error: unknown) => void;
  /** Chunks given to `writable` that the send buffer has not got yet. */
  #queued = 0;
  #endWhenDrained = false;
  #writeDone = false;

  constructor(host: SocketHost, { allowHalfOpen = false, highWaterMark = CHUNK }: SessionOptions) {
    if (typeof highWaterMark !== "number" || !(highWaterMark >= 0))
      throw new SynwaveError("EINVAL", `highWaterMark must be a number of octets, not ${highWaterMark}`);
    this.#host = host;
    this.#allowHalfOpen = Boolean(allowHalfOpen);
    this.readable = new ReadableStream(
      {
        type: "bytes",
        start: (controller) => {
          this.#reading = controller;
        },
        pull: () => {
          this.#wanted = true;
          this.#fill();
        },
        cancel: () => {
          this.#discarding = true;
          this.#discard();
        },
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#writing = controller;
          // The signal, not the `abort` method: that one would wait for a chunk that a closed window holds up.
          controller.signal.addEventListener("abort", () => this.#writeAborted(controller.signal.reason));
          return this.#opened.promise;
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#endWriting(),
      },
      {
        highWaterMark,
        size: (chunk) => {
          this.#queued++;
          return chunk?.byteLength ?? 1;
        },
      },
    );
  }

  get opened(): Promise<SocketInfo> {
    return this.#opened.promise;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** The connection that is being opened; its events come here. */
  begin(connection: Connection): void {
    this.#connection = connection;
  }

  /** A connection that is open already. */
  accept(connection: Connection): void {
    this.#connection = connection;
    this.#host.adopt(connection, this);
    this.#establish();
  }

  onConnectionEvent(type: ConnectionEventType): void {
    switch (type) {
      case "established":
        this.#establish();
        break;
      case "readable":
        this.#textArrived();
        break;
      case "writable":
        this.#writeOn();
        break;
      case "closed":
        this.#over = true;
        if (!this.#established)
          this.fail(new SynwaveError("ECONNABORTED", "closed before it was established"));
        else this.#textArrived();
        this.#settle();
        break;
      case "reset":
      case "timedOut":
        this.#broke(
          this.#connection?.error ?? new SynwaveError("ECONNRESET", "the peer reset the connection"),
        );
        break;
    }
  }

  onStackEnd(error: SynwaveError): void {
    this.fail(error);
  }

  /** End everything now with `error`: RST to the peer, unless there is nothing left to reset. */
  fail(error: unknown): void {
    this.#finish(error);
    this.#endReading(error);
    this.#release("abort");
  }

  /** CLOSE: what the send buffer has still goes out; streams end now. */
  close(reason: unknown): void {
    if (this.#finished) {
      this.#endReading(undefined); // text that was kept for its reader after a reset
      this.#release("close");
      return;
    }
    const ended = reason ?? new SynwaveError("ECONNABORTED", "the socket was closed");
    this.#finished = true;
    this.#closed.resolve();
    this.#opened.reject(ended);
    this.#failWriting(ended);
    this.#endReading(undefined);
    this.#release(this.#established ? "close" : "abort");
  }

  #establish(): void {
    const connection = this.#connection;
    if (this.#established || connection === undefined) return;
    this.#established = true;
    const { remoteAddress, remotePort, localAddress, localPort } = connection;
    this.#opened.resolve({ remoteAddress, remotePort, localAddress, localPort, alpn: null });
    this.#textArrived();
  }

  /** The peer or the network ended it. Text that came before is still its reader's. */
  #broke(error: unknown): void {
    this.#finish(error);
    if (!this.#readDone && !this.#discarding && (this.#connection?.readable ?? 0) > 0) {
      if (this.#wanted) this.#fill();
    } else {
      this.#endReading(error);
      this.#release("abort");
    }
  }

  #finish(error: unknown): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#opened.reject(error);
    this.#closed.reject(error);
    this.#failWriting(error);
  }

  #settle(): void {
    if (!this.#over || !this.#readDone || this.#finished) return;
    this.#finished = true;
    this.#closed.resolve();
    this.#failWriting(new SynwaveError("EPIPE", "the connection is closed"));
    this.#release("close");
  }

  #release(how: "close" | "abort"): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) this.#host.release(connection, this, how);
  }

  #textArrived(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#readDone) return;
    if (this.#discarding) this.#discard();
    else if (this.#wanted || connection.readable === 0) this.#fill(); // no text: the end may be known, reader or not
  }

  /** Take what is there for the waiting consumer, straight into its buffer when it brought one. */
  #fill(): void {
    const connection = this.#connection;
    if (connection === undefined || !this.#established || this.#readDone) return;
    const view = this.#wanted ? this.#reading.byobRequest?.view : undefined;
    const ready = connection.readable;
    const chunk =
      (view as Uint8Array | null | undefined) ?? new Uint8Array(Math.max(1, Math.min(ready, CHUNK)));
    let taken: number;
    try {
      taken = connection.read(chunk);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (taken < 0) this.#peerEnded();
    else if (taken > 0) {
      this.#wanted = false; // first: what follows may ask for more at once
      this.#host.flush();
      if (view) this.#reading.byobRequest!.respond(taken);
      else
        this.#reading.enqueue(
          (taken === chunk.length ? chunk : chunk.slice(0, taken)) as Uint8Array<ArrayBuffer>,
        );
    }
  }

  /** Nobody reads any more, but the peer may write: its text is acknowledged and forgotten until it ends. */
  #discard(): void {
    const connection = this.#connection;
    if (connection === undefined || !this.#established || this.#readDone) return;
    bin ??= new Uint8Array(CHUNK);
    try {
      let taken: number;
      do taken = connection.read(bin);
      while (taken > 0);
      this.#host.flush();
      if (taken < 0) this.#peerEnded();
    } catch (error) {
      this.fail(error);
    }
  }

  #peerEnded(): void {
    this.#endReading(undefined);
    // A turn later: whoever answers what it has just read may do so first.
    if (!this.#allowHalfOpen) this.#host.nextTurn(() => this.#endAfterPeer());
    this.#settle();
  }

  #endReading(error: unknown): void {
    if (this.#readDone) return;
    this.#readDone = true;
    if (this.#discarding) return;
    if (error !== undefined) {
      this.#reading.error(error);
      return;
    }
    this.#reading.close();
    this.#reading.byobRequest?.respond(0);
  }

  #endAfterPeer(): void {
    if (this.#writeDone || this.#finished) return;
    if (!this.writable.locked) this.writable.close().catch(() => {});
    else if (this.#queued > 0) this.#endWhenDrained = true;
    else this.#endWriting();
  }

  #write(chunk: unknown): void | Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || this.#writeDone)
      throw new SynwaveError("EPIPE", "the connection was ended because the peer ended it");
    try {
      const bytes = bytesOf(chunk);
      const taken = connection.write(bytes);
      this.#host.flush();
      if (taken < bytes.length) {
        this.#chunk = bytes.subarray(taken);
        return new Promise((resolve, reject) => {
          this.#chunkTaken = resolve;
          this.#chunkRefused = reject;
        });
      }
    } catch (error) {
      this.fail(error);
      throw error;
    }
    this.#chunkDone();
  }

  #writeOn(): void {
    const chunk = this.#chunk;
    if (chunk === undefined || this.#connection === undefined) return;
    let taken: number;
    try {
      taken = this.#connection.write(chunk);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#host.flush();
    if (taken < chunk.length) {
      if (taken > 0) this.#chunk = chunk.subarray(taken);
      return;
    }
    this.#chunk = undefined;
    this.#chunkDone();
    this.#chunkTaken();
  }

  #chunkDone(): void {
    this.#queued--;
    if (this.#queued > 0 || !this.#endWhenDrained) return;
    this.#endWhenDrained = false;
    this.#host.nextTurn(() => this.#endAfterPeer());
  }

  /** FIN after what is queued. */
  #endWriting(): void {
    if (this.#writeDone) return;
    this.#writeDone = true;
    try {
      this.#connection?.shutdown();
    } catch (error) {
      this.fail(error);
      throw error;
    }
    this.#host.flush();
    this.#settle();
  }

  /** Given up half-way: a FIN would tell the peer that it has everything, so it gets a RST. */
  #writeAborted(reason: unknown): void {
    if (this.#finished) return;
    this.fail(new SynwaveError("ECONNABORTED", "the writable was aborted", { cause: reason }));
  }

  #failWriting(error: unknown): void {
    this.#writeDone = true;
    // An abort errors the stream by itself; Node 20 trips over its own feet when told to in the midst of it.
    if (!this.#writing.signal.aborted) this.#writing.error(error);
    if (this.#chunk === undefined) return;
    this.#chunk = undefined;
    this.#chunkRefused(error);
  }
}
