// Who may import whom. A file belongs to the first group whose pattern it matches; an import that the table does not
// grant is an error, and so is a file of bindings/ or assembly/ that no group knows.
import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix } from "node:path";
import { list, root } from "./files.mjs";
import { imports } from "./source.mjs";

const foundation = ["base", "shared"];
const belowLinks = [...foundation, "link", "pcap"];
const engine = [...foundation, "engine", "link"];
const all = ["*"];

/** `imports`: groups besides its own; `packages`: bare specifiers, "node" for Node's own modules. */
export const groups = [
  // Constants that both compilers read.
  { name: "shared", files: /^assembly\/shared\//, imports: [], packages: [] },
  { name: "assembly", files: /^assembly\//, imports: ["shared"], packages: [] },
  { name: "generated", files: /^bindings\/generated\//, imports: [], packages: [] },
  // What every layer of bindings/ speaks in.
  {
    name: "base",
    files:
      /^bindings\/(checksum|copy|errors|packet-batch|validate|views|types|settings|counters|clock[^/]*|virtual-clock)\.ts$/,
    imports: ["shared"],
    packages: [],
  },
  { name: "link", files: /^bindings\/links\/link\.ts$/, imports: ["base"], packages: [] },
  { name: "pcap", files: /^bindings\/pcap\//, imports: foundation, packages: [] },
  { name: "links", files: /^bindings\/links\//, imports: belowLinks, packages: [] },
  { name: "sockets", files: /^bindings\/sockets\//, imports: [...engine, "stack"], packages: [] },
  {
    name: "node",
    files: /^bindings\/node\//,
    imports: [...engine, ...belowLinks, "links", "stack", "sockets", "index"],
    packages: ["node", "koffi"],
  },
  // Scripts run in virtual time against the engine alone.
  { name: "script", files: /^bindings\/script\//, imports: [...engine, "pcap"], packages: [] },
  {
    name: "cli",
    files: /^bindings\/cli\//,
    imports: all,
    packages: ["node", "commander", "cli-progress", "send"],
  },
  {
    name: "index",
    files: /^bindings\/index\.ts$/,
    imports: [...engine, ...belowLinks, "links", "stack", "sockets"],
    packages: [],
  },
  { name: "stack", files: /^bindings\/stack\.ts$/, imports: [...engine, "sockets"], packages: [] },
  {
    name: "loader",
    files: /^bindings\/wasm\.ts$/,
    imports: [...foundation, "generated"],
    packages: ["node"],
  },
  {
    name: "engine",
    files: /^bindings\/[^/]+\.ts$/,
    imports: [...foundation, "loader", "link"],
    packages: [],
  },
  { name: "probe", files: /^test\/probe\//, imports: ["assembly", "shared"], packages: [] },
  { name: "test", files: /^test\//, imports: all, packages: all },
  { name: "bench", files: /^(bench|examples)\//, imports: all, packages: all },
  { name: "scripts", files: /^scripts\//, imports: [], packages: all },
];

/** Groups that only their own kind may reach, whatever the table grants. */
const ends = {
  cli: ["cli", "test"],
  test: ["test"],
  probe: ["probe"],
  bench: ["bench", "test"],
  scripts: ["scripts", "test", "bench"],
};

const groupOf = (file) => groups.find(({ files }) => files.test(file));

/** Why `file` may not import `specifier`, or undefined when it may. */
export function objection(file, specifier) {
  const from = groupOf(file);
  if (from === undefined) return "no group of scripts/arrows.mjs knows this file";
  if (!specifier.startsWith(".")) {
    const bare = specifier.startsWith("node:") || builtinModules.includes(specifier) ? "node" : specifier;
    const granted = from.packages.includes(bare) || from.packages.includes("*");
    return granted ? undefined : `${from.name} may not use the package ${specifier}`;
  }
  const target = posix.join(posix.dirname(file), specifier);
  if (!target.includes("/")) return undefined; // package.json and its like
  const to = groupOf(target);
  if (to === undefined) return `no group of scripts/arrows.mjs knows ${target}`;
  if (ends[to.name]?.includes(from.name) === false) return `${from.name} may not import ${to.name}`;
  const granted = to === from || from.imports.includes(to.name) || from.imports.includes("*");
  return granted ? undefined : `${from.name} may not import ${to.name}`;
}

/** Every import of the tree that goes against the table, as `file:line: reason`. */
export function forbiddenImports() {
  const folders = ["assembly", "bindings", "test", "bench", "examples", "scripts"].filter((path) =>
    existsSync(join(root, path)),
  );
  const found = [];
  for (const file of list(folders)) {
    if (!/\.(ts|mts|mjs|js)$/.test(file)) continue;
    for (const { specifier, line } of imports(readFileSync(join(root, file), "utf8"))) {
      const reason = objection(file, specifier);
      if (reason !== undefined) found.push(`${file}:${line}: "${specifier}": ${reason}`);
    }
  }
  return found;
}
