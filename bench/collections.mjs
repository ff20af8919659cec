// How often JavaScript's memory is collected while text passes through, by V8's own account.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const child = fileURLToPath(new URL("collections-child.mjs", import.meta.url));
const GIB = 2 ** 30;
const MOST_SECONDS = 600;

/** Collections between the two that the child forces: major ones, of old objects, and minor ones, of young. */
export function countCollections(trace) {
  const kinds = trace
    .split("\n")
    .map((line) => /\bms: (Mark-Compact|Scavenge|Minor Mark-\S+)\b.*/.exec(line))
    .filter((found) => found !== null)
    .map(([line, kind]) => ({ major: kind === "Mark-Compact", forced: line.includes("testing") }));
  const first = kinds.findIndex(({ forced }) => forced);
  const last = kinds.findLastIndex(({ forced }) => forced);
  if (first === last) throw new Error(`V8 did not say where the transfer began and ended:\n${trace}`);
  const between = kinds.slice(first + 1, last);
  const major = between.filter((one) => one.major).length;
  return { major, minor: between.length - major };
}

/** @param {number} gib GiB to move */
export async function collections(quick, gib, progress) {
  const octets = quick ? GIB / 16 : gib * GIB;
  progress(0);
  const { stdout } = await execute(process.execPath, ["--trace-gc", "--expose-gc", child, String(octets)], {
    timeout: MOST_SECONDS * 1000,
    maxBuffer: 2 ** 26,
  });
  const { major, minor } = countCollections(stdout);
  const text = quick ? "64 MiB" : `${gib} GiB`;
  const row = (name, times, limit) => ({ name, memory: "shared", times, limit, met: times <= limit });
  return {
    collections: { major, minor },
    rows: [
      row(`${text} by PacketBatch: major collections`, major, 0),
      row(`${text} by PacketBatch: minor collections for each GiB`, (minor * GIB) / octets, quick ? 16 : 1),
    ],
  };
}
