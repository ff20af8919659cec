import { closeSync } from "node:fs";
import type * as Koffi from "koffi";
import type { Clock, ClockEntry } from "../clock.ts";
import { SynwaveError } from "../errors.ts";
import { LITTLE_ENDIAN, type Libc, loadLibc } from "./libc.ts";

/** Real time with wake-ups as fine as the kernel's timers. */
export interface FineClock extends Clock {
  /** Forget every wake-up and let go of the timer. Idempotent. */
  close(): void;
}

/** sys/timerfd.h */
const CLOCK_MONOTONIC = 1;
const TFD_CLOEXEC_NONBLOCK = 0x80800;

/**
 * A clock like `systemClock` whose wake-ups come within a fraction of a millisecond, by Linux's timerfd, where
 * `setTimeout` knows whole ones: what paces a link at tens of megabits a second needs it. While open it keeps the process
 * alive.
 *
 * @throws SynwaveError ENOTSUP off Linux or without the optional peer `koffi`
 */
export async function openClock(): Promise<FineClock> {
  if (process.platform !== "linux")
    throw new SynwaveError("ENOTSUP", `a fine clock is for Linux, not ${process.platform}`);
  const libc = await loadLibc("a fine clock");
  const fd = libc.timerCreate(CLOCK_MONOTONIC, TFD_CLOEXEC_NONBLOCK);
  if (fd < 0) throw new SynwaveError("ENOTSUP", `cannot make a timer: errno ${libc.koffi.errno()}`);
  return new Timer(libc, fd);
}

interface Entry extends ClockEntry {
  readonly wake: () => void;
}

class Timer implements FineClock {
  readonly #libc: Libc;
  readonly #poll: Koffi.node.PollHandle;
  readonly #ticks = new Uint8Array(8);
  readonly #address: number;
  /** struct itimerspec: interval and value, each in seconds and nanoseconds of 64 bits. */
  readonly #value = new Int32Array(8);
  /** By time, the latest first; few, so that a list does. */
  readonly #entries: Entry[] = [];
  #fd: number;
  #set = Number.POSITIVE_INFINITY;
  #firing = false;

  constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
    this.#address = Number(libc.koffi.address(this.#ticks));
    // As for TUN devices: only an immediate has microtasks run after it and exceptions heard.
    this.#poll = libc.koffi.node.poll(fd, () => {
      if (this.#firing) return;
      this.#firing = true;
      setImmediate(this.#fire);
    });
  }

  now(): number {
    return performance.now();
  }

  at(when: number, wake: () => void): ClockEntry {
    const entry: Entry = { when, wake };
    let place = this.#entries.length;
    while (place > 0 && this.#entries[place - 1]!.when <= when) place--;
    this.#entries.splice(place, 0, entry);
    if (when < this.#set) this.#arm();
    return entry;
  }

  cancel(entry: ClockEntry): void {
    const place = this.#entries.indexOf(entry as Entry);
    if (place >= 0) this.#entries.splice(place, 1);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#entries.length = 0;
    this.#poll.close();
    closeSync(this.#fd);
    this.#fd = -1;
  }

  readonly #fire = (): void => {
    this.#firing = false;
    if (this.#fd < 0) return;
    this.#libc.read(this.#fd, this.#address, 8);
    this.#set = Number.POSITIVE_INFINITY;
    const now = performance.now();
    try {
      // What the woken ask for meanwhile waits for another turn, even when it is due at once.
      for (let due = this.#entries.filter(({ when }) => when <= now).length; due > 0; due--) {
        const entry = this.#entries.at(-1);
        if (entry === undefined || entry.when > now) break;
        this.#entries.pop();
        entry.wake();
      }
    } finally {
      this.#arm();
    }
  };

  /** Set the timer to the earliest wake-up there is. */
  #arm(): void {
    const entry = this.#entries.at(-1);
    if (entry === undefined || this.#fd < 0 || entry.when >= this.#set) return;
    this.#set = entry.when;
    // A timer set to nothing would never fire; one set to an hour is set again when it has passed.
    const wait = Math.min(Math.max(entry.when - performance.now(), 0), 3_600_000);
    const nanoseconds = Math.ceil(wait * 1e6) + 1;
    this.#value[LITTLE_ENDIAN ? 4 : 5] = nanoseconds / 1e9;
    this.#value[LITTLE_ENDIAN ? 6 : 7] = nanoseconds % 1e9;
    this.#libc.timerSet(this.#fd, 0, this.#value, null);
  }
}
