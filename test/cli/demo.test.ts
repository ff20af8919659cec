import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { demoCommand } from "../../bindings/cli/demo.ts";
import { readCapture } from "../../bindings/pcap/index.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "synwave-demo-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

afterEach(() => {
  process.exitCode = undefined;
});

interface Output {
  out: string;
  err: string;
}

/** Run the command in this process, with what it prints. */
async function run(...args: string[]): Promise<Output> {
  const printed = { out: "", err: "" };
  const out = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed.out += text;
    return true;
  });
  try {
    const command = demoCommand().configureOutput({
      writeErr: (text) => {
        printed.err += text;
      },
    });
    await command.parseAsync(args, { from: "user" });
    return printed;
  } catch (error) {
    throw Object.assign(error as Error, printed);
  } finally {
    out.mockRestore();
  }
}

interface Side {
  address: string;
  sha256: { sent: string; arrived: string };
  equal: boolean;
  segmentsSent: number;
  retransmissions: number;
  goodputReal: number;
  link: Record<string, number>;
}

interface Result {
  equal: boolean;
  realSeconds: number;
  virtualSeconds: number;
  sides: { left: Side; right: Side };
}

async function result(...args: string[]): Promise<Result> {
  return JSON.parse((await run(...args, "--json")).out) as Result;
}

function timeless({ sides: { left, right }, ...rest }: Result) {
  return { ...rest, realSeconds: 0, left: { ...left, goodputReal: 0 }, right: { ...right, goodputReal: 0 } };
}

describe("synwave demo", () => {
  test("both directions arrive whole over a network that loses, doubles and reorders", async () => {
    const file = join(folder, "one.pcapng");
    const args = ["--size", "1MiB", "--seed", "3", "--pcapng", file];
    const first = await result(...args);
    expect(process.exitCode).toBeUndefined();
    expect(first.equal).toBe(true);
    const { left, right } = first.sides;
    expect(left.sha256.sent).not.toBe(right.sha256.sent);
    for (const side of [left, right]) {
      expect(side.sha256.arrived).toBe(side.sha256.sent);
      expect(side.sha256.sent).toMatch(/^[0-9a-f]{64}$/);
      expect(side.link.lost).toBeGreaterThan(0);
      expect(side.link.duplicated).toBeGreaterThan(0);
      expect(side.link.reordered).toBeGreaterThan(0);
      expect(side.retransmissions).toBeGreaterThan(0);
      expect(side.link.sent).toBe(side.segmentsSent);
    }

    const bytes = new Uint8Array(await readFile(file));
    const packets = [...readCapture(bytes)];
    expect(packets.filter((p) => p.direction === "outbound").length).toBe(left.link.sent);
    expect(packets.filter((p) => p.direction === "inbound").length).toBe(right.link.delivered);
    expect(Math.max(...packets.map((p) => p.data.length))).toBe(96);
    expect(Math.max(...packets.map((p) => p.originalLength))).toBe(1500);

    const second = await result(...args);
    expect(timeless(second)).toEqual(timeless(first));
    expect(Buffer.compare(await readFile(file), bytes)).toBe(0);
    const other = await result("--size", "1MiB", "--seed", "4", "--no-pcapng");
    expect(other.sides.left.sha256.sent).not.toBe(left.sha256.sent);
  });

  test("a perfect network takes no retransmission", async () => {
    const perfect = ["--loss", "0", "--duplicate", "0%", "--reorder", "0", "--delay", "5", "--jitter", "0"];
    const { equal, sides } = await result("--size", "300000", "--no-pcapng", ...perfect);
    expect(equal).toBe(true);
    for (const side of [sides.left, sides.right]) {
      expect(side.retransmissions).toBe(0);
      expect(side.link).toMatchObject({ lost: 0, duplicated: 0, reordered: 0 });
    }
  });

  test("tells people what happened", async () => {
    const { out, err } = await run("--size", "100kB", "--no-pcapng");
    expect(err).toBe("");
    expect(out).toMatch(/^100,000 octets each way in [\d.]+ s of virtual time/);
    expect(out.match(/[0-9a-f]{64} {2}equal/g)?.length).toBe(2);
    for (const line of ["segments sent", "retransmissions", "goodput, virtual", "goodput, real"])
      expect(out).toContain(line);
  });

  test("a path without delay takes no virtual time", async () => {
    const args = ["--size", "200000", "--no-pcapng", "--delay", "0"];
    const ideal = ["--loss", "0", "--duplicate", "0", "--reorder", "0"];
    expect(await result(...args, ...ideal)).toMatchObject({
      equal: true,
      virtualSeconds: 0,
      sides: { left: { goodputVirtual: null } },
    });
    expect((await run(...args, ...ideal)).out).toMatch(/goodput, virtual +no time passed +no time passed/);
  });

  test("a network that carries nothing ends in an error, not in a wait for ever", async () => {
    await expect(run("--size", "1000", "--loss", "100%", "--no-pcapng")).rejects.toThrow("ETIMEDOUT");
  });

  test("a file that cannot be written is named", async () => {
    const path = join(folder, "missing", "x.pcapng");
    await expect(run("--size", "1000", "--pcapng", path)).rejects.toThrow(path);
  });

  test.each([
    ["--loss", "1.5"],
    ["--loss", "-1"],
    ["--loss", "many"],
    ["--duplicate", "101%"],
    ["--reorder", "1e9"],
    ["--size", "0"],
    ["--size", "64TiB"],
    ["--size", "17GiB"],
    ["--delay", "60001"],
    ["--delay", "."],
    ["--jitter", "21"],
    ["--seed", "1.5"],
    ["--pcapng", ""],
  ])("refuses %s %j, naming option and value", async (option, value) => {
    const error = await run(`${option}=${value}`).then(
      () => undefined,
      (thrown: Error & { err: string; code?: string }) => thrown,
    );
    expect(error?.code).toMatch(/^commander\./);
    expect(error?.err).toContain(option);
    expect(error?.err).toContain(`'${value}'`);
  });
});
