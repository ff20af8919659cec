import { readFileSync } from "node:fs";
import binaryen from "binaryen";
import { describe, expect, it } from "vitest";
import { growSites } from "../../scripts/memory-grow.mjs";

const path = (name: string) => new URL(`../../build/${name}.wasm`, import.meta.url);

describe("linear memory is fixed for life", () => {
  // From the binary itself, not from the text that the compiler wrote beside it.
  it.each(["debug", "release", "release-unshared"])("the %s target holds no memory.grow", (name) => {
    const module = binaryen.readBinary(readFileSync(path(name)));
    module.setFeatures(binaryen.Features.All);
    expect(growSites(module.emitText())).toEqual([]);
    module.dispose();
  });

  it("the check sees one where there is one", () => {
    const module = binaryen.parseText(`(module
      (memory 1 2)
      (data (i32.const 0) "(memory.grow")
      (func $harmless (result i32) (memory.size))
      (func (export "grow") (result i32) (memory.grow (i32.const 1))))`);
    expect(growSites(module.emitText())).toEqual([expect.stringContaining("memory.grow")]);
    expect(growSites("  i32.const 1\n  memory.grow\n  drop")).toEqual(["2: memory.grow"]);
    module.dispose();
  });
});
