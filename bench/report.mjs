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

const heads = ["", "memory", "ns", "C, ns", "ratio", "at most", ""];

export function table(rows) {
  const cells = rows.map(({ name, memory, ns, referenceNs, ratio, limit, met }) => [
    name,
    memory,
    ns.toFixed(1),
    referenceNs?.toFixed(1) ?? "",
    ratio?.toFixed(2) ?? "",
    limit?.toFixed(1) ?? "",
    met === undefined ? "" : met ? "met" : "NOT MET",
  ]);
  const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i].length)));
  const line = (row) =>
    row
      .map((cell, i) => (i < 2 || i === 6 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return [heads, ...cells].map(line).join("\n");
}
