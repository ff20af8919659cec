import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { capture } from "../../bindings/links/capture.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { build, type Fields } from "../support/packet.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

const web = { src: "192.0.2.1", dst: "198.51.100.2", srcPort: 40000, dstPort: 80 };
const six = { src: "2001:db8::1", dst: "2001:db8::2", srcPort: 50000, dstPort: 443 };
const back = ({ src, dst, srcPort, dstPort }: typeof web) => ({
  src: dst,
  dst: src,
  srcPort: dstPort,
  dstPort: srcPort,
});

/** Milliseconds and packet. The sequence numbers of the first conversation pass 2^32 on the way. */
const TRACE: [number, Fields][] = [
  [0, { ...web, seq: 0xfffffffe, flags: "S" }],
  [10, { ...back(web), seq: 1000, ack: 0xffffffff, flags: "SA" }],
  [20, { ...web, seq: 0xffffffff, ack: 1001, flags: "A", text: "GET " }],
  [25, { ...six, seq: 5, flags: "S" }],
  [30, { ...web, seq: 6, ack: 1001, flags: "A", text: "\r\n" }],
  [40, { ...web, seq: 3, ack: 1001, flags: "A", text: "/it" }],
  [45, { ...back(six), seq: 9, ack: 6, flags: "RA" }],
  [50, { ...back(web), seq: 1001, ack: 8, flags: "A", text: "some" }],
  [60, { ...back(web), seq: 1001, ack: 8, flags: "A", text: "some" }],
  [70, { ...back(web), seq: 1008, ack: 8, flags: "FA", text: "text" }],
  [80, { ...web, seq: 8, ack: 1013, flags: "FA" }],
  [1500, { ...back(web), seq: 1013, ack: 9, flags: "A" }],
];

const TABLE = `\
#  client               server             packets →  ← packets  octets →  ← octets  start s  duration s  end                      gaps
0  192.0.2.1:40000      198.51.100.2:80            5          5         9         8    0.000       1.500  closed           1 (3 octets)
1  [2001:db8::1]:50000  [2001:db8::2]:443          1          1         0         0    0.025       0.020  reset by server             -
`;

async function captureOf(trace: [number, Fields][]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const clock = new VirtualClock();
  const [link] = pipe({ manual: true });
  const recorded = capture(
    link,
    { write: (chunk) => chunks.push(chunk) },
    { clock, epoch: 1_700_000_000_000 },
  );
  const batch = new PacketBatch();
  for (const [time, fields] of trace) {
    clock.run(time);
    batch.clear();
    batch.push(build(fields));
    recorded.send(batch);
  }
  await recorded.close();
  return Buffer.concat(chunks);
}

let folder: string;
let file: string;
let whole: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "synwave-replay-"));
  file = join(folder, "trace.pcapng");
  whole = await captureOf(TRACE);
  await writeFile(file, whole);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function replay(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "replay", ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("prints a table of the conversations", () => {
  expect(replay(file)).toEqual({ status: 0, stdout: TABLE, stderr: "" });
});

test("--json prints them for programs, with what became of the packets", () => {
  const { status, stdout, stderr } = replay(file, "--json");
  expect([status, stderr]).toEqual([0, ""]);
  const report = JSON.parse(stdout);
  expect(report.conversations).toHaveLength(2);
  expect(report.conversations[0]).toMatchObject({
    number: 0,
    client: { address: "192.0.2.1", port: 40000, packets: 5, text: 9, gaps: 0 },
    server: { address: "198.51.100.2", port: 80, packets: 5, text: 8, retransmitted: 4, gaps: 1, missing: 3 },
    firstTime: 1_700_000_000_000,
    lastTime: 1_700_000_001_500,
    began: "syn",
    ended: "fin",
    handshakeRtt: 20,
  });
  expect(report.packets).toMatchObject({ packets: 12, taken: 12, wrongChecksum: 0 });
});

describe("--stream prints the octets of one conversation", () => {
  const missing = "synwave: 3 octets of the server are missing, in 1 places\n";
  test.each([
    [["--direction", "client"], "GET /it\r\n", ""],
    [["--direction", "server"], "sometext", missing],
    [[], "GET /it\r\nsometext", missing],
  ])("%j", (options, stdout, stderr) => {
    expect(replay(file, "--stream", "0", ...options)).toEqual({ status: 0, stdout, stderr });
  });

  test("none where it has none", () => {
    expect(replay(file, "--stream", "1")).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("and names the one that is not there", () => {
    expect(replay(file, "--stream", "2")).toEqual({
      status: 1,
      stdout: "",
      stderr: "synwave: EINVAL: there is no stream 2: the last one is 1\n",
    });
  });
});

test("a capture that is cut off tells what it holds, and fails", async () => {
  const cut = join(folder, "cut.pcapng");
  // The last packet, the statistics and a bit of the packet before.
  await writeFile(cut, whole.subarray(0, whole.length - 250));
  const { status, stdout, stderr } = replay(cut);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^0 {2}192\.0\.2\.1:40000 /m);
  expect(stderr).toMatch(/^synwave: ERR_CAPTURE_FORMAT: [^\n]+\n$/);
});

test("a capture without TCP says so", async () => {
  const empty = join(folder, "empty.pcapng");
  await writeFile(empty, await captureOf([]));
  expect(replay(empty)).toEqual({ status: 0, stdout: "no TCP conversation\n", stderr: "" });
  expect(replay(empty, "--stream", "0").stderr).toContain("the capture has none");
});

test("what is no capture, or no file, is named", async () => {
  const text = join(folder, "text");
  await writeFile(text, "no capture at all");
  expect(replay(text)).toMatchObject({ status: 1, stdout: "" });
  expect(replay(text).stderr).toMatch(/^synwave: ERR_CAPTURE_FORMAT: [^\n]+\n$/);
  const absent = replay(join(folder, "absent"));
  expect([absent.status, absent.stderr]).toEqual([
    1,
    expect.stringMatching(/^synwave: ENOENT[^\n]+absent'\n$/),
  ]);
});

test.each([
  [[], "file"],
  [["x", "--stream", "first"], "'first'"],
  [["x", "--direction", "up"], "'up'"],
  [["x", "--stream", "0", "--json"], "--json"],
])("a command line like %j gets status 2", (args, value) => {
  const { status, stdout, stderr } = replay(...args);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(value);
});
