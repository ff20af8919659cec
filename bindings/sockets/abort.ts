import { SynwaveError } from "../errors.ts";

/**
 * Call `abort` with an ABORT_ERR, whose cause is the signal's reason, when `signal` aborts: at once if it has.
 * @returns what takes the listener away again
 */
export function onAbort(
  signal: AbortSignal | undefined,
  abort: (error: SynwaveError) => void,
): (() => void) | undefined {
  if (signal === undefined) return undefined;
  const fire = (): void =>
    abort(new SynwaveError("ABORT_ERR", "the operation was aborted", { cause: signal.reason }));
  if (signal.aborted) {
    fire();
    return undefined;
  }
  signal.addEventListener("abort", fire, { once: true });
  return () => signal.removeEventListener("abort", fire);
}
