import { closeSync, constants, openSync } from "node:fs";
import type * as Koffi from "koffi";
import { SynwaveError } from "../errors.ts";
import type { Link, PacketSink } from "../links/link.ts";
import { PacketBatch } from "../packet-batch.ts";
import { IFNAMSIZ, IFREQ_SIZE, LITTLE_ENDIAN, type Libc, loadLibc } from "./libc.ts";
import { Vnet } from "./vnet.ts";

export interface TunOptions {
  /** The interface: 1 to 15 octets. An existing TUN device is joined; a new one is made and goes with the link. */
  name: string;
  /** Largest IP packet, octets, 68 to 65535. Default: the device's own. */
  mtu?: number;
  /** Most packets delivered at once. Default 64. */
  packets?: number;
  /**
   * Have the kernel cut packets of several TCP segments, up to 64 KiB, and complete checksums, and take such packets from
   * it: several times as fast. Links that wrap this one pass it on or do without. Default false.
   */
  offload?: boolean;
}

/** Packets a TUN link could not carry, by cause. */
export interface TunDrops {
  /** The device's queue was full (EAGAIN, ENOBUFS, ENOMEM). */
  busy: number;
  /** The device was down (EIO). */
  down: number;
  /** The kernel took it for no IP packet, or it exceeded what a device carries. */
  invalid: number;
  /** A packet from the kernel that was longer than `mtu`. */
  oversize: number;
}

export interface TunLink extends Link {
  /** The interface's name, as the kernel gave it. */
  readonly name: string;
  readonly drops: Readonly<TunDrops>;
}

/** linux/if_tun.h; PowerPC numbers the direction of an ioctl in its own way. */
const TUNSETIFF = process.arch === "ppc64" ? 0x800454ca : 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUNSETOFFLOAD = process.arch === "ppc64" ? 0x800454d0 : 0x400454d0;
const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
const TUN_F_TSO6 = 4;

/** As on every architecture Node is built for. */
const EPERM = 1;
const EIO = 5;
const EAGAIN = 11;
const ENOMEM = 12;
const EACCES = 13;
const EBUSY = 16;
const ENODEV = 19;
const EINVAL = 22;
const EBADFD = 77;
const ENOBUFS = 105;

/** Largest packet of several segments. */
const SUPER_MAX = 65535;

/** Octets of packets delivered at once, unless a few packets of the device's size need more. */
const BATCH_BYTES = 256 * 1024;

/**
 * Open a TUN device: IP packets from and to Linux itself. Addresses and routes are the caller's to set, with `ip`.
 * While open it keeps the process alive, as a socket does.
 *
 * @throws SynwaveError ENOTSUP off Linux, without a TUN driver or without the optional peer `koffi`; EPERM or EACCES
 * without permission; EINVAL for a name no interface can have or that of a device of another kind; EBUSY when another
 * program holds the device
 */
export async function openTun(options: TunOptions): Promise<TunLink> {
  const { name, mtu, packets = 64, offload = false } = options;
  checkName(name);
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= 68 && mtu <= 65535))
    throw new SynwaveError("EINVAL", `mtu must be an integer from 68 to 65535, not ${mtu}`);
  if (process.platform !== "linux")
    throw new SynwaveError(
      "ENOTSUP",
      `cannot open TUN device "${name}": TUN is for Linux, not ${process.platform}`,
    );
  const libc = await loadLibc(`TUN device "${name}"`);
  const fd = openDriver(name);
  try {
    const ifreq = new Uint8Array(IFREQ_SIZE);
    ifreq.set(Buffer.from(name));
    new DataView(ifreq.buffer).setInt16(
      IFNAMSIZ,
      IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0),
      LITTLE_ENDIAN,
    );
    const errno = libc.interfaceControl(fd, TUNSETIFF, ifreq);
    if (errno !== 0) throw attachError(name, errno);
    const given = Buffer.from(ifreq.subarray(0, ifreq.indexOf(0))).toString();
    // A device that stays keeps what it was told last.
    const refused = libc.numberControl(fd, TUNSETOFFLOAD, offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0);
    if (refused !== 0 && offload)
      throw new SynwaveError("ENOTSUP", `TUN device "${name}" has no offload: errno ${refused}`);
    const vnet = offload ? new Vnet(libc, `TUN device "${name}"`) : undefined;
    return new Tun(libc, fd, given, mtu ?? libc.interfaceMtu(given) ?? 1500, packets, vnet);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function checkName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length < 1 || length >= IFNAMSIZ)
    throw new SynwaveError("EINVAL", `an interface name has 1 to 15 octets, "${name}" has ${length}`);
  if (/[\s/:\0]/.test(name) || name === "." || name === "..")
    throw new SynwaveError("EINVAL", `"${name}" cannot be the name of an interface`);
}

function openDriver(name: string): number {
  try {
    return openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "EACCES" || code === "EPERM")
      throw new SynwaveError(code, `no permission to open /dev/net/tun for TUN device "${name}"`, { cause });
    throw new SynwaveError(
      "ENOTSUP",
      `cannot open /dev/net/tun for TUN device "${name}" (${code}): is the tun module loaded?`,
      { cause },
    );
  }
}

function attachError(name: string, errno: number): SynwaveError {
  switch (errno) {
    case EPERM:
    case EACCES:
      return new SynwaveError(
        errno === EPERM ? "EPERM" : "EACCES",
        `no permission to use TUN device "${name}": it takes CAP_NET_ADMIN, or a device made for this user ` +
          `(ip tuntap add ${name} mode tun user …)`,
      );
    case EBUSY:
      return new SynwaveError("EBUSY", `another program holds TUN device "${name}"`);
    case EINVAL:
      return new SynwaveError("EINVAL", `"${name}" is not a TUN device, or not a name for one`);
    default:
      return new SynwaveError("ENOTSUP", `cannot use TUN device "${name}": errno ${errno}`);
  }
}

class Tun implements TunLink {
  readonly name: string;
  readonly mtu: number;
  readonly checksum: "full" | "none";
  readonly gso: number;
  readonly borrows = true;
  readonly drops: TunDrops = { busy: 0, down: 0, invalid: 0, oversize: 0 };
  readonly closed: Promise<void>;
  readonly #libc: Libc;
  readonly #vnet: Vnet | undefined;
  /** Room for one packet; more than fits, so that a packet cut short by `read` is told from one of exactly that length. */
  readonly #room: number;
  readonly #arrived: PacketBatch;
  readonly #poll: Koffi.node.PollHandle;
  readonly #settle: (error?: Error) => void;
  /** The descriptor; -1 once closed. */
  #fd: number;
  #sink: PacketSink | undefined;
  #drainPending = false;

  constructor(libc: Libc, fd: number, name: string, mtu: number, packets: number, vnet: Vnet | undefined) {
    this.#libc = libc;
    this.#fd = fd;
    this.name = name;
    this.mtu = mtu;
    this.#vnet = vnet;
    this.checksum = vnet ? "none" : "full";
    this.gso = vnet ? SUPER_MAX : 0;
    const room = (Math.max(mtu, this.gso) + 8) & -8;
    this.#room = room;
    this.#arrived = new PacketBatch(packets, Math.min(packets * room, Math.max(BATCH_BYTES, 4 * room)));
    let settle: (error?: Error) => void = () => {};
    this.closed = new Promise((resolve, reject) => {
      settle = (error) => (error ? reject(error) : resolve());
    });
    this.#settle = settle;
    // Whoever holds the link may not look at `closed`; that must not end their process.
    this.closed.catch(() => {});
    // The callback is entered without a callback scope: no microtask would run after it and an exception would be lost.
    // An immediate runs in the same turn of the event loop and has both.
    this.#poll = libc.koffi.node.poll(fd, () => {
      if (this.#drainPending) return;
      this.#drainPending = true;
      setImmediate(this.#drain);
    });
  }

  send(batch: PacketBatch): void {
    const { count, table } = batch;
    if (count === 0 || this.#fd < 0) return;
    const base = Number(this.#libc.koffi.address(batch.bytes));
    const end = batch.bytes.length;
    const vnet = this.#vnet;
    for (let i = 0; i < count; i++) {
      const offset = table[2 * i]!;
      const length = table[2 * i + 1]!;
      // The kernel reads where it is told: a table that points past its buffer must not reach it.
      if (offset < 0 || length < 1 || offset + length > end) this.drops.invalid++;
      else if (
        (vnet ? vnet.write(this.#fd, base, batch, i) : this.#libc.write(this.#fd, base + offset, length)) < 0
      )
        this.#refused(this.#libc.koffi.errno());
      if (this.#fd < 0) return;
    }
  }

  onReceive(sink: PacketSink | undefined): void {
    this.#sink = sink;
  }

  close(): void {
    this.#end();
  }

  /** Take up to a batch of what has arrived; the poll is level-triggered and reports what is left. */
  readonly #drain = (): void => {
    this.#drainPending = false;
    if (this.#fd < 0) return;
    const batch = this.#arrived;
    const room = this.#room;
    const vnet = this.#vnet;
    const last = batch.bytes.length - room;
    const base = Number(this.#libc.koffi.address(batch.bytes));
    batch.clear();
    let broken = 0;
    while (batch.count < batch.capacity && batch.used <= last) {
      const to = base + batch.used;
      const length = vnet ? vnet.read(this.#fd, to, room) : this.#libc.read(this.#fd, to, room);
      if (length < 0) {
        const errno = this.#libc.koffi.errno();
        if (errno !== EAGAIN) broken = errno;
        break;
      }
      const segments = vnet ? vnet.segments : 0;
      if (length > (segments > 0 ? this.gso : this.mtu)) this.drops.oversize++;
      else if (length > 0) batch.commit(length, segments, vnet ? vnet.checksum : 0);
    }
    if (batch.count > 0) this.#sink?.(batch);
    if (broken !== 0) this.#end(broken);
  };

  #refused(errno: number): void {
    if (errno === EIO) this.drops.down++;
    else if (errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM) this.drops.busy++;
    else if (errno === EBADFD) this.#end(errno);
    else this.drops.invalid++;
  }

  #end(errno?: number): void {
    if (this.#fd < 0) return;
    this.#sink = undefined;
    this.#poll.close();
    closeSync(this.#fd);
    this.#fd = -1;
    if (errno === undefined) this.#settle();
    else if (errno === EBADFD || errno === ENODEV)
      this.#settle(new SynwaveError("ENODEV", `TUN device "${this.name}" is gone`));
    else this.#settle(new SynwaveError("EIO", `TUN device "${this.name}" failed: errno ${errno}`));
  }
}
