import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What an outer `npm test` leaves in the environment would make an inner npm work on the outer package. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_(package|lifecycle)_.*|npm_config_local_prefix|npm_command|INIT_CWD)$/i.test(name),
  ),
);

/** Run a program in `cwd` to its end; its standard output.
 * @throws with its standard error when it fails */
export async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(command, args, { cwd, env: environment, maxBuffer: 2 ** 26 });
  return stdout;
}

export function npm(cwd: string, ...args: string[]): Promise<string> {
  const script = process.env.npm_execpath;
  return script?.endsWith("npm-cli.js") === true
    ? run(cwd, process.execPath, script, ...args)
    : run(cwd, "npm", ...args);
}
