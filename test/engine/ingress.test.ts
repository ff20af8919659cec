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
