import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/**
 * Octets the process holds for JavaScript once what nobody needs has been collected: objects, and the buffers outside
 * the heap that belong to them.
 */
export async function heap() {
  // Buffers are let go of a turn after the objects they belong to, and finalizers run in turns of their own.
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return { heapUsed, external, arrayBuffers, total: heapUsed + external };
}
