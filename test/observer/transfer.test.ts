import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DemoHost } from "../../bindings/cli/demo-host.ts";
import { createEngine } from "../../bindings/engine.ts";
import { capture, impair, pipe } from "../../bindings/links/index.ts";
import { createObserver, type ObservedConversation } from "../../bindings/observer.ts";
import { readCapture } from "../../bindings/pcap/index.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { seed } from "../support/engine.ts";
import { suiteRequirement } from "../support/requirements.ts";

const SIZE = 512 * 1024;

/** A transfer both ways over a bad network, captured beside the left engine or in front of the right one. */
async function transfer(six: boolean): Promise<{ file: Uint8Array; sent: string[] }> {
  const addresses = six ? ["2001:db8::1", "2001:db8::2"] : ["192.0.2.1", "192.0.2.2"];
  const clock = new VirtualClock();
  const [near, far] = pipe({ clock });
  const chances = { clock, loss: 0.03, duplicate: 0.02, reorder: 0.05, delay: 20, jitter: 15 };
  const chunks: Uint8Array[] = [];
  const recorder = capture(
    impair(near, { ...chances, seed: 11 }),
    { write: (chunk) => void chunks.push(chunk) },
    { clock },
  );
  const hosts: DemoHost[] = [];
  for (const [i, link] of [recorder, impair(far, { ...chances, seed: 12 })].entries()) {
    const engine = await createEngine({ addresses: [addresses[i]!], seed: seed(i), memory: 4 * 2 ** 20 });
    hosts.push(new DemoHost(engine, link, clock, 100 + i, SIZE));
  }
  hosts[1]!.engine.listen({ port: 9 });
  hosts[0]!.connect(addresses[1]!, 9);
  clock.run(() => hosts.every((host) => host.closed));
  await recorder.close();
  const digests = hosts.map((host) => host.digests());
  expect(digests[0]!.received).toBe(digests[1]!.sent);
  expect(digests[1]!.received).toBe(digests[0]!.sent);
  return { file: new Uint8Array(Buffer.concat(chunks)), sent: digests.map((digest) => digest.sent) };
}

async function observeAll(file: Uint8Array) {
  const texts: Record<string, Uint8Array[]> = { client: [], server: [] };
  const ended: ObservedConversation[] = [];
  let gaps = 0;
  const observer = await createObserver({
    verifyChecksums: true,
    onText: (_, sender, bytes) => texts[sender]!.push(bytes),
    onGap: () => gaps++,
    onEnd: (conversation) => ended.push(conversation),
  });
  for (const { data, time } of readCapture(file)) observer.observe(data, time);
  observer.finish();
  const counters = observer.counters();
  observer.close();
  return {
    client: Buffer.concat(texts.client!),
    server: Buffer.concat(texts.server!),
    gaps,
    ended,
    counters,
  };
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe.each([
  ["IPv4", false],
  ["IPv6", true],
])("a captured transfer over %s", (_, six) => {
  it("gives back what was sent each way, and how it went", async () => {
    const { file, sent } = await transfer(six);
    const { client, server, gaps, ended, counters } = await observeAll(file);
    expect([sha256(client), sha256(server)]).toEqual(sent);
    expect(gaps).toBe(0);
    expect(ended).toHaveLength(1);
    expect(ended[0]).toMatchObject({
      began: "syn",
      ended: "fin",
      client: { text: SIZE, port: expect.any(Number) },
    });
    // What the left engine had to send again passed by the recorder twice.
    expect(ended[0]!.client.retransmitted).toBeGreaterThan(SIZE / 100);
    expect(ended[0]!.client.packets + ended[0]!.server.packets).toBe(counters.packets);
    expect(counters).toMatchObject({ taken: counters.packets, wrongChecksum: 0 });
  });
});

const missing = suiteRequirement(
  "observer against tshark",
  () => {
    try {
      execFileSync("tshark", ["--version"], { stdio: "ignore" });
      return undefined;
    } catch {
      return "tshark is not installed";
    }
  },
  "apt-get install -y tshark",
);

describe.skipIf(missing)("tshark", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "synwave-follow-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("follows the same text both ways", async () => {
    const { file } = await transfer(false);
    const path = join(folder, "transfer.pcapng");
    writeFileSync(path, file);
    const out = execFileSync("tshark", ["-n", "-r", path, "-q", "-z", "follow,tcp,raw,0"], {
      encoding: "utf8",
      maxBuffer: 64 * 2 ** 20,
      stdio: ["ignore", "pipe", "ignore"],
    });
    // Lines of hexadecimal, the second node's behind a tab.
    const lines = out.split("\n").filter((line) => /^\t?([0-9a-f]{2})+$/.test(line));
    const of = (tab: boolean) =>
      Buffer.from(
        lines
          .filter((line) => line.startsWith("\t") === tab)
          .join("")
          .replaceAll("\t", ""),
        "hex",
      );
    const { client, server } = await observeAll(file);
    expect(of(false).equals(client)).toBe(true);
    expect(of(true).equals(server)).toBe(true);
  });
});
