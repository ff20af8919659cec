import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import TallyReporter from "../../scripts/tally-reporter.mjs";
import { verdict } from "../../scripts/verdict.mjs";
import { suiteRequirement } from "../support/requirements.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("the verdict of a test run", () => {
  const run = { tally: { passed: 3, failed: 0, skipped: [] }, declared: [], chosen: false, code: 0 };
  const skipped = [{ file: "/tree/test/a.test.ts", name: "a > b" }];

  it("ends with the count", () => {
    expect(verdict(run)).toEqual({ lines: ["3 passed, 0 failed"], failed: 0 });
    expect(verdict({ ...run, tally: { ...run.tally, failed: 2 }, code: 1 })).toEqual({
      lines: ["3 passed, 2 failed"],
      failed: 2,
    });
  });

  it("is a failure when no test ran", () => {
    const { lines, failed } = verdict({ ...run, tally: { ...run.tally, passed: 0 } });
    expect(failed).toBe(1);
    expect(lines.at(-1)).toBe("0 passed, 1 failed");
  });

  it("is a failure when the runner fails for a reason of its own", () => {
    expect(verdict({ ...run, code: 1 }).lines.at(-1)).toBe("3 passed, 1 failed");
  });

  it("names what was skipped, why, and what enables it", () => {
    const declared = [{ file: "/tree/test/a.test.ts", name: "kernel", reason: "not root", enable: "sudo" }];
    const { lines, failed } = verdict({ ...run, tally: { ...run.tally, skipped }, declared });
    expect(failed).toBe(0);
    expect(lines[0]).toMatch(/kernel[\s\S]*not root[\s\S]*sudo/);
  });

  it("counts a test that is skipped without a reason as a failure, unless others were chosen", () => {
    const tally = { ...run.tally, skipped };
    expect(verdict({ ...run, tally }).failed).toBe(1);
    expect(verdict({ ...run, tally, chosen: true }).failed).toBe(0);
  });
});

describe("the tally", () => {
  const module = (states: string[], ok: boolean) => ({
    moduleId: "/tree/test/a.test.ts",
    ok: () => ok,
    children: { allTests: () => states.map((state) => ({ fullName: state, result: () => ({ state }) })) },
  });

  function count(modules: object[], unhandled: object[] = []) {
    const path = join(mkdtempSync(join(tmpdir(), "synwave-tally-")), "tally.json");
    vi.stubEnv("SYNWAVE_TALLY", path);
    new TallyReporter().onTestRunEnd(modules, unhandled);
    const tally: unknown = JSON.parse(readFileSync(path, "utf8"));
    rmSync(join(path, ".."), { recursive: true });
    return tally;
  }

  it("counts tests, not files", () => {
    expect(
      count([module(["passed", "passed", "failed"], false), module(["passed", "skipped"], true)]),
    ).toEqual({
      passed: 3,
      failed: 1,
      skipped: [{ file: "/tree/test/a.test.ts", name: "skipped" }],
    });
  });

  it("counts a file that broke while loading, and an error outside every test", () => {
    expect(count([module([], false)], [{}])).toEqual({ passed: 0, failed: 2, skipped: [] });
  });
});

describe("a suite's requirement", () => {
  it("is silent when it is met", () => {
    vi.stubEnv("SYNWAVE_NO_SKIP", "1");
    expect(suiteRequirement("x", () => undefined, "do x")).toBeUndefined();
  });

  it("gives the reason and records it when it is not", () => {
    const record = join(mkdtempSync(join(tmpdir(), "synwave-skipped-")), "skipped.jsonl");
    for (const [name, value] of Object.entries({ CI: "", SYNWAVE_NO_SKIP: "", SYNWAVE_SKIPPED: record }))
      vi.stubEnv(name, value);
    expect(suiteRequirement("x", () => "no x here", "do x")).toBe("no x here");
    const written = JSON.parse(readFileSync(record, "utf8"));
    rmSync(join(record, ".."), { recursive: true });
    expect(written).toEqual({ file: import.meta.filename, name: "x", reason: "no x here", enable: "do x" });
  });

  it.each(["CI", "SYNWAVE_NO_SKIP"])("is an error where %s allows no skipping", (name) => {
    vi.stubEnv(name, "true");
    expect(() => suiteRequirement("x", () => "no x here", "do x")).toThrow(/x.*no x here.*do x/);
  });
});
