import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { npm } from "./npm.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A folder that was empty before the packed package was installed into it. */
    installed: string;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Once for all files of this folder: pack the package as it would be published and install it as a user would. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "synwave-package-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await npm(root, "pack", "--pack-destination", folder);
    const [tarball] = await readdir(folder);
    if (tarball === undefined) throw new Error("npm pack wrote nothing");
    await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const quiet = ["--no-audit", "--no-fund", "--prefer-offline"];
    await npm(folder, "install", ...quiet, "--omit=dev", "--omit=optional", `./${tarball}`);
  } catch (error) {
    await remove();
    throw error;
  }
  project.provide("installed", folder);
  return remove;
}
