import { describe, expect, it } from "vitest";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { makeEngine } from "../support/engine.ts";
import { build } from "../support/packet.ts";

const ping = (i: number) =>
  build({ src: "192.0.2.2", dst: "192.0.2.1", srcPort: 1000 + i, dstPort: 80, flags: "S", seq: i });
const packets = (count: number) => Array.from({ length: count }, (_, i) => ping(i));

describe("the ingress queue", () => {
  it("[seed-9] holds netdevMaxBacklog packets; what is more is dropped and counted", async () => {
    const engine = await makeEngine();
    engine.receive(packets(1500), 0);
    expect(engine.counters()).toMatchObject({ InReceives: 1500, InDiscards: 500, InSegs: 1000 });
    // They were taken: there is room again.
    engine.receive(packets(1000), 1);
    expect(engine.counters()).toMatchObject({ InReceives: 2500, InDiscards: 500, InSegs: 2000 });
  });

  it("is bounded for batches alike, and as set", async () => {
    const engine = await makeEngine({ settings: { netdevMaxBacklog: 10 } });
    const batch = new PacketBatch(64, 65536);
    for (const packet of packets(25)) batch.push(packet);
    engine.receiveBatch(batch, 0);
    expect(engine.counters()).toMatchObject({ InReceives: 25, InDiscards: 15, InSegs: 10 });
    await expect(makeEngine({ settings: { netdevMaxBacklog: 0 } })).rejects.toThrow(/netdevMaxBacklog.*0/);
  });

  it("takes every packet there is by default when they come as a network brings them", async () => {
    const engine = await makeEngine();
    for (let i = 0; i < 100; i++) {
      engine.receive(packets(64), i);
      engine.transmit(i);
    }
    expect(engine.counters()).toMatchObject({ InDiscards: 0, InSegs: 6400 });
  });
});

describe("a batch", () => {
  const full = () => {
    const batch = new PacketBatch(8, 1024);
    for (const packet of packets(4)) batch.push(packet);
    return batch;
  };

  it.each<[string, { entry: number; value: number }, string]>([
    [
      "begins before the end of the one before it",
      { entry: 4, value: 48 },
      "2 of the batch lies at 48, length 40",
    ],
    ["has a negative length", { entry: 7, value: -1 }, "3 of the batch lies at 120, length -1"],
    ["begins before the buffer", { entry: 0, value: -8 }, "0 of the batch lies at -8, length 40"],
    ["ends behind the buffer", { entry: 7, value: 1000 }, "3 of the batch lies at 120, length 1000"],
  ])("whose table has a packet that %s is refused whole, by name", async (_, { entry, value }, message) => {
    const engine = await makeEngine();
    const batch = full();
    batch.table[entry] = value;
    expect(() => engine.receiveBatch(batch, 0)).toThrow(
      expect.objectContaining({ code: "EINVAL", message: expect.stringContaining(message) }),
    );
    expect(engine.counters().InReceives).toBe(0);
    engine.receiveBatch(full(), 0);
    expect(engine.counters().InSegs).toBe(4);
  });

  it("that does not fit the ring, and has a packet behind its buffer, is refused there, by name", async () => {
    const engine = await makeEngine();
    const batch = full();
    batch.table[6] = 1 << 30;
    expect(() => engine.receiveBatch(batch, 0)).toThrow(
      `packet 3 of the batch lies at ${1 << 30}, length 40`,
    );
    expect(engine.counters().InReceives).toBe(3);
  });

  it("may leave room before its first packet, between packets and behind the last", async () => {
    const engine = await makeEngine();
    const batch = new PacketBatch(8, 4096);
    for (const [i, packet] of packets(3).entries()) {
      batch.bytes.set(packet, 504 + 1008 * i);
      batch.table.set([504 + 1008 * i, packet.length], 2 * i);
    }
    batch.count = 3;
    engine.receiveBatch(batch, 0);
    expect(engine.counters()).toMatchObject({ InSegs: 3, InCsumErrors: 0, InTruncatedPkts: 0 });
  });

  it("may have more packets, and more octets, than the receive ring holds", async () => {
    const engine = await makeEngine({ settings: { netdevMaxBacklog: 2000 } });
    const many = new PacketBatch(2000, 2000 * 40);
    for (const packet of packets(2000)) many.push(packet);
    engine.receiveBatch(many, 0);
    expect(engine.counters()).toMatchObject({ InSegs: 2000, InCsumErrors: 0 });
    const large = new PacketBatch(300, 300 * 1504);
    for (const packet of packets(300))
      large.push(Uint8Array.from({ length: 1500 }, (_, i) => packet[i] ?? 0));
    engine.receiveBatch(large, 0);
    expect(engine.counters()).toMatchObject({ InSegs: 2300, InCsumErrors: 0 });
  });
});
