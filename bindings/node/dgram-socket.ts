import { EventEmitter } from "node:events";
import { isIPv6 } from "node:net";
import { formatAddress, parseAddress } from "../address.ts";
import { SynwaveError, show } from "../errors.ts";
import { onAbort } from "../sockets/abort.ts";
import { checkPort, isAddress } from "../sockets/address.ts";
import type { DatagramSocket } from "../sockets/datagrams.ts";
import type { Stack } from "../stack.ts";
import type { Datagram } from "../types.ts";
import {
  type BindOptions,
  bindArguments,
  type DgramOptions,
  type Message,
  type Sent,
  sendArguments,
} from "./dgram-arguments.ts";
import { type AddressInfo, asSystemError, familyOf } from "./net-shapes.ts";

/** Messages in a row before timers and I/O get their turn, as many as libuv takes. */
const MESSAGES_IN_A_ROW = 32;

/** Whom a message is from. */
export interface RemoteInfo extends AddressInfo {
  size: number;
}

export interface DgramEvents {
  message: [message: Buffer, from: RemoteInfo];
  listening: [];
  connect: [];
  close: [];
  error: [error: Error];
}

/**
 * `dgram.Socket` over a stack. An error of `send` goes to its callback, or nowhere, but for a name that cannot be
 * resolved; no ICMP error is told, not even to a connected socket.
 */
export class StackDgram extends EventEmitter<DgramEvents> {
  readonly #stack: Stack;
  readonly #six: boolean;
  readonly #ipv6Only: boolean;
  #socket: DatagramSocket | undefined;
  /** The name that is to be bound to becomes an address. */
  #binding: Promise<void> | undefined;
  #connecting = false;
  /** The peer of a connected socket; its address as the engine writes it. */
  #peer: { address: string; port: number } | undefined;
  #closed = false;
  #stopSignal: (() => void) | undefined;

  constructor(stack: Stack, options: DgramOptions, message?: (...args: DgramEvents["message"]) => void) {
    super();
    const { type, ipv6Only = false, signal } = options;
    if (type !== "udp4" && type !== "udp6")
      throw new SynwaveError("EINVAL", `type must be "udp4" or "udp6", not ${show(type)}`);
    this.#stack = stack;
    this.#six = type === "udp6";
    this.#ipv6Only = Boolean(ipv6Only);
    if (message !== undefined) this.on("message", message);
    this.#stopSignal = onAbort(signal, () => {
      if (!this.#closed) this.close();
    });
  }

  /** 'listening' follows, or 'error': EADDRINUSE, EADDRNOTAVAIL … */
  bind(port?: number, address?: string, listening?: () => void): this;
  bind(port?: number, listening?: () => void): this;
  bind(listening?: () => void): this;
  bind(options: BindOptions, listening?: () => void): this;
  bind(...args: unknown[]): this {
    const { options, listening } = bindArguments(args);
    this.#check();
    if (this.#socket !== undefined || this.#binding !== undefined)
      throw new SynwaveError("EINVAL", "the socket is bound already");
    const port = checkPort(options.port ?? 0, 0);
    if (listening !== undefined) {
      const done = (): void => {
        this.off("error", done).off("listening", run);
      };
      const run = (): void => {
        done();
        listening.call(this);
      };
      this.on("error", done).on("listening", run);
    }
    const every = this.#six ? "::" : "0.0.0.0";
    const host = options.address || every;
    const failed = (error: unknown): void =>
      this.#tell(asSystemError(error, "bind", host, port || undefined));
    const bind = (address: string): void => {
      if (this.#closed) return;
      this.#checkFamily(address);
      const socket = this.#stack.bindUdp({ port, ...(address === every ? {} : { address }) });
      this.#socket = socket;
      process.nextTick(() => {
        if (this.#closed) return;
        void this.#pump(socket); // whose first message comes after 'listening'
        this.emit("listening");
      });
    };
    if (isAddress(host))
      try {
        bind(host);
      } catch (error) {
        failed(error);
      }
    else
      this.#binding = Promise.resolve()
        .then(() => this.#stack.host.resolve(host))
        .then(bind)
        .catch(failed)
        .finally(() => {
          this.#binding = undefined;
        });
    return this;
  }

  /** Binds the socket if nothing has. `sent` is called when the datagram is on its way; until then `message` must stay. */
  send(message: Message, port: number, address?: string, sent?: Sent): void;
  send(message: Message, port: number, sent?: Sent): void;
  send(message: Message, offset: number, length: number, port: number, address?: string, sent?: Sent): void;
  send(message: Message, offset: number, length: number, port: number, sent?: Sent): void;
  send(message: Message, offset: number, length: number, sent?: Sent): void;
  send(message: Message, sent?: Sent): void;
  send(...args: unknown[]): void {
    const peer = this.#peer;
    const { bytes, sent, ...to } = sendArguments(args, peer !== undefined);
    this.#check();
    if (peer !== undefined && (to.port || to.address))
      throw new SynwaveError("EISCONN", `the socket is connected to ${peer.address} port ${peer.port}`);
    const port = peer?.port ?? checkPort(to.port);
    const host = peer === undefined ? this.#hostOf(to.address) : this.#shown(peer.address);
    this.#bindIfNot();
    this.#send(bytes, host, port).then(
      () => {
        if (sent !== undefined) process.nextTick(sent, null, bytes.length);
      },
      (error: unknown) => {
        const told = asSystemError(error, isAddress(host) ? "send" : "getaddrinfo", host, port);
        if (sent !== undefined) process.nextTick(sent, told);
        else if (!isAddress(host)) this.#tell(told);
      },
    );
  }

  /** Send to one peer and hear it alone. 'connect' follows, or 'error'. */
  connect(port: number, address?: string, connected?: () => void): void;
  connect(port: number, connected?: () => void): void;
  connect(port: number, address?: string | (() => void), connected?: () => void): void {
    const remotePort = checkPort(port);
    const host = this.#hostOf(typeof address === "function" ? undefined : address);
    const listener = typeof address === "function" ? address : connected;
    this.#check();
    if (this.#connecting || this.#peer !== undefined)
      throw new SynwaveError("EISCONN", "the socket is connected already");
    this.#connecting = true;
    this.#bindIfNot();
    void this.#connect(host, remotePort, listener);
  }

  disconnect(): void {
    this.remoteAddress(); // which throws if there is none
    this.#peer = undefined;
  }

  /** @throws SynwaveError ENOTCONN before 'connect' */
  remoteAddress(): AddressInfo {
    this.#check();
    if (this.#peer === undefined) throw new SynwaveError("ENOTCONN", "the socket is not connected");
    const address = this.#shown(this.#peer.address);
    return { address, family: familyOf(address), port: this.#peer.port };
  }

  /** @throws SynwaveError EBADF before it is bound */
  address(): AddressInfo {
    this.#check();
    if (this.#socket === undefined) throw new SynwaveError("EBADF", "the socket is not bound");
    const { address = this.#six ? "::" : "0.0.0.0", port } = this.#socket;
    return { address, family: familyOf(address), port };
  }

  /** Hear no more; what waits for room to be sent is lost. 'close' follows. */
  close(closed?: () => void): this {
    this.#check();
    if (closed !== undefined) this.on("close", closed);
    this.#end();
    return this;
  }

  /** Broadcasts are always allowed. */
  setBroadcast(_allowed: boolean): void {
    this.#check();
  }

  /** What keeps the process alive is the stack's link, not one socket. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #check(): void {
    if (this.#closed) throw new SynwaveError("EBADF", "the socket is closed");
  }

  #hostOf(address: unknown): string {
    if (address != null && typeof address !== "string")
      throw new SynwaveError("EINVAL", `address must be a string, not ${show(address)}`);
    return address || "localhost";
  }

  #bindIfNot(): void {
    if (this.#socket === undefined && this.#binding === undefined) this.bind();
  }

  #tell(error: Error): void {
    process.nextTick(() => {
      if (!this.#closed) this.emit("error", error);
    });
  }

  #checkFamily(address: string): void {
    if (isIPv6(address) !== this.#six)
      throw new SynwaveError("EINVAL", `a udp${this.#six ? 6 : 4} socket has no such address: ${address}`);
  }

  /** An address as sockets of this family show it: RFC 3493 §3.7. */
  #shown(address: string): string {
    return this.#six && !isIPv6(address) ? `::ffff:${address}` : address;
  }

  async #connect(host: string, port: number, connected: (() => void) | undefined): Promise<void> {
    if (connected !== undefined) this.once("connect", connected);
    try {
      const address = await this.#stack.host.resolve(host);
      this.#checkFamily(address);
      const { octets, family } = parseAddress(address, "address");
      this.#peer = { address: formatAddress(octets, 0, family), port };
      process.nextTick(() => {
        if (!this.#closed) this.emit("connect");
      });
    } catch (error) {
      if (connected !== undefined) this.off("connect", connected);
      this.#tell(asSystemError(error, "connect", host, port));
    }
    this.#connecting = false;
  }

  async #send(bytes: Buffer, host: string, port: number): Promise<void> {
    // An address is not waited for: what is sent before `close` leaves before it.
    const address = isAddress(host) ? host : await this.#stack.host.resolve(host);
    this.#checkFamily(address);
    if (this.#binding !== undefined) await this.#binding;
    if (this.#socket === undefined) throw new SynwaveError("EBADF", "the socket is not bound");
    await this.#socket.send(bytes, { address, port });
  }

  async #pump(socket: DatagramSocket): Promise<void> {
    let row = 0;
    try {
      for await (const datagram of socket) {
        if (this.#closed) return;
        this.#hear(datagram);
        if (++row % MESSAGES_IN_A_ROW === 0)
          await new Promise<void>((resume) => this.#stack.host.nextTurn(resume));
      }
    } catch (error) {
      // The stack broke; a socket that ended for it tells no error.
      if (!this.#closed) process.nextTick(() => this.emit("error", error as Error));
    }
    this.#end();
  }

  #hear({ bytes, remoteAddress, remotePort, localAddress }: Datagram): void {
    // A socket bound to no address hears both families, of which not all is for one of Node's.
    if (isIPv6(localAddress) ? !this.#six : this.#six && this.#ipv6Only) return;
    const peer = this.#peer;
    if (peer !== undefined && (peer.address !== remoteAddress || peer.port !== remotePort)) return;
    const address = this.#shown(remoteAddress);
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    try {
      this.emit("message", message, {
        address,
        family: familyOf(address),
        port: remotePort,
        size: bytes.length,
      });
    } catch (error) {
      // The listener's fault, told as that of any other listener; the next message comes nevertheless.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopSignal?.();
    this.#socket?.close();
    process.nextTick(() => this.emit("close"));
  }
}
