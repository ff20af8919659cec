import { existsSync } from "node:fs";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { suiteRequirement } from "../support/requirements.ts";
import { type Pages, servePages } from "./pages.ts";
import { readmeExample } from "./readme.ts";

const executablePath = "/usr/bin/chromium";
const args = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];
const entry = "/node_modules/synwave/dist/index.js";
const reason = suiteRequirement(
  "package in a browser",
  () => (existsSync(executablePath) ? undefined : `there is no ${executablePath}`),
  "apt-get install --yes chromium",
);

const installed = inject("installed");

/** Names of the embedded modules among the files a page asked for. */
const variants = (asked: readonly string[]) =>
  asked.flatMap((path) => /\/(wasm-[a-z-]+?)-[A-Z0-9]+\.js$/.exec(path)?.[1] ?? []);

describe.skipIf(reason)("the installed package in Chromium", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args });
  });
  afterAll(() => browser.close());

  /** Open a page whose one module script is `code`; the lines it printed, once it has run to its end. */
  async function open(pages: Pages, code: string): Promise<string> {
    const page = await browser.newPage();
    try {
      pages.forget();
      pages.made.set("/script.js", `${code}\ndocument.title = "done";`);
      pages.made.set(
        "/page.html",
        '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/script.js"></script>',
      );
      let output = "";
      const failed = new Promise<never>((_, reject) => {
        page.on("pageerror", reject);
        page.on("requestfailed", (request) => reject(new Error(`${request.url()} failed`)));
      });
      page.on("console", (message) => {
        output += `${message.text()}\n`;
      });
      await page.goto(`${pages.origin}/page.html`);
      await Promise.race([page.waitForFunction(() => document.title === "done"), failed]);
      return output;
    } finally {
      await page.close();
    }
  }

  describe.each([
    { isolated: true, memory: "SharedArrayBuffer", variant: "wasm-release" },
    { isolated: false, memory: "ArrayBuffer", variant: "wasm-release-unshared" },
  ])("on a page with crossOriginIsolated = $isolated", ({ isolated, memory, variant }) => {
    let pages: Pages;
    beforeAll(async () => {
      pages = await servePages(installed, isolated);
    });
    afterAll(() => pages.close());

    it("runs README.md's first example from a plain module script", async () => {
      const { code, output } = readmeExample();
      const printed = await open(pages, code.replaceAll('"synwave"', `"${entry}"`));
      expect(printed).toBe(output);
      expect(variants(pages.asked)).toEqual([variant]);
    });

    it("runs the same from a bundle", async () => {
      const { code, output } = readmeExample();
      const bundle = await build({
        stdin: { contents: code, resolveDir: installed },
        ...{ bundle: true, format: "esm", platform: "browser", write: false, logLevel: "silent" },
      });
      expect(await open(pages, bundle.outputFiles[0]?.text ?? "")).toBe(output);
      expect(pages.asked.filter((path) => path.includes("synwave"))).toEqual([]);
    });

    it(`has its linear memory in ${memory === "ArrayBuffer" ? "an" : "a"} ${memory}`, async () => {
      const printed = await open(
        pages,
        `import { createEngine } from "${entry}";
         const { memory } = await createEngine({ addresses: ["192.0.2.1"], memory: 4 * 2 ** 20 });
         console.log(crossOriginIsolated, Object.prototype.toString.call(memory.buffer), memory.buffer.byteLength);`,
      );
      expect(printed).toBe(`${isolated} [object ${memory}] ${4 * 2 ** 20}\n`);
    });

    it("loads the module that the caller names, and no other", async () => {
      const file = `/node_modules/synwave/dist/${isolated ? "release" : "release-unshared"}.wasm`;
      const printed = await open(
        pages,
        `import { createEngine } from "${entry}";
         const engine = await createEngine({ addresses: ["192.0.2.1"], wasm: "${file}" });
         console.log(Object.prototype.toString.call(engine.memory.buffer));`,
      );
      expect(printed).toBe(`[object ${memory}]\n`);
      expect(pages.asked).toContain(file);
      expect(variants(pages.asked)).toEqual([]);
    });
  });
});
