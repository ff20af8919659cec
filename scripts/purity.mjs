// No clock, no chance and no I/O inside: the same inputs give the same outputs. Which files may touch the world, and how.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { list, root } from "./files.mjs";
import { withoutComments } from "./source.mjs";

const kinds = {
  clock: /\bDate\.now\b|\bnew Date\b|\bperformance\b|\bprocess\.hrtime\b/,
  timer: /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bMessageChannel\b/,
  chance: /\bMath\.random\b|\bgetRandomValues\b|\brandomUUID\b/,
  node: /"node:|\bprocess\./,
  network: /\bfetch\(|\bXMLHttpRequest\b|\bWebSocket\b/,
};

/** The first pattern that a file matches says what it may do; no pattern, nothing. */
const grants = [
  { files: /^bindings\/(node|cli)\//, may: Object.keys(kinds) },
  { files: /^bindings\/(clock[^/]*|stack)\.ts$/, may: ["clock", "timer"] },
  { files: /^bindings\/links\//, may: ["clock", "timer", "network"] },
  // The seed, when the caller gives none; the key of a hash table.
  { files: /^bindings\/(engine|observer)\.ts$/, may: ["chance"] },
  // The module, when the caller says where it is.
  { files: /^bindings\/wasm\.ts$/, may: ["node", "network"] },
];

/** What a file's text does that it may not, as `file:line: …`. */
export function impurities(file, text) {
  const may = grants.find(({ files }) => files.test(file))?.may ?? [];
  const found = [];
  withoutComments(text)
    .split("\n")
    .forEach((line, index) => {
      for (const [kind, pattern] of Object.entries(kinds))
        if (!may.includes(kind) && pattern.test(line))
          found.push(`${file}:${index + 1}: ${kind} is not for this file: ${line.trim()}`);
    });
  return found;
}

export function allImpurities() {
  return list(["assembly", "bindings"])
    .filter((file) => file.endsWith(".ts") && !file.startsWith("bindings/generated/"))
    .flatMap((file) => impurities(file, readFileSync(join(root, file), "utf8")));
}
