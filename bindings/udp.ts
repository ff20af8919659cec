import * as result from "../assembly/shared/results.ts";
import * as tcb from "../assembly/shared/tcb-layout.ts";
import * as layout from "../assembly/shared/udp-layout.ts";
import { type Address, formatAddress, parseAddress } from "./address.ts";
import type { Keeper } from "./connection.ts";
import { SynwaveError } from "./errors.ts";
import type { Datagram, SendOptions, UdpSocket } from "./types.ts";
import { requireInteger } from "./validate.ts";

/** Longest payload of any datagram: staging holds no more. */
const PAYLOAD_MAX = 65527;

/** What the handle asks of the manager besides. */
export interface UdpKeeper extends Keeper {
  /** The address to send from to `remote`. */
  localFor(remote: Address, given: string | undefined): Address;
}

/** A socket's slot and generation. */
export class UdpHandle implements UdpSocket {
  readonly slot: number;
  readonly generation: number;
  readonly port: number;
  readonly address: string | undefined;
  context: unknown;
  /** Flags told and not yet polled. */
  pending = 0;
  closed = false;
  private readonly keeper: UdpKeeper;

  constructor(keeper: UdpKeeper, slot: number, port: number, address: string | undefined) {
    this.keeper = keeper;
    this.slot = slot;
    this.generation = keeper.core.words[(keeper.core.slot(slot) + tcb.TCB_GENERATION) >> 2]!;
    this.port = port;
    this.address = address;
  }

  private check(): void {
    this.keeper.core.check();
    if (this.closed) throw new SynwaveError("EBADF", `the UDP socket on port ${this.port} is closed`);
  }

  send(bytes: Uint8Array, options: SendOptions): void {
    const { core } = this.keeper;
    this.check();
    if (!(bytes instanceof Uint8Array))
      throw new SynwaveError("EINVAL", `send takes a Uint8Array, not ${bytes}`);
    const { address, port } = options;
    requireInteger("port", port, 1, 65535);
    const remote = parseAddress(address, "address");
    const local = this.keeper.localFor(remote, options.localAddress ?? this.address);
    const tooLong = () =>
      new SynwaveError("EMSGSIZE", `a datagram of ${bytes.length} octets is longer than any packet`);
    if (bytes.length > PAYLOAD_MAX) throw tooLong();
    core.bytes.set(local.octets, core.staging + layout.UDP_LOCAL);
    core.bytes.set(remote.octets, core.staging + layout.UDP_REMOTE);
    core.copy(core.bytes, bytes, core.staging + layout.UDP_PAYLOAD);
    const sent = core.call.udpSend(this.slot, this.generation, port, bytes.length);
    if (sent === result.ERR_TOO_LONG) throw tooLong();
    if (sent === result.ERR_INVALID)
      throw new SynwaveError("EINVAL", `address is none to send to: ${address}`);
    if (sent < 0) throw new SynwaveError("ENOBUFS", `no room for ${bytes.length} octets to ${address}`);
  }

  receive(): Datagram | undefined {
    const { core } = this.keeper;
    this.check();
    const length = core.call.udpReceive(this.slot, this.generation);
    if (length < 0) return undefined;
    const at = core.staging;
    const family = core.bytes[at + layout.UDP_FAMILY]!;
    const bytes = new Uint8Array(length);
    core.copy(bytes, core.bytes.subarray(at + layout.UDP_PAYLOAD, at + layout.UDP_PAYLOAD + length), 0);
    return {
      bytes,
      remoteAddress: formatAddress(core.bytes, at + layout.UDP_REMOTE, family),
      remotePort: core.bytes[at + layout.UDP_PORT]! | (core.bytes[at + layout.UDP_PORT + 1]! << 8),
      localAddress: formatAddress(core.bytes, at + layout.UDP_LOCAL, family),
    };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.keeper.core.call.udpClose(this.slot, this.generation);
    this.keeper.core.call.events();
    this.keeper.drain();
  }
}
