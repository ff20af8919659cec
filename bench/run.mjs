// npm run bench -- [micro] [bulk] [--check] [--json FILE] [--rounds N]
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildFloor } from "./floor.mjs";
import { measure } from "./measure.mjs";
import { circumstances, table } from "./report.mjs";

const help = `Usage: npm run bench -- [GROUP …] [OPTION …]

Times the engine beside plain C that does the same work on the same machine in the same minutes. Each result is checked
before it is timed. Figures are medians, in nanoseconds per operation.

Groups (default: all)
  micro        checksum, MD5, hashes and copies by themselves
  bulk         two engines in one thread, from application to application

Options
  --check      exit code 1 when a ratio is over its limit
  --json FILE  write everything measured, and on what machine, to FILE
  --rounds N   interleave with the C reference N times (default 7)
  --help       show this
`;

/** Loaded when chosen: `bulk` needs dist/, `micro` does not. */
const groups = {
  micro: { load: async () => (await import("./micro.mjs")).micro(), time: 30 },
  bulk: { load: async () => (await import("./bulk.mjs")).bulk(), time: 250 },
};

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      check: { type: "boolean", default: false },
      json: { type: "string" },
      rounds: { type: "string", default: "7" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(groups, name));
  if (unknown !== undefined)
    throw new Error(`There is no group "${unknown}"; groups: ${Object.keys(groups).join(", ")}`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000)
    throw new Error(`--rounds must be 1 to 1000, not ${values.rounds}`);
  return {
    ...values,
    rounds,
    names: positionals.length > 0 ? [...new Set(positionals)] : Object.keys(groups),
  };
}

function showProgress(name) {
  const live = process.stderr.isTTY;
  return {
    update: (done) => live && process.stderr.write(`\r\x1b[K${name} ${Math.round(done * 100)} %`),
    end: () => live && process.stderr.write("\r\x1b[K"),
  };
}

async function main() {
  const { names, check, json, rounds, help: helpWanted } = parse();
  if (helpWanted) return void process.stdout.write(help);
  const report = { ...circumstances(await buildFloor()), rounds, groups: {} };
  const { machine, node, compiler } = report;
  console.log(`${machine.cpu}, ${machine.cpus} CPUs, Node ${node}, ${compiler}`);
  for (const name of names) {
    const benchmarks = await groups[name].load();
    const progress = showProgress(name);
    const result = await measure(benchmarks, { rounds, time: groups[name].time, progress: progress.update });
    progress.end();
    report.groups[name] = result;
    console.log(`\n${table(result.rows)}`);
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  const missed = Object.values(report.groups).flatMap(({ rows }) => rows.filter(({ met }) => met === false));
  if (check && missed.length > 0) {
    for (const { name, memory, ratio, limit } of missed)
      console.error(`${name} (${memory} memory): ${ratio.toFixed(2)} × C, limit ${limit}`);
    process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
