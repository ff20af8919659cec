import { existsSync } from "node:fs";

async function load(name) {
  const entry = new URL(`../dist/${name}`, import.meta.url);
  if (!existsSync(entry)) throw new Error("The benchmarks use dist/, which is not built: npm run build");
  return import(entry.href);
}

/** The library as it is published. */
export const loadLibrary = () => load("index.js");

/** Its part for Node. */
export const loadNodeLibrary = () => load("node.js");
