import * as control from "../assembly/shared/control.ts";
import * as result from "../assembly/shared/results.ts";
import {
  DATAGRAMS,
  FREE,
  LISTEN,
  TIME_WAIT_BRIEF,
  TIME_WAIT_KEEPER,
  TIME_WAIT_SLOT,
} from "../assembly/shared/states.ts";
import * as tcb from "../assembly/shared/tcb-layout.ts";
import * as timeWait from "../assembly/shared/time-wait-layout.ts";
import { OPEN_FAST, OPEN_GIVEN_PORT, OPT_FAST_OPEN_KEY } from "../assembly/shared/user-options.ts";
import { type Address, formatAddress, parseAddress } from "./address.ts";
import { ConnectionHandle, errorFor } from "./connection.ts";
import type { Core } from "./core.ts";
import { SynwaveError } from "./errors.ts";
import { fastOpenKeys, type Settings } from "./settings.ts";
import { readTcpInfo } from "./tcp-info.ts";
import type {
  Connection,
  ConnectOptions,
  EngineEvent,
  Listener,
  ListenerOption,
  ListenerOptions,
  ListenOptions,
  TcpInfo,
  UdpOptions,
  UdpSocket,
} from "./types.ts";
import { UdpHandle, type UdpKeeper } from "./udp.ts";
import { encodeOption, setOption } from "./user-options.ts";
import { requireInteger } from "./validate.ts";
import { Wheel } from "./wheel.ts";

const FINAL = control.EV_CLOSED | control.EV_RESET | control.EV_TIMED_OUT;
/** What else stands in a slot, or did. */
const NO_CONNECTION = new Set([FREE, LISTEN, DATAGRAMS, TIME_WAIT_KEEPER]);
/** Counters of RFC 6056 §3.3.4: destinations that share one reveal a little of each other, and no more. */
const PORT_COUNTERS = 256;
/** Routers that the options of an IPv4 header have room for. */
const HOPS_MAX = 9;

function requirePort(name: string, port: unknown, least = 1): number {
  return requireInteger(name, port, least, 65535);
}

function checkPortRange([first, last]: readonly [number, number]): readonly [number, number] {
  requirePort("localPortRange[0]", first);
  return [first, requirePort("localPortRange[1]", last, first)];
}

class ListenerHandle implements Listener {
  readonly slot: number;
  readonly generation: number;
  readonly port: number;
  readonly address: string | undefined;
  readonly backlog: number;
  context: unknown;
  pending = 0;
  private readonly manager: Manager;

  constructor(manager: Manager, slot: number, port: number, address: string | undefined, backlog: number) {
    this.manager = manager;
    this.slot = slot;
    this.generation = manager.core.words[(manager.core.slot(slot) + tcb.TCB_GENERATION) >> 2]!;
    this.port = port;
    this.address = address;
    this.backlog = backlog;
  }

  accept(): Connection | undefined {
    return this.manager.accept(this);
  }

  setOption<Name extends ListenerOption>(name: Name, value: ListenerOptions[Name]): void {
    const { core } = this.manager;
    if (name === "fastOpenKey") {
      core.check();
      const keys = fastOpenKeys(name, value);
      core.bytes.set(keys, core.staging);
      core.call.setOption(this.slot, this.generation, OPT_FAST_OPEN_KEY, keys.length / 16);
    } else setOption(core, this.slot, this.generation, name, value, true);
  }

  close(): void {
    this.manager.core.call.close(this.slot, this.generation);
    this.manager.drain();
  }
}

/** Places for holders that have something to tell, kept from one poll to the next. */
const TOLD_KEPT = 1024;

type Holder = ConnectionHandle | ListenerHandle | UdpHandle;

/** What happens once per connection, call or timer: ports, listeners, handles, and the wheel's entries. */
export class Manager implements UdpKeeper {
  readonly core: Core;
  readonly wheel: Wheel;
  private readonly settings: Settings;
  private readonly addresses: readonly Address[];
  private readonly anyAddress: boolean;
  /** Whoever holds the connection or listener in each slot. One that nobody holds has no object. */
  private readonly holders: (Holder | undefined)[] = [];
  /** Holders with events to poll, each once. */
  private told: (Holder | undefined)[] = [];
  /** How many; the array stays, for a new one with every poll would be garbage. */
  private toldCount = 0;
  /** Connections that ended in the drain under way and may be forgotten behind it. */
  private readonly ended: ConnectionHandle[] = [];
  private readonly portCounters = new Uint16Array(PORT_COUNTERS);

  constructor(core: Core, settings: Settings, addresses: readonly Address[], anyAddress: boolean) {
    this.core = core;
    this.settings = settings;
    this.addresses = addresses;
    this.anyAddress = anyAddress;
    this.wheel = new Wheel(core.slots);
  }

  /** Take in what the last crossing left in the event area, and whatever more there is. */
  drain(): void {
    const { core } = this;
    const { words } = core;
    for (;;) {
      const count = words[control.CTL_EVENT_COUNT >> 2]!;
      words[control.CTL_EVENT_COUNT >> 2] = 0;
      const area = words[control.CTL_EVENTS >> 2]!;
      for (let i = 0; i < count; i++) this.take(area + i * control.EVENT_SIZE);
      for (let over = this.ended.pop(); over; over = this.ended.pop())
        if (over.readable === 0) core.call.forget(over.slot, over.generation);
      if (count === 0) return;
      // Forgetting raises events of its own, and there may have been more than the area holds.
      core.call.events();
    }
  }

  private take(at: number): void {
    const { words } = this.core;
    const slot = words[(at + control.EVENT_SLOT) >> 2]!;
    const flags = words[(at + control.EVENT_FLAGS) >> 2]!;
    if (flags & control.EV_DEADLINE)
      this.wheel.arm(slot, this.core.doubles[(at + control.EVENT_DEADLINE) >> 3]! / 1000);
    // The most frequent by far, and nobody's business but the wheel's.
    if (flags === control.EV_DEADLINE) return;
    if (flags & control.EV_FREED) this.wheel.cancel(slot);
    const holder = this.holders[slot];
    if (!holder || holder.generation !== words[(at + control.EVENT_GENERATION) >> 2]) return;
    const news = flags & ~(control.EV_DEADLINE | control.EV_FREED);
    if (news) this.tell(holder, news, words[(at + control.EVENT_ERROR) >> 2]!);
    if (flags & control.EV_FREED) this.holders[slot] = undefined;
  }

  private hold<T extends Holder>(holder: T): T {
    // Without gaps, which would make it a table to be searched.
    while (this.holders.length < holder.slot) this.holders.push(undefined);
    this.holders[holder.slot] = holder;
    return holder;
  }

  private tell(holder: Holder, news: number, error: number): void {
    if (holder.pending === 0) this.told[this.toldCount++] = holder;
    holder.pending |= news;
    if (holder instanceof ConnectionHandle && news & FINAL) {
      if (error && !holder.spent) holder.error ??= errorFor(error, holder.peer);
      holder.over = true;
      if (!holder.spent) this.ended.push(holder);
    }
  }

  poll(): EngineEvent[] {
    const events: EngineEvent[] = [];
    const { told, toldCount } = this;
    this.toldCount = 0;
    if (toldCount > TOLD_KEPT) this.told = [];
    for (let i = 0; i < toldCount; i++) {
      const holder = told[i]!;
      told[i] = undefined;
      const flags = holder.pending;
      holder.pending = 0;
      if (holder instanceof ListenerHandle) {
        if (flags & control.EV_ACCEPTED) events.push({ type: "accepted", listener: holder });
        continue;
      }
      if (holder instanceof UdpHandle) {
        if (!holder.closed) events.push({ type: "datagram", socket: holder });
        continue;
      }
      const connection = holder;
      if (flags & control.EV_ESTABLISHED) events.push({ type: "established", connection });
      if (!holder.spent) {
        if (flags & control.EV_URGENT) events.push({ type: "urgent", connection });
        if (flags & control.EV_READABLE) events.push({ type: "readable", connection });
        if (flags & control.EV_WRITABLE) events.push({ type: "writable", connection });
      }
      if (flags & control.EV_RETRYING && !connection.spent) events.push({ type: "retrying", connection });
      if (flags & control.EV_RESET) events.push({ type: "reset", connection });
      if (flags & control.EV_TIMED_OUT) events.push({ type: "timedOut", connection });
      if (flags & control.EV_CLOSED) events.push({ type: "closed", connection });
    }
    return events;
  }

  listen(options: ListenOptions): Listener {
    const { port, address, backlog = this.settings.somaxconn, fastOpen = 0 } = options;
    requirePort("port", port, 0);
    if (!Number.isInteger(backlog) || backlog < 0)
      throw new SynwaveError("EINVAL", `backlog must be an integer of at least 0, not ${backlog}`);
    encodeOption("fastOpen", fastOpen, true);
    const family = this.stageOwn(address);
    const chosen = port || this.freePort((one) => this.core.call.listenerInUse(family, one), "listened on");
    const limit = Math.min(backlog, this.settings.somaxconn);
    const slot = this.core.call.listen(family, chosen, limit);
    if (slot === result.ERR_IN_USE)
      throw new SynwaveError(
        "EADDRINUSE",
        `port ${chosen} is already listened on at ${address ?? "every address"}`,
      );
    if (slot < 0) throw new SynwaveError("ENOMEM", `no memory for a listener on port ${chosen}`);
    const listener = this.hold(new ListenerHandle(this, slot, chosen, address, limit));
    if (fastOpen) listener.setOption("fastOpen", fastOpen);
    return listener;
  }

  /** Put an address of ours in staging, or that of all if there is none; returns its family, 0 for all. */
  private stageOwn(address: string | undefined): number {
    const own = address === undefined ? undefined : this.ownAddress(address, "address");
    this.core.bytes.set(own ? own.octets : new Uint8Array(16), this.core.staging);
    return own ? own.family : 0;
  }

  bindUdp(options: UdpOptions): UdpSocket {
    const { port, address } = options;
    requirePort("port", port, 0);
    const family = this.stageOwn(address);
    const chosen = port || this.freePort((one) => this.core.call.udpInUse(family, one), "bound");
    const slot = this.core.call.udpBind(family, chosen);
    if (slot === result.ERR_IN_USE)
      throw new SynwaveError(
        "EADDRINUSE",
        `port ${chosen} is already bound at ${address ?? "every address"}`,
      );
    if (slot < 0) throw new SynwaveError("ENOMEM", `no memory for a UDP socket on port ${chosen}`);
    return this.hold(new UdpHandle(this, slot, chosen, address));
  }

  /** An ephemeral port that nobody listens on, or is bound to. */
  private freePort(isUsed: (port: number) => number, what: string): number {
    const [first, last] = this.settings.ipLocalPortRange;
    const count = last - first + 1;
    const offset = this.nextPort(0);
    for (let i = 0; i < count; i++) {
      const port = first + ((offset + i) % count);
      if (!isUsed(port)) return port;
    }
    throw new SynwaveError("EADDRINUSE", `every port from ${first} to ${last} is ${what}`);
  }

  accept(listener: ListenerHandle): Connection | undefined {
    const slot = this.core.call.accept(listener.slot, listener.generation);
    if (slot === result.ERR_AGAIN) return undefined;
    if (slot < 0) throw new SynwaveError("EBADF", `the listener on port ${listener.port} is closed`);
    const connection = this.hold(new ConnectionHandle(this, slot));
    const at = this.core.slot(slot);
    const error = this.core.words[(at + tcb.TCB_ERROR) >> 2]!;
    if (connection.state === "CLOSED") {
      connection.over = true;
      if (error) {
        connection.error = errorFor(error, connection.peer);
        this.tell(connection, control.EV_RESET, error);
      }
    }
    this.core.call.events();
    this.drain();
    return connection;
  }

  connect(options: ConnectOptions): Connection {
    const remote = parseAddress(options.remoteAddress, "remoteAddress");
    const remotePort = requirePort("remotePort", options.remotePort);
    const local = this.localFor(remote, options.localAddress);
    this.core.bytes.set(local.octets, this.core.staging);
    this.core.bytes.set(remote.octets, this.core.staging + 16);
    const hops = this.stageRoute(options.sourceRoute, remote);
    const fast = options.fastOpen ? OPEN_FAST : 0;
    const slot =
      options.localPort === undefined
        ? this.openEphemeral(remote, remotePort, options, hops)
        : this.core.call.open(
            remote.family,
            requirePort("localPort", options.localPort),
            remotePort,
            hops,
            OPEN_GIVEN_PORT | fast,
          );
    if (slot === result.ERR_INVALID)
      throw new SynwaveError("EINVAL", `remoteAddress is no host's address: ${options.remoteAddress}`);
    if (slot === result.ERR_IN_USE)
      throw new SynwaveError(
        "EADDRINUSE",
        `a connection from port ${options.localPort} to ${options.remoteAddress} port ${remotePort} exists`,
      );
    if (slot < 0)
      throw new SynwaveError(
        "ENOMEM",
        `no memory for a connection to ${options.remoteAddress} port ${remotePort}`,
      );
    return this.hold(new ConnectionHandle(this, slot));
  }

  /** Put the routers to pass behind the addresses in staging; returns how many. */
  private stageRoute(route: readonly string[] | undefined, remote: Address): number {
    if (route === undefined || route.length === 0) return 0;
    if (route.length > HOPS_MAX)
      throw new SynwaveError("EINVAL", `sourceRoute has room for ${HOPS_MAX} addresses, not ${route.length}`);
    if (remote.family !== 4)
      throw new SynwaveError("EINVAL", `sourceRoute is IPv4's: IPv6 has none (RFC 5095)`);
    for (const [i, text] of route.entries()) {
      const hop = parseAddress(text, "sourceRoute");
      if (hop.family !== 4)
        throw new SynwaveError("EINVAL", `sourceRoute must have IPv4 addresses, not ${text}`);
      this.core.bytes.set(hop.octets.subarray(12), this.core.staging + 32 + 4 * i);
    }
    return route.length;
  }

  /** An ephemeral port nobody could guess, as RFC 6056 §3.3.4 (double hash) chooses it. */
  private openEphemeral(remote: Address, remotePort: number, options: ConnectOptions, hops: number): number {
    const [first, last] = options.localPortRange
      ? checkPortRange(options.localPortRange)
      : this.settings.ipLocalPortRange;
    const count = last - first + 1;
    const offset = this.nextPort(remotePort);
    for (let i = 0; i < count; i++) {
      const port = first + ((offset + i) % count);
      if (this.core.call.listenerInUse(0, port)) continue;
      const slot = this.core.call.open(
        remote.family,
        port,
        remotePort,
        hops,
        options.fastOpen ? OPEN_FAST : 0,
      );
      if (slot !== result.ERR_IN_USE) return slot;
    }
    throw new SynwaveError(
      "EADDRNOTAVAIL",
      `every port from ${first} to ${last} is in use towards ${options.remoteAddress} port ${remotePort}`,
    );
  }

  /** Where to look for a port for the addresses in staging. */
  private nextPort(remotePort: number): number {
    const hash = this.core.call.portHash(remotePort) >>> 0;
    const counter = hash % PORT_COUNTERS;
    const turn = this.portCounters[counter]!;
    this.portCounters[counter] = turn + 1;
    return (hash >>> 8) + turn;
  }

  private ownAddress(text: string, what: string): Address {
    const address = parseAddress(text, what);
    const own =
      this.anyAddress ||
      this.addresses.some(({ octets }) => octets.every((octet, i) => octet === address.octets[i]));
    if (!own) throw new SynwaveError("EADDRNOTAVAIL", `${what} is not an address of this engine: ${text}`);
    return address;
  }

  localFor(remote: Address, given: string | undefined): Address {
    if (given !== undefined) {
      const local = this.ownAddress(given, "localAddress");
      if (local.family !== remote.family)
        throw new SynwaveError("EINVAL", `localAddress is not of the remote address's family: ${given}`);
      return local;
    }
    const local = this.addresses.find(({ family }) => family === remote.family);
    if (!local)
      throw new SynwaveError(
        "EADDRNOTAVAIL",
        `the engine has no IPv${remote.family} address to connect from`,
      );
    return local;
  }

  connections(): {
    localAddress: string;
    localPort: number;
    remoteAddress: string;
    remotePort: number;
    info: TcpInfo;
  }[] {
    const { core } = this;
    const list: ReturnType<Manager["connections"]> = [];
    const enter = (at: number, info: TcpInfo) => {
      const family = core.bytes[at + tcb.TCB_FAMILY]!;
      list.push({
        localAddress: formatAddress(core.bytes, at + tcb.TCB_LOCAL_ADDRESS, family),
        localPort: core.bytes[at + tcb.TCB_LOCAL_PORT]! | (core.bytes[at + tcb.TCB_LOCAL_PORT + 1]! << 8),
        remoteAddress: formatAddress(core.bytes, at + tcb.TCB_REMOTE_ADDRESS, family),
        remotePort: core.bytes[at + tcb.TCB_REMOTE_PORT]! | (core.bytes[at + tcb.TCB_REMOTE_PORT + 1]! << 8),
        info,
      });
    };
    const end = core.call.slotsUsed();
    for (let slot = 0; slot < end; slot++) {
      const at = core.slot(slot);
      const state = core.bytes[at + tcb.TCB_STATE]!;
      if (state === TIME_WAIT_SLOT) {
        for (let i = 0; i < timeWait.TWS_PER_SLOT; i++) {
          const place = at + timeWait.TWS_PLACES + i * timeWait.TW_END;
          if (core.bytes[place + tcb.TCB_STATE] !== TIME_WAIT_BRIEF) continue;
          enter(place, { ...readTcpInfo(core, undefined), state: "TIME-WAIT" });
        }
      } else if (!NO_CONNECTION.has(state)) enter(at, readTcpInfo(core, at));
    }
    return list;
  }
}
