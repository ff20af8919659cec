import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { type ReplayOptions, replay } from "../../bindings/links/replay.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";

const segments = new Uint8Array(readFileSync(new URL("../spec/segments.pcap", import.meta.url)));

const packets = [
  { time: 5000, data: new Uint8Array([1]), direction: "inbound" },
  { time: 5000, data: new Uint8Array([2]), direction: "outbound" },
  { time: 5010.5, data: new Uint8Array([3]) },
  { time: 5004, data: new Uint8Array([4]), direction: "inbound" },
  { time: 5030, data: new Uint8Array([5]), direction: "outbound" },
] as const;

function play(options: ReplayOptions = {}) {
  const clock = new VirtualClock(100);
  const link = replay(packets, { clock, ...options });
  clock.run(1000);
  const got: [time: number, packet: number][] = [];
  link.onReceive((batch) => {
    for (let i = 0; i < batch.count; i++) got.push([clock.now(), batch.packet(i)[0]]);
  });
  expect(got).toEqual([]);
  clock.run();
  return { got, link, clock };
}

describe("replay", () => {
  test("delivers from its first taker on, in order, with the time between packets that they had", async () => {
    const { got, link } = play();
    expect(got).toEqual([
      [1000, 1],
      [1000, 2],
      [1010.5, 3],
      [1010.5, 4],
      [1030, 5],
    ]);
    await link.finished;
    expect(link.stats).toEqual({ delivered: 5, skipped: 0, sent: 0, sentOctets: 0 });
  });

  test("faster, slower or at once", () => {
    expect(play({ speed: 2 }).got.map((g) => g[0])).toEqual([1000, 1000, 1005.25, 1005.25, 1015]);
    expect(play({ speed: 0.5 }).got.map((g) => g[0])).toEqual([1000, 1000, 1021, 1021, 1060]);
    expect(play({ speed: Number.POSITIVE_INFINITY }).got.map((g) => g[0])).toEqual([
      1000, 1000, 1000, 1000, 1000,
    ]);
  });

  test("one direction, with those that tell none", () => {
    const { got, link } = play({ direction: "inbound" });
    expect(got.map((g) => g[1])).toEqual([1, 3, 4]);
    expect(link.stats.skipped).toBe(2);
    expect(play({ direction: "outbound" }).got.map((g) => g[1])).toEqual([2, 3, 5]);
  });

  test("a file, in batches, and counts what is sent to it", async () => {
    const clock = new VirtualClock();
    const link = replay(segments, { clock, speed: Number.POSITIVE_INFINITY });
    let count = 0;
    const back = new PacketBatch(2);
    back.push(new Uint8Array(40));
    back.push(new Uint8Array(60));
    link.onReceive((batch) => {
      expect(batch.count).toBeLessThanOrEqual(64);
      count += batch.count;
      link.send(back);
    });
    clock.run();
    await link.finished;
    expect(count).toBe(250);
    expect(link.stats).toMatchObject({ delivered: 250, sent: 8, sentOctets: 400 });
  });

  test("in real time too", async () => {
    const link = replay(packets, { speed: 4 });
    const got: number[] = [];
    link.onReceive((batch) => {
      for (let i = 0; i < batch.count; i++) got.push(batch.packet(i)[0]);
    });
    await link.finished;
    expect(got).toEqual([1, 2, 3, 4, 5]);
  });

  test("closing ends it", async () => {
    const clock = new VirtualClock();
    const link = replay(packets, { clock });
    let count = 0;
    link.onReceive((batch) => {
      count += batch.count;
      link.close();
    });
    clock.run();
    expect([count, clock.pending]).toEqual([2, 0]);
    await link.closed;
    await link.finished;
    link.close();
  });

  test("a broken capture is refused at once, one that breaks off tells after what it delivered", async () => {
    expect(() => replay(new Uint8Array(100))).toThrow("ERR_CAPTURE_FORMAT");
    const clock = new VirtualClock();
    const link = replay(segments.subarray(0, 24 + 56 + 56 + 10), { clock });
    let count = 0;
    link.onReceive((batch) => {
      count += batch.count;
    });
    clock.run();
    expect(count).toBe(2);
    await expect(link.finished).rejects.toThrow("offset 136");
    await expect(link.closed).rejects.toThrow(SynwaveError);
  });

  test.each<[ReplayOptions, string]>([
    [{ speed: 0 }, "0"],
    [{ speed: Number.NaN }, "NaN"],
    [{ direction: "up" as "inbound" }, "up"],
    [{ mtu: 1e6 }, "1000000"],
  ])("refuses %j, naming the value", (options, named) => {
    expect(() => replay(packets, options)).toThrow(SynwaveError);
    expect(() => replay(packets, options)).toThrow(named);
  });
});
