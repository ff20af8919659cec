import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface Outcome {
  /** Exit status; undefined when a signal ended it. */
  code: number | undefined;
  signal: string | undefined;
  stdout: Buffer;
  stderr: string;
  /** From start to end. */
  ms: number;
}

export interface RunOptions {
  /** Written to standard input, which then ends. */
  input?: Uint8Array | string;
  /** Milliseconds until it is killed, which fails the run. Default 60 s. */
  timeout?: number;
}

/** A program that was started, its output gathered. */
export class Program {
  readonly child: ChildProcess;
  readonly #name: string;
  readonly #started = performance.now();
  readonly #stdout: Buffer[] = [];
  readonly #ended: Promise<Outcome>;
  #stderr = "";

  constructor(command: string, args: readonly string[]) {
    this.#name = [command, ...args].join(" ");
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    // A program that has ended takes no more input; its status tells what happened.
    this.child.stdin!.on("error", () => {});
    this.child.stdout!.on("data", (chunk: Buffer) => this.#stdout.push(chunk));
    this.child.stderr!.on("data", (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("close", (code, signal) =>
        resolve({
          code: code ?? undefined,
          signal: signal ?? undefined,
          stdout: Buffer.concat(this.#stdout),
          stderr: this.#stderr,
          ms: performance.now() - this.#started,
        }),
      );
    });
    this.#ended.catch(() => {});
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Resolves once standard output and standard error hold `text`; rejects if the program ends before. */
  async until(text: string, timeout = 15_000): Promise<void> {
    const seen = () => Buffer.concat(this.#stdout).includes(text) || this.#stderr.includes(text);
    const limit = AbortSignal.timeout(timeout);
    while (!seen()) {
      if (limit.aborted) throw new Error(`${this.#name} did not print "${text}":\n${this.#stderr}`);
      const outcome = await Promise.race([
        this.#ended,
        once(this.child.stdout!, "data", { signal: limit }).catch(() => undefined),
        once(this.child.stderr!, "data", { signal: limit }).catch(() => undefined),
      ]);
      if (outcome !== undefined && "code" in outcome && !seen())
        throw new Error(
          `${this.#name} ended with ${outcome.code} before it printed "${text}":\n${this.#stderr}`,
        );
    }
  }

  /** Wait for it to end; kill it, and reject, when that takes too long. */
  async ended(timeout = 60_000): Promise<Outcome> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.child.kill("SIGKILL");
    }, timeout);
    try {
      const outcome = await this.#ended;
      if (late) throw new Error(`${this.#name} did not end within ${timeout} ms:\n${outcome.stderr}`);
      return outcome;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ask it to end, as a service manager would. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Outcome> {
    this.child.kill(signal);
    return await this.ended(5_000);
  }
}

/** Run a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const program = new Program(command, args);
  program.child.stdin!.end(options.input);
  return await program.ended(options.timeout);
}

/** Run a program that must succeed; its standard output. */
export async function must(command: string, args: readonly string[], options?: RunOptions): Promise<string> {
  const outcome = await run(command, args, options);
  if (outcome.code !== 0)
    throw new Error(`${[command, ...args].join(" ")} ended with ${outcome.code}:\n${outcome.stderr}`);
  return outcome.stdout.toString();
}
