// The timer wheel by itself, among very many entries.
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "../scripts/files.mjs";

const ENTRIES = 100_000;
/** Timers of up to so many milliseconds: retransmissions and keepalives alike. */
const SPAN = 2 ** 23;
const TIMES = 20_000;

async function loadWheel() {
  const outfile = join(root, "build", "wheel.mjs");
  await build({ entryPoints: [join(root, "bindings/wheel.ts")], outfile, bundle: true, format: "esm" });
  return (await import(outfile)).Wheel;
}

/** @returns {Promise<import("./measure.mjs").Benchmark[]>} */
export async function timers() {
  const Wheel = await loadWheel();
  const wheel = new Wheel(ENTRIES + TIMES);
  // The same times in every run of the program.
  const whens = new Float64Array(ENTRIES + TIMES);
  for (let i = 0, seed = 1; i < whens.length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    whens[i] = (seed / 2 ** 32) * SPAN;
  }
  for (let slot = 0; slot < ENTRIES; slot++) wheel.arm(slot, whens[slot]);
  const due = new Int32Array(256);
  let now = 0;
  const arm = () => {
    for (let i = 0; i < TIMES; i++) wheel.arm(ENTRIES + i, now + whens[ENTRIES + i]);
  };
  const cancel = () => {
    for (let i = 0; i < TIMES; i++) wheel.cancel(ENTRIES + i);
  };
  /** So many entries that fire in the next second, in which nothing else does. */
  const soon = () => {
    now += SPAN;
    while (wheel.advance(now, due) > 0);
    for (let i = 0; i < TIMES; i++) wheel.arm(i, now + (whens[i] % 1000));
    for (let i = TIMES; i < ENTRIES; i++) wheel.arm(i, now + 1000 + whens[i]);
  };
  const fire = () => {
    let fired = 0;
    for (let tick = 1; tick <= 1000; tick++) {
      now++;
      for (let count = wheel.advance(now, due); count > 0; count = wheel.advance(now, due)) fired += count;
    }
    return fired;
  };
  const common = { memory: "", count: TIMES };
  return [
    {
      ...common,
      name: "arming a timer, among 100,000",
      check() {
        arm();
        assert.equal(wheel.size, ENTRIES + TIMES);
      },
      prepare: cancel,
      run: arm,
    },
    {
      ...common,
      name: "cancelling it",
      check() {
        cancel();
        assert.equal(wheel.size, ENTRIES);
      },
      prepare: arm,
      run: cancel,
    },
    {
      ...common,
      name: "firing it, by a thousand advances",
      check() {
        soon();
        assert.equal(fire(), TIMES);
      },
      prepare: soon,
      run: fire,
    },
  ];
}
