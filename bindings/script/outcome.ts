import { SynwaveError } from "../errors.ts";
import type { Call } from "./ast.ts";
import { ERRNO } from "./constants.ts";
import { exprText, numberOf } from "./values.ts";

/** What a system call came to. */
export interface Outcome {
  value: number;
  /** With value -1. */
  errno?: string;
  /** A value the call filled in that is not the one expected. */
  mismatch?: string;
}

/** A call under way: asked again whenever something may have happened. */
export interface Pending {
  /** Undefined while it would block. */
  attempt(): Outcome | undefined;
  /** When it must be asked again although nothing happened, microseconds. */
  wake?: number;
  /** Writes as soon as it may: an ACK that is owed rides on what it writes. */
  writes?: boolean;
}

/** The stack cannot do what the script asks for; a script that only goes on with it fails. */
export class Unsupported extends Error {}

/** The script is about something this stack has no place for at all; it is skipped. */
export class NotApplicable extends Error {}

export const ok = (value = 0, mismatch?: string): Outcome => ({
  value,
  ...(mismatch !== undefined && { mismatch }),
});
export const fail = (errno: string): Outcome => ({ value: -1, errno });

/** The errno of an error of the engine's. */
export function errnoOf(error: unknown): string {
  if (error instanceof SynwaveError && Object.hasOwn(ERRNO, error.code)) return error.code;
  throw error;
}

const FILE_DESCRIPTORS = new Set(["socket", "accept", "accept4", "open"]);

/** Whether the call's value is a new descriptor, which scripts number as they like. */
export const returnsDescriptor = (name: string) => FILE_DESCRIPTORS.has(name);

export function outcomeText({ value, errno }: Outcome): string {
  return errno === undefined ? String(value) : `${value} ${errno}`;
}

/** In what way a call's outcome is not the one expected; undefined when it is. */
export function outcomeDifference(call: Call, outcome: Outcome): string | undefined {
  const { name, result, errno } = call;
  const wanted = `${exprText(result)}${errno === undefined ? "" : ` ${errno}`}`;
  const expected = numberOf(result);
  const said = `expected ${call.text} = ${wanted}, got ${outcomeText(outcome)}`;
  if (result.kind !== "any") {
    const same = returnsDescriptor(name) ? expected! >= 0 === outcome.value >= 0 : expected === outcome.value;
    if (!same) return said;
  }
  if (errno !== undefined && ERRNO[errno] === undefined) return `${said}: no such error: ${errno}`;
  const codes = [errno, outcome.errno].map((code) => (code === undefined ? 0 : ERRNO[code]));
  if (errno !== undefined && codes[0] !== codes[1]) return said;
  return outcome.mismatch === undefined ? undefined : `${call.text}: ${outcome.mismatch}`;
}
