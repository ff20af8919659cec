// Everything that can be told without running the program: format and lint, types, import arrows, purity, sizes.
import { join } from "node:path";
import { forbiddenImports } from "./arrows.mjs";
import { root } from "./files.mjs";
import { allImpurities } from "./purity.mjs";
import { node } from "./run.mjs";
import { sizes } from "./sizes.mjs";

const bin = (path) => join(root, "node_modules", path);
const lines = (found) => {
  if (found.length > 0) throw new Error(found.join("\n"));
};

const checks = {
  "format and lint": () =>
    node(bin("@biomejs/biome/bin/biome"), ["check", "--error-on-warnings", "--colors=off", "."]),
  types: () => node(bin("typescript/bin/tsc"), ["--noEmit", "-p", "tsconfig.json"]),
  "import arrows": () => lines(forbiddenImports()),
  "clock, chance and I/O": () => lines(allImpurities()),
  sizes: () => {
    const measured = sizes();
    lines(
      measured
        .filter(({ bytes, limit }) => bytes > limit)
        .map(({ name, bytes, limit }) => `${name}: ${bytes} bytes gzipped, over ${limit}`),
    );
    return measured.map(({ name, bytes }) => `${name} ${(bytes / 1024).toFixed(1)} KiB`).join(", ");
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    const detail = await check();
    console.log(`ok      ${name}${name === "sizes" ? `: ${detail}, gzipped` : ""}`);
  } catch (error) {
    failed++;
    console.log(`failed  ${name}\n${error.message}\n`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
