import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LIBRARY } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import { Namespace } from "./support/namespace.ts";
import { missing } from "./support/requirements.ts";

const BRIDGE = fileURLToPath(new URL("support/bridge.mjs", import.meta.url));
const INDEX = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
const DEVICES = ["left0", "right0"] as const;
const ADDRESSES = ["10.79.0.1", "10.79.0.2"] as const;
const SIZE = 2 * MiB;

describe.skipIf(missing !== undefined)("a bridge between two TUN devices, each behind impair", () => {
  let folder: Folder;
  let between: Namespace;
  const hosts: Namespace[] = [];

  beforeAll(async () => {
    folder = await makeFolder();
    between = await Namespace.create();
    for (const device of DEVICES) await between.ip(`tuntap add ${device} mode tun`);
  });

  afterAll(async () => {
    for (const space of [...hosts, between]) await space?.close();
    await folder?.remove();
  });

  test("is a path from Linux to Linux, as slow as it was made", async () => {
    const hash = await makeFile(folder.path("sent"), SIZE);
    const program = between.start(process.execPath, BRIDGE, LIBRARY, INDEX, ...DEVICES);
    await program.until("joined");
    for (const [i, device] of DEVICES.entries()) {
      const host = await Namespace.create();
      hosts.push(host);
      // The bridge keeps its end of the device, wherever Linux has the other.
      await between.ip(`link set ${device} netns ${host.name}`);
      await host.ip(`address add ${ADDRESSES[i]}/24 dev ${device}`);
      await host.ip(`link set ${device} up`);
    }
    const [left, right] = hosts as [Namespace, Namespace];
    const words = (text: string) => ["-c", text];
    const receiver = right.run(
      "sh",
      words(`nc -l -N ${ADDRESSES[1]} 9000 > ${folder.path("arrived")} < /dev/null`),
      { timeout: 60_000 },
    );
    await left.must("sh", words("sleep 0.5"));
    const before = performance.now();
    await left.must("sh", words(`nc -N ${ADDRESSES[1]} 9000 < ${folder.path("sent")}`), { timeout: 60_000 });
    expect((await receiver).code).toBe(0);
    const seconds = (performance.now() - before) / 1000;
    expect(await hashOf(folder.path("arrived"))).toBe(hash);
    expect(seconds).toBeGreaterThan((SIZE * 8) / 20e6);
    expect((await program.stop()).code).toBe(0);
  });
});
