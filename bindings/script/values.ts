import { SynwaveError } from "../errors.ts";
import type { Expr } from "./ast.ts";
import { constant } from "./constants.ts";

/** A number, whatever way it is written; undefined for `...`. */
export function numberOf(expr: Expr | undefined): number | undefined {
  switch (expr?.kind) {
    case "number":
      return expr.value;
    case "word": {
      const value = constant(expr.name);
      if (value === undefined) throw new SynwaveError("EINVAL", `unknown name ${expr.name}`);
      return value;
    }
    case "or":
      return expr.parts.reduce((all, part) => (all | required(part, "a flag")) >>> 0, 0);
    case "apply":
      // htons() and its like: ports and addresses are given by the runner.
      return expr.args.length === 1 ? numberOf(expr.args[0]) : undefined;
    case "list":
      return expr.items.length === 1 ? numberOf(expr.items[0]) : undefined;
    default:
      return undefined;
  }
}

export function required(expr: Expr | undefined, what: string): number {
  const value = numberOf(expr);
  if (value === undefined) throw new SynwaveError("EINVAL", `expected ${what}, got ${exprText(expr)}`);
  return value;
}

/** The value of a field of a struct. */
export function field(expr: Expr | undefined, name: string): Expr | undefined {
  if (expr?.kind !== "struct") return undefined;
  return expr.fields.find((candidate) => candidate.name === name)?.value;
}

/** Octets that a list of iovec structs, or a message header with one, describes. */
export function vectorLength(expr: Expr | undefined): number {
  const list = expr?.kind === "struct" ? field(expr, "msg_iov") : expr;
  if (list?.kind !== "list") throw new SynwaveError("EINVAL", `expected a list, got ${exprText(expr)}`);
  return list.items.reduce((sum, item) => {
    const length = item.kind === "struct" ? item.fields.at(-1)?.value : undefined;
    return sum + required(length, "a length");
  }, 0);
}

/** A buffer that is not there. */
export function isNull(expr: Expr | undefined): boolean {
  return expr?.kind === "word" ? expr.name === "NULL" : expr?.kind === "number" && expr.value === 0;
}

export function exprText(expr: Expr | undefined): string {
  switch (expr?.kind) {
    case undefined:
      return "nothing";
    case "number":
      return expr.text;
    case "word":
      return expr.name;
    case "string":
      return JSON.stringify(expr.value);
    case "apply":
      return `${expr.name}(${expr.args.map(exprText).join(", ")})`;
    case "or":
      return expr.parts.map(exprText).join("|");
    case "any":
      return "...";
    case "list":
      return `[${expr.items.map(exprText).join(", ")}]`;
    case "struct":
      return `{${expr.fields.map(({ name, value }) => (name ? `${name}=` : "") + exprText(value)).join(", ")}}`;
  }
}
