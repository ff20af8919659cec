// The engine's inner functions, compiled as the release targets are, for the micro-benchmarks.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hash, list, root } from "../scripts/files.mjs";
import { compile } from "../scripts/wasm.mjs";

const PAGES = 16;

/** An instance with memory of its own; `shared` chooses the target. */
export async function loadProbe(shared, pages = PAGES) {
  const target = shared ? "release" : "release-unshared";
  const name = `probe-${target}`;
  const path = join(root, "build", `${name}.wasm`);
  const stampPath = join(root, "build", `${name}.stamp`);
  const stamp = hash(list(["assembly", "test/probe", "asconfig.json", "package-lock.json"]));
  if (!existsSync(path) || !existsSync(stampPath) || readFileSync(stampPath, "utf8") !== stamp) {
    process.stderr.write(`Building ${name} …\n`);
    await compile({ name, entry: "test/probe/index.ts", target, embed: false });
    writeFileSync(stampPath, stamp);
  }
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  const abort = () => {
    throw new Error(`${name} trapped`);
  };
  const { instance } = await WebAssembly.instantiate(readFileSync(path), { env: { memory, abort } });
  return { exports: instance.exports, bytes: new Uint8Array(memory.buffer) };
}
