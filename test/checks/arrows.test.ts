import { describe, expect, it } from "vitest";
import { forbiddenImports, objection } from "../../scripts/arrows.mjs";
import { imports } from "../../scripts/source.mjs";

describe("import arrows", () => {
  it("hold throughout the tree", () => {
    expect(forbiddenImports()).toEqual([]);
  });

  it.each([
    ["assembly/tcp.ts", "../bindings/errors.ts"],
    ["assembly/shared/tcb.ts", "../seq.ts"],
    ["assembly/index.ts", "../test/probe/seq.ts"],
    ["bindings/engine.ts", "./stack.ts"],
    ["bindings/engine.ts", "./links/pipe.ts"],
    ["bindings/manager.ts", "./sockets/socket.ts"],
    ["bindings/manager.ts", "./generated/wasm-release.ts"],
    ["bindings/engine.ts", "../assembly/seq.ts"],
    ["bindings/links/pipe.ts", "../engine.ts"],
    ["bindings/links/pipe.ts", "../stack.ts"],
    ["bindings/index.ts", "./node/tun.ts"],
    ["bindings/node/index.ts", "../cli/main.ts"],
    ["bindings/index.ts", "node:fs"],
    ["bindings/links/pipe.ts", "koffi"],
    ["bindings/index.ts", "commander"],
    ["bindings/engine.ts", "../test/support/peer.ts"],
    ["bindings/elsewhere/new.ts", "../errors.ts"],
  ])("refuse %s → %s", (file, specifier) => {
    expect(objection(file, specifier)).toBeTypeOf("string");
  });

  it.each([
    ["assembly/tcp.ts", "./shared/tcb.ts"],
    ["bindings/engine.ts", "../assembly/shared/tcb.ts"],
    ["bindings/engine.ts", "./wasm.ts"],
    ["bindings/wasm.ts", "./generated/wasm-release.ts"],
    ["bindings/links/impair.ts", "./link.ts"],
    ["bindings/stack.ts", "./links/link.ts"],
    ["bindings/sockets/socket.ts", "../stack.ts"],
    ["bindings/node/tun.ts", "koffi"],
    ["bindings/cli/demo.ts", "commander"],
    ["bindings/cli/demo.ts", "../index.ts"],
    ["test/probe/index.ts", "../../assembly/seq.ts"],
  ])("grant %s → %s", (file, specifier) => {
    expect(objection(file, specifier)).toBeUndefined();
  });
});

describe("the import scanner", () => {
  it("finds every form of import, and none in comments", () => {
    const text = [
      'import { a } from "./a.ts";',
      'import type { B } from "./b.ts";',
      "import {",
      "  c,",
      '} from "./c.ts"; // import { x } from "./x.ts"',
      'export * from "./d.ts";',
      'import "./e.ts";',
      '/* import "./y.ts" */ const f = await import("./f.ts");',
      'type G = typeof import("./g.ts");',
      'const url = "https://example.net"; import { h } from "./h.ts";',
    ].join("\n");
    expect(imports(text)).toEqual([
      { specifier: "./a.ts", line: 1 },
      { specifier: "./b.ts", line: 2 },
      { specifier: "./c.ts", line: 5 },
      { specifier: "./d.ts", line: 6 },
      { specifier: "./e.ts", line: 7 },
      { specifier: "./f.ts", line: 8 },
      { specifier: "./g.ts", line: 9 },
      { specifier: "./h.ts", line: 10 },
    ]);
  });
});
