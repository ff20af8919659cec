// The C reference: built on demand, run between the rounds of the benchmarks that are reported beside it.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { hash, root } from "../scripts/files.mjs";

const execute = promisify(execFile);
const source = "bench/floor.c";
/** Octets of text in a segment of the reference, unless another size is asked for. */
const SEGMENT = 1460;
const flags = ["-std=c11", "-O3", ...(process.arch === "x64" || process.arch === "ia32" ? ["-msse2"] : [])];
const suffix = process.platform === "win32" ? ".exe" : "";
const programOf = (segment) =>
  join(root, "build", `floor${segment === SEGMENT ? "" : `-${segment}`}${suffix}`);

async function compilerName() {
  try {
    return (await execute("gcc", ["--version"])).stdout.split("\n")[0];
  } catch (cause) {
    throw new Error(
      "The benchmarks are reported beside a C reference and need gcc, which could not be run; " +
        "install it (Debian, Ubuntu: apt-get install gcc libc6-dev).",
      { cause },
    );
  }
}

/** Compile bench/floor.c for segments of so many octets unless build/ has it; returns the compiler's own name for itself. */
export async function buildFloor(segment = SEGMENT) {
  const compiler = await compilerName();
  const program = programOf(segment);
  const stampPath = `${program}.stamp`;
  const all = [...flags, `-DSEGMENT=${segment}`];
  const stamp = hash([source], compiler, all.join(" "));
  const name = `${compiler} ${flags.join(" ")}`;
  if (existsSync(program) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp) return name;
  mkdirSync(join(root, "build"), { recursive: true });
  try {
    await execute("gcc", [...all, "-Wall", "-Wextra", "-o", program, source], { cwd: root });
  } catch (cause) {
    throw new Error(`gcc cannot compile ${source}:\n${cause.stderr ?? cause.message}`, { cause });
  }
  writeFileSync(stampPath, stamp);
  return name;
}

/**
 * Nanoseconds of processor time per call of a routine, built for segments of so many octets: the median of the repetitions that
 * fit into `time` ms.
 */
export async function runFloor(routine, time, segment = SEGMENT) {
  const { stdout } = await execute(programOf(segment), [String(Math.ceil(time)), routine]);
  return JSON.parse(stdout)[routine];
}
