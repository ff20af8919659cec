// packetdrill scripts, one verdict a line: npm run packetdrill -- [options] FILE|DIR …
//   --relaxed            tolerate what stacks do differently, and what RFCs have otherwise than the script
//   --define NAME=VALUE  a word and what it stands for, -D for short; may be repeated
//   --dialect=bsd|linux  whose defaults and names are meant, where the script does not tell
//   --mutate N           corrupt one expectation at a time, N a script at most: every mutant must fail
//   --NAME=VALUE         an option as in scripts, which prevails over the script's own
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { list, root } from "./files.mjs";

const OWN = {
  relaxed: { type: "boolean" },
  define: { type: "string", multiple: true, short: "D" },
  mutate: { type: "string" },
};

function usage(message) {
  process.stderr.write(
    `${message}\nUsage: npm run packetdrill -- [--relaxed] [--define NAME=VALUE] [--mutate N] [--NAME=VALUE] FILE|DIR …\n`,
  );
  process.exit(2);
}

/** The interpreter and the mutator, from their sources. */
async function load() {
  const { build } = await import("esbuild");
  const outfile = join(root, "build", `packetdrill-${process.pid}.mjs`);
  mkdirSync(join(root, "build"), { recursive: true });
  await build({
    stdin: {
      contents: 'export * from "./bindings/script/index.ts"; export * from "./test/script/mutate.ts";',
      resolveDir: root,
    },
    absWorkingDir: root,
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    logLevel: "error",
  });
  try {
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(outfile, { force: true });
  }
}

function choices() {
  const { values, tokens } = parseArgs({ options: OWN, strict: false, allowPositionals: true, tokens: true });
  const overrides = {};
  const paths = [];
  for (const token of tokens) {
    if (token.kind === "positional") paths.push(token.value);
    else if (token.kind === "option" && !Object.hasOwn(OWN, token.name))
      overrides[token.name.replaceAll("-", "_")] = token.value ?? "";
  }
  if (paths.length === 0) usage("No file is named.");
  const mutants = values.mutate === undefined ? 0 : Number(values.mutate);
  if (!Number.isInteger(mutants) || mutants < 0) usage(`--mutate takes a whole number, not ${values.mutate}`);
  const defines = Object.fromEntries(
    (values.define ?? []).map((text) => {
      const at = text.indexOf("=");
      return at < 0 ? [text, "1"] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
  return { relaxed: values.relaxed === true, defines, mutants, overrides, paths };
}

function scripts(paths) {
  return paths.flatMap((path) => {
    if (!existsSync(path)) usage(`There is no ${path}.`);
    if (!statSync(path).isDirectory()) return [path];
    const found = list(["."], resolve(path)).filter((file) => file.endsWith(".pkt"));
    if (found.length === 0) usage(`There is no script in ${path}.`);
    return found.map((file) => join(path, file));
  });
}

const { relaxed, defines, mutants, overrides, paths } = choices();
const files = scripts(paths);
const { readScript, runScript, relaxations, mutate } = await load();

let engine = {};
const module = join(root, "build", "release.wasm");
// Compiled once instead of once a script.
if (existsSync(module)) engine = { wasm: await WebAssembly.compile(readFileSync(module)) };

const tally = { passed: 0, failed: 0, skipped: 0 };
const say = (status, line) => {
  tally[status]++;
  console.log(line);
};

async function judge(script) {
  try {
    const { verdict, presumedSettings } = await runScript(script, { relaxed, overrides, engine });
    return { ...verdict, presumed: presumedSettings };
  } catch (error) {
    // A bug of ours: the others are run all the same.
    return { status: "failed", line: 1, message: `the interpreter broke: ${error.stack}` };
  }
}

function report(file, verdict) {
  const { presumed = [] } = verdict;
  const note = presumed.length > 0 ? ` (presumed: ${presumed.join(", ")})` : "";
  if (verdict.status === "passed") say("passed", `ok ${file}${note}`);
  else if (verdict.status === "skipped") say("skipped", `skip ${file}: ${verdict.reason}`);
  else say("failed", `not ok ${file}: line ${verdict.line}: ${verdict.message}`);
}

/** Mutants are passed when they fail. */
async function reportMutants(file, script) {
  const survivors = [];
  let count = 0;
  for (const { label, script: mutant } of mutate(script, mutants)) {
    count++;
    if ((await judge(mutant)).status !== "failed") survivors.push(label);
  }
  if (survivors.length === 0) say("passed", `ok ${file}: ${count} mutants, all fail`);
  else
    say(
      "failed",
      `not ok ${file}: ${survivors.length} of ${count} mutants do not fail: ${survivors.join("; ")}`,
    );
}

if (relaxed) console.log(`relaxed: ${relaxations.join("; ")}`);
/** Scripts on what the stack is known to do wrong: run when they are named, not when their folder is walked. */
const isPending = (file) => !paths.includes(file) && /(^|[\\/])pending[\\/]/.test(file);

for (const file of files) {
  if (isPending(file)) {
    report(file, { status: "skipped", reason: "pending: the stack is known to do this differently" });
    continue;
  }
  let script;
  try {
    script = readScript(readFileSync(file, "utf8"), { name: file, defines, overrides });
  } catch (error) {
    if (error.code !== "EINVAL") throw error;
    report(file, { status: "failed", line: error.line ?? 1, message: error.detail ?? error.message });
    continue;
  }
  const verdict = await judge(script);
  if (mutants > 0 && verdict.status === "passed") await reportMutants(file, script);
  else report(file, verdict);
}
console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
process.exitCode = tally.failed === 0 ? 0 : 1;
