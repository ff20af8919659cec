import { execFileSync } from "node:child_process";
import os from "node:os";
import { root } from "../scripts/files.mjs";

/** What a figure depends on besides the code. */
export function circumstances(compiler) {
  const cpus = os.cpus();
  return {
    date: new Date().toISOString(),
    commit: commit(),
    machine: {
      cpu: cpus[0]?.model.trim() ?? "unknown",
      cpus: cpus.length,
      memory: os.totalmem(),
      system: `${os.type()} ${os.release()} ${os.arch()}`,
      load: os.loadavg(),
    },
    node: process.version,
    v8: process.versions.v8,
    compiler,
  };
}

/** The commit, marked when the tree has moved on; undefined outside a git checkout. */
function commit() {
  const git = (...args) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return git("rev-parse", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : " with changes");
  } catch {
    return undefined;
  }
}

const heads = ["", "memory", "measured", "beside", "", "ratio", "±", "limit", ""];
/** Columns of words; the others are figures. */
const words = new Set([0, 1, 4, 8]);

const gigabits = (rate) => `${rate.toFixed(2)} Gbit/s`;
const verdict = (met) => (met === undefined ? "" : met ? "met" : "NOT MET");

/** A row of rates beside a reference's. */
function rateCells({ name, memory, rate, reference, referenceRate, share, least, met }) {
  const limit = least === undefined ? "" : `≥ ${least.toFixed(1)}`;
  const rates = [gigabits(rate), gigabits(referenceRate), reference ?? ""];
  return [name, memory, ...rates, share.toFixed(2), "", limit, verdict(met)];
}

const duration = (ns) => (ns < 100_000 ? `${ns.toFixed(1)} ns` : `${(ns / 1e6).toFixed(2)} ms`);
const octetsOf = (octets) =>
  octets < 10_240
    ? `${octets} octets`
    : octets < 2 ** 27
      ? `${(octets / 1024).toFixed(0)} KiB`
      : `${(octets / 2 ** 20).toFixed(0)} MiB`;

/** A row of times, by themselves or beside another's; of octets; or of how many times something happened. */
export function cells(row) {
  if (row.rate !== undefined) return rateCells(row);
  const { name, memory, ns, reference, referenceNs, ratio, error, octets, times, limit, met } = row;
  const figure = (value) =>
    octets === undefined ? value.toFixed(ratio === undefined ? 0 : 2) : octetsOf(value);
  return [
    name,
    memory,
    times !== undefined ? times.toFixed(2) : octets === undefined ? duration(ns) : octetsOf(octets),
    referenceNs === undefined ? "" : duration(referenceNs),
    reference ?? "",
    ratio?.toFixed(2) ?? "",
    error?.toFixed(2) ?? "",
    limit === undefined ? "" : `≤ ${figure(limit)}`,
    verdict(met),
  ];
}

export function table(rows) {
  const lines = rows.map(cells);
  const widths = heads.map((head, i) => Math.max(head.length, ...lines.map((row) => row[i].length)));
  const line = (row) =>
    row
      .map((cell, i) => (words.has(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return [heads, ...lines].map(line).join("\n");
}

/** The same as a table of Markdown's. */
export function markdown(rows) {
  const line = (row) => `| ${row.join(" | ")} |`;
  return [heads, heads.map((_, i) => (words.has(i) ? "---" : "--:")), ...rows.map(cells)]
    .map(line)
    .join("\n");
}
