// npm run bench -- [GROUP …] [--check] [--json FILE] [--out DIR] [--rounds N] [--gib N] [--quick]
// npm run bench -- paths [--help]
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildFloor } from "./floor.mjs";
import { measure } from "./measure.mjs";
import { circumstances, table } from "./report.mjs";
import { writeResults } from "./results.mjs";

const help = `Usage: npm run bench -- [GROUP …] [OPTION …]

Times the engine beside plain C that does the same work on the same machine in the same minutes. Each result is checked
before it is timed. Times are medians, in nanoseconds of processor time per operation; ± is the ratio's standard error.

Groups (default: all)
  micro        checksum, MD5, hashes, copies, timers by themselves
  attack       ACKs with the worst SACK blocks beside ordinary ones
  bulk         two engines in one thread, from application to application, beside Linux over veth (as root)
  churn        connections that come and go, beside Linux over veth (as root)
  idle         a million established connections in one engine
  flood        SYNs from addresses nobody has, answered with cookies
  latency      one octet there and back, beside Linux over veth (as root)
  collections  V8's collections while 2 GiB pass by PacketBatch
  memory       what is left of 1 GiB through pipe() and of 10,000 connections
  tun          Synwave and Linux over a TUN device, beside Linux and Linux; needs root
  paths        Linux and Synwave over the same bad networks; by itself only, see paths --help

Options
  --check      exit code 1 when something is over its limit
  --json FILE  write everything measured, and on what machine, to FILE
  --out DIR    also write bench.json, bench.md and bench.svg to DIR, such as bench/results
  --gib N      GiB that pass in collections (default: 2)
  --rounds N   just N rounds beside the C reference (default: 7 to 25, until the ratios agree)
  --quick      one short round and little traffic: shows that everything works, not how fast
  --help       show this
`;

const ROUNDS = [7, 25];

/** Loaded when chosen: `bulk` and `memory` need dist/, `micro` does not. */
const groups = {
  micro: async (plan, progress) => measure(await (await import("./micro.mjs")).micro(), plan, progress),
  attack: async (plan, progress) => measure(await (await import("./attack.mjs")).attack(), plan, progress),
  bulk: async (plan, progress) =>
    (await import("./bulk.mjs")).bulk({ ...plan, time: plan.time * 2 }, progress),
  tun: async (plan, progress) => (await import("./tun.mjs")).tun(plan, progress),
  churn: async (plan, progress) => {
    const { benchmarks, note, end } = await (await import("./churn.mjs")).churn(plan.quick);
    try {
      return { ...(await measure(benchmarks, { ...plan, time: plan.time * 5 }, progress)), note };
    } finally {
      await end();
    }
  },
  idle: async (plan, progress) => (await import("./idle.mjs")).idle(plan, progress),
  flood: async (plan, progress) => measure(await (await import("./flood.mjs")).flood(), plan, progress),
  latency: async ({ quick }, progress) => (await import("./latency.mjs")).latency(quick, progress),
  collections: async ({ quick, gib }, progress) =>
    (await import("./collections.mjs")).collections(quick, gib, progress),
  memory: async ({ quick }, progress) => (await import("./memory.mjs")).memory(quick, progress),
};

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      check: { type: "boolean", default: false },
      json: { type: "string" },
      out: { type: "string" },
      gib: { type: "string", default: "2" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(groups, name));
  if (unknown !== undefined)
    throw new Error(`There is no group "${unknown}"; groups: ${Object.keys(groups).join(", ")}`);
  const { quick } = values;
  const given = values.rounds ?? (quick ? "1" : undefined);
  const rounds = given === undefined ? ROUNDS : [Number(given), Number(given)];
  if (!Number.isInteger(rounds[0]) || rounds[0] < 1 || rounds[0] > 1000)
    throw new Error(`--rounds must be 1 to 1000, not ${values.rounds}`);
  const gib = Number(values.gib);
  if (!Number.isInteger(gib) || gib < 1 || gib > 100)
    throw new Error(`--gib must be 1 to 100, not ${values.gib}`);
  return {
    ...values,
    plan: { quick, gib, rounds, seconds: 60, time: quick ? 5 : 50, warmUp: quick ? 0 : 2000 },
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
  if (process.argv[2] === "paths") {
    const words = process.argv.slice(3);
    const met = await (await import("./paths/main.mjs")).paths(words);
    if (!met && words.includes("--check")) process.exitCode = 1;
    return;
  }
  const { names, check, json, out, plan, help: helpWanted } = parse();
  if (helpWanted) return void process.stdout.write(help);
  const report = { ...circumstances(await buildFloor()), plan, groups: {} };
  const { machine, node, compiler } = report;
  console.log(`${machine.cpu}, ${machine.cpus} CPUs, Node ${node}, ${compiler}\n`);
  for (const name of names) {
    const progress = showProgress(name);
    report.groups[name] = await groups[name](plan, progress.update);
    progress.end();
  }
  const rows = Object.values(report.groups).flatMap((group) => group.rows);
  console.log(table(rows));
  for (const { note } of Object.values(report.groups)) if (note) console.log(`\n${note}`);
  if (out !== undefined) writeResults(out, report);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  const missed = rows.filter(({ met }) => met === false);
  if (check && missed.length > 0) {
    console.error(
      `\n${missed.length} of ${rows.filter(({ met }) => met !== undefined).length} limits not met`,
    );
    process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
