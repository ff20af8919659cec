import * as control from "../assembly/shared/control.ts";
import { MARK_CHECKSUM_SHIFT } from "../assembly/shared/marks.ts";
import {
  COOKIE_CACHE_SETS,
  COOKIE_CACHE_WAYS,
  COOKIE_ENTRY,
  RX_BYTES,
  RX_PACKETS,
  TIMER_ENTRIES,
  TX_BYTES,
  TX_PACKETS,
} from "../assembly/shared/sizes.ts";
import { FAST_OPEN_CLIENT } from "../assembly/shared/user-options.ts";
import { parseAddress } from "./address.ts";
import { type Core, createCore } from "./core.ts";
import { COUNTERS } from "./counters.ts";
import { SynwaveError } from "./errors.ts";
import { Manager } from "./manager.ts";
import { PacketBatch } from "./packet-batch.ts";
import { resolveSettings, type Settings, storeSettings } from "./settings.ts";
import type {
  Connection,
  ConnectOptions,
  Engine,
  EngineEvent,
  EngineOptions,
  Listener,
  ListenOptions,
  TcpInfo,
  UdpOptions,
  UdpSocket,
} from "./types.ts";
import { requireBoolean, requireChecksum, requireInteger, requireKnown } from "./validate.ts";

const MTU_MIN_4 = 576;
const MTU_MIN_6 = 1280;
/** Length of the longest IP packet; what a batch carries beyond it is padding. */
const PACKET_MAX = 65535;
const MEMORY_DEFAULT = 64 * 2 ** 20;
const SEED_BYTES = 32;

const KNOWN = new Set([
  "addresses",
  "anyAddress",
  "mtu",
  "checksum",
  "gso",
  "memory",
  "seed",
  "settings",
  "wasm",
  "shared",
]);

/**
 * Make an engine.
 * @throws SynwaveError EINVAL for an option that is unknown or cannot be, which it names
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  requireKnown(options, KNOWN);
  const { addresses = [], anyAddress = false, mtu = 1500, memory = MEMORY_DEFAULT } = options;
  if (!Array.isArray(addresses))
    throw new SynwaveError("EINVAL", `addresses must be an array, not ${addresses}`);
  requireBoolean("anyAddress", anyAddress);
  const own = addresses.map((text) => parseAddress(text, "addresses", true));
  const least = own.some(({ family }) => family === 6) ? MTU_MIN_6 : MTU_MIN_4;
  requireInteger("mtu", mtu, least, PACKET_MAX);
  const { checksum = "full", gso = 0 } = options;
  requireChecksum(checksum);
  requireInteger("gso", gso, 0, PACKET_MAX);
  const settings = resolveSettings(options.settings);
  const seed = options.seed ?? crypto.getRandomValues(new Uint8Array(SEED_BYTES));
  if (!(seed instanceof Uint8Array) || seed.length !== SEED_BYTES)
    throw new SynwaveError("EINVAL", `seed must be ${SEED_BYTES} octets, not ${seed?.length ?? seed}`);

  const core = await createCore({ wasm: options.wasm, shared: options.shared, memory }, (words, bytes) => {
    bytes.set(seed, control.CTL_SECRET);
    words[control.SET_MTU >> 2] = mtu;
    words[control.SET_ANY_ADDRESS >> 2] = anyAddress ? 1 : 0;
    words[control.SET_GSO >> 2] = gso;
    words[control.SET_PARTIAL_CHECKSUMS >> 2] = checksum === "none" ? 1 : 0;
    storeSettings(settings, words, bytes);
  });
  for (const address of own) {
    core.bytes.set(address.octets, core.staging);
    if (!core.call.address(address.prefix))
      throw new SynwaveError(
        "EINVAL",
        `addresses has more entries than the engine holds: ${addresses.length}`,
      );
  }
  const offloads = gso > 0 || checksum === "none";
  return new SansIoEngine(core, new Manager(core, settings, own, anyAddress), mtu, settings, offloads);
}

/** The engine as programs see it: packets and the time in; packets, bytes and events out. */
class SansIoEngine implements Engine {
  readonly mtu: number;
  readonly memory: WebAssembly.Memory;
  private readonly core: Core;
  private readonly manager: Manager;
  private readonly due = new Int32Array(TIMER_ENTRIES);
  private readonly settings: Settings;
  /** Packets may leave marked. */
  private readonly offloads: boolean;
  private inbox: PacketBatch | undefined;
  /** The transmit area. */
  private readonly outbox: PacketBatch;

  constructor(core: Core, manager: Manager, mtu: number, settings: Settings, offloads: boolean) {
    this.core = core;
    this.manager = manager;
    this.mtu = mtu;
    this.settings = settings;
    this.offloads = offloads;
    this.memory = core.memory;
    const area = core.words[control.CTL_TX >> 2]!;
    const table = core.words[control.CTL_TX_TABLE >> 2]! >> 2;
    this.outbox = new PacketBatch(TX_PACKETS, TX_BYTES, [
      core.bytes.subarray(area, area + TX_BYTES),
      core.words.subarray(table, table + TX_PACKETS * 2),
    ]);
  }

  /** Milliseconds to whole microseconds. */
  private micros(now: number): number {
    if (typeof now !== "number" || !(now >= 0 && now <= 2 ** 43))
      throw new SynwaveError("EINVAL", `now must be a number of milliseconds from 0 to 2^43, not ${now}`);
    return Math.round(now * 1000);
  }

  receive(packets: Iterable<Uint8Array>, now: number): void {
    const micros = this.micros(now);
    this.inbox ??= new PacketBatch(RX_PACKETS, RX_BYTES);
    const batch = this.inbox;
    batch.clear();
    // Packets one call may bring: what a network hands over at once waits nowhere else.
    const backlog = this.settings.netdevMaxBacklog;
    let arrived = 0;
    for (const packet of packets) {
      if (!(packet instanceof Uint8Array))
        throw new SynwaveError("EINVAL", `packets must be Uint8Arrays, not ${packet}`);
      if (++arrived > backlog) continue;
      const cut = packet.length > PACKET_MAX ? packet.subarray(0, PACKET_MAX) : packet;
      if (!batch.push(cut)) {
        this.input(batch, batch.count, micros);
        batch.clear();
        batch.push(cut);
      }
    }
    this.input(batch, batch.count, micros);
    if (arrived > backlog) this.core.call.discard(arrived - backlog);
  }

  receiveBatch(batch: PacketBatch, now: number): void {
    const micros = this.micros(now);
    const taken = Math.min(batch.count, this.settings.netdevMaxBacklog);
    this.input(batch, taken, micros);
    if (taken < batch.count) this.core.call.discard(batch.count - taken);
  }

  private input(batch: PacketBatch, count: number, micros: number): void {
    const { core } = this;
    const { words } = core;
    const { table, segments, checksums } = batch;
    const ring = words[control.CTL_RX >> 2]!;
    const entries = words[control.CTL_RX_TABLE >> 2]! >> 2;
    const marks = words[control.CTL_RX_MARKS >> 2]! >> 2;
    let next = 0;
    do {
      // As many packets as the ring holds; one batch of the usual size is one round.
      const base = next < count ? Math.max(table[next * 2]!, 0) : 0;
      let last = Math.min(count, next + RX_PACKETS);
      while (last > next + 1 && table[last * 2 - 2]! + table[last * 2 - 1]! - base > RX_BYTES) last--;
      const taken = last - next;
      const room = Math.max(0, Math.min(RX_BYTES, batch.bytes.length - base));
      let octets = 0;
      if (taken > 0) {
        // One by one: views of both tables would be garbage.
        for (let i = 0; i < taken * 2; i++) words[entries + i] = table[next * 2 + i]!;
        // Longer than any packet: the rest is padding.
        if (table[next * 2 + 1]! > PACKET_MAX) words[entries + 1] = PACKET_MAX;
        octets = Math.max(0, Math.min(table[last * 2 - 2]! + table[last * 2 - 1]! - base, room));
      }
      let marked = 0;
      for (let i = next; i < last; i++) marked |= segments[i]! | checksums[i]!;
      if (marked !== 0)
        for (let i = next; i < last; i++)
          words[marks + i - next] = segments[i]! | (checksums[i]! << MARK_CHECKSUM_SHIFT);
      core.copy(core.bytes, batch.views.of(base, base + octets), ring);
      // The engine looks where packets lie before it looks at any.
      const wrong = core.call.input(taken, micros, marked ? 1 : 0, base, room);
      if (wrong >= 0)
        throw new SynwaveError(
          "EINVAL",
          `packet ${next + wrong} of the batch lies at ${table[(next + wrong) * 2]}, length ${table[(next + wrong) * 2 + 1]}`,
        );
      this.manager.drain();
      next = last;
    } while (next < count);
  }

  advance(now: number): void {
    const micros = this.micros(now);
    const { core, due, manager } = this;
    // Without a timer due the clock still moves.
    let fired = manager.wheel.advance(now, due);
    do {
      // All of it, for a view of a part would be an object: only as many count as have fired.
      if (fired) core.words.set(due, core.words[control.CTL_TIMERS >> 2]! >> 2);
      core.call.timers(fired, micros);
      manager.drain();
      fired = manager.wheel.advance(now, due);
    } while (fired > 0);
  }

  transmit(now: number): Uint8Array[] {
    const micros = this.micros(now);
    if (this.offloads)
      throw new SynwaveError("ENOTSUP", "packets of an engine with gso or checksum leave in batches only");
    const packets: Uint8Array[] = [];
    for (;;) {
      const { count, used, bytes, table } = this.output(TX_PACKETS, TX_BYTES, micros);
      if (count === 0) return packets;
      const slab = bytes.slice(0, used);
      // slice() of a view of shared memory is a view of shared memory; what callers get must be theirs alone.
      const owned = slab.buffer instanceof ArrayBuffer ? slab : new Uint8Array(slab);
      for (let i = 0; i < count; i++) {
        const offset = table[i * 2]!;
        packets.push(owned.subarray(offset, offset + table[i * 2 + 1]!));
      }
    }
  }

  transmitBatch(batch: PacketBatch, now: number): number {
    const micros = this.micros(now);
    if (batch.bytes.length < this.mtu)
      throw new SynwaveError(
        "EINVAL",
        `a batch of ${batch.bytes.length} octets cannot hold a packet of ${this.mtu}`,
      );
    batch.clear();
    const { count, used, table, segments, checksums, views } = this.output(
      Math.min(batch.capacity, TX_PACKETS),
      Math.min(batch.bytes.length, TX_BYTES),
      micros,
    );
    if (count === 0) return 0;
    this.core.copy(batch.bytes, views.of(0, Math.min(used, batch.bytes.length)), 0);
    for (let i = 0; i < count * 2; i++) batch.table[i] = table[i]!;
    for (let i = 0; i < count; i++) {
      batch.segments[i] = segments[i]!;
      batch.checksums[i] = checksums[i]!;
    }
    batch.count = count;
    batch.used = used;
    return count;
  }

  transmitTo(send: (batch: PacketBatch) => void, now: number): number {
    const batch = this.output(TX_PACKETS, TX_BYTES, this.micros(now));
    const { count } = batch;
    if (count === 0) return 0;
    try {
      send(batch);
    } finally {
      batch.clear();
    }
    return count;
  }

  /** Have the engine make packets; the batch is where they stand in its memory. */
  private output(packets: number, octets: number, micros: number): PacketBatch {
    const { core, outbox } = this;
    const { words } = core;
    outbox.count = core.call.output(packets, octets, micros);
    outbox.used = words[control.CTL_TX_USED >> 2]!;
    this.manager.drain();
    if (this.offloads) {
      const marks = words[control.CTL_TX_MARKS >> 2]! >> 2;
      for (let i = 0; i < outbox.count; i++) {
        const mark = words[marks + i]!;
        outbox.segments[i] = mark; // of which the table keeps the lower half
        outbox.checksums[i] = mark >> MARK_CHECKSUM_SHIFT;
      }
    }
    return outbox;
  }

  nextDeadline(): number | undefined {
    this.core.check();
    const { core, manager } = this;
    const { wheel } = manager;
    // The wheel's entry is a hint: where the deadline has moved on, arm it anew and look again.
    for (;;) {
      const slot = wheel.peek();
      if (slot < 0) return undefined;
      const deadline = core.call.rearm(slot);
      // In the unit it was armed in: back in microseconds, rounding could make it look moved for ever.
      if (deadline / 1000 <= wheel.when(slot)) return wheel.earliest();
      wheel.cancel(slot);
      if (deadline < Infinity) wheel.arm(slot, deadline / 1000);
    }
  }

  poll(): EngineEvent[] {
    this.core.check();
    return this.manager.poll();
  }

  listen(options: ListenOptions): Listener {
    this.core.check();
    return this.manager.listen(options);
  }

  connect(options: ConnectOptions): Connection {
    this.core.check();
    return this.manager.connect(options);
  }

  bindUdp(options: UdpOptions): UdpSocket {
    this.core.check();
    return this.manager.bindUdp(options);
  }

  configure(settings: Partial<Settings>): void {
    this.core.check();
    // One object, which the manager reads as well.
    Object.assign(this.settings, resolveSettings(settings, this.settings));
    storeSettings(this.settings, this.core.words, this.core.bytes);
    if (this.settings.tcpFastopen & FAST_OPEN_CLIENT) return;
    const cache = this.core.words[control.CTL_COOKIE_CACHE >> 2]!;
    this.core.bytes.fill(0, cache, cache + COOKIE_CACHE_SETS * COOKIE_CACHE_WAYS * COOKIE_ENTRY);
  }

  counters(): Record<string, number> {
    const { words } = this.core;
    return Object.fromEntries(
      Object.entries(COUNTERS).map(([name, at]) => [
        name,
        (words[at >> 2]! >>> 0) + (words[(at >> 2) + 1]! >>> 0) * 2 ** 32,
      ]),
    );
  }

  connections(): {
    localAddress: string;
    localPort: number;
    remoteAddress: string;
    remotePort: number;
    info: TcpInfo;
  }[] {
    this.core.check();
    return this.manager.connections();
  }

  close(): void {
    this.core.close();
  }
}
