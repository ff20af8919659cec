// dist/: three entry points that share their chunks, the WASM beside them, and the declarations.
import { readFileSync, rmSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { list, root, write } from "./files.mjs";
import { node } from "./run.mjs";

const entries = {
  index: "bindings/index.ts",
  node: "bindings/node/index.ts",
  cli: "bindings/cli/main.ts",
};
const dist = join(root, "dist");

/** Installed beside the package. */
const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const leftToUser = Object.keys({ ...dependencies, ...peerDependencies });

export async function bundle() {
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: "dist",
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    // "neutral": one set of files for Node and browsers, so nothing may be chosen by platform.
    platform: "neutral",
    external: ["node:*", ...leftToUser],
    chunkNames: "[name]-[hash]",
    // The sources are in the package, and the maps lead there.
    minify: true,
    // Names of classes would cost a twentieth of what a page loads; the maps have them.
    keepNames: false,
    sourcemap: "linked",
    sourcesContent: false,
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  const kept = new Set(["release.wasm", "release-unshared.wasm", "meta.json"]);
  for (const { path, contents } of result.outputFiles) {
    kept.add(relative(dist, path));
    write(path, contents, basename(path) === "cli.js" ? 0o755 : 0o644);
  }
  for (const name of ["release", "release-unshared"])
    write(join(dist, `${name}.wasm`), readFileSync(join(root, "build", `${name}.wasm`)));
  // What each file imports, for the size check; not published.
  write(join(root, "build", "meta.json"), JSON.stringify(result.metafile));
  for (const file of list(["."], dist))
    if (!file.startsWith("types/") && !kept.has(file)) rmSync(join(dist, file));
}

/** dist/types: the declarations, in the tree's own shape, and none of a file that is no more. */
export async function declare() {
  const draft = join(root, "build", `draft-types-${process.pid}`);
  try {
    await node(join(root, "node_modules/typescript/bin/tsc"), [
      "-p",
      "tsconfig.types.json",
      "--outDir",
      draft,
    ]);
    const kept = list(["."], draft);
    for (const file of kept) write(join(dist, "types", file), readFileSync(join(draft, file)));
    for (const file of list(["."], join(dist, "types")))
      if (!kept.includes(file)) rmSync(join(dist, "types", file));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** The packaged files a bundle loads before it runs: itself and its static imports, as paths from the root. */
export function staticClosure(entry) {
  const { outputs } = JSON.parse(readFileSync(join(root, "build", "meta.json"), "utf8"));
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { path: next, kind, external } of outputs[path].imports)
      if (kind === "import-statement" && external !== true) visit(join(dirname(next), basename(next)));
  };
  visit(entry);
  return [...seen];
}
