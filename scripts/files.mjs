// Files of the tree: listing, hashing, and writing so that a reader never sees half a file.
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Paths from the root, with forward slashes, of the files at and under `paths`, sorted; what is missing is left out. */
export function list(paths, base = root) {
  const found = [];
  const visit = (path) => {
    if (!existsSync(path)) return;
    if (statSync(path).isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    else found.push(relative(base, path).split(sep).join("/"));
  };
  for (const path of paths) visit(join(base, path));
  return found.sort();
}

/** SHA-256 over names and contents. */
export function hash(files, ...also) {
  const sum = createHash("sha256");
  for (const file of files) {
    const content = readFileSync(join(root, file));
    sum.update(`${file}\0${content.length}\0`).update(content);
  }
  for (const text of also) sum.update(`\0${text}`);
  return sum.digest("hex");
}

/** Write unless it says so already; by rename, so that programs at work keep what they have open. */
export function write(path, content, mode = 0o644) {
  const bytes =
    typeof content === "string"
      ? Buffer.from(content)
      : Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (existsSync(path) && bytes.equals(readFileSync(path)) && (statSync(path).mode & 0o777) === mode)
    return false;
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, bytes, { mode });
  renameSync(draft, path);
  return true;
}
