/** A source of time and wake-ups. Milliseconds, with fractions, from an origin of its own; never runs backwards. */
export interface Clock {
  now(): number;
  /** Call `wake` once at or after `when`; returns what `cancel` takes. */
  at(when: number, wake: () => void): ClockEntry;
  cancel(entry: ClockEntry): void;
}

export interface ClockEntry {
  readonly when: number;
}

interface SystemEntry extends ClockEntry {
  timeout: ReturnType<typeof setTimeout>;
}

/** Real time, by `performance.now` and `setTimeout`. Its wake-ups keep a Node process alive while they are pending. */
export const systemClock: Clock = {
  now: () => performance.now(),
  at(when, wake) {
    // setTimeout takes at most 2^31 - 1 ms; a wake-up that comes early is asked for again by whoever wanted it.
    const wait = Math.min(Math.max(0, when - performance.now()), 0x7fffffff);
    return { when, timeout: setTimeout(wake, wait) } as SystemEntry;
  },
  cancel(entry) {
    clearTimeout((entry as SystemEntry).timeout);
  },
};
