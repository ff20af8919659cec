import { SynwaveError } from "../errors.ts";

// The part of Python that assertions are written in. Code never runs: it is read and computed here.

type Value = number | string;
type Names = (name: string) => Value | undefined;

/** A name that nobody gave a value: what asserts it is passed over, not failed. */
class UnknownName extends Error {}

export interface Judgement {
  /** The first assertion that does not hold, with its message. */
  failed?: string;
  /** Assertions that could not be judged, and why. */
  skipped: string[];
}

const TOKEN =
  /\s*(?:(0x[0-9a-f]+|\d+\.\d*|\.\d+|\d+)|([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(==|!=|<=|>=|<<|>>|\/\/|\*\*|[-+*/%&|^~<>()=,]))/giy;

interface CodeToken {
  kind: "number" | "name" | "string" | "mark" | "end";
  text: string;
}

function tokenize(text: string): CodeToken[] {
  const tokens: CodeToken[] = [];
  TOKEN.lastIndex = 0;
  const { length } = text.trimEnd();
  while (TOKEN.lastIndex < length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (!found) throw new SynwaveError("EINVAL", `code that cannot be read: ${text.slice(at).trim()}`);
    const [, number, name, string, mark] = found;
    if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (name !== undefined) tokens.push({ kind: "name", text: name });
    else if (string !== undefined) tokens.push({ kind: "string", text: string.slice(1, -1) });
    else tokens.push({ kind: "mark", text: mark! });
  }
  tokens.push({ kind: "end", text: "the end" });
  return tokens;
}

/** Lines and pieces between semicolons, without comments; a line may go on behind a backslash or in parentheses. */
function statements(code: string): string[] {
  const found: string[] = [];
  let current = "";
  let depth = 0;
  const pieces = code
    .replace(/\\\r?\n/g, " ")
    .matchAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|#[^\n]*|[\s\S]/g);
  for (const [piece] of pieces) {
    if (piece.startsWith("#")) continue;
    if (piece === "(") depth++;
    else if (piece === ")") depth--;
    if ((piece === "\n" && depth <= 0) || piece === ";") {
      found.push(current.trim());
      current = "";
    } else current += piece;
  }
  found.push(current.trim());
  return found.filter((text) => text !== "");
}

const LEVELS: readonly (readonly string[])[] = [
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%", "//"],
];
const COMPARISONS = new Set(["==", "!=", "<", "<=", ">", ">="]);
const FUNCTIONS: Readonly<Record<string, (...args: number[]) => number>> = {
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  int: Math.trunc,
  float: (x = 0) => x,
  round: Math.round,
};

class Evaluator {
  private readonly tokens: CodeToken[];
  private readonly names: Names;
  private at = 0;

  constructor(text: string, names: Names) {
    this.tokens = tokenize(text);
    this.names = names;
  }

  private get token(): CodeToken {
    return this.tokens[this.at]!;
  }

  private take(text: string): boolean {
    if (this.token.text !== text || this.token.kind === "string") return false;
    this.at++;
    return true;
  }

  /** Whether all has been read, or what follows is a comma. */
  atEnd(): boolean {
    return this.token.kind === "end" || this.take(",");
  }

  expression(): Value {
    let value = this.conjunction();
    while (this.take("or")) {
      const other = this.conjunction();
      value = truth(value) ? value : other;
    }
    return value;
  }

  private conjunction(): Value {
    let value = this.negation();
    while (this.take("and")) {
      const other = this.negation();
      value = truth(value) ? other : value;
    }
    return value;
  }

  private negation(): Value {
    return this.take("not") ? (truth(this.negation()) ? 0 : 1) : this.comparison();
  }

  private comparison(): Value {
    let left = this.binary(0);
    if (!COMPARISONS.has(this.token.text)) return left;
    let holds = true;
    while (COMPARISONS.has(this.token.text)) {
      const operator = this.tokens[this.at++]!.text;
      const right = this.binary(0);
      holds &&= compare(operator, left, right);
      left = right;
    }
    return holds ? 1 : 0;
  }

  private binary(level: number): Value {
    const operators = LEVELS[level];
    if (!operators) return this.unary();
    let value = this.binary(level + 1);
    while (this.token.kind === "mark" && operators.includes(this.token.text)) {
      const operator = this.tokens[this.at++]!.text;
      value = calculate(operator, value, this.binary(level + 1));
    }
    return value;
  }

  private unary(): Value {
    if (this.take("-")) return -number(this.unary());
    if (this.take("+")) return number(this.unary());
    if (this.take("~")) return -number(this.unary()) - 1;
    return this.primary();
  }

  private primary(): Value {
    const token = this.tokens[this.at++]!;
    if (token.kind === "number") return Number(token.text);
    if (token.kind === "string") return token.text;
    if (token.text === "(") {
      const value = this.expression();
      if (!this.take(")")) throw new SynwaveError("EINVAL", `expected ), got ${this.token.text}`);
      return value;
    }
    if (token.kind !== "name") throw new SynwaveError("EINVAL", `expected a value, got ${token.text}`);
    if (this.take("(")) return this.apply(token.text);
    const value = { True: 1, False: 0 }[token.text] ?? this.names(token.text);
    if (value === undefined) throw new UnknownName(`${token.text} is not known`);
    return value;
  }

  private apply(name: string): Value {
    const args: number[] = [];
    if (!this.take(")")) {
      do args.push(number(this.expression()));
      while (this.take(","));
      if (!this.take(")")) throw new SynwaveError("EINVAL", `expected ), got ${this.token.text}`);
    }
    const run = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (!run) throw new UnknownName(`${name}() is not known`);
    return run(...args);
  }
}

const truth = (value: Value) => value !== 0 && value !== "";

function number(value: Value): number {
  if (typeof value !== "number") throw new SynwaveError("EINVAL", `not a number: ${value}`);
  return value;
}

function compare(operator: string, left: Value, right: Value): boolean {
  if (operator === "==") return left === right;
  if (operator === "!=") return left !== right;
  if (operator === "<") return left < right;
  if (operator === "<=") return left <= right;
  return operator === ">" ? left > right : left >= right;
}

function calculate(operator: string, left: Value, right: Value): Value {
  if (operator === "+" && typeof left === "string") return left + right;
  const [a, b] = [number(left), number(right)];
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "//":
      return Math.floor(a / b);
    case "%":
      return a - b * Math.floor(a / b);
  }
  // Python's integers do not end at 32 bits.
  const [x, y] = [BigInt(Math.trunc(a)), BigInt(Math.trunc(b))];
  if (operator === "|") return Number(x | y);
  if (operator === "&") return Number(x & y);
  if (operator === "^") return Number(x ^ y);
  return Number(operator === "<<" ? x << y : x >> y);
}

/**
 * Judge the assertions of a code block.
 * @param names values of names
 * @param variables what the code itself assigned, kept from block to block
 */
export function judge(code: string, names: Names, variables: Map<string, Value>): Judgement {
  const skipped: string[] = [];
  const known: Names = (name) => variables.get(name) ?? names(name);
  for (const text of statements(code)) {
    try {
      const assertion = /^assert\b\s*/.exec(text);
      const assignment = /^([A-Za-z_]\w*)\s*=(?!=)/.exec(text);
      if (assertion) {
        const evaluator = new Evaluator(text.slice(assertion[0].length), known);
        const holds = truth(evaluator.expression());
        if (!evaluator.atEnd()) skipped.push(`${text}: cannot be read`);
        else if (!holds) return { failed: explain(text, known), skipped };
      } else if (assignment) {
        const evaluator = new Evaluator(text.slice(assignment[0].length), known);
        variables.set(assignment[1]!, evaluator.expression());
      } else if (!/^(print|import|from|pass)\b/.test(text)) skipped.push(`${text}: cannot be read`);
    } catch (error) {
      if (!(error instanceof UnknownName || error instanceof SynwaveError)) throw error;
      skipped.push(`${text}: ${error.message}`);
    }
  }
  return { skipped };
}

/** An assertion that does not hold, with what its names stood for. */
function explain(text: string, names: Names): string {
  const values = new Set<string>();
  for (const { kind, text: name } of tokenize(text)) {
    const value = kind === "name" && name.startsWith("tcpi_") ? names(name) : undefined;
    if (value !== undefined) values.add(`${name} is ${value}`);
  }
  return values.size > 0 ? `${text} (${[...values].join(", ")})` : text;
}
