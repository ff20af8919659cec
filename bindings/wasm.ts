import { SynwaveError, show } from "./errors.ts";
import { requireBoolean, requireInteger } from "./validate.ts";

/** Octets in a page of linear memory. */
const PAGE = 65536;
/** Pages a module may address: 4 GiB. */
const MOST_PAGES = 65536;

export interface WasmOptions {
  /** A compiled module, its bytes, or where to fetch them, in place of the built-in copy. */
  wasm?: WebAssembly.Module | BufferSource | URL | string | undefined;
  /** Linear memory as a SharedArrayBuffer. Default: wherever the platform allows it. */
  shared?: boolean | undefined;
  /** Octets of linear memory, rounded up to whole pages of 65,536. */
  memory: number;
}

/** What a module offers when nothing more is known about it. */
export interface RawExports {
  [name: string]: WebAssembly.ExportValue;
}

export interface Instance<Exports> {
  /** The module's own functions, with no wrapper in between. */
  exports: Exports;
  /** Linear memory; it never grows, so views of it stay good. */
  memory: WebAssembly.Memory;
}

/** Built-in modules, compiled once in this realm. */
const compiled = new Map<"release" | "release-unshared", Promise<WebAssembly.Module>>();

/**
 * An instance of the engine's module with a memory of its own.
 *
 * @throws SynwaveError EINVAL for an option that cannot be, ENOMEM when the platform has no such memory, ENOTSUP when
 * it cannot run the module
 */
export async function instantiate<Exports = RawExports>(options: WasmOptions): Promise<Instance<Exports>> {
  const { wasm, shared } = options;
  const pages = Math.ceil(requireInteger("memory", options.memory, 1, MOST_PAGES * PAGE) / PAGE);
  if (shared !== undefined) requireBoolean("shared", shared);

  if (wasm === undefined) {
    const share = shared ?? sharesMemory();
    return connect<Exports>(await builtIn(share), makeMemory(pages, share));
  }

  const module = await load(wasm);
  const first = shared ?? sharesMemory();
  try {
    return await connect<Exports>(module, makeMemory(pages, first));
  } catch (cause) {
    // Which kind of memory a module imports is told by nothing but the attempt.
    if (!(cause instanceof WebAssembly.LinkError)) throw cause;
    if (shared !== undefined)
      throw new SynwaveError(
        "EINVAL",
        `wasm does not take ${shared ? "shared" : "unshared"} memory: ${cause.message}`,
        { cause },
      );
  }
  try {
    return await connect<Exports>(module, makeMemory(pages, !first));
  } catch (cause) {
    if (!(cause instanceof WebAssembly.LinkError)) throw cause;
    throw new SynwaveError("EINVAL", `wasm is not a module of this engine: ${cause.message}`, { cause });
  }
}

/** Whether shared memory can be handed to other workers here; Node leaves crossOriginIsolated undefined. */
function sharesMemory(): boolean {
  return typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated !== false;
}

function makeMemory(pages: number, shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    const kind = shared ? "shared" : "unshared";
    throw new SynwaveError("ENOMEM", `no ${kind} memory of ${pages * PAGE} octets: ${reason(cause)}`, {
      cause,
    });
  }
}

async function connect<Exports>(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<Instance<Exports>> {
  const abort = (message: number, file: number, line: number, column: number): never => {
    const text = (at: number) => readText(memory, at);
    throw new SynwaveError(
      "ERR_ENGINE_POISONED",
      `${text(message) || "assertion failed"} at ${text(file)}:${line}:${column}`,
    );
  };
  // No loader: nothing of the compiler's own runtime crosses, and a page would load 2 KiB more.
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, abort } });
  return { exports: exports as Exports, memory };
}

/** A string of the compiler's making: UTF-16 at `address`, its length in octets in the four before. */
function readText(memory: WebAssembly.Memory, address: number): string {
  if (address === 0) return "";
  const view = new DataView(memory.buffer);
  let text = "";
  const end = address + view.getUint32(address - 4, true);
  for (let at = address; at < end; at += 2) text += String.fromCharCode(view.getUint16(at, true));
  return text;
}

function builtIn(shared: boolean): Promise<WebAssembly.Module> {
  const variant = shared ? "release" : "release-unshared";
  let module = compiled.get(variant);
  if (module === undefined) {
    // Each variant is a file of its own, so that only the one in use is loaded.
    const source = shared
      ? import("./generated/wasm-release.ts")
      : import("./generated/wasm-release-unshared.ts");
    module = source.then(({ base64 }) => compile(decodeBase64(base64), `built-in ${variant} module`));
    compiled.set(variant, module);
    // A file that could not be loaded may be there next time.
    module.catch(() => compiled.delete(variant));
  }
  return module;
}

function decodeBase64(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

async function load(wasm: unknown): Promise<WebAssembly.Module> {
  // By its tag, for it may come from another realm.
  if (Object.prototype.toString.call(wasm) === "[object WebAssembly.Module]")
    return wasm as WebAssembly.Module;
  if (typeof wasm === "string" || wasm instanceof URL) {
    const url = parseUrl(wasm);
    return compile(await fetchBytes(url), `wasm at ${show(url.href)}`);
  }
  if (wasm instanceof ArrayBuffer || ArrayBuffer.isView(wasm))
    return compile(wasm as BufferSource, `wasm of ${wasm.byteLength} octets`);
  throw new SynwaveError("EINVAL", `wasm must be a module, its bytes or a URL, not ${show(wasm)}`);
}

async function compile(bytes: BufferSource, name: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    // Bytes that another platform would take are not the caller's mistake.
    const code = name.startsWith("built-in") ? "ENOTSUP" : "EINVAL";
    throw new SynwaveError(code, `${name} does not compile: ${reason(cause)}`, { cause });
  }
}

function parseUrl(source: URL | string): URL {
  let url: URL;
  try {
    // A page may name a file beside itself.
    url = new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch (cause) {
    throw new SynwaveError("EINVAL", `wasm must be a module, its bytes or a URL, not ${show(source)}`, {
      cause,
    });
  }
  if (!["http:", "https:", "file:", "data:", "blob:"].includes(url.protocol))
    throw new SynwaveError(
      "EINVAL",
      `wasm cannot be fetched by ${show(url.protocol)}, as ${show(url.href)} asks`,
    );
  return url;
}

async function fetchBytes(url: URL): Promise<BufferSource> {
  try {
    if (url.protocol === "file:" && globalThis.document === undefined) return await readFile(url);
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return await response.arrayBuffer();
  } catch (cause) {
    throw new SynwaveError("EINVAL", `wasm at ${show(url.href)} cannot be read: ${reason(cause)}`, { cause });
  }
}

async function readFile(url: URL): Promise<BufferSource> {
  // Put together at run time, so that no bundler for browsers looks for it, before or after minification.
  const name = ["node:fs", "promises"].join("/");
  const files: typeof import("node:fs/promises") = await import(
    /* @vite-ignore */ /* webpackIgnore: true */ name
  );
  return files.readFile(url);
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
