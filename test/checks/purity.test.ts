import { describe, expect, it } from "vitest";
import { allImpurities, impurities } from "../../scripts/purity.mjs";

describe("clock, chance and I/O", () => {
  it("stay in the files that are for them", () => {
    expect(allImpurities()).toEqual([]);
  });

  it.each([
    ["bindings/manager.ts", "const now = Date.now();"],
    ["bindings/manager.ts", "const now = performance.now();"],
    ["bindings/engine.ts", "setTimeout(wake, 10);"],
    ["bindings/links/impair.ts", "if (Math.random() < loss) return;"],
    ["bindings/manager.ts", "crypto.getRandomValues(seed);"],
    ["bindings/stack.ts", 'import { readFile } from "node:fs";'],
    ["bindings/engine.ts", 'await fetch("release.wasm");'],
    ["assembly/isn.ts", "return u32(Math.random() * 4294967296.0);"],
  ])("are refused in %s: %s", (file, text) => {
    expect(impurities(file, `// a line\n${text}`)).toEqual([expect.stringContaining(`${file}:2: `)]);
  });

  it.each([
    ["bindings/clock.ts", "setTimeout(wake, 10);"],
    ["bindings/engine.ts", "crypto.getRandomValues(seed);"],
    ["bindings/node/tun.ts", 'import { openSync } from "node:fs";'],
    ["bindings/manager.ts", "// not Date.now(), for the caller brings the time"],
  ])("are granted in %s: %s", (file, text) => {
    expect(impurities(file, text)).toEqual([]);
  });
});
