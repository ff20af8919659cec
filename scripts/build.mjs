// Build what is out of date: the WASM targets, then dist/. `--force` builds everything, `--run` only what running needs.
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bundle, declare } from "./bundle.mjs";
import { hash, list, root, write } from "./files.mjs";
import { withLock } from "./lock.mjs";
import { compile, fingerprint, present, targets } from "./wasm.mjs";

const stampsPath = join(root, "build", "stamps.json");

function readStamps() {
  try {
    return JSON.parse(readFileSync(stampsPath, "utf8"));
  } catch {
    return {};
  }
}

async function pooled(tasks, width) {
  const queue = tasks.values();
  const worker = async () => {
    for (const task of queue) await task();
  };
  const outcomes = await Promise.allSettled(Array.from({ length: width }, worker));
  for (const { status, reason } of outcomes) if (status === "rejected") throw reason;
}

async function build(force, runOnly) {
  const stamps = force ? {} : readStamps();
  const stamp = (name, value) => {
    stamps[name] = value;
    write(stampsPath, `${JSON.stringify(stamps, null, 2)}\n`);
  };
  const step = async (name, value, current, work) => {
    if (current && stamps[name] === value) return;
    const start = performance.now();
    await work();
    stamp(name, value);
    process.stderr.write(`Built ${name} in ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
  };

  const wanted = targets.filter(({ runs }) => runs || !runOnly);
  await pooled(
    wanted.map(
      (target) => () => step(target.name, fingerprint(target), present(target), () => compile(target)),
    ),
    Math.min(availableParallelism(), wanted.length),
  );

  const sources = hash(
    list([
      "bindings",
      "assembly/shared",
      "scripts",
      "package.json",
      "package-lock.json",
      "tsconfig.json",
      "tsconfig.types.json",
    ]),
  );
  const built = ["dist/index.js", "dist/node.js", "dist/cli.js", "dist/release.wasm", "build/meta.json"];
  await step(
    "dist",
    sources,
    built.every((path) => existsSync(join(root, path))),
    bundle,
  );
  if (runOnly) return;
  await step("types", sources, existsSync(join(root, "dist/types/bindings/index.d.ts")), declare);
}

try {
  await withLock(join(root, "build", "build.lock"), () =>
    build(process.argv.includes("--force"), process.argv.includes("--run")),
  );
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
