// The C reference: built on demand, run between the rounds of the benchmarks that are reported beside it.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { hash, root } from "../scripts/files.mjs";

const execute = promisify(execFile);
const source = "bench/floor.c";
const program = join(root, "build", process.platform === "win32" ? "floor.exe" : "floor");
const flags = ["-std=c11", "-O3", ...(process.arch === "x64" || process.arch === "ia32" ? ["-msse2"] : [])];

/** Compile bench/floor.c unless build/ has it; returns the compiler's own name for itself. */
export async function buildFloor() {
  let compiler;
  try {
    compiler = (await execute("gcc", ["--version"])).stdout.split("\n")[0];
  } catch (cause) {
    throw new Error(
      "The benchmarks are reported beside a C reference and need gcc, which could not be run; " +
        "install it (Debian, Ubuntu: apt-get install gcc libc6-dev).",
      { cause },
    );
  }
  const stampPath = `${program}.stamp`;
  const stamp = hash([source], compiler, flags.join(" "));
  if (existsSync(program) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp)
    return `${compiler} ${flags.join(" ")}`;
  mkdirSync(join(root, "build"), { recursive: true });
  try {
    await execute("gcc", [...flags, "-Wall", "-Wextra", "-o", program, source], { cwd: root });
  } catch (cause) {
    throw new Error(`gcc cannot compile ${source}:\n${cause.stderr ?? cause.message}`, { cause });
  }
  writeFileSync(stampPath, stamp);
  return `${compiler} ${flags.join(" ")}`;
}

/** Nanoseconds of processor time per call of a routine: the median of the repetitions that fit into `time` ms. */
export async function runFloor(routine, time) {
  const { stdout } = await execute(program, [String(Math.ceil(time)), routine]);
  return JSON.parse(stdout)[routine];
}
