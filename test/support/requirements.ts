import { appendFileSync } from "node:fs";
import { expect } from "vitest";

/**
 * What a suite needs of the machine. Returns why it cannot run here, for `describe.skipIf(reason)`, or undefined when
 * it can; `npm test` prints the reason at its end. Where nothing may be skipped, that is an error instead.
 *
 * @param name the suite, as people call it
 * @param check the reason it cannot run, or undefined
 * @param enable the command that makes it run
 */
export function suiteRequirement(
  name: string,
  check: () => string | undefined,
  enable: string,
): string | undefined {
  const reason = check();
  if (reason === undefined) return undefined;
  if (mustRunAll())
    throw new Error(`The suite "${name}" must run and cannot: ${reason}. To enable it: ${enable}`);
  const record = process.env.SYNWAVE_SKIPPED;
  if (record !== undefined)
    appendFileSync(record, `${JSON.stringify({ file: expect.getState().testPath, name, reason, enable })}\n`);
  return reason;
}

function mustRunAll(): boolean {
  return [process.env.CI, process.env.SYNWAVE_NO_SKIP].some(
    (value) => value !== undefined && !["", "0", "false"].includes(value),
  );
}
