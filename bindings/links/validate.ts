import { SynwaveError } from "../errors.ts";

/** @throws SynwaveError EINVAL unless `value` is an integer from `least` to `most` */
export function requireInteger(name: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new SynwaveError(
      "EINVAL",
      `${name} must be an integer from ${least} to ${most}, not ${String(value)}`,
    );
  return value;
}

/** @throws SynwaveError EINVAL unless `value` is a number from 0 to 1 */
export function requireProbability(name: string, value: number): number {
  if (typeof value !== "number" || !(value >= 0 && value <= 1))
    throw new SynwaveError("EINVAL", `${name} must be a probability from 0 to 1, not ${String(value)}`);
  return value;
}

/** @throws SynwaveError EINVAL unless `value` is a finite number of milliseconds from 0 to `most` */
export function requireTime(name: string, value: number, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number" || !(value >= 0 && value <= most))
    throw new SynwaveError("EINVAL", `${name} must be from 0 to ${most} ms, not ${String(value)}`);
  return value;
}
