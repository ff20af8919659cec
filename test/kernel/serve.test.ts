import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServe } from "./support/cli.ts";
import { type Folder, hashOf, MiB, makeFile, makeFolder } from "./support/files.ts";
import type { Namespace } from "./support/namespace.ts";
import { makeNetwork, OURS } from "./support/network.ts";
import type { Program } from "./support/program.ts";
import { missing } from "./support/requirements.ts";

const URLS = { IPv4: `http://${OURS.v4}`, IPv6: `http://[${OURS.v6}]` };
const CURL = ["-sSf", "--max-time", "100"];

describe.skipIf(missing !== undefined)("Linux talks to synwave serve", () => {
  let space: Namespace;
  let folder: Folder;
  let server: Program;
  let big: string;
  let small: string;

  beforeAll(async () => {
    folder = await makeFolder();
    big = await makeFile(folder.path("big.bin"), 100 * MiB);
    small = await makeFile(folder.path("small.bin"), MiB);
    space = await makeNetwork();
    server = await startServe(space, "--root", folder.path(""), "--upload");
  });

  afterAll(async () => {
    await space?.close();
    await folder?.remove();
  });

  test.each(Object.entries(URLS))("curl downloads 100 MiB over %s", async (family, url) => {
    const got = folder.path(`down-${family}.bin`);
    await space.must("curl", [...CURL, "-o", got, `${url}/big.bin`], { timeout: 110_000 });
    expect(await hashOf(got)).toBe(big);
  });

  test.each(Object.entries(URLS))("curl uploads 100 MiB over %s", async (family, url) => {
    const name = `up-${family}.bin`;
    await space.must("curl", [...CURL, "-T", folder.path("big.bin"), `${url}/${name}`], { timeout: 110_000 });
    expect(await hashOf(folder.path(name))).toBe(big);
  });

  test("a hundred curls at once get 1 MiB each", async () => {
    const script = `
      mkdir "$1"
      for i in $(seq 100); do
        curl -sSf --max-time 60 -o "$1/$i" "$2" || echo "failed $i" &
      done
      wait`;
    const many = folder.path("many");
    expect(
      await space.must("sh", ["-c", script, "sh", many, `${URLS.IPv4}/small.bin`], { timeout: 90_000 }),
    ).toBe("");
    const names = await readdir(many);
    expect(names).toHaveLength(100);
    for (const name of names) expect(await hashOf(`${many}/${name}`)).toBe(small);
  });

  test("a range of a file is that part of it", async () => {
    const words = [
      ...CURL,
      "-r",
      "1000-1999",
      "-w",
      "%{http_code}",
      "-o",
      folder.path("part"),
      `${URLS.IPv6}/small.bin`,
    ];
    expect(await space.must("curl", words)).toBe("206");
    const wanted = await space.must("sh", [
      "-c",
      'tail -c +1001 "$1" | head -c 1000 | sha256sum',
      "sh",
      folder.path("small.bin"),
    ]);
    expect(await hashOf(folder.path("part"))).toBe(wanted.split(" ")[0]);
  });

  test.each(Object.values(OURS))("a closed port of %s refuses at once", async (address) => {
    const outcome = await space.run("nc", ["-v", "-z", address, "81"]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain("Connection refused");
    expect(outcome.ms).toBeLessThan(1000);
  });

  test("SIGTERM ends it, with status 0", async () => {
    const outcome = await server.stop("SIGTERM");
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(outcome.stdout.toString()).toBe(`listening on ${OURS.v4}:80 and [${OURS.v6}]:80\n`);
  });

  test("SIGINT ends it in the middle of a download, and its peer hears of it", async () => {
    const again = await startServe(space, "--root", folder.path(""));
    const slow = space.start(
      "curl",
      ...CURL,
      "--limit-rate",
      "20M",
      "-o",
      folder.path("cut"),
      `${URLS.IPv4}/big.bin`,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    const outcome = await again.stop("SIGINT");
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect((await slow.ended(20_000)).code).not.toBe(0);
  });
});

describe.skipIf(missing !== undefined)("Linux talks to synwave serve without HTTP", () => {
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

  test.each(Object.values(OURS))("--echo answers %s after the peer has closed its half", async (address) => {
    const server = await startServe(space, "--port", "7", "--echo");
    const name = folder.path(address.replaceAll(":", "-"));
    const hash = await makeFile(name, 8 * MiB);
    const script = 'nc -N "$1" 7 < "$2" > "$2.back"';
    await space.must("sh", ["-c", script, "sh", address, name]);
    expect(await hashOf(`${name}.back`)).toBe(hash);
    expect((await server.stop()).code).toBe(0);
  });

  test("--discard takes everything and sends nothing", async () => {
    const server = await startServe(space, "--port", "9", "--discard");
    const file = folder.path("waste");
    await makeFile(file, 8 * MiB);
    const script = 'nc -N "$1" 9 < "$2" | wc -c';
    expect((await space.must("sh", ["-c", script, "sh", OURS.v4, file])).trim()).toBe("0");
    expect((await server.stop()).code).toBe(0);
  });
});
