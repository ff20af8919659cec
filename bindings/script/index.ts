export type { Script, ScriptEvent } from "./ast.ts";
export { relaxations } from "./compare.ts";
export { type ParseOptions, parseScript } from "./parser.ts";
export { readScript, runSource, type SourceOptions } from "./run-source.ts";
export { type Run, type RunOptions, runScript, type Verdict } from "./runner.ts";
export { ScriptSyntaxError } from "./syntax-error.ts";
export type { TraceEntry } from "./trace.ts";
