import type { Call, Expr, Field } from "./ast.ts";
import type { Lexer } from "./lexer.ts";
import { expect, expectWord, takeIf } from "./tokens.ts";

/** `name(args) = result [ERRNO] [(note)]` */
export function parseCall(lexer: Lexer): Call {
  const start = lexer.peek().start;
  const name = expectWord(lexer, "a system call");
  expect(lexer, "(");
  const args = parseList(lexer, ")");
  const text = squeeze(lexer.source.slice(start, lexer.end));
  expect(lexer, "=");
  const result = parseExpr(lexer);
  const call: Call = { kind: "call", name, args, result, text };
  if (lexer.peek().kind === "word") call.errno = lexer.next().text;
  if (lexer.peek().text === "(" && lexer.peek().kind === "mark") {
    lexer.next();
    lexer.restOfParenthesis();
  }
  return call;
}

const squeeze = (text: string) => text.replace(/\s+/g, " ");

function parseList(lexer: Lexer, close: string): Expr[] {
  const items: Expr[] = [];
  if (takeIf(lexer, close)) return items;
  do items.push(parseExpr(lexer));
  while (takeIf(lexer, ","));
  expect(lexer, close);
  return items;
}

function parseExpr(lexer: Lexer): Expr {
  const first = parsePrimary(lexer);
  if (lexer.peek().text !== "|" || lexer.peek().kind !== "mark") return first;
  const parts = [first];
  while (takeIf(lexer, "|")) parts.push(parsePrimary(lexer));
  return { kind: "or", parts };
}

function parsePrimary(lexer: Lexer): Expr {
  const token = lexer.next();
  switch (token.kind) {
    case "integer":
    case "hex":
    case "float":
      return { kind: "number", value: token.value, text: token.text };
    case "string": {
      let value = token.text;
      while (lexer.peek().kind === "string") value += lexer.next().text;
      return { kind: "string", value };
    }
    case "word":
      if (takeIf(lexer, "(")) return { kind: "apply", name: token.text, args: parseList(lexer, ")") };
      return { kind: "word", name: token.text };
    case "mark":
      if (token.text === "...") return { kind: "any" };
      if (token.text === "[") return { kind: "list", items: parseList(lexer, "]") };
      if (token.text === "(") {
        const inner = parseExpr(lexer);
        expect(lexer, ")");
        return inner;
      }
      if (token.text === "{") return { kind: "struct", fields: parseFields(lexer) };
  }
  throw lexer.error(token, `expected a value, got ${token.text}`);
}

function parseFields(lexer: Lexer): Field[] {
  const fields: Field[] = [];
  if (takeIf(lexer, "}")) return fields;
  do {
    const value = parseExpr(lexer);
    if (!takeIf(lexer, "=")) fields.push({ name: "", args: [], value });
    else if (value.kind === "word") fields.push({ name: value.name, args: [], value: parseExpr(lexer) });
    else if (value.kind === "apply")
      fields.push({ name: value.name, args: value.args, value: parseExpr(lexer) });
    else throw lexer.error(lexer.peek(), "a value that is not the name of a field before =");
  } while (takeIf(lexer, ","));
  expect(lexer, "}");
  return fields;
}
