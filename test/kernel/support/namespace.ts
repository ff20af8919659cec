import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { must, type Outcome, Program, type RunOptions, run } from "./program.ts";

/** What the names of all namespaces of this suite begin with. */
export const PREFIX = "synwave-";

/**
 * Makes the namespace, then waits for the end of its input, which comes however the suite ends: it closes the pipe, or
 * the kernel does after a SIGKILL. Then everything inside is killed, by process id, and the namespace deleted, and with
 * it every device, address, route and rule in it.
 */
const KEEPER = `
ip netns add "$1" || exit 1
echo made
cat > /dev/null
tries=0
while [ $tries -lt 50 ]; do
  pids=$(ip netns pids "$1")
  [ -z "$pids" ] && break
  kill -9 $pids 2> /dev/null
  sleep 0.05
  tries=$((tries + 1))
done
ip netns delete "$1"
`;

let made = 0;

/** A network namespace of the suite's own, that nothing can outlive. */
export class Namespace {
  readonly name: string;
  readonly #keeper: ChildProcess;

  private constructor(name: string, keeper: ChildProcess) {
    this.name = name;
    this.#keeper = keeper;
  }

  static async create(): Promise<Namespace> {
    const name = `${PREFIX}${process.pid}-${threadId}-${made++}`;
    // A session of its own, so that Ctrl-C at the terminal reaches the suite and not the one who cleans up after it.
    const keeper = spawn("sh", ["-c", KEEPER, "sh", name], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    let stderr = "";
    keeper.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const ready = await Promise.race([once(keeper.stdout, "data"), once(keeper, "close")]);
    if (!String(ready[0]).startsWith("made"))
      throw new Error(`cannot make network namespace ${name}: ${stderr}`);
    const namespace = new Namespace(name, keeper);
    await must("ip", ["-n", name, "link", "set", "lo", "up"]);
    return namespace;
  }

  get exists(): boolean {
    return existsSync(`/run/netns/${this.name}`);
  }

  /** The process that deletes the namespace. */
  get keeperPid(): number {
    return this.#keeper.pid!;
  }

  /** Start a program inside; `ip netns exec` becomes it, so signals reach it. */
  start(command: string, ...args: string[]): Program {
    return new Program("ip", ["netns", "exec", this.name, command, ...args]);
  }

  async run(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome> {
    return await run("ip", ["netns", "exec", this.name, command, ...args], options);
  }

  /** Run a program that must succeed; its standard output. */
  async must(command: string, args: readonly string[], options?: RunOptions): Promise<string> {
    return await must("ip", ["netns", "exec", this.name, command, ...args], options);
  }

  /** `ip` on this namespace, the words in one string. */
  async ip(words: string): Promise<string> {
    return await must("ip", ["-n", this.name, ...words.split(" ")]);
  }

  /** Kill whatever still runs inside and delete the namespace with all in it. */
  async close(): Promise<void> {
    if (this.#keeper.exitCode !== null) return;
    const gone = once(this.#keeper, "close");
    this.#keeper.stdin!.end();
    const [code] = await gone;
    if (code !== 0 || this.exists) throw new Error(`network namespace ${this.name} is still there`);
  }
}
