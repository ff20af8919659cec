/** An instant in microseconds since an origin of the caller's, whole and never decreasing. */
export type Micros = f64;

/** The instant of the call being carried out: the only clock there is. */
export let now: Micros = 0;

/** A clock that runs backwards is taken to stand still. */
export function setNow(to: Micros): void {
  if (to > now) now = to;
}

export const NEVER: Micros = Infinity;
export const MILLISECOND: Micros = 1000;
export const SECOND: Micros = 1000000;
