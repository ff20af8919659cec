// All tests, or those named on the command line as for vitest; then what was skipped and why; last, the count.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./files.mjs";
import { verdict } from "./verdict.mjs";

const scratch = join(root, "build");
const tallyPath = join(scratch, `tally-${process.pid}.json`);
const skippedPath = join(scratch, `skipped-${process.pid}.jsonl`);
const chosen = process.argv.slice(2);

mkdirSync(scratch, { recursive: true });
const code = await new Promise((resolve) => {
  const child = spawn(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--reporter=default",
      `--reporter=${join(root, "scripts/tally-reporter.mjs")}`,
      ...chosen,
    ],
    {
      cwd: root,
      stdio: ["ignore", 1, 2],
      env: { ...process.env, SYNWAVE_TALLY: tallyPath, SYNWAVE_SKIPPED: skippedPath },
    },
  );
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  child.on("close", (status) => resolve(status ?? 1));
});

function takeText(path) {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8");
  rmSync(path);
  return text;
}

const tally = JSON.parse(takeText(tallyPath) ?? "null") ?? { passed: 0, failed: 1, skipped: [] };
const declared = (takeText(skippedPath) ?? "")
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line));
const { lines, failed } = verdict({ tally, declared, chosen: chosen.length > 0, code });
for (const line of lines) console.log(line);
process.exitCode = failed === 0 ? 0 : 1;
