import { readFileSync } from "node:fs";
import { instantiate, type RawExports } from "../../bindings/wasm.ts";

/** The inner functions of the engine, each under its name in test/probe without "probe_"; numbers in, one number out. */
export interface Probe {
  call: Record<string, (...args: number[]) => number>;
  /** Linear memory. */
  bytes: Uint8Array;
}

/** The probe build with assertions, in a memory of so many octets. */
export async function loadProbe(memory = 4 * 2 ** 20): Promise<Probe> {
  const wasm = readFileSync(new URL("../../build/probe.wasm", import.meta.url));
  const instance = await instantiate<RawExports>({ wasm, memory, shared: true });
  const call: Probe["call"] = {};
  for (const [name, value] of Object.entries(instance.exports))
    if (name.startsWith("probe_") && typeof value === "function") {
      const probed = value as (...args: number[]) => number;
      call[name.slice("probe_".length)] = probed;
    }
  return { call, bytes: new Uint8Array(instance.memory.buffer) };
}
