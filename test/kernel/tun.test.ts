import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTun } from "../../bindings/node/tun.ts";
import { LIBRARY } from "./support/cli.ts";
import type { Namespace } from "./support/namespace.ts";
import { makeNetwork, OURS, TUN } from "./support/network.ts";
import { refused } from "./support/permission.ts";
import type { Program } from "./support/program.ts";
import { missing } from "./support/requirements.ts";

const ECHO = fileURLToPath(new URL("support/echo.mjs", import.meta.url));
const UDP = fileURLToPath(new URL("support/udp.mjs", import.meta.url));

test.each(["", "sixteen-octets-x", "a b", "a/b", "a:b", ".", ".."])(
  'openTun refuses the name "%s"',
  async (name) => {
    await expect(openTun({ name })).rejects.toMatchObject({
      code: "EINVAL",
      message: expect.stringContaining(`"${name}"`),
    });
  },
);

test.each([0, 67, 65536, 1500.5, Number.NaN])("openTun refuses an MTU of %s", async (mtu) => {
  await expect(openTun({ name: "synwave", mtu })).rejects.toMatchObject({
    code: "EINVAL",
    message: expect.stringContaining(String(mtu)),
  });
});

describe.skipIf(missing !== undefined)("a TUN link inside a network namespace", () => {
  let space: Namespace;
  beforeAll(async () => {
    space = await makeNetwork(1400);
  });
  afterAll(async () => {
    await space?.close();
  });

  const startEcho = async (device = TUN, ...more: string[]): Promise<Program> => {
    const echo = space.start(process.execPath, ECHO, LIBRARY, device, ...more);
    await echo.until(`open ${device}`);
    return echo;
  };
  const echoed = async (address: string, count: number, size: number) =>
    Number(await space.must(process.execPath, [UDP, address, String(count), String(size)]));
  const refusal = async (command: string, ...args: string[]) =>
    (await space.run(command, args)).stdout.toString().trim();

  test("carries packets both ways, over IPv4 and IPv6, up to the device's MTU", async () => {
    const echo = await startEcho();
    await echo.until("open syn0 1400");
    expect(await echoed(OURS.v4, 500, 1372)).toBe(500);
    expect(await echoed(OURS.v6, 500, 1352)).toBe(500);
    expect(await echoed(OURS.v4, 1, 1)).toBe(1);
    const outcome = await echo.stop();
    expect(outcome.code).toBe(0);
    expect(outcome.stdout.toString()).toContain(
      'closed after 1001 packets, drops {"busy":0,"down":0,"invalid":0,"oversize":0}',
    );
  });

  test("rests while nothing arrives, and ends at once when it is closed", async () => {
    const echo = await startEcho();
    const before = await cpuMs(echo.pid);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await cpuMs(echo.pid)) - before).toBeLessThanOrEqual(50);
    const asked = performance.now();
    await echo.stop();
    expect(performance.now() - asked).toBeLessThan(500);
  });

  test("drops and counts packets longer than the MTU it was given", async () => {
    const echo = await startEcho(TUN, "1000");
    expect(await echoed(OURS.v4, 3, 973)).toBe(0);
    expect(await echoed(OURS.v4, 3, 972)).toBe(3);
    const outcome = await echo.stop();
    expect(outcome.stdout.toString()).toContain('"oversize":3');
  });

  test("goes on after the device was down for a while", async () => {
    const echo = await startEcho();
    await space.ip(`link set ${TUN} down`);
    await space.ip(`link set ${TUN} up`);
    expect(await echoed(OURS.v4, 3, 100)).toBe(3);
    await echo.stop();
  });

  test("makes a device that is not there, and takes it away again", async () => {
    const echo = await startEcho("fresh");
    expect(await space.ip("link show dev fresh")).toContain("fresh");
    await echo.stop();
    await expect(space.ip("link show dev fresh")).rejects.toThrow("does not exist");
  });

  test("reports a device that goes away", async () => {
    const echo = await startEcho("fresh");
    await space.ip("link delete dev fresh");
    const outcome = await echo.ended(5_000);
    expect(outcome.stdout.toString()).toContain('broken: ENODEV: TUN device "fresh" is gone');
    expect(outcome.code).toBe(0);
  });

  test("names the device when another program holds it", async () => {
    const echo = await startEcho();
    expect(await refusal(process.execPath, ECHO, LIBRARY, TUN)).toBe(
      'SynwaveError EBUSY: another program holds TUN device "syn0"',
    );
    await echo.stop();
  });

  test("names the device when it is of another kind", async () => {
    expect(await refusal(process.execPath, ECHO, LIBRARY, "lo")).toContain(
      'EINVAL: "lo" is not a TUN device',
    );
  });

  test("names the device when permission is missing", async () => {
    const words = [
      "--reuid=65534",
      "--clear-groups",
      "--bounding-set=-all",
      "--inh-caps=-all",
      process.execPath,
    ];
    expect(await refusal("setpriv", ...words, ECHO, LIBRARY, "fresh")).toContain(refused("fresh"));
  });

  test("leaves no namespace and no process behind", async () => {
    const echo = await startEcho();
    const { pid } = echo;
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await space.close();
    expect((await echo.ended(1_000)).signal).toBe("SIGKILL");
    expect(space.exists).toBe(false);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(existsSync(`/proc/${space.keeperPid}`)).toBe(false);
  });
});

/** User and system time of a process so far. */
async function cpuMs(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "latin1")).split(") ")[1]!.split(" ");
  // Fields 14 and 15 of proc(5), in ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
