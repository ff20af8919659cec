import { ScriptSyntaxError } from "./syntax-error.ts";

export type TokenKind =
  | "integer"
  | "hex"
  | "float"
  | "word"
  | "string"
  | "command"
  | "code"
  | "option"
  | "end"
  // A mark stands for itself.
  | "mark";

export interface Token {
  readonly kind: TokenKind;
  /** As in the source; of strings, commands and code what is between the delimiters. */
  readonly text: string;
  /** Of the three kinds of number. */
  readonly value: number;
  readonly line: number;
  readonly column: number;
  readonly start: number;
}

const NUMBER = /-?(?:0x[0-9a-f]+\b|[0-9]*\.[0-9]+|[0-9]+)/iy;
const WORD = /[A-Za-z0-9_]+/y;
const OPTION = /--([A-Za-z][A-Za-z0-9_-]*)/y;
const OPTION_VALUE = /\s*=\s*((?:[^\s"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)+)/y;
const DEFINE = /-D\s*([A-Za-z_][A-Za-z0-9_]*(?:=(?:[^\s"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)+)?)/y;
const SPACE = /\s+/y;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const DIRECTIVE = /#\s*(ifdef|endif)\b[ \t]*([A-Za-z0-9_]*)/y;
const STRING = /"((?:[^"\\]|\\[\s\S])*)"/y;
const COMMAND = /`([^`]*)`/y;
const CODE = /%\{([\s\S]*?)\}%/y;
const MARKS = "<>()[]{}=,:;.!*+~/|-";

/** Cuts a script into tokens, one at a time: what is defined may change what follows. */
export class Lexer {
  readonly name: string;
  readonly source: string;
  /** Words that stand for something else. */
  readonly defines: Map<string, string>;
  /** Lines of the comments passed since they were last taken. */
  private remarks: string[] = [];
  private at = 0;
  private line = 1;
  private lineStart = 0;
  private inside = false;
  private ahead: Token | undefined;
  /** Where the last token taken ends. */
  end = 0;

  constructor(source: string, name: string, defines: ReadonlyMap<string, string>) {
    this.source = source;
    this.name = name;
    this.defines = new Map(defines);
    if (source.startsWith("#!")) this.advance(source.indexOf("\n") + 1 || source.length);
  }

  peek(): Token {
    this.ahead ??= this.read();
    return this.ahead;
  }

  next(): Token {
    const token = this.peek();
    this.ahead = undefined;
    this.end = this.at;
    return token;
  }

  takeRemarks(): string[] {
    const taken = this.remarks;
    this.remarks = [];
    return taken;
  }

  /** The rest of a parenthesis that was just opened, as text. */
  restOfParenthesis(): string {
    const close = this.source.indexOf(")", this.at);
    if (this.ahead || close < 0) throw this.fail("a parenthesis is not closed");
    const text = this.source.slice(this.at, close);
    this.advance(close + 1);
    this.end = this.at;
    return text;
  }

  error(token: Token, detail: string): ScriptSyntaxError {
    return new ScriptSyntaxError(this.name, token.line, token.column, detail);
  }

  private fail(detail: string): ScriptSyntaxError {
    return new ScriptSyntaxError(this.name, this.line, this.at - this.lineStart + 1, detail);
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    return pattern.exec(this.source);
  }

  private advance(to: number): void {
    for (let i = this.at; i < to; i++)
      if (this.source[i] === "\n") {
        this.line++;
        this.lineStart = i + 1;
      }
    this.at = to;
  }

  /** Past blanks, comments and what a directive leaves out. */
  private skip(): void {
    for (;;) {
      const space = this.match(SPACE);
      if (space) this.advance(this.at + space[0].length);
      const comment = this.match(COMMENT);
      if (comment) {
        this.note(comment[0]);
        this.advance(this.at + comment[0].length);
      } else if (this.source.startsWith("/*", this.at)) throw this.fail("a comment is not closed");
      else if (this.source[this.at] === "#") this.directive();
      else if (!space) return;
    }
  }

  private note(comment: string): void {
    const body = comment.startsWith("//") ? comment.slice(2) : comment.slice(2, -2);
    for (const line of body.split("\n")) {
      const text = line.replace(/^\s*\*?\s?/, "").trimEnd();
      if (text !== "") this.remarks.push(text);
    }
  }

  private directive(): void {
    const found = this.match(DIRECTIVE);
    if (!found || (found[1] === "ifdef") !== (found[2] !== ""))
      throw this.fail("expected #ifdef NAME or #endif");
    if ((found[1] === "ifdef") === this.inside)
      throw this.fail(this.inside ? "an #ifdef inside another" : "#endif without #ifdef");
    this.inside = found[1] === "ifdef";
    if (this.inside && !this.defines.has(found[2]!)) {
      const close = this.source.indexOf("#endif", this.at);
      if (close < 0) throw this.fail("an #ifdef is not closed");
      this.inside = false;
      this.advance(close + "#endif".length);
    } else this.advance(this.at + found[0].length);
  }

  private read(): Token {
    this.skip();
    const { line, at } = this;
    const column = at - this.lineStart + 1;
    const token = (kind: TokenKind, text: string, length: number, value = 0): Token => {
      this.advance(at + length);
      return { kind, text, value, line, column, start: at };
    };
    if (at >= this.source.length) {
      if (this.inside) throw this.fail("an #ifdef is not closed");
      return token("end", "the end of the script", 0);
    }
    const rest = (found: RegExpExecArray | null, kind: TokenKind) =>
      found && token(kind, found[1]!, found[0].length);
    const long =
      rest(this.match(STRING), "string") ??
      rest(this.match(COMMAND), "command") ??
      rest(this.match(CODE), "code") ??
      this.option(token);
    if (long) return long.kind === "code" ? { ...long, text: long.text.trim() } : long;
    if (this.source.startsWith("...", at)) return token("mark", "...", 3);
    const number = this.match(NUMBER)?.[0];
    const word = this.match(WORD)?.[0];
    if (word !== undefined && word.length > (number?.length ?? 0)) return this.word(word, token);
    if (number !== undefined) {
      const kind = /x/i.test(number) ? "hex" : number.includes(".") ? "float" : "integer";
      return token(kind, number, number.length, Number(number));
    }
    const mark = this.source[at]!;
    if (!MARKS.includes(mark)) throw this.fail(`unexpected ${JSON.stringify(mark)}`);
    return token("mark", mark, 1);
  }

  private option(token: (kind: TokenKind, text: string, length: number) => Token): Token | undefined {
    const define = this.match(DEFINE);
    if (define) return token("option", `define=${define[1]}`, define[0].length);
    const found = this.match(OPTION);
    if (!found) return undefined;
    OPTION_VALUE.lastIndex = this.at + found[0].length;
    const value = OPTION_VALUE.exec(this.source);
    return token("option", `${found[1]}=${value?.[1] ?? ""}`, found[0].length + (value?.[0].length ?? 0));
  }

  private word(
    word: string,
    token: (kind: TokenKind, text: string, length: number, value?: number) => Token,
  ): Token {
    const meaning = this.defines.get(word);
    if (meaning === undefined) return token("word", word, word.length);
    const quoted = /^(["`])([\s\S]*)\1$/.exec(meaning);
    if (quoted) return token(quoted[1] === '"' ? "string" : "command", quoted[2]!, word.length);
    if (/^-?\d+$/.test(meaning)) return token("integer", meaning, word.length, Number(meaning));
    if (/^0x[0-9a-f]+$/i.test(meaning)) return token("hex", meaning, word.length, Number(meaning));
    return token("word", meaning, word.length);
  }
}
