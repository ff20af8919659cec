import { existsSync } from "node:fs";

const index = new URL("../dist/index.js", import.meta.url);

/** The library as it is published. */
export async function loadLibrary() {
  if (!existsSync(index)) throw new Error("The benchmarks use dist/, which is not built: npm run build");
  return import(index.href);
}
