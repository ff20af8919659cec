import { describe, expect, test } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";

function batchOf(...lengths: number[]): PacketBatch {
  const batch = new PacketBatch(lengths.length, 65536);
  lengths.forEach((length, i) => {
    batch.push(new Uint8Array(length).fill(i + 1));
  });
  return batch;
}

function collect(into: Uint8Array[]): (batch: PacketBatch) => void {
  return (batch) => {
    for (let i = 0; i < batch.count; i++) into.push(batch.packet(i));
  };
}

describe("pipe", () => {
  test("carries packets both ways, in order, after the caller has gone on", async () => {
    const [left, right] = pipe();
    const atLeft: Uint8Array[] = [];
    const atRight: Uint8Array[] = [];
    left.onReceive(collect(atLeft));
    right.onReceive(collect(atRight));
    const batch = batchOf(20, 1500, 41);
    left.send(batch);
    right.send(batchOf(99));
    batch.bytes.fill(0xee);
    batch.clear();
    left.send(batchOf(33));
    expect(atRight).toEqual([]);
    await Promise.resolve();
    expect(atRight.map((p) => [p.length, p[0]])).toEqual([
      [20, 1],
      [1500, 2],
      [41, 3],
      [33, 1],
    ]);
    expect(atLeft.map((p) => p.length)).toEqual([99]);
    expect(left.stats).toEqual({ sent: 4, delivered: 4, dropped: 0 });
  });

  test("what does not fit is a counted drop, and later packets pass", () => {
    const [left, right] = pipe({ manual: true, capacity: 4096 });
    const got: Uint8Array[] = [];
    right.onReceive(collect(got));
    left.send(batchOf(1500, 1500, 1500, 900));
    expect(left.stats).toEqual({ sent: 4, delivered: 0, dropped: 1 });
    expect(right.deliver()).toBe(3);
    left.send(batchOf(1500));
    expect(right.deliver()).toBe(1);
    expect(right.deliver()).toBe(0);
    expect(got.map((p) => p.length)).toEqual([1500, 1500, 900, 1500]);
    expect(left.stats).toEqual({ sent: 5, delivered: 4, dropped: 1 });
  });

  test("a packet over the MTU is dropped, its neighbours are not", () => {
    const [left, right] = pipe({ manual: true, mtu: 1000 });
    const got: Uint8Array[] = [];
    right.onReceive(collect(got));
    left.send(batchOf(1000, 1001, 20));
    right.deliver();
    expect(got.map((p) => p.length)).toEqual([1000, 20]);
    expect(left.stats.dropped).toBe(1);
  });

  test("an answer sent from within the delivery waits for the next one", () => {
    const [left, right] = pipe({ manual: true });
    let depth = 0;
    let deliveries = 0;
    right.onReceive((batch) => {
      depth++;
      expect(depth).toBe(1);
      deliveries++;
      if (deliveries < 5) left.send(batch);
      expect(right.deliver()).toBe(0);
      depth--;
    });
    left.send(batchOf(50));
    for (let i = 0; i < 5; i++) expect(right.deliver()).toBe(1);
    expect(right.deliver()).toBe(0);
  });

  test("two ends that answer each other for ever leave room for timers", async () => {
    const [left, right] = pipe();
    left.onReceive((batch) => left.send(batch));
    right.onReceive((batch) => right.send(batch));
    left.send(batchOf(50));
    await new Promise((resolve) => setTimeout(resolve, 5));
    left.onReceive(undefined);
    expect(left.stats.delivered).toBeGreaterThan(64);
  });

  test("a sender that never leaves the microtasks loses nothing", async () => {
    const [left, right] = pipe({ capacity: 65536 });
    right.onReceive(() => {});
    for (let i = 0; i < 1000; i++) {
      left.send(batchOf(1500, 1500));
      await undefined;
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(left.stats).toEqual({ sent: 2000, delivered: 2000, dropped: 0 });
  });

  test("with a clock, delivers as its wake-ups", () => {
    const clock = new VirtualClock(7);
    const [left, right] = pipe({ clock });
    const got: Uint8Array[] = [];
    right.onReceive(collect(got));
    left.send(batchOf(20));
    left.send(batchOf(21));
    expect(got.length).toBe(0);
    clock.run();
    expect(clock.now()).toBe(7);
    expect(got.map((p) => p.length)).toEqual([20, 21]);
  });

  test("closing one end resolves its promise and turns what comes for it into drops", async () => {
    const [left, right] = pipe({ manual: true });
    const got: Uint8Array[] = [];
    left.onReceive(collect(got));
    right.onReceive(collect(got));
    left.send(batchOf(20));
    right.send(batchOf(30));
    right.close();
    right.close();
    await right.closed;
    left.send(batchOf(20, 20));
    right.send(batchOf(40));
    expect(left.stats).toEqual({ sent: 3, delivered: 0, dropped: 3 });
    left.deliver();
    right.deliver();
    expect(got.map((p) => p.length)).toEqual([30]);
  });

  test("packets with no taker are dropped and counted", () => {
    const [left, right] = pipe({ manual: true });
    left.send(batchOf(20, 20));
    expect(right.deliver()).toBe(0);
    expect(left.stats).toEqual({ sent: 2, delivered: 0, dropped: 2 });
  });

  test.each([
    [{ mtu: 67 }, "67"],
    [{ mtu: 65536 }, "65536"],
    [{ mtu: 1500.5 }, "1500.5"],
    [{ capacity: 100 }, "100"],
    [{ capacity: Number.NaN }, "NaN"],
    [{ checksum: "half" as "full" }, "half"],
  ])("refuses %j, naming the value", (options, named) => {
    expect(() => pipe(options)).toThrow(SynwaveError);
    expect(() => pipe(options)).toThrow(named);
  });

  test("carries 1 GiB with the heap where it was", () => {
    const [left, right] = pipe({ manual: true });
    let octets = 0;
    let sum = 0;
    right.onReceive((batch) => {
      for (let i = 0; i < batch.count; i++) octets += batch.table[i * 2 + 1];
      sum += batch.bytes[batch.table[0]];
    });
    const batch = new PacketBatch(64);
    const packet = new Uint8Array(1500).fill(3);
    while (batch.push(packet));
    const rounds = Math.ceil(2 ** 30 / (64 * 1500));
    const turn = () => {
      left.send(batch);
      right.deliver();
    };
    for (let i = 0; i < 200; i++) turn();
    globalThis.gc?.();
    const heap = process.memoryUsage();
    for (let i = 0; i < rounds; i++) turn();
    globalThis.gc?.();
    const after = process.memoryUsage();
    expect(octets).toBe((rounds + 200) * 64 * 1500);
    expect(sum).toBe(3 * (rounds + 200));
    expect(left.stats.dropped).toBe(0);
    expect(after.heapUsed - heap.heapUsed).toBeLessThan(8 * 2 ** 20);
    expect(after.arrayBuffers - heap.arrayBuffers).toBeLessThan(2 ** 20);
  });
});
