import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { runSource, ScriptSyntaxError } from "../../bindings/script/index.ts";

const folder = fileURLToPath(new URL("../packetdrill/", import.meta.url));
const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".pkt"),
);
const wasm = await WebAssembly.compile(readFileSync(new URL("../../build/release.wasm", import.meta.url)));
const engine = { wasm, memory: 4 * 2 ** 20 };

/** Numbers that look random and are the same every time. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Cut a piece out, double it, or put another sign into it. */
function damage(source: string, pick: (below: number) => number): string {
  const at = pick(source.length);
  const end = at + 1 + pick(20);
  const signs = '<>()[]{}=,:.!*+~/|-0159 \n"`%S$@';
  switch (pick(3)) {
    case 0:
      return source.slice(0, at) + source.slice(end);
    case 1:
      return source.slice(0, end) + source.slice(at);
    default:
      return source.slice(0, at) + signs[pick(signs.length)] + source.slice(at + 1);
  }
}

it.each(names)("damaged as may be, %s gets a verdict or is refused with a place", async (name) => {
  const source = readFileSync(folder + name, "utf8");
  const pick = chance(name.length * 7919);
  for (let round = 0; round < 30; round++) {
    const damaged = damage(damage(source, pick), pick);
    const outcome = await runSource(damaged, { name, engine }).catch((error: unknown) => error);
    if (outcome instanceof ScriptSyntaxError) expect(outcome.line).toBeGreaterThan(0);
    else if (outcome instanceof Error) expect.soft(outcome, damaged).toBeUndefined();
    else
      expect(outcome).toMatchObject({ verdict: { status: expect.stringMatching(/passed|failed|skipped/) } });
  }
});
