import { SynwaveError } from "../errors.ts";

/** @throws SynwaveError EINVAL unless `value` is an integer from `least` to `most` */
export function requireInteger(name: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new SynwaveError("EINVAL", `${name} must be an integer from ${least} to ${most}, not ${value}`);
  return value;
}

/** @throws SynwaveError EINVAL unless `value` is a number from 0 (or above it) to 1 */
export function requireProbability(name: string, value: number, above = false): number {
  return requireNumber(name, value, 1, above, "a probability");
}

/** @throws SynwaveError EINVAL unless `value` is a finite number of milliseconds from 0 (or above it) to `most` */
export function requireTime(
  name: string,
  value: number,
  most = Number.MAX_SAFE_INTEGER,
  above = false,
): number {
  return requireNumber(name, value, most, above, "milliseconds");
}

/** @throws SynwaveError EINVAL unless `value` is a number from 0 (or above it) to `most` */
export function requireNumber(
  name: string,
  value: number,
  most: number,
  above: boolean,
  what: string,
): number {
  if (typeof value !== "number" || !(value >= 0 && value <= most) || (above && value === 0))
    throw new SynwaveError(
      "EINVAL",
      `${name} must be ${what} ${above ? "above" : "from"} 0 to ${most}, not ${value}`,
    );
  return value;
}
