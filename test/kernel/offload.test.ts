import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServe } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import type { Namespace } from "./support/namespace.ts";
import { makeNetwork, OURS, TUN } from "./support/network.ts";
import type { Program } from "./support/program.ts";
import { missing } from "./support/requirements.ts";

const URLS = { IPv4: `http://${OURS.v4}`, IPv6: `http://[${OURS.v6}]` };
const CURL = ["-sSf", "--max-time", "100"];
const SIZE = 50 * MiB;

interface Traffic {
  packets: number;
  bytes: number;
}

describe.skipIf(missing !== undefined)("Linux talks to synwave serve over a TUN device with offload", () => {
  let space: Namespace;
  let folder: Folder;
  let server: Program;
  let big: string;

  beforeAll(async () => {
    folder = await makeFolder();
    big = await makeFile(folder.path("big.bin"), SIZE);
    space = await makeNetwork();
    server = await startServe(space, "--offload", "--root", folder.path(""), "--upload");
  });

  afterAll(async () => {
    await space?.close();
    await folder?.remove();
  });

  /** Packets that went through the device, as the kernel counts them: from us are those it received. */
  const traffic = async (): Promise<{ fromUs: Traffic; toUs: Traffic }> => {
    const [{ stats64 }] = JSON.parse(await space.ip(`-j -s link show dev ${TUN}`)) as [
      { stats64: { rx: Traffic; tx: Traffic } },
    ];
    return { fromUs: stats64.rx, toUs: stats64.tx };
  };
  const mean = (before: Traffic, after: Traffic) =>
    (after.bytes - before.bytes) / (after.packets - before.packets);

  test.each(Object.entries(URLS))(
    "curl downloads 50 MiB over %s, in packets of many segments",
    async (family, url) => {
      const before = await traffic();
      const got = folder.path(`down-${family}.bin`);
      await space.must("curl", [...CURL, "-o", got, `${url}/big.bin`], { timeout: 110_000 });
      expect(await hashOf(got)).toBe(big);
      expect(mean(before.fromUs, (await traffic()).fromUs)).toBeGreaterThan(6_000);
    },
  );

  test.each(Object.entries(URLS))(
    "curl uploads 50 MiB over %s, in packets of many segments",
    async (family, url) => {
      const before = await traffic();
      const name = `up-${family}.bin`;
      await space.must("curl", [...CURL, "-T", folder.path("big.bin"), `${url}/${name}`], {
        timeout: 110_000,
      });
      expect(await hashOf(folder.path(name))).toBe(big);
      expect(mean(before.toUs, (await traffic()).toUs)).toBeGreaterThan(6_000);
    },
  );

  test("the device is as others once it is opened without", async () => {
    await server.stop();
    server = await startServe(space, "--root", folder.path(""), "--upload");
    const before = await traffic();
    const got = folder.path("plain.bin");
    await space.must("curl", [...CURL, "-o", got, `${URLS.IPv4}/big.bin`], { timeout: 110_000 });
    expect(await hashOf(got)).toBe(big);
    await space.must("curl", [...CURL, "-T", got, `${URLS.IPv4}/again.bin`], { timeout: 110_000 });
    expect(await hashOf(folder.path("again.bin"))).toBe(big);
    const after = await traffic();
    expect(mean(before.fromUs, after.fromUs)).toBeLessThanOrEqual(1500);
    expect(mean(before.toUs, after.toUs)).toBeLessThanOrEqual(1500);
  });
});
