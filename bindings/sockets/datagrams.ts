import { SynwaveError } from "../errors.ts";
import type { Datagram, SendOptions, UdpOptions, UdpSocket } from "../types.ts";
import { checkPort, parseSocketAddress, type SocketAddress } from "./address.ts";
import { Arrivals } from "./arrivals.ts";
import type { DatagramHandler, SocketHost } from "./host.ts";

/** Sends of one socket that may be under way: whoever awaits none of them is told, before they fill the heap. */
const SENDS_MAX = 1024;

export interface DatagramOptions extends UdpOptions {
  /** Ends the socket: a pending `next`, `receive` or `send` rejects with ABORT_ERR. */
  signal?: AbortSignal;
}

/** Where a datagram goes. */
export type DatagramTarget = {
  port: number;
  /** Default: the address the socket is bound to, else the first of the remote address's family. */
  localAddress?: string;
} & (
  | { /** An IPv4 or IPv6 address. */ address: string; hostname?: undefined }
  | {
      /** The same; or a name, where the stack has a `resolve` option. */ hostname: string;
      address?: undefined;
    }
);

interface Send {
  bytes: Uint8Array;
  options: SendOptions;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Iterates over the datagrams that arrive, each once. They wait in the engine, which drops what comes when too many do,
 * until they are asked for. Leaving the loop closes the socket.
 */
export class DatagramSocket implements AsyncIterableIterator<Datagram, undefined> {
  /** Resolves after `close`; rejects with what broke it. */
  readonly closed: Promise<void>;
  readonly port: number;
  readonly address: string | undefined;
  readonly #host: SocketHost;
  readonly #socket: UdpSocket;
  readonly #handler: DatagramHandler;
  readonly #arrivals: Arrivals<Datagram>;
  /** Sends that found the engine's queue full, or others before them. */
  #waiting: Send[] = [];
  #sends = 0;

  /** @internal UDP sockets come from `stack.bindUdp`. */
  constructor(host: SocketHost, options: DatagramOptions) {
    const { port, address, signal } = options ?? {};
    const waiting = () => this.#waiting.length;
    this.#host = host;
    this.#handler = {
      get waiting() {
        return waiting();
      },
      onDatagram: () => this.#arrivals.wake(),
      onRoom: (empty) => this.#sendWaiting(empty),
      onStackEnd: (error) => this.#arrivals.end(error),
    };
    this.#socket = host.bindUdp(
      { port: checkPort(port, 0), ...(address === undefined ? {} : { address }) },
      this.#handler,
    );
    this.port = this.#socket.port;
    this.address = this.#socket.address;
    this.#arrivals = new Arrivals(
      () => this.#socket.receive(),
      (error) => this.#release(error),
      signal,
    );
    this.closed = this.#arrivals.closed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next datagram; `done` after `close`. Rejects once with what broke the socket. */
  next(): Promise<IteratorResult<Datagram, undefined>> {
    return this.#arrivals.next();
  }

  return(): Promise<IteratorResult<Datagram, undefined>> {
    return this.#arrivals.return();
  }

  /** The next datagram; undefined after `close`. Rejects once with what broke the socket. */
  async receive(): Promise<Datagram | undefined> {
    return (await this.next()).value;
  }

  /**
   * Send one datagram. Where the engine's queue is full it waits for room, in order; until the promise settles `bytes`
   * must stay as they are. A datagram that was sent may still be lost on its way.
   *
   * Rejects with ENOBUFS when 1024 sends of this socket are under way already or memory has ended, EMSGSIZE for more
   * than any packet carries, EINVAL or EADDRNOTAVAIL for an address there is none to send to, or from, ENOTSUP for a
   * name without a `resolve` option, EBADF after `close`.
   */
  async send(bytes: Uint8Array, target: DatagramTarget): Promise<void> {
    if (this.#sends === SENDS_MAX)
      throw new SynwaveError("ENOBUFS", `${SENDS_MAX} sends from port ${this.port} are under way already`);
    this.#sends++;
    try {
      const { port, localAddress } = target;
      const address =
        target.address ?? (await this.#host.resolve(parseSocketAddress(target as SocketAddress).hostname));
      const options = { address, port, ...(localAddress === undefined ? {} : { localAddress }) };
      if (this.#waiting.length > 0 || !this.#hasSent(bytes, options))
        await new Promise<void>((resolve, reject) => {
          this.#waiting.push({ bytes, options, resolve, reject });
          this.#host.whenRoom(this.#handler);
        });
    } finally {
      this.#sends--;
    }
  }

  /** Datagrams not yet asked for are lost, and so are sends that wait for room. Idempotent. */
  close(): void {
    this.#arrivals.end(undefined);
  }

  /** False when there is no room for it. */
  #hasSent(bytes: Uint8Array, options: SendOptions): boolean {
    try {
      this.#socket.send(bytes, options);
    } catch (error) {
      if (error instanceof SynwaveError && error.code === "ENOBUFS") return false;
      throw error;
    }
    this.#host.flush();
    return true;
  }

  #sendWaiting(empty: boolean): boolean {
    const { bytes, options, resolve, reject } = this.#waiting[0]!;
    try {
      if (empty) this.#socket.send(bytes, options);
      else if (!this.#hasSent(bytes, options)) return false;
      resolve();
    } catch (error) {
      reject(error);
    }
    this.#waiting.shift();
    return true;
  }

  #release(error: SynwaveError | undefined): void {
    this.#host.unbindUdp(this.#socket, this.#handler);
    for (const { reject } of this.#waiting.splice(0))
      reject(error ?? new SynwaveError("EBADF", `the UDP socket on port ${this.port} is closed`));
  }
}
