import type { Lexer, Token } from "./lexer.ts";

/** Take the next token if it is this mark or word. */
export function takeIf(lexer: Lexer, text: string): boolean {
  const token = lexer.peek();
  if ((token.kind !== "mark" && token.kind !== "word") || token.text !== text) return false;
  lexer.next();
  return true;
}

export function expect(lexer: Lexer, text: string, complaint = `expected ${text}`): Token {
  const token = lexer.next();
  if ((token.kind !== "mark" && token.kind !== "word") || token.text !== text)
    throw lexer.error(token, `${complaint}, got ${token.text}`);
  return token;
}

/** An integer, decimal or hexadecimal, from 0 to `most`. */
export function expectNumber(lexer: Lexer, what: string, most = 0xffffffff): number {
  const token = lexer.next();
  if (token.kind !== "integer" && token.kind !== "hex")
    throw lexer.error(token, `expected ${what}, got ${token.text}`);
  if (token.value < 0 || token.value > most)
    throw lexer.error(token, `${what} must be from 0 to ${most}, not ${token.text}`);
  return token.value;
}

export function expectWord(lexer: Lexer, what: string): string {
  const token = lexer.next();
  if (token.kind !== "word") throw lexer.error(token, `expected ${what}, got ${token.text}`);
  return token.text;
}
