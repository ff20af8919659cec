import { afterAll, expect, test } from "vitest";
import { heap } from "../../bench/heap.mjs";
import { longTransfer } from "../../bench/long-transfer.mjs";
import { manyConnections } from "../../bench/many-connections.mjs";
import { createEngine } from "../../bindings/engine.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { createStack } from "../../bindings/stack.ts";

const MIB = 2 ** 20;
const CONNECTIONS = 10_000;

/** What was measured, for whoever reads the log. */
const figures: string[] = [];
afterAll(() => console.log(figures.join("\n")));

const mib = (octets: number) => `${(octets / MIB).toFixed(2)} MiB`;

test("1 GiB through pipe() leaves linear memory as it was and the JS heap within 8 MiB of its start", async () => {
  const octets = 1024 * MIB;
  // longTransfer compares the hashes of what was sent and what arrived.
  const { before, after, dropped } = await longTransfer({ createStack, pipe }, octets);
  const grown = after.heap.total - before.heap.total;
  figures.push(`1 GiB: JavaScript's memory ${mib(before.heap.total)} before, ${mib(grown)} more after`);
  expect(dropped).toBe(0);
  expect(before.linear).toEqual([64 * MIB, 64 * MIB]);
  expect(after.linear).toEqual(before.linear);
  expect(grown).toBeLessThan(8 * MIB);
});

test("10,000 connections, ended in every way, leave no connection, slot or block behind", async () => {
  const { rounds, activeOpens, passiveOpens } = await manyConnections({ createEngine }, CONNECTIONS, heap);
  const [first, second] = rounds;
  figures.push(
    `10,000 connections: room for ${first!.room} octets after one round, ${second!.room} after two`,
  );
  expect(activeOpens).toBeGreaterThan(2 * CONNECTIONS);
  expect(passiveOpens).toBe(activeOpens);
  expect(first!.open).toBe(0);
  expect(second!.open).toBe(0);
  // A fifth of the pool, which a slot or block that was not given back would make smaller.
  for (const room of first!.room) expect(room).toBeGreaterThan(MIB / 8);
  expect(second!.room).toEqual(first!.room);
  expect(second!.heap.total - first!.heap.total).toBeLessThan(MIB);
});
