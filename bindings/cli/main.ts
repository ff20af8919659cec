#!/usr/bin/env node
import { createRequire } from "node:module";
import { CommanderError } from "commander";
import { connectCommand } from "./connect.ts";
import { demoCommand } from "./demo.ts";
import { makeCommand } from "./options.ts";
import { replayCommand } from "./replay.ts";
import { scriptCommand } from "./script.ts";
import { serveCommand } from "./serve.ts";

/** Exit statuses: 0 done, 1 it failed, 2 the command line makes no sense. */
const FAILED = 1;
const MISUSED = 2;

// By the package's own name, so that it is found from the sources and from the bundle alike.
const { version } = createRequire(import.meta.url)("synwave/package.json") as { version: string };

const program = makeCommand("synwave", "a TCP/IP engine inside a process", [
  "synwave demo",
  "synwave serve --tun tun0 --address 10.0.0.2/24 --root public",
  "synwave connect --tun tun0 --address 10.0.0.2/24 10.0.0.1 80",
  "synwave replay synwave-demo.pcapng",
  "synwave script examples/scripts/01-handshake.pkt",
])
  .showHelpAfterError("(synwave --help tells more)")
  .version(version)
  .addCommand(demoCommand())
  .addCommand(serveCommand())
  .addCommand(connectCommand())
  .addCommand(replayCommand())
  .addCommand(scriptCommand());

// Whoever reads our output may stop reading: `synwave … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED;
  const known = error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
  // An error without a code is a bug, and its stack says where.
  process.stderr.write(`synwave: ${known ? error.message : error instanceof Error ? error.stack : error}\n`);
  return FAILED;
}
