import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ObservedConversation, ObserverCounters } from "../../bindings/observer.ts";
import { judge, spoil, startCapture, stopCapture } from "./support/capture.ts";
import { CLI, connectWords, startServe } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import type { Namespace } from "./support/namespace.ts";
import { KERNEL, makeNetwork, OURS } from "./support/network.ts";
import { must, run } from "./support/program.ts";
import { missing } from "./support/requirements.ts";

const CURL = ["-sSf", "--max-time", "50"];

describe.skipIf(missing !== undefined)("what tshark makes of our packets", () => {
  let space: Namespace;
  let folder: Folder;

  beforeAll(async () => {
    folder = await makeFolder();
    space = await makeNetwork();
  });

  afterAll(async () => {
    await space?.close();
    await folder?.remove();
  });

  test("no bad checksum and no malformed packet, whatever we do", async () => {
    const hash = await makeFile(folder.path("file.bin"), 4 * MiB);
    const file = folder.path("wire.pcap");
    const capture = await startCapture(space, file);
    const server = await startServe(space, "--root", folder.path(""), "--upload");
    for (const [name, address] of [
      ["four", OURS.v4],
      ["six", `[${OURS.v6}]`],
    ]) {
      const got = folder.path(`${name}.down`);
      await space.must("curl", [...CURL, "-o", got, `http://${address}/file.bin`]);
      expect(await hashOf(got)).toBe(hash);
      await space.must("curl", [...CURL, "-T", folder.path("file.bin"), `http://${address}/${name}.up`]);
      expect((await space.run("curl", [...CURL, `http://${address}:81/`])).code).toBe(7);
    }
    expect((await server.stop()).code).toBe(0);
    for (const address of Object.values(KERNEL)) {
      const [node, ...words] = connectWords(address, "9");
      expect((await space.run(node!, words)).code).toBe(1);
    }
    await stopCapture(capture);

    const verdict = await judge(file);
    expect(verdict).toMatchObject({ badChecksum: 0, malformed: 0 });
    // 8 MiB in segments of 1,460 octets or less, and acknowledgments.
    expect(verdict.packets).toBeGreaterThan(6000);

    await expectReplayOf(file, hash);

    // The same capture with one octet wrong: it is found, and nothing else is.
    const bad = folder.path("bad.pcap");
    await spoil(file, bad, Uint8Array.from(OURS.v4.split("."), Number));
    expect(await judge(bad)).toMatchObject({ badChecksum: 1, packets: verdict.packets });
  });
});

/** What `synwave replay` makes of a capture, against tshark and against the file that was downloaded first. */
async function expectReplayOf(file: string, hash: string): Promise<void> {
  const report = JSON.parse(await must(process.execPath, [CLI, "replay", file, "--json"])) as {
    conversations: ObservedConversation[];
    packets: ObserverCounters;
  };
  const lines = (
    await must("tshark", ["-n", "-r", file, "-Y", "tcp", "-T", "fields", "-e", "tcp.stream"])
  ).trim();
  const packets: number[] = [];
  for (const stream of lines.split("\n")) packets[Number(stream)] = (packets[Number(stream)] ?? 0) + 1;
  expect(report.conversations.map(({ client, server }) => client.packets + server.packets)).toEqual(packets);
  expect(report.packets).toMatchObject({ malformed: 0, wrongChecksum: 0 });

  const words = [CLI, "replay", file, "--stream", "0", "--direction", "server"];
  const { code, stdout, stderr } = await run(process.execPath, words);
  expect([code, stderr]).toEqual([0, ""]);
  const text = stdout.subarray(stdout.indexOf("\r\n\r\n") + 4);
  expect(createHash("sha256").update(text).digest("hex")).toBe(hash);
}
