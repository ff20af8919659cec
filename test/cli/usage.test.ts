import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const TUN = ["--tun", "synwave-usage"];
const SIDE = [...TUN, "--address", "10.0.0.2/24"];

function synwave(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("--version prints the package's version", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(synwave("--version")).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: "" });
});

test("it runs as a program of its own", () => {
  const { status, stdout } = spawnSync(CLI, ["--version"], { encoding: "utf8" });
  expect([status, stdout]).toEqual([0, synwave("--version").stdout]);
});

test("--help lists every command, and each has a --help with examples", () => {
  const { status, stdout, stderr } = synwave("--help");
  expect([status, stderr]).toEqual([0, ""]);
  const section = /Commands:\n(.*)\n\n/s.exec(stdout)![1]!;
  const commands = [...section.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!);
  expect(commands).toEqual(expect.arrayContaining(["demo", "serve", "connect", "replay"]));
  for (const name of commands.filter((command) => command !== "help")) {
    const help = synwave(name, "--help");
    expect([help.status, help.stderr]).toEqual([0, ""]);
    expect(help.stdout).toContain(`Usage: synwave ${name}`);
    expect(help.stdout).toMatch(new RegExp(`Examples:\\n.*synwave ${name}`));
  }
});

describe("a command line that makes no sense gets status 2 and the value that is wrong", () => {
  test.each([
    [["frobnicate"], "frobnicate"],
    [["serve"], "--tun"],
    [["serve", ...TUN], "--address"],
    [["serve", ...SIDE, "--port", "0"], "'0'"],
    [["serve", ...SIDE, "--port", "65536"], "'65536'"],
    [["serve", ...SIDE, "--port", "8O"], "'8O'"],
    [["serve", ...SIDE, "--echo", "--discard"], "--discard"],
    [["serve", ...SIDE, "--echo", "--upload"], "--upload"],
    [["serve", ...SIDE, "--colour"], "--colour"],
    [["serve", ...SIDE, "stray"], "too many arguments"],
    [["connect", ...SIDE, "10.0.0.1"], "port"],
    [["connect", ...SIDE, "10.0.0.1", "http"], "'http'"],
    [["connect", ...SIDE, "--timeout", "0", "10.0.0.1", "80"], "'0'"],
    [["connect", ...SIDE, "--timeout", "-1", "10.0.0.1", "80"], "'-1'"],
    [["connect", ...SIDE, "--timeout", "1e9", "10.0.0.1", "80"], "'1e9'"],
  ])("%j", (args, value) => {
    const { status, stdout, stderr } = synwave(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(value);
    expect(stderr).toContain("--help");
  });

  test("no command at all prints the help", () => {
    const { status, stdout, stderr } = synwave();
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: synwave");
  });
});

describe("what cannot be done gets status 1 and one line that names the value", () => {
  test.each([
    [["serve", ...SIDE, "--root", "/no/such/folder"], "--root /no/such/folder"],
    [["serve", "--tun", "a-name-much-too-long", "--address", "10.0.0.2/24"], '"a-name-much-too-long"'],
    [["connect", "--tun", "a/b", "--address", "10.0.0.2/24", "10.0.0.1", "80"], '"a/b"'],
  ])("%j", (args, value) => {
    const { status, stdout, stderr } = synwave(...args);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^synwave: [^\n]+\n$/);
    expect(stderr).toContain(value);
  });
});
