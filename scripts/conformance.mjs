// Joins the requirements with the tests that name them and writes CONFORMANCE.md.
//   npm run conformance                     runs the tests first
//   npm run conformance -- --results FILE   takes what vitest's JSON reporter wrote
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join as path, relative, sep } from "node:path";
import { parseArgs } from "node:util";
import { document, join, missing, readTable } from "./conformance-join.mjs";
import { root, write } from "./files.mjs";
import { node } from "./run.mjs";

const { values } = parseArgs({ options: { results: { type: "string" }, output: { type: "string" } } });
const spec = (name) => readFileSync(path(root, "test/spec", name), "utf8");

async function run() {
  const scratch = path(root, "build");
  const results = path(scratch, `results-${process.pid}.json`);
  mkdirSync(scratch, { recursive: true });
  try {
    // Failures show in the results; what matters here is which tests passed.
    await node(path(root, "node_modules/vitest/vitest.mjs"), [
      "run",
      "--project",
      "unit",
      "--reporter=json",
      `--outputFile=${results}`,
    ]).catch(() => {});
    return JSON.parse(readFileSync(results, "utf8"));
  } finally {
    rmSync(results, { force: true });
  }
}

const results = values.results ? JSON.parse(readFileSync(values.results, "utf8")) : await run();
const tests = results.testResults.flatMap(({ name, assertionResults }) =>
  assertionResults.map(({ fullName, status }) => ({
    file: relative(root, name).split(sep).join("/"),
    name: fullName,
    passed: status === "passed",
  })),
);

const requirements = readTable(spec("requirements.tsv"));
const machine = readTable(spec("statemachine.tsv")).map((row) => ({ ...row, rfc: "9293", level: "MUST" }));
const notes = JSON.parse(spec("conformance.json"));
const rows = [...requirements, ...machine];
const { verdicts, problems, stale } = join(rows, tests, notes);
write(values.output ?? path(root, "CONFORMANCE.md"), document({ requirements, machine, verdicts, notes }));

const open = missing(rows, verdicts, notes.claims);
const proved = rows.filter(({ id }) => verdicts.get(id).kind === "proved").length;
for (const line of problems) console.log(line);
for (const { id, requirement, event, guard } of open)
  console.log(`missing: ${id} ${requirement ?? `${event}, ${guard}`}`);
if (stale.length > 0) console.log(`proved, and still listed as not done: ${stale.join(" ")}`);
console.log(`${proved} of ${rows.length} proved, ${open.length} missing, ${problems.length} problems`);
process.exitCode = open.length + problems.length === 0 ? 0 : 1;
