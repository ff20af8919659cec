import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { capture } from "../../bindings/links/capture.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { from } from "../observer/watch.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const OTHER = { address: "2001:db8::7", port: 50001 };
const THERE = { address: "2001:db8::80", port: 443 };

let folder: string;
let file: string;
let bytes: Buffer;

/** A capture of the packets, each a millisecond after the one before. */
async function record(packets: Uint8Array[]): Promise<Buffer> {
  const clock = new VirtualClock();
  const chunks: Uint8Array[] = [];
  const [near] = pipe({ manual: true });
  const link = capture(near, { write: (chunk) => void chunks.push(chunk) }, { clock, epoch: 1.7e12 });
  for (const packet of packets) {
    const batch = new PacketBatch();
    batch.push(packet);
    link.send(batch);
    clock.run(clock.now() + 1);
  }
  await link.close();
  return Buffer.concat(chunks);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "synwave-replay-"));
  file = join(folder, "two.pcapng");
  const malformed = from("client", {});
  malformed[32] = 0x40;
  bytes = await record([
    from("client", { flags: "S", seq: 1000 }),
    from("server", { flags: "SA", seq: 5000, ack: 1001 }),
    from("client", { seq: 1001, ack: 5001 }),
    from("client", { flags: "S", seq: 1 }, OTHER, THERE),
    from("client", { seq: 1011, ack: 5001, text: "two\n" }),
    from("client", { seq: 1001, ack: 5001, text: "GET one, " }),
    from("client", { seq: 1010, ack: 5001, text: " " }),
    from("server", { seq: 5001, ack: 1015, text: Uint8Array.of(0, 1, 2, 127, 128, 255) }),
    // Five octets are missing in front of these, and the client has them.
    from("server", { seq: 5012, ack: 1015, text: "end" }),
    from("client", { flags: "FA", seq: 1015, ack: 5015 }),
    from("server", { flags: "FA", seq: 5015, ack: 1016 }),
    malformed,
    from("server", { flags: "RA", seq: 0, ack: 2 }, OTHER, THERE),
  ]);
  writeFileSync(file, bytes);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(args: string[], input?: Buffer): SpawnSyncReturns<Buffer> {
  return spawnSync(process.execPath, [CLI, "replay", ...args], { ...(input ? { input } : {}) });
}

function synwave(args: string[], input?: Buffer) {
  const { status, stdout, stderr } = run(args, input);
  return { status, stdout: stdout.toString("latin1"), stderr: stderr.toString() };
}

const ANSWER = "\x00\x01\x02\x7f\x80\xff";
const QUESTION = "GET one,  two\n";

describe("synwave replay", () => {
  test("lists the conversations in aligned columns, and what it skipped", () => {
    const { status, stdout, stderr } = run([file]);
    expect([status, stderr.toString()]).toEqual([0, ""]);
    const lines = stdout.toString().split("\n");
    const rows = lines.slice(1, 3).map((line) => line.trim().split(/ {2,}/));
    expect(rows).toEqual([
      "0|192.0.2.7:40000|198.51.100.9:80|0.00 ms|10.0 ms|2.00 ms|6|4|14 B|9 B|-|-|-|5 B|syn|fin".split("|"),
      "1|[2001:db8::7]:50001|[2001:db8::80]:443|3.00 ms|9.00 ms|-|1|1|-|-|-|-|-|-|syn|server-reset".split(
        "|",
      ),
    ]);
    for (const name of ["client", "server", "began", "ended"]) {
      const column = lines[0]!.indexOf(name);
      for (const line of lines.slice(0, 3)) expect(line.slice(column - 2, column + 1)).toMatch(/^ {2}\S/);
    }
    expect(lines.slice(3)).toEqual(["", "2 conversations in 12 packets of 13", "Skipped 1: 1 malformed", ""]);
  });

  test("--json has all of it", () => {
    const { status, stdout } = synwave([file, "--json"]);
    const { packets, conversations, ...rest } = JSON.parse(stdout);
    expect([status, rest]).toEqual([0, { file, failure: null }]);
    expect(packets).toMatchObject({ packets: 13, taken: 12, malformed: 1 });
    expect(conversations).toMatchObject([
      {
        number: 0,
        firstTime: 1.7e12,
        handshakeRtt: 2,
        client: { address: "192.0.2.7", port: 40000, packets: 6, text: 14, retransmitted: 0, gaps: 0 },
        server: { address: "198.51.100.9", port: 80, packets: 4, text: 9, gaps: 1, missing: 5 },
      },
      { number: 1, handshakeRtt: null, ended: "server-reset" },
    ]);
  });

  test("--stream writes what was said, in order; what is missing is said beside it", () => {
    const both = synwave([file, "--stream", "0"]);
    expect([both.status, both.stdout]).toEqual([0, `${QUESTION}${ANSWER}end`]);
    expect(both.stderr).toBe("synwave: 5 octets missing at 6 of the server's\n");
    expect(synwave([file, "--stream", "0", "--direction", "client"])).toEqual({
      status: 0,
      stdout: QUESTION,
      stderr: "",
    });
    expect(synwave([file, "--stream", "0", "--direction", "server"]).stdout).toBe(`${ANSWER}end`);
    expect(synwave([file, "--stream", "1"])).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("--hex shows whose it is and where", () => {
    const { status, stdout, stderr } = synwave([file, "--stream", "0", "--hex"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n")).toEqual([
      "> 00000000  47 45 54 20 6f 6e 65 2c  20                      |GET one, |",
      "> 00000009  20                                               | |",
      "> 0000000a  74 77 6f 0a                                      |two.|",
      "< 00000000  00 01 02 7f 80 ff                                |......|",
      "< 00000006  5 octets missing",
      "< 0000000b  65 6e 64                                         |end|",
      "",
    ]);
  });

  test("- is standard input", () => {
    const piped = synwave(["-"], bytes);
    expect(piped).toEqual(synwave([file]));
    expect(piped.stdout).toContain("2 conversations");
  });

  test("a long stream comes out whole through a pipe", async () => {
    const text = Buffer.alloc(12 * 2 ** 20, "0123456789abcde");
    const packets = [from("client", { flags: "S", seq: 0xffffff00 })];
    for (let at = 0; at < text.length; at += 1024)
      packets.push(from("client", { seq: 0xffffff01 + at, text: text.subarray(at, at + 1024) }));
    const { status, stdout } = spawnSync(process.execPath, [CLI, "replay", "-", "--stream", "0"], {
      input: await record(packets),
      maxBuffer: 64 * 2 ** 20,
    });
    expect(status).toBe(0);
    expect(stdout.equals(text)).toBe(true);
  });
});

describe("what is wrong is named", () => {
  test("a capture that is cut off: first what could be read, then where it ends", () => {
    const { status, stdout, stderr } = synwave(["-"], bytes.subarray(0, bytes.length - 30));
    expect([status, stdout.includes("2 conversations")]).toEqual([1, true]);
    expect(stderr).toMatch(/^synwave: ERR_CAPTURE_FORMAT: standard input: .*\d+ octets.* at offset \d+\n$/);
  });

  test.each([
    ["a file that is none", ["/no/such.pcap"], undefined, "/no/such.pcap"],
    ["a folder", ["/"], undefined, "/: EISDIR"],
    ["no capture", ["-"], Buffer.from("GIF89a, or so"), "0x47494638"],
    ["nothing at all", ["-"], Buffer.alloc(0), "standard input"],
  ])("%s", (_, args, input, value) => {
    const { status, stderr } = synwave(args, input);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^synwave: [^\n]+\n$/);
    expect(stderr).toContain(value);
  });

  test("a conversation that is not there", () => {
    const { status, stdout, stderr } = synwave([file, "--stream", "2"]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(`synwave: EINVAL: ${file} has conversations 0 to 1, and no conversation 2\n`);
  });

  test.each([
    [[], "file"],
    [["--stream", "first"], "'first'"],
    [["--stream", "-1"], "'-1'"],
    [["--direction", "client"], "--direction"],
    [["--hex"], "--hex"],
    [["--stream", "0", "--direction", "left"], "'left'"],
    [["--stream", "0", "--json"], "--json"],
  ])("%j is status 2", (args, value) => {
    const { status, stdout, stderr } = synwave(args.length > 0 ? [file, ...args] : []);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(value);
  });
});
