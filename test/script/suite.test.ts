import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readScript, runScript } from "../../bindings/script/index.ts";
import { mutate } from "./mutate.ts";

const folders = ["../packetdrill/", "../../examples/scripts/"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** What the stack is known to do wrong: not a part of the suite, and not expected to pass. */
const PENDING = /^pending\//;

const scripts = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => name.endsWith(".pkt") && !PENDING.test(name))
    .sort()
    .map((name) => ({ name, script: readScript(readFileSync(folder + name, "utf8"), { name }) })),
);

const wasm = await WebAssembly.compile(readFileSync(new URL("../../build/release.wasm", import.meta.url)));
const engine = { wasm, memory: 8 * 2 ** 20 };

describe("scripts of our own, strictly", () => {
  it("there are some", () => expect(scripts.length).toBeGreaterThan(40));

  it.each(scripts)("$name", async ({ script }) => {
    const run = await runScript(script, { engine });
    expect(run.verdict).toEqual({ status: "passed" });
    expect(run.skippedAssertions).toEqual([]);
  });
});

describe("a script with one expectation corrupted fails", () => {
  it.each(scripts)("$name: at least ten ways", async ({ script }) => {
    const mutants = mutate(script);
    expect(mutants.length).toBeGreaterThanOrEqual(10);
    const survivors: string[] = [];
    for (const { label, script: mutant } of mutants) {
      const { verdict } = await runScript(mutant, { engine });
      if (verdict.status !== "failed") survivors.push(label);
    }
    expect(survivors).toEqual([]);
  });
});
