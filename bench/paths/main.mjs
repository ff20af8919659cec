// npm run bench -- paths [OPTION …]
import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { circumstances } from "../report.mjs";
import { extras, grid, loadOf, QUICK, secondsOf, seedsOf, shared } from "./grid.mjs";
import { plot } from "./plot.mjs";
import { jain, nameOf, PAIRINGS, rowsOf, summaryOf } from "./results.mjs";
import { schedule } from "./schedule.mjs";

const help = `Usage: npm run bench -- paths [OPTION …]

Bulk transfers between Linux and Linux, Synwave and Linux, Linux and Synwave, over the same emulated paths in real time.
Needs root (network namespaces, /dev/net/tun, real-time priority), iproute2, util-linux and gcc.

Options
  --congestion NAME  cubic, bbr or reno, for both (default: cubic)
  --cells PATTERN    only cells whose name matches the regular expression, such as "^10M-40ms"
  --seeds N          transfers of a cell and pairing, of which the median counts (default: 3), and two more
                     where packets are lost or late by chance
  --out DIR          where tables, figures and pictures go (default: bench/results)
  --check            exit code 1 when a target is not met
  --quick            a few cells, once and briefly: does it work
  --list             name the cells
  --help             show this
`;

function parse(words) {
  const { values } = parseArgs({
    args: words,
    options: {
      congestion: { type: "string", default: "cubic" },
      cells: { type: "string" },
      seeds: { type: "string" },
      out: { type: "string", default: fileURLToPath(new URL("../results", import.meta.url)) },
      check: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const seeds = Number(values.seeds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > 100)
    throw new Error(`--seeds must be 1 to 100, not ${values.seeds}`);
  if (!/^[a-z_]{1,15}$/.test(values.congestion))
    throw new Error(`--congestion must be the name of one, not ${values.congestion}`);
  const pattern = new RegExp(values.cells ?? "");
  const chosen = (cells) =>
    cells.filter(({ name }) => pattern.test(name) && (!values.quick || values.cells || QUICK.includes(name)));
  return { ...values, seeds, grid: chosen(grid), extras: chosen(extras), shared: chosen(shared) };
}

function requireMachine(congestion) {
  if (process.platform !== "linux" || process.getuid() !== 0)
    throw new Error("Comparing with Linux needs Linux, and root for network namespaces");
  accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  const sysctl = "net.ipv4.tcp_available_congestion_control";
  const available = execFileSync("sysctl", ["-n", sysctl], { encoding: "utf8" }).trim().split(/\s+/);
  if (!available.includes(congestion))
    throw new Error(`This kernel has ${available.join(", ")}, not ${congestion}`);
}

function jobsOf(plan) {
  const jobs = [];
  const each = (cells, seedsOf, add) => {
    for (const cell of cells) for (let seed = 1; seed <= seedsOf(cell); seed++) add(cell, seed);
  };
  const seedsIn = (cell) => (plan.quick ? plan.seeds : seedsOf(cell, plan.seeds));
  each([...plan.grid, ...plan.extras], seedsIn, (cell, seed) => {
    for (const [from, to] of PAIRINGS)
      jobs.push({
        from,
        to,
        cell,
        seed,
        seconds: secondsOf(cell, plan.quick),
        load: loadOf(cell, plan.congestion),
      });
  });
  each(
    plan.shared,
    () => plan.seeds,
    (cell, seed) =>
      jobs.push({ from: "both", to: "linux", cell, seed, seconds: plan.quick ? 10 : 60, load: cell.rate }),
  );
  return jobs.map((job) => ({ ...job, congestion: plan.congestion }));
}

const perCent = (share) => `${(share * 100).toFixed(2)} %`;

function table(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map((_, i) => (i === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

function tableOf(rows) {
  const names = PAIRINGS.map(nameOf);
  const heads = ["path", ...names, "sending", "receiving", ...names.map((name) => `${name}, sent again`)];
  return table(
    heads,
    rows.map((row) => [
      row.cell.name,
      ...names.map((name) => row[name].goodput.toFixed(3)),
      row.sending.toFixed(2),
      row.receiving.toFixed(2),
      ...names.map((name) => perCent(row[name].retransmitted)),
    ]),
  );
}

function textOf({ machine, node, date, commit, plan, rows, fairness, summary, late }) {
  const { cpu, cpus, system } = machine;
  const parts = [
    `# Bulk transfers with ${plan.congestion}, ${date}`,
    `${cpu}, ${cpus} CPUs, ${system}, Node ${node}, commit ${commit}. Transfers of a cell and pairing: ${plan.seeds}${plan.quick ? "" : `, and ${plan.seeds + 2} of those with loss or reordering by chance`}, of which the medians, in Mbit/s; ` +
      `"sending" and "receiving" are Synwave's goodput over Linux's on the same path. Wake-ups of the emulator came ` +
      `${late.median.toFixed(2)} ms late in the median, and ${late.p99.toFixed(1)} ms in the worst hundredth of the median transfer; ` +
      `${late.repeats} were made again because they came too late.`,
    "In the picture circles are queues of a whole bandwidth-delay product, triangles of half of one.",
    table(
      ["", "measured", "target", ""],
      summary.map(({ what, value, target, met }) => [
        what,
        value.toFixed(3),
        target ?? "",
        met === undefined ? "" : met ? "met" : "NOT MET",
      ]),
    ),
    tableOf(rows),
  ];
  if (fairness.length > 0)
    parts.push(
      table(
        ["shared bottleneck", "Linux", "Synwave", "Jain index"],
        fairness.map(({ cell, goodputs, index }) => [
          cell.name,
          ...goodputs.map((goodput) => goodput.toFixed(3)),
          index.toFixed(3),
        ]),
      ),
    );
  return `${parts.join("\n\n")}\n`;
}

/** The flows of the shared bottlenecks, each cell's seeds as one long transfer. */
function fairnessOf(cells, transfers) {
  return cells.flatMap((cell) => {
    const runs = transfers.filter(({ from, cell: { name } }) => from === "both" && name === cell.name);
    if (runs.length === 0) return [];
    const goodputs = [0, 1].map(
      (i) => runs.reduce((sum, { result }) => sum + result.flows[i].goodput, 0) / runs.length,
    );
    return [{ cell, goodputs, index: jain(goodputs) }];
  });
}

/** @returns {Promise<boolean>} whether every target was met */
export async function paths(words) {
  const plan = parse(words);
  if (plan.help) {
    process.stdout.write(help);
    return true;
  }
  const cells = [...plan.grid, ...plan.extras];
  if (plan.list) {
    for (const { name } of [...cells, ...plan.shared]) console.log(name);
    return true;
  }
  requireMachine(plan.congestion);
  const folder = mkdtempSync(join(os.tmpdir(), "synwave-paths-"));
  const transfers = [];
  try {
    const program = join(folder, "agent");
    const source = fileURLToPath(new URL("agent.c", import.meta.url));
    execFileSync("gcc", ["-O2", "-pthread", "-o", program, source], { stdio: "inherit" });
    const jobs = jobsOf(plan);
    if (jobs.length === 0) throw new Error(`No cell is called like ${plan.cells}`);
    await schedule(jobs, program, os.availableParallelism(), (job, result) => {
      transfers.push({ ...job, result });
      const flows = result.flows
        .map((f) => `${f.goodput.toFixed(2)} (${perCent(f.retransmitted)})`)
        .join(" and ");
      const trouble = result.drops > 0 ? `, ${result.drops} packets dropped beside the path` : "";
      process.stderr.write(
        `${transfers.length}/${jobs.length} ${job.cell.name} ${nameOf([job.from, job.to])} ${flows}${trouble}\n`,
      );
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
  const rows = rowsOf(cells, transfers);
  const fairness = fairnessOf(plan.shared, transfers);
  const inGrid = rows.filter(({ cell }) => plan.grid.includes(cell));
  const summary = summaryOf(inGrid, fairness, plan.congestion);
  const middle = (name) => {
    const sorted = transfers.map(({ result }) => result.late[name]).sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };
  const { congestion, seeds, quick } = plan;
  const report = {
    ...circumstances(),
    plan: { congestion, seeds, quick },
    late: {
      median: middle("median"),
      p99: middle("p99"),
      repeats: transfers.reduce((sum, { result }) => sum + result.repeats, 0),
    },
    summary,
    rows,
    fairness,
    transfers,
  };
  mkdirSync(plan.out, { recursive: true });
  const write = (suffix, text) => writeFileSync(join(plan.out, `paths-${congestion}.${suffix}`), text);
  const text = textOf(report);
  write("json", `${JSON.stringify(report)}\n`);
  write("md", text);
  if (inGrid.length > 0) write("svg", plot(inGrid));
  console.log(text);
  return summary.every(({ met }) => met !== false);
}
