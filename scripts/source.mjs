// What the checks need to know of a source text, by plain pattern: its code without comments, and what it imports.

/** The text with comments blanked out, so that offsets and line numbers stay. Strings are left alone. */
export function withoutComments(text) {
  // A string, a template or a regular expression that holds "//" must not be taken for a comment; strings are matched
  // first. Expressions inside templates hold none in this tree.
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(token, (found) => (/^\/[/*]/.test(found) ? found.replace(/[^\n]/g, " ") : found));
}

/** Specifiers of static imports, re-exports, `import("…")` calls and import types, with their lines. */
export function imports(text) {
  const code = withoutComments(text);
  const found = [];
  for (const match of code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"\n]+)"/g))
    found.push({ specifier: match[1], line: code.slice(0, match.index).split("\n").length });
  return found;
}
