import { closeSync } from "node:fs";
import type * as Koffi from "koffi";
import { SynwaveError } from "../errors.ts";

export const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** struct ifreq: 16 octets of name, then a union of which the first fields are used here. */
export const IFNAMSIZ = 16;
export const IFREQ_SIZE = 40;

/** linux/sockios.h, sys/socket.h */
const SIOCGIFMTU = 0x8921;
const AF_INET = 2;
const SOCK_DGRAM = 2;

/** Linux's C library. */
export interface Libc {
  koffi: typeof Koffi.default;
  /** Addresses are plain numbers, so that no object is made per packet. */
  read: (fd: number, address: number, length: number) => number;
  write: (fd: number, address: number, length: number) => number;
  /** With so many `struct iovec` at an address. */
  readVector: (fd: number, address: number, count: number) => number;
  writeVector: (fd: number, address: number, count: number) => number;
  /** `ioctl` with a struct ifreq, which it may rewrite; 0 or the errno. */
  interfaceControl: (fd: number, request: number, ifreq: Uint8Array) => number;
  /** `ioctl` with a number; 0 or the errno. */
  numberControl: (fd: number, request: number, value: number) => number;
  /** The MTU of an interface of this network namespace, or undefined. */
  interfaceMtu: (name: string) => number | undefined;
  timerCreate: (clock: number, flags: number) => number;
  /** `value` is a struct itimerspec. */
  timerSet: (fd: number, flags: number, value: Int32Array, old: null) => number;
}

let loaded: Promise<Libc> | undefined;

/**
 * Functions are declared once per process: koffi keeps what it has generated for each.
 * @param what needs it, for the message
 * @throws SynwaveError ENOTSUP without koffi
 */
export function loadLibc(what: string): Promise<Libc> {
  loaded ??= declareLibc();
  return loaded.catch((cause) => {
    loaded = undefined;
    throw new SynwaveError(
      "ENOTSUP",
      `${what} needs the package koffi, which cannot be loaded: npm install koffi`,
      { cause },
    );
  });
}

async function declareLibc(): Promise<Libc> {
  const { default: koffi } = await import("koffi");
  const lib = koffi.load(null);
  const ioctl = lib.func("int ioctl(int fd, unsigned long request, ...)");
  const socket = lib.func("int socket(int domain, int type, int protocol)");
  const interfaceControl = (fd: number, request: number, ifreq: Uint8Array): number =>
    ioctl(fd, request, "void *", ifreq) < 0 ? koffi.errno() : 0;
  const numberControl = (fd: number, request: number, value: number): number =>
    ioctl(fd, request, "unsigned long", value) < 0 ? koffi.errno() : 0;
  return {
    koffi,
    read: lib.func("read", "intptr_t", ["int", "uintptr_t", "size_t"]),
    write: lib.func("write", "intptr_t", ["int", "uintptr_t", "size_t"]),
    readVector: lib.func("readv", "intptr_t", ["int", "uintptr_t", "int"]),
    writeVector: lib.func("writev", "intptr_t", ["int", "uintptr_t", "int"]),
    interfaceControl,
    numberControl,
    interfaceMtu(name) {
      const fd = socket(AF_INET, SOCK_DGRAM, 0);
      if (fd < 0) return undefined;
      try {
        const ifreq = new Uint8Array(IFREQ_SIZE);
        ifreq.set(Buffer.from(name));
        if (interfaceControl(fd, SIOCGIFMTU, ifreq) !== 0) return undefined;
        return new DataView(ifreq.buffer).getInt32(IFNAMSIZ, LITTLE_ENDIAN);
      } finally {
        closeSync(fd);
      }
    },
    timerCreate: lib.func("timerfd_create", "int", ["int", "int"]),
    timerSet: lib.func("timerfd_settime", "int", ["int", "int", "void *", "void *"]),
  };
}
