import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServe } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import { dropped, makeLossyNetwork, OURS, type RoutedNetwork } from "./support/network.ts";
import { missing } from "./support/requirements.ts";

const CURL = ["-sSf", "--max-time", "300"];

describe.skipIf(missing !== undefined)("while nftables drops 5 % at random in each direction", () => {
  let network: RoutedNetwork;
  let folder: Folder;
  let hash: string;

  beforeAll(async () => {
    folder = await makeFolder();
    hash = await makeFile(folder.path("file.bin"), 16 * MiB);
    network = await makeLossyNetwork(5);
  });

  afterAll(async () => {
    await network?.close();
    await folder?.remove();
  });

  test("16 MiB travel each way at once", async () => {
    const server = await startServe(network.router, "--root", folder.path(""), "--upload");
    const before = await dropped(network.router);
    const down = folder.path("down");
    await Promise.all([
      network.host.must("curl", [...CURL, "-o", down, `http://${OURS.v4}/file.bin`], { timeout: 310_000 }),
      network.host.must("curl", [...CURL, "-T", folder.path("file.bin"), `http://${OURS.v4}/up`], {
        timeout: 310_000,
      }),
    ]);
    expect(await hashOf(down)).toBe(hash);
    expect(await hashOf(folder.path("up"))).toBe(hash);
    // 16 MiB are 11,000 segments and more: 5 % of them were lost on the way.
    const after = await dropped(network.router);
    expect(after.toHost - before.toHost).toBeGreaterThan(400);
    expect(after.toUs - before.toUs).toBeGreaterThan(400);
    expect((await server.stop()).code).toBe(0);
  });
});
