// All tests, or those named on the command line as for vitest; then what was skipped and why; last, the count.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "./files.mjs";

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

const tally = JSON.parse(takeText(tallyPath) ?? '{ "passed": 0, "failed": 1, "skipped": [] }');
const declared = (takeText(skippedPath) ?? "")
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line));

for (const { name, reason, enable } of declared)
  console.log(`Skipped: ${name}\n  because ${reason}\n  to enable it: ${enable}`);

// A test that is passed over without a word would go unnoticed for ever. When tests were chosen by name, the rest are
// passed over on purpose.
const files = new Set(declared.map(({ file }) => file));
const silent = chosen.length > 0 ? [] : tally.skipped.filter(({ file }) => !files.has(file));
for (const { file, name } of silent)
  console.log(`Skipped without a reason: ${relative(root, file)} > ${name}`);

let failed = tally.failed + silent.length;
if (failed === 0 && code !== 0) failed = 1;
if (tally.passed === 0 && failed === 0) {
  console.log("No test ran.");
  failed = 1;
}
console.log(`${tally.passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
