// What a page loads, gzipped, against what it may come to.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { staticClosure } from "./bundle.mjs";
import { root } from "./files.mjs";

const KIB = 1024;
const gzipped = (path) => gzipSync(readFileSync(join(root, path)), { level: 9 }).length;

/** `{ name, bytes, limit }` of each thing that is measured. */
export function sizes() {
  const script = staticClosure("dist/index.js").reduce((sum, path) => sum + gzipped(path), 0);
  return [
    { name: "dist/release.wasm", bytes: gzipped("dist/release.wasm"), limit: 60 * KIB },
    { name: "dist/release-unshared.wasm", bytes: gzipped("dist/release-unshared.wasm"), limit: 60 * KIB },
    { name: "dist/index.js and its static imports", bytes: script, limit: 30 * KIB },
  ];
}
