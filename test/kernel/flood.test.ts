import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLI } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import type { Namespace } from "./support/namespace.ts";
import { makeNetwork, OUR_SIDE, OURS } from "./support/network.ts";
import { missing } from "./support/requirements.ts";

const SYNS = 200_000;
const CURLS = 200;

describe.skipIf(missing !== undefined)("a flood of spoofed SYNs", () => {
  let space: Namespace;
  let folder: Folder;
  let hash: string;

  beforeAll(async () => {
    folder = await makeFolder();
    hash = await makeFile(folder.path("file.bin"), 64 * 1024);
    space = await makeNetwork();
  });

  afterAll(async () => {
    await space?.close();
    await folder?.remove();
  });

  test(`of ${SYNS} leaves ${CURLS} curls undisturbed, by cookies and without memory`, async () => {
    const words = [CLI, "serve", ...OUR_SIDE, "--root", folder.path(""), "--json"];
    const server = space.start(process.execPath, ...words);
    await server.until('"listening"');
    const flood = space.start(
      "hping3",
      ...["--quiet", "--numeric", "--syn", "--destport", "80", "--rand-source"],
      // A SYN every 20 microseconds, if the machine can.
      ...["--count", `${SYNS}`, "--interval", "u20", OURS.v4],
    );
    const script = `
      mkdir "$1"
      for i in $(seq ${CURLS}); do
        curl -sSf --max-time 120 -o "$1/$i" "$2" || echo "failed $i" &
        [ $((i % 20)) -eq 0 ] && sleep 0.3
      done
      wait`;
    const got = folder.path("got");
    const url = `http://${OURS.v4}/file.bin`;
    expect(await space.must("sh", ["-c", script, "sh", got, url], { timeout: 150_000 })).toBe("");
    const names = await readdir(got);
    expect(names).toHaveLength(CURLS);
    for (const name of names) expect(await hashOf(`${got}/${name}`)).toBe(hash);
    await flood.ended(150_000);
    const { stdout } = await server.stop();
    const { counters, memory } = JSON.parse(stdout.toString().trim().split("\n").at(-1)!);
    expect(memory).toBe(64 * MiB);
    // hping3's random sources are not all addresses that a host can have.
    expect(counters.SyncookiesSent).toBeGreaterThan(SYNS / 4);
    expect(counters.SyncookiesRecv).toBeGreaterThan(0);
    expect(counters.TCPReqQFullDoCookies).toBe(counters.SyncookiesSent);
  });
});
