import type { Clock, ClockEntry } from "./clock.ts";
import { nextTurn } from "./clock-turn.ts";
import { SynwaveError } from "./errors.ts";

interface Wake extends ClockEntry {
  readonly order: number;
  readonly wake: () => void;
  /** Place in the heap; -1 once fired or cancelled. */
  at: number;
}

function before(a: Wake, b: Wake): boolean {
  return a.when < b.when || (a.when === b.when && a.order < b.order);
}

/**
 * Time that passes only when told to. Wake-ups fire in the order of their times, those of one time in the order they
 * were asked for, and the clock reads exactly that time while they run.
 */
export class VirtualClock implements Clock {
  readonly #heap: Wake[] = [];
  #now: number;
  #order = 0;

  /** @param start what the clock reads at first, milliseconds */
  constructor(start = 0) {
    if (!Number.isFinite(start))
      throw new SynwaveError("EINVAL", `start must be a finite time, not ${String(start)}`);
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** Wake-ups that are pending. */
  get pending(): number {
    return this.#heap.length;
  }

  /** A time that has passed fires at the next step, before all later ones. */
  at(when: number, wake: () => void): ClockEntry {
    if (typeof when !== "number" || Number.isNaN(when))
      throw new SynwaveError("EINVAL", `when must be a time in milliseconds, not ${String(when)}`);
    const entry: Wake = { when, order: this.#order++, wake, at: this.#heap.length };
    this.#heap.push(entry);
    this.#up(entry);
    return entry;
  }

  cancel(entry: ClockEntry): void {
    const wake = entry as Wake;
    if (wake.at >= 0 && this.#heap[wake.at] === wake) this.#remove(wake);
  }

  /** Fire the next wake-up; false when there is none (one asked for at `Infinity` never comes). */
  step(): boolean {
    return this.#stepBy(Number.MAX_VALUE);
  }

  /**
   * Fire wake-ups: all of them; or those up to a time, at which the clock then stands; or until a condition holds,
   * tested before each. Returns whether it got there: false only when nothing was left to wait for before the
   * condition held.
   */
  run(until?: number | (() => boolean)): boolean {
    if (typeof until === "function") {
      while (!until()) if (!this.step()) return false;
      return true;
    }
    const limit = this.#limit(until);
    while (this.#stepBy(limit));
    if (until !== undefined) this.#now = Math.max(this.#now, limit);
    return true;
  }

  /**
   * As `run`, but lets pending promises settle before each wake-up (one turn of the event loop), so that streams and
   * async functions live in virtual time too.
   */
  async runAsync(until?: number | (() => boolean)): Promise<boolean> {
    if (typeof until === "function") {
      for (;;) {
        await settle();
        if (until()) return true;
        if (!this.step()) return false;
      }
    }
    const limit = this.#limit(until);
    do await settle();
    while (this.#stepBy(limit));
    if (until !== undefined) this.#now = Math.max(this.#now, limit);
    return true;
  }

  #limit(until: number | undefined): number {
    if (until === undefined) return Number.MAX_VALUE;
    if (!(until >= this.#now) || until === Number.POSITIVE_INFINITY)
      throw new SynwaveError(
        "EINVAL",
        `until must be a finite time not before ${this.#now}, not ${String(until)}`,
      );
    return until;
  }

  #stepBy(limit: number): boolean {
    const next = this.#heap[0];
    if (next === undefined || next.when > limit) return false;
    this.#remove(next);
    if (next.when > this.#now) this.#now = next.when;
    next.wake();
    return true;
  }

  #remove(entry: Wake): void {
    const last = this.#heap.pop()!;
    const at = entry.at;
    entry.at = -1;
    if (last === entry) return;
    this.#heap[at] = last;
    last.at = at;
    this.#up(last);
    this.#down(last);
  }

  #up(entry: Wake): void {
    const heap = this.#heap;
    let at = entry.at;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1];
      if (!before(entry, parent)) break;
      heap[at] = parent;
      parent.at = at;
      at = (at - 1) >> 1;
    }
    heap[at] = entry;
    entry.at = at;
  }

  #down(entry: Wake): void {
    const heap = this.#heap;
    let at = entry.at;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], entry)) break;
      heap[at] = heap[child];
      heap[at].at = at;
      at = child;
    }
    heap[at] = entry;
    entry.at = at;
  }
}

function settle(): Promise<void> {
  return new Promise(nextTurn);
}
