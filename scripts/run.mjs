// Child processes for the scripts: output goes to stderr, or is collected to be shown only on failure.
import { spawn } from "node:child_process";
import { root } from "./files.mjs";

/** Run to the end; rejects with the program's output when it fails. */
export function run(command, args, options = {}) {
  const { promise, resolve, reject } = Promise.withResolvers?.() ?? deferred();
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options });
  let output = "";
  const collect = (chunk) => {
    output += chunk;
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  child.on("error", reject);
  child.on("close", (code, signal) => {
    if (code === 0) resolve(output);
    else
      reject(
        new Error(`${command} ${args.join(" ")}: ${signal ?? `exit code ${code}`}\n${output}`.trimEnd()),
      );
  });
  return promise;
}

/** As `run`, for a JavaScript program. */
export function node(script, args = [], options = {}) {
  return run(process.execPath, [script, ...args], options);
}

// Promise.withResolvers is in Node 22 and later.
function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
