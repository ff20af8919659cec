import type { Action, Script, ScriptEvent, ScriptOption, Time } from "./ast.ts";
import { ACK, SYN } from "./flags.ts";
import { Lexer, type Token } from "./lexer.ts";
import { parseCall } from "./parse-call.ts";
import { parsePacket } from "./parse-packet.ts";
import { expect, takeIf } from "./tokens.ts";

export interface ParseOptions {
  /** For messages. */
  name?: string;
  /** Words and what they stand for, as `--define` takes them; they prevail over those of the file. */
  defines?: Readonly<Record<string, string>>;
}

/**
 * Read a packetdrill script.
 * @throws ScriptSyntaxError that names line, column and what stood there
 */
export function parseScript(source: string, options: ParseOptions = {}): Script {
  const { name = "script", defines = {} } = options;
  const lexer = new Lexer(source, name, new Map(Object.entries({ ...standard(defines), ...defines })));
  lexer.peek();
  const title = lexer.takeRemarks();
  const script: Script = { name, options: [], events: [], title };
  while (lexer.peek().kind === "option") {
    const option = parseOption(lexer.next());
    script.options.push(option);
    if (option.name !== "define") continue;
    const [word, meaning = "1"] = splitOnce(option.value);
    if (!Object.hasOwn(defines, word)) lexer.defines.set(word, meaning);
    if (word === "FreeBSD" && !Object.hasOwn(defines, "STANDARD")) lexer.defines.delete("STANDARD");
  }
  if (lexer.peek().kind === "command") {
    const { text, line } = lexer.next();
    script.init = { kind: "command", text, line };
  }
  // What stands before the first event belongs to the title when nothing else has been said.
  if (script.title.length === 0) {
    lexer.peek();
    script.title = lexer.takeRemarks();
  }
  while (lexer.peek().kind !== "end") {
    if (lexer.peek().kind === "command") {
      const { text, line } = lexer.next();
      script.cleanup = { kind: "command", text, line };
      if (lexer.peek().kind !== "end") throw lexer.error(lexer.peek(), "an event without a time");
      break;
    }
    script.events.push(parseEvent(lexer));
  }
  if (script.events.length === 0) throw lexer.error(lexer.peek(), "a script without an event");
  checkTimes(lexer, script.events);
  const buffer = presumedReceiveBuffer(script);
  if (buffer !== undefined) script.presumedReceiveBuffer = buffer;
  const [first, second] = synIntervals(script);
  if (first !== undefined) script.presumedInitialRto = Math.round(first / 1000);
  if (first !== undefined && second !== undefined) script.presumedLinear = second < 1.5 * first;
  return script;
}

/** Times from SYN to SYN of the stack's, from the first on, where they are alone and the script says when they come. */
function synIntervals({ events }: Script): number[] {
  const isSyn = ({ action }: ScriptEvent) =>
    action.kind === "tcp" && action.side === "out" && (action.flags & (SYN | ACK)) === SYN;
  const first = events.findIndex(isSyn);
  const intervals: number[] = [];
  for (const event of first < 0 ? [] : events.slice(first + 1)) {
    if (!isSyn(event) || event.time.kind !== "relative") break;
    intervals.push(event.time.at);
  }
  return intervals;
}

/** The window scale of a machine with little memory, which older scripts were written on, and what is behind it. */
const SMALL_SCALE = 6;
const SMALL_BUFFER = 3 * 2 ** 20;
/** The same of the settings that Linux's own tests begin with, for a script that has only commented them out. */
const TEST_SCALE = 8;
const TEST_BUFFER = 15728640;

/**
 * A script that makes no setting has those of its machine, and shows one of them: the scale of its first SYN. It is
 * read off once, from the script as it was written, so that a changed expectation is not taken for another machine.
 */
function presumedReceiveBuffer({ events, title }: Script): number | undefined {
  const remarks = [title, ...events.map((event) => event.remarks)].flat();
  for (const { action } of events) {
    if (action.kind !== "tcp" || action.side !== "out" || !(action.flags & SYN)) continue;
    const scale = action.options?.find(({ kind }) => kind === "wscale");
    if (scale?.kind !== "wscale") return undefined;
    if (scale.value === SMALL_SCALE) return SMALL_BUFFER;
    return scale.value === TEST_SCALE && remarks.some((remark) => /\bdefaults\.sh\b/.test(remark))
      ? TEST_BUFFER
      : undefined;
  }
  return undefined;
}

/** Of a pair of alternatives the standard one, unless the other is asked for. */
const standard = (defines: object) => (Object.hasOwn(defines, "FreeBSD") ? {} : { STANDARD: "1" });

function splitOnce(text: string): [string, string?] {
  const at = text.indexOf("=");
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function parseOption(token: Token): ScriptOption {
  const [name, value = ""] = splitOnce(token.text);
  const quoted = /^"([\s\S]*)"$/.exec(value);
  return { name: name.replaceAll("-", "_"), value: quoted?.[1] ?? value, line: token.line };
}

function parseEvent(lexer: Lexer): ScriptEvent {
  const first = lexer.peek();
  const remarks = lexer.takeRemarks();
  const time = parseTime(lexer);
  const event = { line: first.line, time, remarks };
  if (!takeIf(lexer, "...")) {
    const action = parseAction(lexer);
    const waits = time.kind === "any" || time.kind.endsWith("Range");
    if (waits && !("side" in action && action.side === "out"))
      throw lexer.error(first, "only a packet that is expected may have this time");
    return { ...event, action };
  }
  const start = time.kind === "absolute" || time.kind === "relative" ? time : undefined;
  if (!start) throw lexer.error(first, "a call that blocks needs a time to start at");
  takeIf(lexer, "+");
  const token = lexer.peek();
  const end = parseSeconds(lexer);
  if (end < start.at) throw lexer.error(token, "the call would end before it starts");
  const action = parseAction(lexer);
  if (action.kind !== "call") throw lexer.error(first, "only a system call can block");
  return { ...event, end, action };
}

function parseTime(lexer: Lexer): Time {
  if (takeIf(lexer, "*")) return { kind: "any" };
  const relative = takeIf(lexer, "+");
  const at = parseSeconds(lexer);
  if (!takeIf(lexer, "~")) return { kind: relative ? "relative" : "absolute", at };
  takeIf(lexer, "+");
  const token = lexer.peek();
  const end = parseSeconds(lexer);
  if (end < at) throw lexer.error(token, "a range that ends before it begins");
  return { kind: relative ? "relativeRange" : "absoluteRange", at, end };
}

function parseSeconds(lexer: Lexer): number {
  const token = lexer.next();
  if ((token.kind !== "integer" && token.kind !== "float") || token.value < 0)
    throw lexer.error(token, `expected a time, got ${token.text}`);
  return Math.round(token.value * 1e6);
}

function parseAction(lexer: Lexer): Action {
  const token = lexer.peek();
  switch (token.kind) {
    case "command":
      return { kind: "command", text: lexer.next().text, line: token.line };
    case "code":
      return { kind: "code", text: lexer.next().text };
    case "word":
      return parseCall(lexer);
  }
  if (takeIf(lexer, "<")) return parsePacket(lexer, "in");
  expect(lexer, ">", "expected a packet, a system call, a command or code");
  return parsePacket(lexer, "out");
}

function checkTimes(lexer: Lexer, events: readonly ScriptEvent[]): void {
  let before = 0;
  events.forEach(({ time, line }, index) => {
    const place = { line, column: 1 } as Token;
    if (time.kind === "any") return;
    if (index === 0 && time.at !== 0) throw lexer.error(place, "the first event must be at time 0");
    if (!time.kind.startsWith("absolute")) return;
    if (time.at < before) throw lexer.error(place, `time goes backwards, from ${before / 1e6} s`);
    before = time.at;
  });
}
