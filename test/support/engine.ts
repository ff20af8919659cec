import { readFileSync } from "node:fs";
import { createEngine } from "../../bindings/engine.ts";
import type { Connection, Engine, EngineOptions } from "../../bindings/types.ts";

/** Same seed, same numbers: a test that fails fails again. */
export function seed(n = 1): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => (n * 31 + i * 7) & 255);
}

let debug: Promise<WebAssembly.Module> | undefined;

/** The build with assertions: a broken invariant traps where it is broken. */
export function debugModule(): Promise<WebAssembly.Module> {
  debug ??= WebAssembly.compile(readFileSync(new URL("../../build/debug.wasm", import.meta.url)));
  return debug;
}

/** An engine on 192.0.2.1 and 2001:db8::1, small and seeded. */
export function makeEngine(options: EngineOptions = {}): Promise<Engine> {
  return createEngine({
    addresses: ["192.0.2.1/24", "2001:db8::1/64"],
    memory: 4 * 2 ** 20,
    seed: seed(),
    ...options,
  });
}

/** All that can be read now. */
export function readAll(connection: Connection): Buffer {
  const pieces: Buffer[] = [];
  const into = new Uint8Array(65536);
  for (let n = connection.read(into); n > 0; n = connection.read(into))
    pieces.push(Buffer.from(into.slice(0, n)));
  return Buffer.concat(pieces);
}

/** Whether `read` says that the stream has ended. */
export function atEnd(connection: Connection): boolean {
  return connection.readable === 0 && connection.read(new Uint8Array(1)) === -1;
}

/** Code of the error that a connection ended with. */
export function errorCode(connection: Connection): string | undefined {
  return (connection.error as (Error & { code?: string }) | undefined)?.code;
}
