import { fileURLToPath } from "node:url";
import type { Namespace } from "./namespace.ts";
import { OUR_SIDE } from "./network.ts";
import type { Program } from "./program.ts";

/** The built command line and the built library for Node: what is shipped is what is tested. */
export const CLI = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));
export const LIBRARY = fileURLToPath(new URL("../../../dist/node.js", import.meta.url));

/** `synwave serve` on our side of the device, ready to be talked to. */
export async function startServe(space: Namespace, ...args: string[]): Promise<Program> {
  const server = space.start(process.execPath, CLI, "serve", ...OUR_SIDE, ...args);
  await server.until("listening on");
  return server;
}

/** The words that run `synwave connect` from our side. */
export function connectWords(...args: string[]): string[] {
  return [process.execPath, CLI, "connect", ...OUR_SIDE, ...args];
}
