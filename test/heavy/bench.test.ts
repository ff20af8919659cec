import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countCollections } from "../../bench/collections.mjs";
import { uncertainty } from "../../bench/statistics.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "synwave-bench-"));
const path = join(folder, "report.json");
const execute = promisify(execFile);

/** In one quick run: how fast anything is, is no test's business. */
const run = (...args: string[]) => execute(process.execPath, ["bench/run.mjs", ...args], { cwd: root });

interface Row {
  name: string;
  memory: string;
  ns?: number;
  octets?: number;
  times?: number;
  /** Gbit/s, and what part of the reference's is enough. */
  rate?: number;
  referenceRate?: number;
  share?: number;
  least?: number;
  reference?: string;
  referenceNs?: number;
  ratio?: number;
  limit?: number;
  met?: boolean;
  samples?: unknown[];
}

let printed: string;
let report: {
  machine: { cpu: string; cpus: number; memory: number; system: string; load: number[] };
  node: string;
  compiler: string;
  groups: Record<string, { rows: Row[] }>;
};

beforeAll(async () => {
  // The transfer is timed on dist/.
  await execute(process.execPath, ["scripts/build.mjs"], { cwd: root });
  printed = (await run("--quick", "--json", path)).stdout;
  report = JSON.parse(readFileSync(path, "utf8"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("a run without groups has all of them, and prints each row once", () => {
  expect(Object.keys(report.groups)).toEqual([
    ...["micro", "attack", "bulk", "tun", "churn", "idle", "flood", "latency", "collections", "memory"],
  ]);
  for (const { rows } of Object.values(report.groups))
    for (const { name, memory, reference = "" } of rows)
      expect(
        printed
          .split("\n")
          .filter((line) => line.startsWith(`${name} `) && line.includes(memory && ` ${memory} `))
          .filter((line) => line.includes(` ${reference}`)),
      ).toHaveLength(1);
});

test("every row has a figure, and every figure with a reference a ratio", () => {
  for (const row of Object.values(report.groups).flatMap(({ rows }) => rows)) {
    expect(Number.isFinite(row.ns ?? row.octets ?? row.times ?? row.rate), row.name).toBe(true);
    if (row.ns !== undefined) expect(row.ns).toBeGreaterThan(0);
    if (row.reference !== undefined) {
      expect(row.ratio).toBeCloseTo(row.ns! / row.referenceNs!, 6);
      expect(row.samples).toHaveLength(1);
    }
    if (row.rate !== undefined) expect(row.share).toBeGreaterThan(0);
    expect(row.met === undefined).toBe((row.limit ?? row.least) === undefined);
  }
});

test("what is required has its limit, for both kinds of memory", () => {
  const linux = process.getuid?.() === 0 ? ["shared", "unshared"] : [];
  const limits = Object.values(report.groups)
    .flatMap(({ rows }) => rows)
    .filter(({ ratio, limit }) => ratio !== undefined && limit !== undefined)
    .map(({ reference, memory, limit }) => `${reference} ${memory} ${limit!.toFixed(2)}`);
  const both = (text: string) => [text.replace("#", "shared"), text.replace("#", "unshared")];
  expect(limits.sort()).toEqual(
    [
      ...linux.map((memory) => `Linux over veth ${memory} 0.33`),
      ...linux.map((memory) => `Linux, offloads off ${memory} 0.59`),
      ...["checksum # 1.20", "copyChecksum # 1.50"].flatMap(both),
      ...["segment of 1460 shared 1.80", "segment of 1460 unshared 1.50"],
      ...["segment of 65495 # 1.30"].flatMap(both),
      // Of each MTU: one way and both, and in unshared memory one way.
      ...Array(3)
        .fill(["shared", "shared", "unshared"])
        .flat()
        .map((memory) => `1 flow ${memory} 1.25`),
      ...["md5Block # 0.60", "md5Block # 1.50", "md5Block # 8.00"].flatMap(both),
      ...["hash-wasm", "node:crypto", "plain JavaScript", "spark-md5"].map((name) => `${name} shared 1.00`),
      ...["of 1,000 shared 1.50", "ten timers shared 1.10"],
    ].sort(),
  );
});

test("the report names the machine, Node and the compiler", () => {
  expect(report.machine.cpus).toBeGreaterThan(0);
  expect(report.machine.memory).toBeGreaterThan(0);
  expect(report.machine.system).not.toBe("");
  expect(report.node).toBe(process.version);
  expect(report.compiler).toContain("gcc");
});

test("a group that does not exist is named, with exit code 2", async () => {
  await expect(run("macro")).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('"macro"') });
});

test("collections are counted between the forced ones, by kind", () => {
  const line = (text: string) => `[1:0x2]       58 ms: ${text} 4.7 (4.8) -> 4.3 (5.8) MB, 0.8 / 0.0 ms`;
  const forced = `${line("Mark-Compact")} testing; GC in old space requested`;
  const [young, old] = [line("Scavenge"), `${line("Mark-Compact")} finalize incremental marking`];
  expect(countCollections([young, forced, young, young, old, forced, young].join("\n"))).toEqual({
    major: 1,
    minor: 2,
  });
  expect(() => countCollections([young, forced].join("\n"))).toThrow("where the transfer began");
});

test("the uncertainty of a median falls with agreement and with the number of rounds", () => {
  expect(uncertainty([2, 2])).toBe(Number.POSITIVE_INFINITY);
  expect(uncertainty([2, 2, 2])).toBe(0);
  const wide = [1, 2, 3, 4, 5];
  expect(uncertainty([...wide, ...wide, ...wide, ...wide])).toBeCloseTo(uncertainty(wide) / 2, 10);
  // Quartiles 2 and 4, median 3.
  expect(uncertainty(wide)).toBeCloseTo(((1.2533 / 1.349) * 2) / Math.sqrt(5) / 3, 10);
});
