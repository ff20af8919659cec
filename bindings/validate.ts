import { SynwaveError, show } from "./errors.ts";

/** @throws SynwaveError EINVAL unless `value` is an integer from `least` to `most` */
export function requireInteger(name: string, value: unknown, least: number, most: number): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
    throw new SynwaveError(
      "EINVAL",
      `${name} must be an integer from ${least} to ${most}, not ${show(value)}`,
    );
  return value as number;
}

/** @throws SynwaveError EINVAL unless `value` is a boolean */
export function requireBoolean(name: string, value: unknown): void {
  if (typeof value !== "boolean")
    throw new SynwaveError("EINVAL", `${name} must be a boolean, not ${show(value)}`);
}

/** @throws SynwaveError EINVAL for an option that is none of `known` */
export function requireKnown(options: object, known: ReadonlySet<string>): void {
  for (const name of Object.keys(options))
    if (!known.has(name)) throw new SynwaveError("EINVAL", `unknown option ${name}`);
}

/** What a link or an engine does about checksums. @throws SynwaveError EINVAL for anything else */
export function requireChecksum(value: unknown): "full" | "none" {
  if (value !== "full" && value !== "none")
    throw new SynwaveError("EINVAL", `checksum must be "full" or "none", not ${show(value)}`);
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
