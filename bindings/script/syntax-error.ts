import { SynwaveError } from "../errors.ts";

/** Text that is no script: where, and what was there. */
export class ScriptSyntaxError extends SynwaveError {
  readonly line: number;
  readonly column: number;
  /** What is wrong, without the place. */
  readonly detail: string;

  constructor(name: string, line: number, column: number, detail: string) {
    super("EINVAL", `${name}:${line}:${column}: ${detail}`);
    this.line = line;
    this.column = column;
    this.detail = detail;
  }
}
