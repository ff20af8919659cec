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

const heads = ["", "memory", "measured", "C", "ratio", "±", "at most", ""];
/** Columns of words; the others are figures. */
const words = new Set([0, 1, 7]);

const nanoseconds = (ns) => `${ns.toFixed(1)} ns`;
const kibibytes = (octets) => `${(octets / 1024).toFixed(0)} KiB`;

/** A row of times beside C's, or of octets that were left over. */
function cells({ name, memory, ns, referenceNs, ratio, error, octets, limit, met }) {
  const atMost = limit === undefined ? "" : octets === undefined ? limit.toFixed(1) : kibibytes(limit);
  return [
    name,
    memory,
    octets === undefined ? nanoseconds(ns) : kibibytes(octets),
    referenceNs === undefined ? "" : nanoseconds(referenceNs),
    ratio?.toFixed(2) ?? "",
    error?.toFixed(2) ?? "",
    atMost,
    met === undefined ? "" : met ? "met" : "NOT MET",
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
