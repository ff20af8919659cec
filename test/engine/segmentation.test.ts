import { describe, expect, it } from "vitest";
import { complete, Transport } from "../../bindings/checksum.ts";
import { markCongestion } from "../../bindings/links/ecn.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import type { EngineOptions } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine } from "../support/engine.ts";
import { build, parse } from "../support/packet.ts";
import { randomOctets } from "../support/random.ts";
import { type Marked, SuperWire } from "../support/super-wire.ts";

const PARTIAL = 1;
const VERIFIED = 2;
const OFFLOAD: EngineOptions = { gso: 65535, checksum: "none" };
const MSS = 1448;

const completed = (octets: Uint8Array) => {
  const copy = octets.slice();
  complete(copy, 0, copy.length, new Transport());
  return copy;
};
/** What is in a packet whose checksum may be left to the link. */
const look = ({ octets, checksum }: Marked) => parse(checksum === PARTIAL ? completed(octets) : octets);
const supers = (seen: readonly Marked[]) => seen.filter(({ segments }) => segments > 0);

describe("packets of several segments", () => {
  it.each([false, true])("leave as one, of whole segments, up to gso (IPv6: %s)", async (six) => {
    const wire = await SuperWire.make(OFFLOAD, OFFLOAD, six);
    const { ours, theirs } = wire.open(six);
    const text = randomOctets(500_000, 1);
    expect(wire.transfer(ours, theirs, text).equals(text)).toBe(true);
    const large = supers(wire.seen);
    expect(large.length).toBeGreaterThan(5);
    for (const marked of large) {
      const { octets, segments } = marked;
      expect(segments).toBe(six ? 1428 : MSS);
      expect(look(marked).text.length).toBeGreaterThan(segments);
      expect(octets.length).toBeGreaterThan(1500);
      expect(octets.length).toBeLessThanOrEqual(65535);
    }
    expect(Math.max(...large.map(({ octets }) => octets.length))).toBeGreaterThan(60_000);
    for (const { octets, segments } of wire.seen)
      if (segments === 0) expect(octets.length <= 1500).toBe(true);
    // What is told of segments is told of segments.
    const sent = Math.ceil(text.length / (six ? 1428 : MSS));
    expect(ours.info().dataSegsOut).toBeGreaterThanOrEqual(sent);
    expect(theirs.info().dataSegsIn).toBe(ours.info().dataSegsOut);
    expect(wire.b.counters().InSegs).toBe(wire.a.counters().OutSegs);
    expect(wire.a.counters().RetransSegs).toBe(0);
  });

  it.each([false, true])("are, once cut, to the octet what leaves without (IPv6: %s)", async (six) => {
    const carried = async (options: EngineOptions, chance: number) => {
      const wire = await SuperWire.make(options, {}, six);
      wire.cuts = true;
      const { ours, theirs } = wire.open(six);
      wire.loses = (packet, index) =>
        packet.from === "a" && index % 97 === 50 && look(packet).text.length > 0;
      wire.transfer(ours, theirs, randomOctets(400_000, chance));
      ours.shutdown();
      wire.until(() => theirs.state === "CLOSE-WAIT");
      return { wire, octets: wire.carried.map((packet) => Buffer.from(packet.octets).toString("hex")) };
    };
    const plain = await carried({}, 4);
    const cut = await carried(OFFLOAD, 4);
    expect(supers(cut.wire.seen).length).toBeGreaterThan(10);
    expect(cut.wire.a.counters().RetransSegs).toBeGreaterThan(0);
    expect(cut.octets).toEqual(plain.octets);
  });

  it("[2018-1] lose single segments in the middle, which alone are sent again", async () => {
    const wire = await SuperWire.make(OFFLOAD, {});
    wire.cuts = true;
    const { ours, theirs } = wire.open();
    wire.transfer(ours, theirs, randomOctets(200_000, 5));
    let lost = 0;
    const gone = new Set<number>();
    let seen = 0;
    wire.loses = (packet) => {
      const { seq, text } = look(packet);
      if (packet.from !== "a" || text.length !== MSS) return false;
      const hit = [20, 23, 24, 60].includes(seen++) && !gone.has(seq);
      if (hit) {
        gone.add(seq);
        lost++;
      }
      return hit;
    };
    const text = randomOctets(300_000, 6);
    expect(wire.transfer(ours, theirs, text).equals(text)).toBe(true);
    expect(lost).toBe(4);
    expect(ours.info().totalRetrans).toBe(4);
    expect(ours.info().bytesRetrans).toBe(4 * MSS);
  });

  it("lost as a whole are sent again", async () => {
    const wire = await SuperWire.make(OFFLOAD, OFFLOAD);
    const { ours, theirs } = wire.open();
    wire.transfer(ours, theirs, randomOctets(200_000, 5));
    let large = 0;
    wire.loses = ({ segments }) => segments > 0 && large++ === 2;
    const text = randomOctets(400_000, 6);
    expect(wire.transfer(ours, theirs, text).equals(text)).toBe(true);
    expect(large).toBeGreaterThan(3);
    expect(ours.info().totalRetrans).toBeGreaterThan(1);
  });

  it("arrive at an engine that makes none itself, and at one that was not asked to trust checksums", async () => {
    const wire = await SuperWire.make(OFFLOAD, {});
    const { ours, theirs } = wire.open();
    const text = randomOctets(300_000, 7);
    expect(wire.transfer(ours, theirs, text).equals(text)).toBe(true);
    expect(wire.transfer(theirs, ours, text).equals(text)).toBe(true);
    expect(supers(wire.seen).filter(({ from }) => from === "b")).toEqual([]);
  });

  it("survive heavy loss and reach the other end whole", async () => {
    for (const cuts of [false, true]) {
      const wire = await SuperWire.make(OFFLOAD, OFFLOAD);
      wire.cuts = cuts;
      const { ours, theirs } = wire.open();
      let chance = 12345;
      wire.loses = () => {
        chance = (chance * 1103515245 + 12345) & 0x7fffffff;
        return (chance >> 16) % 25 === 0;
      };
      const text = randomOctets(400_000, 8);
      expect(wire.transfer(ours, theirs, text).equals(text)).toBe(true);
    }
  });

  it("are no longer than gso says, nor than the batch", async () => {
    const wire = await SuperWire.make({ gso: 10_000 }, {});
    const { ours, theirs } = wire.open();
    wire.transfer(ours, theirs, randomOctets(200_000, 2));
    const large = supers(wire.seen);
    const most = Math.max(...large.map(({ octets }) => octets.length));
    expect(most).toBeGreaterThanOrEqual(52 + 6 * MSS);
    expect(most).toBeLessThanOrEqual(10_000);
    for (const { checksum } of large) expect(checksum).toBe(PARTIAL);
    // What is one segment is summed, as nobody was told to do without.
    const single = wire.seen.filter(({ segments, from }) => segments === 0 && from === "a");
    for (const packet of single) {
      expect(packet.checksum).toBe(0);
      look(packet);
    }
    ours.write(randomOctets(50_000, 3));
    const small = new PacketBatch(8, 4096);
    wire.a.transmitBatch(small, wire.now);
    expect(small.count).toBeGreaterThan(0);
    for (let i = 0; i < small.count; i++) expect(small.packet(i).length).toBeLessThanOrEqual(4096);
  });

  it("do not reach across the end of a record, nor past what is urgent", async () => {
    const wire = await SuperWire.make(OFFLOAD, OFFLOAD);
    const { ours, theirs } = wire.open();
    wire.transfer(ours, theirs, randomOctets(200_000, 2));
    wire.seen.length = 0;
    ours.write(randomOctets(20_000, 3), { endOfRecord: true });
    ours.write(randomOctets(20_000, 3), { urgent: true });
    wire.exchange();
    expect(wire.seen.length).toBeGreaterThan(20);
    expect(supers(wire.seen)).toEqual([]);
  });

  it("tell of a reduced window in one segment only", async () => {
    const ecn = { ...OFFLOAD, settings: { tcpEcn: 1 } as const };
    const wire = await SuperWire.make(ecn, ecn);
    const { ours, theirs } = wire.open();
    wire.transfer(ours, theirs, randomOctets(100_000, 2));
    let marked = false;
    wire.loses = ({ from, segments, octets }) => {
      if (!marked && from === "a" && segments > 0) {
        marked = true;
        markCongestion(octets, 0);
      }
      return false;
    };
    wire.seen.length = 0;
    wire.transfer(ours, theirs, randomOctets(400_000, 2));
    const told = wire.seen.filter((packet) => packet.from === "a" && look(packet).flags.includes("C"));
    expect(told.length).toBe(1);
    expect(told[0]!.segments).toBe(0);
    expect(supers(wire.seen).length).toBeGreaterThan(3);
  });

  it("leave in batches only", async () => {
    for (const options of [{ gso: 3000 }, { checksum: "none" }] as const) {
      const engine = await makeEngine(options);
      expect(() => engine.transmit(0)).toThrow(/in batches only/);
    }
  });

  it.each([
    [{ gso: -1 }, "-1"],
    [{ gso: 65536 }, "65536"],
    [{ gso: 1.5 }, "1.5"],
    [{ checksum: "half" as "full" }, "half"],
  ])("%o is refused", async (options, value) => {
    await expect(makeEngine(options)).rejects.toMatchObject({
      code: "EINVAL",
      message: expect.stringContaining(value),
    });
  });
});

describe("a packet of several segments that arrives", () => {
  /** Text in order or not, as if put together of segments of so many octets. */
  const train = (
    setup: Awaited<ReturnType<typeof connected>>,
    from: number,
    length: number,
    size: number,
  ): number => {
    const batch = new PacketBatch(4, 128 * 1024);
    const octets = setup.peer.packet({ seq: 1 + from, ack: 1, text: new Uint8Array(length) });
    batch.pushFrom(octets, 0, octets.length, size);
    setup.engine.receiveBatch(batch, setup.peer.now);
    return setup.engine.transmit(setup.peer.now).length;
  };

  it("[9293-MUST-58] is acknowledged as many segments are, and shows how long those are", async () => {
    const setup = await connected();
    const { connection } = setup;
    // Sixteen at once while the connection is young: all of them are in the first.
    expect(train(setup, 0, 16 * 1000, 1000)).toBe(1);
    expect(connection.info()).toMatchObject({ rcvMss: 1000, dataSegsIn: 16 });
    expect(train(setup, 16_000, 1000, 0)).toBe(0);
    expect(train(setup, 17_000, 1000, 0)).toBe(1);
    expect(train(setup, 18_000, 2500, 1000)).toBe(1);
    expect(connection.info()).toMatchObject({ rcvMss: 1000, dataSegsIn: 21 });
    expect(connection.info().segsIn).toBeGreaterThanOrEqual(21);
  });

  it("beyond a hole is answered for each, to a peer that counts", async () => {
    const counting = await connected();
    expect(train(counting, 1000, 5000, 1000)).toBe(5);
    const seeing = await connected({ syn: { options: { mss: 1460, sackPermitted: true } } });
    expect(train(seeing, 1000, 5000, 1000)).toBe(1);
  });
});

describe("checksums", () => {
  it.each([false, true])(
    "[9293-MUST-2] left to the link are those of others, once complete (IPv6: %s)",
    async (six) => {
      const run = async (options: EngineOptions) => {
        const wire = await SuperWire.make(options, {}, six);
        const { ours, theirs } = wire.open(six);
        wire.transfer(ours, theirs, randomOctets(100_000, 9));
        const udp = wire.a.bindUdp({ port: 9 });
        const to = six ? "2001:db8::2" : "192.0.2.2";
        udp.send(randomOctets(1001, 2), { address: to, port: 7 });
        udp.send(randomOctets(4000, 2), { address: to, port: 7 });
        ours.abort();
        wire.exchange();
        return wire.seen.filter(({ from }) => from === "a");
      };
      const full = await run({});
      const partial = await run({ checksum: "none" });
      expect(full.every(({ checksum }) => checksum === 0)).toBe(true);
      expect(
        partial.map(({ octets, checksum }) => (checksum === PARTIAL ? completed(octets) : octets)),
      ).toEqual(full.map(({ octets }) => octets));
      expect(partial.some(({ octets }, i) => Buffer.compare(octets, full[i]!.octets) !== 0)).toBe(true);
      // Fragments are complete: nobody could do it for them.
      const whole = partial.filter(({ checksum }) => checksum === 0);
      expect(whole.length).toBe(3);
    },
  );

  it("[9293-MUST-3] are verified unless the batch says that somebody has, whatever the engine was told", async () => {
    for (const options of [{}, { checksum: "none" }] as const) {
      const engine = await makeEngine(options);
      engine.listen({ port: 80 });
      const syn = build({ src: "192.0.2.9", dst: "192.0.2.1", srcPort: 5, dstPort: 80, flags: "S" });
      syn[36]! ^= 0x55;
      const batch = new PacketBatch();
      const made = (checksum: number) => {
        batch.clear();
        batch.pushFrom(syn, 0, syn.length, 0, checksum);
        engine.receiveBatch(batch, 0);
        return engine.transmitBatch(new PacketBatch(), 0);
      };
      expect(made(0)).toBe(0);
      expect(engine.counters().InCsumErrors).toBe(1);
      expect(made(PARTIAL)).toBe(1);
      expect(made(VERIFIED)).toBe(1);
      // What was said of the last packet is not said of the next.
      expect(made(0)).toBe(0);
      expect(engine.counters().InCsumErrors).toBe(2);
    }
  });
});
