import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectWords } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import type { Namespace } from "./support/namespace.ts";
import { KERNEL, makeNetwork, OURS } from "./support/network.ts";
import { NGINX_PORT, startNginx } from "./support/nginx.ts";
import { missing } from "./support/requirements.ts";

/** Runs the words after the first with the first as standard output. */
const INTO = 'out=$1; shift; exec "$@" > "$out"';
/** Likewise, as standard input. */
const FROM = 'in=$1; shift; exec "$@" < "$in"';
const HASH_SERVER = fileURLToPath(new URL("support/hash-server.mjs", import.meta.url));

describe.skipIf(missing !== undefined)("synwave connect talks to Linux", () => {
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

  describe("nginx", () => {
    let hash: string;
    beforeAll(async () => {
      hash = await makeFile(folder.path("big.bin"), 100 * MiB);
      await startNginx(space, folder);
    });

    test.each(Object.values(KERNEL))("downloads 100 MiB from nginx at %s", async (address) => {
      const file = folder.path(`from-${address.replaceAll(":", "-")}`);
      const client = space.start("sh", "-c", INTO, "sh", file, ...connectWords(address, String(NGINX_PORT)));
      client.child.stdin!.write("GET /big.bin HTTP/1.0\r\nHost: nginx\r\n\r\n");
      // nginx takes the end of our stream for a reader that has gone: it must not come before the last octet.
      const size = async () => (await stat(file).catch(() => undefined))?.size ?? 0;
      await expect.poll(size, { timeout: 100_000, interval: 50 }).toBeGreaterThan(100 * MiB + 100);
      client.child.stdin!.end();
      expect(await client.ended(5000)).toMatchObject({ code: 0, stderr: "" });
      const head = (await readFile(file)).subarray(0, 4096).toString("latin1");
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(await hashOf(file, head.indexOf("\r\n\r\n") + 4)).toBe(hash);
    });
  });

  test.each(Object.values(KERNEL))(
    "half-close: %s answers what it got after our end of stream",
    async (address) => {
      const file = folder.path(`half-${address.replaceAll(":", "-")}`);
      const hash = await makeFile(file, 8 * MiB);
      const peer = space.start(process.execPath, HASH_SERVER, address, "9000");
      await peer.until("listening");
      const outcome = await space.run("sh", ["-c", FROM, "sh", file, ...connectWords(address, "9000")]);
      expect(outcome).toMatchObject({ code: 0, stderr: "" });
      expect(outcome.stdout.toString()).toBe(hash);
      expect((await peer.ended(5000)).code).toBe(0);
    },
  );

  test.each(Object.values(KERNEL))("a closed port of %s refuses at once", async (address) => {
    const outcome = await space.run(connectWords(address, "9")[0]!, connectWords(address, "9").slice(1));
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/^synwave: .*ECONNREFUSED.*\n$/);
    expect(outcome.stderr).toContain(address);
    expect(outcome.ms).toBeLessThan(2000);
  });

  test("gives up on a peer that never answers when its time is over", async () => {
    const silent = "10.77.0.99";
    const [node, ...words] = connectWords("--timeout", "1", silent, "80");
    const outcome = await space.run(node!, words);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toBe(`synwave: ETIMEDOUT: no answer from ${silent} port 80 within 1 seconds\n`);
    expect(outcome.ms).toBeGreaterThan(1000);
    expect(outcome.ms).toBeLessThan(3000);
  });

  test("says so when the peer resets the connection", async () => {
    await space.must("nft", ["add table inet refuse"]);
    await space.must("nft", ["add chain inet refuse input { type filter hook input priority 0; }"]);
    const peer = space.start("nc", "-nv", "-l", KERNEL.v4, "9001");
    await peer.until("Listening on");
    const [node, ...words] = connectWords(KERNEL.v4, "9001");
    const client = space.start(node!, ...words);
    await peer.until(`Connection received on ${OURS.v4}`);
    await space.must("nft", ["add rule inet refuse input tcp dport 9001 reject with tcp reset"]);
    client.child.stdin!.write("anybody there?\n");
    const outcome = await client.ended(5000);
    await space.must("nft", ["delete table inet refuse"]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/^synwave: .*ECONNRESET.*\n$/);
    peer.child.kill();
    await peer.ended(5000);
  });
});
