// From a fresh clone to a built tree, and nothing at all when that has been done. Plain Node: it runs before anything
// is installed. Safe to run twice at once. Its arguments are the build's.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./files.mjs";
import { withLock } from "./lock.mjs";
import { node, run } from "./run.mjs";

const read = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).packages : {});

/** Whether node_modules holds what package-lock.json asks for. npm leaves its own account of what it installed there. */
function installed() {
  const wanted = read(join(root, "package-lock.json"));
  const present = read(join(root, "node_modules", ".package-lock.json"));
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "") return true;
    // Packages for other platforms are locked but not installed.
    if (present[path] === undefined) return entry.optional === true;
    return present[path].version === entry.version && existsSync(join(root, path, "package.json"));
  });
}

async function install() {
  process.stderr.write("Installing dependencies …\n");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const options = { stdio: ["ignore", 2, 2] };
  if (npm !== undefined && /npm-cli\.c?js$/.test(npm)) await node(npm, args, options);
  else await run("npm", args, { ...options, shell: process.platform === "win32" });
}

try {
  if (!installed())
    await withLock(join(root, "build", "install.lock"), async () => {
      if (!installed()) await install();
    });
  await node(join(root, "scripts", "build.mjs"), process.argv.slice(2), { stdio: ["ignore", 2, 2] });
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
