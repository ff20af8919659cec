import { describe, expect, it } from "vitest";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import type { Connection, Engine, EngineOptions } from "../../bindings/types.ts";
import { PIECE } from "../../bindings/views.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { randomOctets } from "../support/random.ts";

/** Two engines and what each has for the other. */
class Two {
  now = 0;

  static async make(options: EngineOptions = {}) {
    const two = new Two();
    two.a = await makeEngine(options);
    two.b = await makeEngine({ ...options, addresses: ["192.0.2.2"] });
    return two;
  }

  a!: Engine;
  b!: Engine;

  /** Packets both ways until there are none, by transmitTo; returns how many. */
  exchange(): number {
    let all = 0;
    for (;;) {
      const there = this.a.transmitTo((batch) => this.b.receiveBatch(batch, this.now), this.now);
      const back = this.b.transmitTo((batch) => this.a.receiveBatch(batch, this.now), this.now);
      if (there + back === 0) return all;
      all += there + back;
      this.now += 1;
    }
  }

  open(): { ours: Connection; theirs: Connection } {
    const listener = this.b.listen({ port: 80 });
    const ours = this.a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    this.exchange();
    return { ours, theirs: listener.accept()! };
  }
}

const packets = (batch: PacketBatch) => Array.from({ length: batch.count }, (_, i) => batch.packet(i));

describe.each([
  ["shared", true],
  ["unshared", false],
] as const)("packets lent, in %s memory", (_, shared) => {
  it("are those that would be copied, batch by batch until there are none", async () => {
    const run = async (take: (engine: Engine, seen: Uint8Array[]) => number) => {
      const two = await Two.make({ shared, settings: { tcpWmem: [4096, 2 ** 20, 2 ** 20] } });
      const { ours } = two.open();
      ours.write(randomOctets(300_000, 3));
      const udp = two.a.bindUdp({ port: 7 });
      for (let i = 0; i < 700; i++) udp.send(new Uint8Array([i]), { address: "192.0.2.2", port: 9 });
      const seen: Uint8Array[] = [];
      const counts: number[] = [];
      do counts.push(take(two.a, seen));
      while (counts.at(-1)! > 0);
      expect(counts.reduce((sum, count) => sum + count)).toBe(seen.length);
      return { seen: seen.map((packet) => Buffer.from(packet).toString("hex")), counts };
    };
    const lent = await run((engine, seen) => engine.transmitTo((batch) => seen.push(...packets(batch)), 5));
    const large = new PacketBatch(4096, 2 ** 20);
    const copied = await run((engine, seen) => {
      const count = engine.transmitBatch(large, 5);
      seen.push(...packets(large));
      return count;
    });
    expect(lent.counts.length).toBeGreaterThan(2);
    expect(lent).toEqual(copied);
  });

  it("stand in the engine's memory, and are nobody's when the call is over", async () => {
    const two = await Two.make({ shared });
    two.a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    let kept: PacketBatch | undefined;
    two.a.transmitTo((batch) => {
      kept = batch;
      expect(batch.count).toBe(1);
      expect(batch.bytes.buffer).toBe(two.a.memory.buffer);
      expect(batch.table.buffer).toBe(two.a.memory.buffer);
    }, 0);
    expect(kept!.count).toBe(0);
    expect(kept!.used).toBe(0);
    expect(two.a.transmitTo(() => expect.unreachable(), 0)).toBe(0);
  });

  it("have left, whatever their taker throws", async () => {
    const two = await Two.make({ shared });
    two.a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    let kept: PacketBatch | undefined;
    const broken = new Error("no");
    expect(() =>
      two.a.transmitTo((batch) => {
        kept = batch;
        throw broken;
      }, 0),
    ).toThrow(broken);
    expect(kept!.count).toBe(0);
    expect(two.a.transmit(0)).toEqual([]);
  });

  it("can be received where they stand, and answered before they are given back", async () => {
    const two = await Two.make({ shared });
    const { ours, theirs } = two.open();
    const text = randomOctets(200_000, 4);
    const got: Buffer[] = [];
    let sent = 0;
    let answers = 0;
    const there = (batch: PacketBatch) => {
      const before = packets(batch);
      two.b.receiveBatch(batch, two.now);
      got.push(readAll(theirs));
      answers += two.b.transmitTo((back) => two.a.receiveBatch(back, two.now), two.now);
      expect(packets(batch)).toEqual(before);
    };
    for (let turn = 0; turn < 100 && (sent < text.length || ours.unacked > 0); turn++) {
      sent += ours.write(text.subarray(sent));
      two.now += 1;
      two.a.transmitTo(there, two.now);
    }
    expect(answers).toBeGreaterThan(3);
    expect(Buffer.concat(got).equals(text)).toBe(true);
  });

  it("tell what the link is to do with them", async () => {
    const two = await Two.make({ shared, gso: 65535, checksum: "none" });
    const { ours, theirs } = two.open();
    ours.write(randomOctets(60_000, 5));
    const seen: number[][] = [];
    const into = new PacketBatch();
    two.a.transmitTo((batch) => {
      seen.push([...batch.segments.subarray(0, batch.count)], [...batch.checksums.subarray(0, batch.count)]);
      two.b.receiveBatch(batch, two.now);
    }, two.now);
    expect(seen[0]![0]).toBe(1448);
    expect(seen[1]![0]).toBe(1);
    expect(theirs.readable).toBeGreaterThan(2 * 1448);
    // What was said of one batch is not said of the next.
    expect(two.b.transmitBatch(into, two.now)).toBe(1);
    expect([into.segments[0], into.checksums[0]]).toEqual([0, 1]);
  });

  it("are refused a time that cannot be", async () => {
    const engine = await makeEngine({ shared });
    expect(() => engine.transmitTo(() => {}, -1)).toThrow("now must be");
  });

  it("leave the arrays users write from whatever they were, piece by piece", async () => {
    const two = await Two.make({ shared });
    const { ours, theirs } = two.open();
    const whole = randomOctets(4 * PIECE, 6);
    const sent: Uint8Array[] = [];
    const got: Buffer[] = [];
    const write = (bytes: Uint8Array) => {
      const taken = ours.write(bytes);
      sent.push(bytes.slice(0, taken));
      two.exchange();
      got.push(readAll(theirs));
      two.exchange();
    };
    const odd = whole.subarray(3, 3 + 2 * PIECE + 5);
    for (const bytes of [whole, odd, whole, odd, whole.subarray(0, PIECE), whole.subarray(1, PIECE + 2)]) {
      write(bytes);
      // What is written next is what stands there then.
      bytes.fill(bytes[0]! + 1, 0, PIECE + 1);
    }
    expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
    expect(Buffer.concat(sent).length).toBeGreaterThan(6 * PIECE);
  });
});
