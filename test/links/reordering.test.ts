import { describe, expect, it } from "vitest";
import { impair } from "../../bindings/links/impair.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { createStack } from "../../bindings/stack.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { randomOctets } from "../support/random.ts";

const MIB = 2 ** 20;

/** Send so many octets over a path that holds back a fifth of all packets; counters when each was there. */
async function transfer(path: { delay: number; reorderDelay?: number; seed: number }, ...amounts: number[]) {
  const clock = new VirtualClock();
  const [left, right] = pipe({ clock });
  const faults = { clock, reorder: 0.2, ...path };
  const stack = (link: typeof left, n: number) =>
    createStack({
      link: impair(link, { ...faults, seed: path.seed + n }),
      addresses: [`10.0.0.${n}`],
      clock,
      seed: new Uint8Array(32).fill(n),
      settings: { tcpRmem: [4096, MIB, MIB], tcpWmem: [4096, MIB, MIB] },
    });
  const client = await stack(left, 1);
  const server = await stack(right, 2);
  const listener = server.listen({ port: 9 });
  const socket = client.connect({ hostname: "10.0.0.2", port: 9 });
  const chunk = randomOctets(65536, 3);
  let received = 0;
  const receiving = (async () => {
    const { value: peer } = await listener.next();
    for await (const octets of peer!.readable as unknown as AsyncIterable<Uint8Array>) {
      const at = received % chunk.length;
      const expected = Buffer.concat([chunk.subarray(at), chunk, chunk]).subarray(0, octets.length);
      if (!expected.equals(octets)) throw new Error(`not what was sent, from octet ${received} on`);
      received += octets.length;
    }
  })();
  const writer = socket.writable.getWriter();
  const counted: Record<string, number>[] = [];
  let octets = 0;
  for (const amount of amounts) {
    octets += amount;
    const writing = (async () => {
      for (let sent = 0; sent < amount; sent += chunk.length) await writer.write(chunk);
    })();
    expect(await clock.runAsync(() => received === octets)).toBe(true);
    await writing;
    counted.push({ ...client.counters(), now: clock.now() });
  }
  const { sent, delivered } = { sent: left.stats.sent, delivered: left.stats.delivered };
  expect(delivered).toBe(sent);
  const closing = Promise.all([writer.close(), client.close(), server.close(), receiving.catch(() => {})]);
  await clock.runAsync(clock.now() + 120_000);
  await closing;
  return counted;
}

describe("a fifth of all packets overtaken, none lost", () => {
  it.each([
    ["by a quarter of the delay", { delay: 20, seed: 7 }],
    ["by as much as the delay", { delay: 20, reorderDelay: 20, seed: 8 }],
    ["by more than the round trip", { delay: 10, reorderDelay: 25, seed: 9 }],
  ])("costs less than 1 % retransmissions once that is known, %s", async (_, path) => {
    const [before, after] = await transfer(path, 4 * MIB, 16 * MIB);
    const grown = (name: string) => after![name]! - before![name]!;
    const share = grown("RetransSegs") / grown("TCPOrigDataSent");
    expect(grown("TCPOrigDataSent")).toBeGreaterThan(11_000);
    expect(share).toBeLessThan(0.01);
    expect(grown("TCPTimeouts")).toBe(0);
  });
});
