import { createHash, randomFillSync } from "node:crypto";
import { type PipeOptions, pipe } from "../../bindings/links/pipe.ts";
import { createStack, type Stack, type StackOptions } from "../../bindings/stack.ts";

export const CLIENT = "10.0.0.1";
export const SERVER = "10.0.0.2";

export interface Pair {
  client: Stack;
  server: Stack;
  close(): Promise<void>;
}

/** Two stacks in real time, joined by a pipe. */
export async function pair(
  options: Partial<StackOptions> = {},
  pipeOptions: PipeOptions = {},
): Promise<Pair> {
  const [left, right] = pipe(pipeOptions);
  const client = await createStack({ ...options, link: left, addresses: [`${CLIENT}/24`, "fd00::1/64"] });
  const server = await createStack({ ...options, link: right, addresses: [`${SERVER}/24`, "fd00::2/64"] });
  return {
    client,
    server,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}

export function noise(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length));
}

export function sha256(...parts: Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Everything until the end of the stream. */
export async function drain(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Write `bytes` in pieces of 64 KiB and end. */
export async function pour(writable: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  for (let at = 0; at < bytes.length; at += 65536) {
    await writer.ready;
    await writer.write(bytes.subarray(at, at + 65536));
  }
  await writer.close();
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}
