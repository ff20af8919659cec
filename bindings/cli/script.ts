import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { type Run, readScript, relaxations, runScript, type TraceEntry } from "../script/index.ts";
import { makeCommand } from "./options.ts";

interface ScriptChoice {
  relaxed?: boolean;
  define?: Record<string, string>;
  option?: Record<string, string>;
  pcapng?: string;
  json?: boolean;
}

/** Column in which the connection's state is shown. */
const STATE_COLUMN = 72;

/** What happens in a packetdrill script, event by event. */
export function scriptCommand(): Command {
  return makeCommand("script", "run a packetdrill script in virtual time and show what happens", [
    "synwave script examples/scripts/01-handshake.pkt",
    "synwave script lost-syn.pkt --pcapng lost-syn.pcapng",
    "synwave script theirs.pkt --relaxed --define TFO_COOKIE=0123456789abcdef",
    "synwave script basic.pkt --option ip_version=ipv6 --json",
  ])
    .argument("<file...>", "scripts")
    .option("--relaxed", "tolerate what stacks do differently, and what RFCs have otherwise than the script")
    .option("--define <name=value>", "a word and what it stands for; may be repeated", pair)
    .option(
      "--option <name=value>",
      "an option of scripts that prevails over the script's; may be repeated",
      pair,
    )
    .option("--pcapng <file>", "save the packets; with one script only")
    .option("--json", "print everything as JSON")
    .action(async (files: string[], choice: ScriptChoice, command: Command) => {
      if (choice.pcapng !== undefined && files.length > 1)
        command.error("error: option '--pcapng <file>' takes the packets of one script");
      await runAll(files, choice);
    });
}

function pair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, name, value = "1"] = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("It must be a name, = and a value.");
  return { ...before, [name]: value };
}

async function runAll(files: readonly string[], choice: ScriptChoice): Promise<void> {
  const { relaxed = false, define = {}, option = {}, pcapng, json = false } = choice;
  if (relaxed && !json) process.stdout.write(`Relaxed: ${relaxations.join("; ")}.\n\n`);
  for (const [index, file] of files.entries()) {
    const options = { name: file, defines: define, overrides: option, relaxed };
    const script = readScript(await readFile(file, "utf8"), options);
    const run = await runScript(script, options);
    if (pcapng !== undefined) await writeFile(pcapng, run.pcapng());
    if (run.verdict.status === "failed") process.exitCode = 1;
    if (json) process.stdout.write(`${JSON.stringify({ file, relaxed, ...run })}\n`);
    else process.stdout.write(`${index > 0 ? "\n" : ""}${describe(file, script.title, run)}`);
  }
}

const MARKS: Readonly<Record<TraceEntry["kind"], string>> = {
  in: "→ ",
  out: "← ",
  call: "  ",
  command: "$ ",
  code: "? ",
  remark: "",
  failure: "✗ ",
  note: "· ",
};

/** Seconds to the microsecond, thousandths apart. */
function clock(micros: number): string {
  const [whole, rest] = (micros / 1e6).toFixed(6).split(".") as [string, string];
  return `${whole.padStart(4)}.${rest.slice(0, 3)} ${rest.slice(3)}`;
}

function describe(file: string, title: readonly string[], run: Run): string {
  const lines = [basename(file), ...title.map((line) => `  ${line}`), ""];
  let before = "";
  let remarked = true;
  for (const { time, kind, text, state } of run.trace) {
    if (kind === "remark") {
      lines.push(...(remarked ? [] : [""]), `  ${text}`);
      remarked = true;
      continue;
    }
    remarked = false;
    const now = clock(time);
    const shown = now === before ? " ".repeat(now.length) : now;
    before = now;
    const line = `${shown}  ${MARKS[kind]}${text}`;
    lines.push(state === undefined ? line : `${line.padEnd(STATE_COLUMN)}  ${state}`);
  }
  lines.push("", verdictText(run));
  return `${lines.join("\n")}\n`;
}

function verdictText({ verdict }: Run): string {
  if (verdict.status === "passed") return "ok: everything was as the script says";
  if (verdict.status === "skipped") return `skipped: ${verdict.reason}`;
  return `not ok: line ${verdict.line}: ${verdict.message}`;
}
