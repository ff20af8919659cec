import { readFileSync } from "node:fs";

const fence = /^```(\w*)[^\n]*\n([\s\S]*?)^```$/gm;

/** README.md's first example for the package, and the lines that README.md says it prints. */
export function readmeExample(): { code: string; output: string } {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const blocks = [...readme.matchAll(fence)].map(([, language, text]) => ({ language, text: text ?? "" }));
  const first = blocks.findIndex(({ language, text }) => language === "js" && /from "synwave";/.test(text));
  const code = blocks[first]?.text;
  if (code === undefined) throw new Error('README.md has no js block that imports "synwave"');
  const output = blocks[first + 1];
  if (output?.language !== "text")
    throw new Error("README.md's first example must be followed by a text block with what it prints");
  return { code, output: output.text };
}
