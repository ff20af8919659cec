import * as result from "../assembly/shared/results.ts";
import * as tcb from "../assembly/shared/tcb-layout.ts";
import { formatAddress, parseAddress } from "./address.ts";
import type { Core } from "./core.ts";
import { SynwaveError } from "./errors.ts";
import { readTcpInfo, STATES } from "./tcp-info.ts";
import type {
  Connection,
  ConnectionOption,
  ConnectionOptions,
  State,
  TcpInfo,
  WriteOptions,
} from "./types.ts";
import { setOption } from "./user-options.ts";
import { PIECE, Views } from "./views.ts";

/** What the manager is told of by its handles. */
export interface Keeper {
  readonly core: Core;
  /** A call was made that may have raised events. */
  drain(): void;
}

/** What an `ERR_` of the engine is to a user. */
export function errorFor(code: number, peer: string): SynwaveError {
  switch (code) {
    case result.ERR_REFUSED:
      return new SynwaveError("ECONNREFUSED", `${peer} refused the connection`);
    case result.ERR_RESET:
      return new SynwaveError("ECONNRESET", `connection reset by ${peer}`);
    case result.ERR_TIMED_OUT:
      return new SynwaveError("ETIMEDOUT", `no answer from ${peer}`);
    case result.ERR_UNREACHABLE:
      return new SynwaveError("EHOSTUNREACH", `${peer} cannot be reached`);
    case result.ERR_NET_UNREACHABLE:
      return new SynwaveError("ENETUNREACH", `the network of ${peer} cannot be reached`);
    case result.ERR_NO_PROTOCOL:
      return new SynwaveError("ENOPROTOOPT", `${peer} does not speak TCP`);
    case result.ERR_ABORTED:
      return new SynwaveError("ECONNABORTED", `connection to ${peer} aborted`);
    default:
      throw new Error(`no such result: ${code}`);
  }
}

/** The eight octets a copy into shared memory is aligned by; off by one it is made octet by octet. */
const ALIGN = 7;

const cut = new WeakMap<Uint8Array, Views>();

/** Of a user's array: one that is written again and again is cut up once. */
function viewsOf(bytes: Uint8Array): Views {
  let views = cut.get(bytes);
  if (!views) {
    views = new Views(bytes);
    cut.set(bytes, views);
  }
  return views;
}

/** A handle: slot and generation. The slot may be given to another connection; the generation then says so. */
export class ConnectionHandle implements Connection {
  readonly slot: number;
  readonly generation: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  error: SynwaveError | undefined;
  context: unknown;
  /** Flags told and not yet polled. */
  pending = 0;
  /** Nothing more will happen in the engine; once it is read out it is forgotten there. */
  over = false;
  /** close() or abort() was called. */
  spent = false;
  /** A FIN was read up to. */
  private ended = false;
  private shut = false;
  private readonly keeper: Keeper;
  private readonly at: number;

  constructor(keeper: Keeper, slot: number) {
    const { core } = keeper;
    this.keeper = keeper;
    this.slot = slot;
    this.at = core.slot(slot);
    this.generation = core.words[(this.at + tcb.TCB_GENERATION) >> 2]!;
    const family = core.bytes[this.at + tcb.TCB_FAMILY]!;
    this.localAddress = formatAddress(core.bytes, this.at + tcb.TCB_LOCAL_ADDRESS, family);
    this.remoteAddress = formatAddress(core.bytes, this.at + tcb.TCB_REMOTE_ADDRESS, family);
    this.localPort = this.u16(tcb.TCB_LOCAL_PORT);
    this.remotePort = this.u16(tcb.TCB_REMOTE_PORT);
  }

  private u16(field: number): number {
    const { bytes } = this.keeper.core;
    return bytes[this.at + field]! | (bytes[this.at + field + 1]! << 8);
  }

  /** Whether the slot is still this connection's. */
  get alive(): boolean {
    const { core } = this.keeper;
    return (
      core.words[(this.at + tcb.TCB_GENERATION) >> 2] === this.generation &&
      core.bytes[this.at + tcb.TCB_STATE] !== 0
    );
  }

  get peer(): string {
    return this.remoteAddress.includes(":")
      ? `[${this.remoteAddress}]:${this.remotePort}`
      : `${this.remoteAddress}:${this.remotePort}`;
  }

  get softError(): SynwaveError | undefined {
    const code = this.alive ? (this.keeper.core.bytes[this.at + tcb.TCB_SOFT_ERROR]! << 24) >> 24 : 0;
    return code ? errorFor(code, this.peer) : undefined;
  }

  get state(): State {
    if (this.alive) return STATES[this.keeper.core.bytes[this.at + tcb.TCB_STATE]!]!;
    return this.inTimeWait() ? "TIME-WAIT" : "CLOSED";
  }

  /** By what the engine knows a connection of which it may have kept a brief TIME-WAIT; its addresses go to staging. */
  private stage(): [slot: number, generation: number, family: number, ports: number] {
    const { core } = this.keeper;
    const local = parseAddress(this.localAddress, "localAddress");
    core.bytes.set(local.octets, core.staging);
    core.bytes.set(parseAddress(this.remoteAddress, "remoteAddress").octets, core.staging + 16);
    return [this.slot, this.generation, local.family, this.localPort | (this.remotePort << 16)];
  }

  private inTimeWait(): boolean {
    const { core } = this.keeper;
    return !core.isOver() && core.call.timeWait(...this.stage()) !== 0;
  }

  get readable(): number {
    if (this.spent) return 0;
    return Math.max(0, this.keeper.core.call.readable(this.slot, this.generation));
  }

  get writable(): number {
    if (this.spent || this.shut || this.error) return 0;
    return Math.max(0, this.keeper.core.call.writable(this.slot, this.generation));
  }

  get unacked(): number {
    if (!this.alive) return 0;
    const { words, doubles } = this.keeper.core;
    const una = words[(this.at + tcb.TCB_SND_UNA) >> 2]!;
    const end = words[(this.at + tcb.TCB_SND_END) >> 2]!;
    // Lengths, not sequence numbers: a SYN unacknowledged is no text, nor is a FIN acknowledged.
    const opening =
      una === words[(this.at + tcb.TCB_ISS) >> 2]! && doubles[(this.at + tcb.TCB_BYTES_ACKED) >> 3] === 0;
    const syn = opening ? 1 : 0;
    return Math.max(0, (end - una - syn) | 0);
  }

  get urgent(): number {
    const { bytes, words } = this.keeper.core;
    if (!this.alive || !(bytes[this.at + tcb.TCB_URGENT]! & tcb.URGENT_RECEIVED)) return 0;
    return (words[(this.at + tcb.TCB_RCV_UP) >> 2]! - words[(this.at + tcb.TCB_RCV_READ) >> 2]!) >>> 0;
  }

  write(bytes: Uint8Array, { urgent = false, endOfRecord = false }: WriteOptions = {}): number {
    const { core } = this.keeper;
    if (!(bytes instanceof Uint8Array))
      throw new SynwaveError("EINVAL", `write takes a Uint8Array, not ${bytes}`);
    core.check();
    if (this.error) throw this.error;
    if (this.spent || this.shut)
      throw new SynwaveError("EPIPE", `write after ${this.spent ? "close" : "shutdown"}`);
    if (endOfRecord && core.call.endRecord(this.slot, this.generation, 0) === 0) return 0;
    let done = 0;
    // An empty write says that a SYN need not wait for text.
    if (bytes.length === 0) core.call.send(this.slot, this.generation, 0, 0);
    while (done < bytes.length) {
      const length = Math.min(bytes.length - done, PIECE);
      // Staged at the alignment of the source: shared memory is copied by words only when both agree.
      const skip = (bytes.byteOffset + done) & ALIGN;
      const piece = length === bytes.length ? bytes : viewsOf(bytes).of(done, done + length);
      core.copy(core.bytes, piece, core.staging + skip);
      const taken = core.call.send(this.slot, this.generation, skip, length);
      if (taken < 0) {
        if (done) return done;
        throw taken === result.ERR_PIPE || taken === result.ERR_STALE
          ? new SynwaveError("EPIPE", `the connection to ${this.peer} is closed for sending`)
          : errorFor(taken, this.peer);
      }
      done += taken;
      if (taken < length) break;
    }
    if (endOfRecord && done === bytes.length) core.call.endRecord(this.slot, this.generation, 1);
    if (urgent && done) core.call.urge(this.slot, this.generation);
    return done;
  }

  read(into: Uint8Array): number {
    const { core } = this.keeper;
    if (!(into instanceof Uint8Array))
      throw new SynwaveError("EINVAL", `read takes a Uint8Array, not ${into}`);
    core.check();
    if (this.spent) throw new SynwaveError("EBADF", "read after close");
    let done = 0;
    while (done < into.length) {
      const left = into.length - done;
      const length = Math.min(left, PIECE);
      const skip = (into.byteOffset + done) & ALIGN;
      const taken = core.call.receive(this.slot, this.generation, skip, length, left - length);
      if (taken > 0) {
        const from = core.staging + skip;
        core.copy(into, core.views.of(from, from + taken), done);
        done += taken;
        if (taken < length) break;
        continue;
      }
      if (taken === 0 || done > 0) break;
      return this.endOfStream(taken);
    }
    if (done > 0) this.keeper.drain();
    return done;
  }

  private endOfStream(code: number): number {
    if (code === result.ERR_EOF) this.ended = true;
    else if (code !== result.ERR_STALE) this.error ??= errorFor(code, this.peer);
    this.forget();
    if (this.error && !this.ended) throw this.error;
    return -1;
  }

  /** Let the engine have the slot, once all is over and read. */
  forget(): void {
    if (!this.over || this.readable > 0) return;
    this.keeper.core.call.forget(this.slot, this.generation);
    this.keeper.drain();
  }

  shutdown(): void {
    this.keeper.core.check();
    if (this.spent || this.shut) return;
    this.shut = true;
    this.keeper.core.call.shutdown(this.slot, this.generation);
    this.keeper.drain();
  }

  close(): void {
    if (this.spent) return;
    this.spent = true;
    this.keeper.core.call.close(this.slot, this.generation);
    this.keeper.drain();
  }

  abort(): void {
    const { core } = this.keeper;
    this.spent = true;
    if (this.alive) core.call.abort(this.slot, this.generation);
    else if (!core.isOver()) core.call.abortTimeWait(...this.stage());
    this.keeper.drain();
  }

  info(): TcpInfo {
    this.keeper.core.check();
    if (this.alive) return readTcpInfo(this.keeper.core, this.at);
    return { ...readTcpInfo(this.keeper.core, undefined), state: this.state };
  }

  setOption<Name extends ConnectionOption>(name: Name, value: ConnectionOptions[Name]): void {
    setOption(this.keeper.core, this.slot, this.generation, name, value);
    this.keeper.core.call.events();
    this.keeper.drain();
  }
}
