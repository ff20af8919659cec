import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLI, startServe } from "./support/cli.ts";
import type { Namespace } from "./support/namespace.ts";
import { makeNetwork, OUR_SIDE, TUN } from "./support/network.ts";
import { refused } from "./support/permission.ts";
import { missing } from "./support/requirements.ts";

const AS_NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"];

describe.skipIf(missing !== undefined)("the command line refuses with status 1 and one line", () => {
  let space: Namespace;
  beforeAll(async () => {
    space = await makeNetwork();
  });
  afterAll(async () => {
    await space?.close();
  });

  const refusal = async (words: readonly string[], prefix: readonly string[] = []): Promise<string> => {
    const [command, ...args] = [...prefix, process.execPath, CLI, ...words];
    const outcome = await space.run(command!, args, { timeout: 5000 });
    expect(outcome).toMatchObject({ code: 1, stdout: Buffer.alloc(0) });
    expect(outcome.stderr).toMatch(/^synwave: [^\n]+\n$/);
    return outcome.stderr;
  };

  test.each(["10.77.0.300/24", "10.77.0.2/33", "fd77::2/129", "fd77::2::/64", "somewhere/24"])(
    "an address like %s",
    async (address) => {
      expect(await refusal(["serve", "--tun", TUN, "--address", address])).toContain(address);
    },
  );

  test("a peer of a family of which we have no address", async () => {
    const words = ["connect", "--tun", TUN, "--address", "10.77.0.2/24", "fd77::1", "80"];
    expect(await refusal(words)).toContain("no IPv6 address");
  });

  test("a peer whose name nobody knows", async () => {
    expect(await refusal(["connect", ...OUR_SIDE, "no-such-host.invalid", "80"])).toContain(
      "no-such-host.invalid",
    );
  });

  test("a device that another program holds", async () => {
    const server = await startServe(space, "--discard");
    expect(await refusal(["serve", ...OUR_SIDE])).toContain(`another program holds TUN device "${TUN}"`);
    await server.stop();
  });

  test("a device that it may not make", async () => {
    const words = ["serve", "--tun", "fresh", "--address", "10.0.0.2/24"];
    expect(await refusal(words, AS_NOBODY)).toContain(refused("fresh"));
  });

  test("a device that goes away", async () => {
    const server = space.start(process.execPath, CLI, "serve", "--tun", "fresh", "--address", "10.0.0.2/24");
    await server.until("listening on 10.0.0.2:80");
    await space.ip("link delete dev fresh");
    const outcome = await server.ended(5000);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/^synwave: [^\n]*TUN device "fresh" is gone\n$/);
  });
});
