import { createCipheriv, createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

export const MiB = 2 ** 20;

export interface Folder {
  path(name: string): string;
  remove(): Promise<void>;
}

export async function makeFolder(): Promise<Folder> {
  const folder = await mkdtemp(join(tmpdir(), "synwave-kernel-"));
  return {
    path: (name) => join(folder, name),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Write `size` octets that repeat nowhere and are the same every time; their SHA-256. */
export async function makeFile(path: string, size: number): Promise<string> {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 7), Buffer.alloc(16));
  const hash = createHash("sha256");
  const zeros = Buffer.alloc(MiB);
  const file = await open(path, "wx");
  try {
    for (let left = size; left > 0; ) {
      const part = cipher.update(left < MiB ? zeros.subarray(0, left) : zeros);
      hash.update(part);
      await file.write(part);
      left -= part.length;
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** SHA-256 of a file from `start` on. */
export async function hashOf(path: string, start = 0): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { start }), hash);
  return hash.digest("hex");
}
