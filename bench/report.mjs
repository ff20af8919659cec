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

const heads = ["", "", "measured", "reference", "ratio", "±", "limit", ""];
/** Columns of words; the others are figures. */
const words = new Set([0, 1, 7]);

const nanoseconds = (ns) => `${ns.toFixed(1)} ns`;
const gigabits = (rate) => `${rate.toFixed(2)} Gbit/s`;
const kibibytes = (octets) => `${(octets / 1024).toFixed(0)} KiB`;

/** A row of rates beside a reference's. */
function rateCells({ name, memory, rate, referenceRate, share, least, met }) {
  const limit = least === undefined ? "" : `≥ ${least.toFixed(1)}`;
  return [name, memory, gigabits(rate), gigabits(referenceRate), share.toFixed(2), "", limit, verdict(met)];
}

const verdict = (met) => (met === undefined ? "" : met ? "met" : "NOT MET");

/** A row of times beside C's, or of octets that were left over. */
function cells(row) {
  if (row.rate !== undefined) return rateCells(row);
  const { name, memory, ns, referenceNs, ratio, error, octets, limit, met } = row;
  const atMost = limit === undefined ? "" : `≤ ${octets === undefined ? limit.toFixed(1) : kibibytes(limit)}`;
  return [
    name,
    memory,
    octets === undefined ? nanoseconds(ns) : kibibytes(octets),
    referenceNs === undefined ? "" : nanoseconds(referenceNs),
    ratio?.toFixed(2) ?? "",
    error?.toFixed(2) ?? "",
    atMost,
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
