import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, inject, it } from "vitest";
import { npm, run } from "./npm.ts";
import { readmeExample } from "./readme.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const installed = inject("installed");
const dist = join(installed, "node_modules/synwave/dist");

/** Run a program in the folder that the package is installed in. */
async function evaluate(code: string): Promise<string> {
  const script = join(installed, "evaluate.mjs");
  await writeFile(script, code);
  return run(installed, process.execPath, script);
}

describe("the installed package in Node", () => {
  it("runs README.md's first example, which prints what README.md says", async () => {
    const { code, output } = readmeExample();
    await writeFile(join(installed, "example.mjs"), code);
    expect(await run(installed, process.execPath, "example.mjs")).toBe(output);
  });

  it("is imported as synwave and as synwave/node", async () => {
    const names = await evaluate(`
      const core = await import("synwave");
      const node = await import("synwave/node");
      console.log(JSON.stringify({ core: Object.keys(core), node: Object.keys(node) }));`);
    const { core, node } = JSON.parse(names) as { core: string[]; node: string[] };
    expect(core).toEqual(
      expect.arrayContaining([
        ...["createEngine", "createStack", "pipe", "impair", "capture", "replay"],
        ...["PacketBatch", "SynwaveError"],
      ]),
    );
    expect(node).toEqual(expect.arrayContaining(["openTun"]));
  });

  it("has one SynwaveError for all its entry points", async () => {
    const same = await evaluate(`
      import { SynwaveError } from "synwave";
      import { openTun } from "synwave/node";
      const error = await (async () => openTun({ name: "a name that is too long" }))().catch((cause) => cause);
      console.log(error instanceof SynwaveError);`);
    expect(same).toBe("true\n");
  });

  it.each(["release", "release-unshared"])("gives the %s module to who asks for it", async (variant) => {
    const valid = await evaluate(`
      import { readFileSync } from "node:fs";
      const path = new URL(import.meta.resolve("synwave/wasm/${variant}"));
      console.log(WebAssembly.validate(readFileSync(path)));`);
    expect(valid).toBe("true\n");
  });

  it("has a command line that explains itself", async () => {
    const help = await npm(installed, "exec", "--offline", "--", "synwave", "--help");
    for (const command of ["demo", "serve", "connect", "replay"])
      expect(help).toMatch(new RegExp(`^ +${command}\\b`, "m"));
  });

  it("is made of ES modules alone", async () => {
    const files = (await readdir(dist)).filter((name) => name.endsWith(".js"));
    expect(files).toEqual(expect.arrayContaining(["index.js", "node.js", "cli.js"]));
    for (const file of files)
      expect(await readFile(join(dist, file), "utf8"), file).not.toMatch(/\brequire\(|\bmodule\.exports\b/);
  });

  it("brings neither koffi nor anything to build with", async () => {
    const packages = await readdir(join(installed, "node_modules"));
    expect(packages).toContain("synwave");
    for (const name of ["koffi", "assemblyscript", "esbuild", "typescript", "vitest"])
      expect(packages).not.toContain(name);
  });

  it("carries no build of its own machine", async () => {
    const files = await readdir(join(installed, "node_modules/synwave"), { recursive: true });
    expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", join("bindings", "index.ts")]));
    expect(
      files.filter(
        (file) => /generated.*\.ts$|node_modules|^test|^scripts/.test(file) && !file.startsWith("dist"),
      ),
    ).toEqual([]);
  });

  it("has declarations that a strict compiler takes", async () => {
    const source = `
      import { createEngine, type Engine, SynwaveError } from "synwave";
      import { openTun } from "synwave/node";
      const engine: Engine = await createEngine({ addresses: ["192.0.2.1"] });
      const packets: Uint8Array[] = engine.transmit(0);
      export const error: SynwaveError = new SynwaveError("EINVAL", String(packets.length));
      export { openTun };
      // @ts-expect-error: addresses are strings
      await createEngine({ addresses: [1] });`;
    await writeFile(join(installed, "consumer.mts"), source);
    const compilerOptions = {
      ...{ strict: true, noEmit: true, target: "es2022", module: "nodenext", skipLibCheck: false },
      ...{ typeRoots: [join(root, "node_modules/@types")], types: ["node"] },
      lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
    };
    const config = { compilerOptions, files: ["consumer.mts"] };
    await writeFile(join(installed, "tsconfig.json"), JSON.stringify(config));
    expect(
      await run(installed, process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", ".").catch(
        (error: { stdout: string }) => error.stdout,
      ),
    ).toBe("");
  });
});
