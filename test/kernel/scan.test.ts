import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LIBRARY, startServe } from "./support/cli.ts";
import { type Folder, makeFolder } from "./support/files.ts";
import { Namespace } from "./support/namespace.ts";
import { KERNEL, makeNetwork, OURS, TUN } from "./support/network.ts";
import { missing } from "./support/requirements.ts";

const INDEX = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
const SILENCE = fileURLToPath(new URL("./support/silence.mjs", import.meta.url));

/** How hard nmap finds the initial sequence numbers of the host to guess: its index, the larger the harder. */
function difficulty(report: string): number {
  const [, index] = /TCP Sequence Prediction: Difficulty=(\d+)/.exec(report) ?? [];
  if (index === undefined) throw new Error(`nmap did not tell\n${report}`);
  return Number(index);
}

describe.skipIf(missing !== undefined)("nmap", () => {
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

  test("finds closed ports closed, and our sequence numbers as hard to guess as Linux's", async () => {
    const server = await startServe(space, "--root", folder.path(""));
    const scan = ["-n", "-Pn", "-sS", "-O", "-v", "--max-os-tries", "1", "-p", "79-81"];
    const ours = await space.must("nmap", [...scan, OURS.v4], { timeout: 120_000 });
    expect(ours).toMatch(/^79\/tcp closed/m);
    expect(ours).toMatch(/^80\/tcp open/m);
    expect(ours).toMatch(/^81\/tcp closed/m);
    expect((await server.stop()).code).toBe(0);

    const other = await Namespace.create();
    try {
      await space.ip(`link add veth0 type veth peer name veth1 netns ${other.name}`);
      for (const [side, device, address] of [
        [space, "veth0", "10.79.0.1"],
        [other, "veth1", "10.79.0.2"],
      ] as const) {
        await side.ip(`link set ${device} up`);
        await side.ip(`address add ${address}/24 dev ${device}`);
      }
      const listener = other.start("nc", "-n", "-v", "-l", "-k", "10.79.0.2", "80");
      await listener.until("Listening on");
      const linux = await space.must("nmap", [...scan, "10.79.0.2"], { timeout: 120_000 });
      expect(linux).toMatch(/^80\/tcp open/m);
      await listener.stop();
      // The index is a logarithm of what was sampled, in eighths of a bit.
      expect(difficulty(ours)).toBeGreaterThanOrEqual(difficulty(linux) - 16);
    } finally {
      await other.close();
    }
  });

  test("a peer that falls silent is found dead by keepalive", async () => {
    const peer = space.start("nc", "-n", "-v", "-l", KERNEL.v4, "9002");
    await peer.until("Listening on");
    const words = [SILENCE, INDEX, LIBRARY, TUN, `${OURS.v4}/24`, KERNEL.v4, "9002"];
    const client = space.start(process.execPath, ...words);
    await client.until("connected");
    // Linux answers the probes of an idle connection: nothing happens.
    await new Promise((later) => setTimeout(later, 5000));
    expect(client.child.exitCode).toBeNull();
    const rules = "table inet quiet { chain out { type filter hook output priority 0; drop; }\n}";
    await space.must("nft", ["-f", "-"], { input: rules });
    const start = performance.now();
    const { stdout } = await client.ended(20_000);
    expect(stdout.toString()).toMatch(/ended by ETIMEDOUT after \d+ probes/);
    // One second of silence, three probes, a second each.
    expect(performance.now() - start).toBeGreaterThan(2500);
    expect(performance.now() - start).toBeLessThan(8000);
    await space.must("nft", ["delete", "table", "inet", "quiet"]);
    await peer.stop();
  });
});
