import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import binaryen from "binaryen";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { instantiate, type WasmOptions } from "../../bindings/wasm.ts";

const MEMORY = 2 * 2 ** 20;
const release = new URL("../../build/release.wasm", import.meta.url);
const unshared = new URL("../../build/release-unshared.wasm", import.meta.url);

/** The error of a call that must fail. */
async function failure(options: Partial<WasmOptions>): Promise<SynwaveError> {
  const error = await instantiate({ memory: MEMORY, ...options }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(SynwaveError);
  return error as SynwaveError;
}

function assemble(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  const bytes = new Uint8Array(module.emitBinary());
  module.dispose();
  return bytes;
}

describe("the built-in copy", () => {
  it("takes shared memory where there is one, of exactly the size asked for", async () => {
    const { exports, memory } = await instantiate({ memory: MEMORY });
    expect(memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(memory.buffer.byteLength).toBe(MEMORY);
    expect(exports.memory).toBe(memory);
    expect(() => memory.grow(1)).toThrow(RangeError);
  });

  it("takes unshared memory on request", async () => {
    const { memory } = await instantiate({ memory: MEMORY, shared: false });
    expect(memory.buffer).toBeInstanceOf(ArrayBuffer);
    expect(memory.buffer.byteLength).toBe(MEMORY);
  });

  it("rounds memory up to whole pages", async () => {
    const { memory } = await instantiate({ memory: MEMORY + 1 });
    expect(memory.buffer.byteLength).toBe(MEMORY + 65536);
  });

  it("gives every instance a memory of its own", async () => {
    const [one, two] = await Promise.all([instantiate({ memory: MEMORY }), instantiate({ memory: MEMORY })]);
    expect(one.memory).not.toBe(two.memory);
  });
});

describe("a module brought by the caller", () => {
  const bytes = readFileSync(release);
  let origin: string;
  const server = createServer((request, response) => {
    if (request.url === "/release.wasm") response.end(bytes);
    else response.writeHead(404).end();
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it.each<[string, () => NonNullable<WasmOptions["wasm"]>]>([
    ["compiled", () => new WebAssembly.Module(bytes)],
    ["a typed array", () => bytes],
    ["an ArrayBuffer", () => new Uint8Array(bytes).buffer],
    ["a file URL", () => release],
    ["a file URL as a string", () => release.href],
    ["a data URL", () => `data:application/wasm;base64,${bytes.toString("base64")}`],
    ["an http URL", () => new URL("/release.wasm", origin)],
  ])("may be %s", async (_, wasm) => {
    const { exports, memory } = await instantiate({ memory: MEMORY, wasm: wasm() });
    const builtIn = await instantiate({ memory: MEMORY });
    expect(Object.keys(exports)).toEqual(Object.keys(builtIn.exports));
    expect(memory.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it("gets the kind of memory it imports", async () => {
    const { memory } = await instantiate({ memory: MEMORY, wasm: unshared });
    expect(memory.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it("is refused when it cannot take the memory that was asked for", async () => {
    const error = await failure({ wasm: unshared, shared: true });
    expect(error.code).toBe("EINVAL");
    expect(error.message).toMatch(/does not take shared memory/);
    expect(error.cause).toBeInstanceOf(WebAssembly.LinkError);
  });

  it("is refused when it imports what nobody offers", async () => {
    const wasm = assemble('(module (import "env" "unheard" (func)))');
    const error = await failure({ wasm });
    expect(error.code).toBe("EINVAL");
    expect(error.message).toMatch(/unheard/);
  });

  it.each<[string, () => unknown, string]>([
    ["a number", () => 7, "7"],
    ["null", () => null, "null"],
    ["an object", () => ({}), "[object Object]"],
    ["no URL", () => "not a url", "not a url"],
    ["a scheme that cannot be fetched", () => "ftp://example.net/x.wasm", "ftp:"],
    ["a file that is not there", () => "file:///nowhere/x.wasm", "file:///nowhere/x.wasm"],
    ["an http error", () => `${origin}/none.wasm`, "HTTP status 404"],
    ["bytes that are no module", () => Uint8Array.of(1, 2, 3), "wasm of 3 octets"],
    ["a data URL that is no module", () => "data:application/wasm;base64,AAAA", "data:application/wasm"],
  ])("is refused, by name, when it is %s", async (_, wasm, named) => {
    const error = await failure({ wasm: wasm() as string });
    expect(error.code).toBe("EINVAL");
    expect(error.message).toContain(named);
  });
});

describe("impossible options", () => {
  it.each([0, -1, 1.5, Number.NaN, 2 ** 32 + 1, "64"])("memory: %s", async (memory) => {
    const error = await failure({ memory: memory as number });
    expect(error.code).toBe("EINVAL");
    expect(error.message).toContain(String(memory));
  });

  it("shared: a word", async () => {
    const error = await failure({ shared: "yes" as unknown as boolean });
    expect(error.code).toBe("EINVAL");
    expect(error.message).toContain("yes");
  });
});

describe("a broken assertion", () => {
  // What the compiler emits for assert(…, "message"): UTF-16 text with its length in the four octets before.
  const text = (at: number, message: string) => {
    const octets = [...message].map((char) => `${char}\\00`).join("");
    return `(data (i32.const ${at - 4}) "\\${(message.length * 2).toString(16).padStart(2, "0")}\\00\\00\\00${octets}")`;
  };
  const wasm = assemble(`(module
    (import "env" "memory" (memory 1 65536 shared))
    (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
    ${text(1056, "no seven")}
    ${text(1104, "assembly/x.ts")}
    (func (export "named") (call $abort (i32.const 1056) (i32.const 1104) (i32.const 12) (i32.const 3)))
    (func (export "bare") (call $abort (i32.const 0) (i32.const 1104) (i32.const 7) (i32.const 1))))`);

  it("throws with its message and its place in the source", async () => {
    const { exports } = await instantiate<{ named(): void; bare(): void }>({ memory: MEMORY, wasm });
    expect(exports.named).toThrow("ERR_ENGINE_POISONED: no seven at assembly/x.ts:12:3");
    expect(exports.bare).toThrow("ERR_ENGINE_POISONED: assertion failed at assembly/x.ts:7:1");
  });
});
