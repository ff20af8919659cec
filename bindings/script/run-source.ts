import type { Script } from "./ast.ts";
import { DEFINES, familyOf } from "./config.ts";
import { parseScript } from "./parser.ts";
import { type Run, type RunOptions, runScript } from "./runner.ts";

export interface SourceOptions extends RunOptions {
  /** The file's name: one that ends in v4.pkt or v6.pkt says the address family. */
  name: string;
  /** Words and what they stand for; they prevail over those of the script. */
  defines?: Readonly<Record<string, string>>;
}

/**
 * Read a script with what scripts expect to be defined for their address family.
 * @throws ScriptSyntaxError
 */
export function readScript(source: string, options: SourceOptions): Script {
  const { name, defines = {}, overrides = {} } = options;
  const parse = (family: 4 | 6, more = {}) =>
    parseScript(source, { name, defines: { ...DEFINES[family], ...defines, ...more } });
  // Which family it is may stand in the script itself.
  const first = parse(4);
  const family = familyOf(first, overrides);
  const script = family === 6 ? parse(6) : first;
  if (!/^#ifdef FreeBSD\b/m.test(source) || Object.hasOwn(defines, "FreeBSD")) return script;
  return { ...script, alternative: parse(family, { FreeBSD: "1" }) };
}

/**
 * Read a script and run it.
 * @throws ScriptSyntaxError
 */
export async function runSource(source: string, options: SourceOptions): Promise<Run> {
  return runScript(readScript(source, options), options);
}
