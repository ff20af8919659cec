// The AssemblyScript targets: build/*.wasm with their text, and the copies the bindings embed.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hash, list, root, write } from "./files.mjs";
import { growSites } from "./memory-grow.mjs";
import { node } from "./run.mjs";

const compiler = "node_modules/assemblyscript";

/** What `build/<name>.wasm` is made of. `embed`: also bindings/generated/wasm-<name>.ts. */
/** `embed`: whether bindings/generated gets a copy; `runs`: whether the package needs it, rather than its tests. */
export const targets = [
  { name: "release", entry: "assembly/index.ts", target: "release", embed: true, runs: true },
  {
    name: "release-unshared",
    entry: "assembly/index.ts",
    target: "release-unshared",
    embed: true,
    runs: true,
  },
  { name: "debug", entry: "assembly/index.ts", target: "debug", embed: true, runs: false },
  // Inner functions laid open to the tests.
  { name: "probe", entry: "test/probe/index.ts", target: "debug", embed: false, runs: false },
];

const outputs = ({ name, embed }) => [
  `build/${name}.wasm`,
  `build/${name}.wat`,
  ...(embed ? [`bindings/generated/wasm-${name}.ts`] : []),
];

/** A hash of everything the target's output depends on. */
export function fingerprint(target) {
  const trees = target.name === "probe" ? ["assembly", "test/probe"] : ["assembly"];
  return hash(
    list([
      ...trees,
      "asconfig.json",
      "scripts/wasm.mjs",
      "scripts/memory-grow.mjs",
      `${compiler}/package.json`,
    ]),
    JSON.stringify(target),
  );
}

/** Whether what `fingerprint` named when the target was last built is still there. */
export function present(target) {
  return outputs(target).every((path) => existsSync(join(root, path)));
}

export async function compile(target) {
  const { name, entry } = target;
  const draft = join(root, "build", `draft-${name}-${process.pid}`);
  mkdirSync(draft, { recursive: true });
  try {
    await node(join(root, compiler, "bin/asc.js"), [
      entry,
      ...["--target", target.target],
      ...["--outFile", join(draft, `${name}.wasm`)],
      ...["--textFile", join(draft, `${name}.wat`)],
    ]);
    const text = readFileSync(join(draft, `${name}.wat`), "utf8");
    const sites = growSites(text);
    if (sites.length > 0) throw new Error(`memory.grow in ${name}:\n${sites.join("\n")}`);
    for (const file of list(["."], draft)) write(join(root, "build", file), readFileSync(join(draft, file)));
    if (target.embed) write(join(root, `bindings/generated/wasm-${name}.ts`), embedded(name));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function embedded(name) {
  const base64 = readFileSync(join(root, "build", `${name}.wasm`)).toString("base64");
  return `/** build/${name}.wasm in base64. Written by the build. */\nexport const base64: string =\n  "${base64}";\n`;
}
