import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createObserver, type ObserverCounters } from "../../bindings/observer.ts";
import { randomOctets } from "../support/random.ts";
import { packetOf, vectors } from "../support/vectors.ts";
import { CLIENT, from, watch } from "./watch.ts";

const MODEST = { ...CLIENT, port: 39999 };

const NONE: ObserverCounters = {
  packets: 0,
  taken: 0,
  notTcp: 0,
  fragments: 0,
  cut: 0,
  malformed: 0,
  refused: 0,
  wrongChecksum: 0,
};

/** Packets whose fate is known add up to those observed. */
function accounted({ packets, wrongChecksum: _, ...fates }: ObserverCounters): void {
  for (const fate of Object.values(fates)) expect(fate).toBeGreaterThanOrEqual(0);
  expect(Object.values(fates).reduce((sum, fate) => sum + fate, 0)).toBe(packets);
}

describe("packets that are not what they should be", () => {
  it("are counted by what is wrong with them", async () => {
    const good = from("client", { text: "text" });
    const spoilt = (at: number, octet: number, packet = good) => {
      const copy = packet.slice();
      copy[at] = octet;
      return copy;
    };
    for (const [packet, expected] of [
      [good, { taken: 1 }],
      [new Uint8Array(0), { malformed: 1 }],
      [Uint8Array.of(0x45), { cut: 1 }],
      [good.subarray(0, 39), { cut: 1 }],
      [good.subarray(0, 40), { taken: 1 }],
      [spoilt(0, 0x75), { malformed: 1 }],
      [spoilt(0, 0x44), { malformed: 1 }],
      [spoilt(32, 0x40), { malformed: 1 }],
      // Data offset 15 within what was captured, and beyond it.
      [spoilt(32, 0xf0), { malformed: 1 }],
      [spoilt(32, 0xf0, from("client", { text: "#".repeat(50) })).subarray(0, 60), { cut: 1 }],
      [spoilt(8, 1), { taken: 1, wrongChecksum: 1 }],
      [spoilt(42, 1), { taken: 1, wrongChecksum: 1 }],
      [spoilt(6, 0x20), { fragments: 1, wrongChecksum: 1 }],
      [spoilt(9, 17), { notTcp: 1, wrongChecksum: 1 }],
    ] as const) {
      const { observer } = await watch();
      observer.observe(packet, 0);
      expect(observer.counters(), Buffer.from(packet).toString("hex")).toEqual({
        ...NONE,
        packets: 1,
        ...expected,
      });
    }
  });

  it("are not read on in what an earlier packet left behind them", async () => {
    const { observer } = await watch();
    const ends = [CLIENT, { address: "2001:db8::1", port: 1 }] as const;
    const six = from("client", { text: "#".repeat(80) }, { ...CLIENT, address: "2001:db8::7" }, ends[1]);
    // A hop-by-hop header that was not captured.
    six[6] = 0;
    observer.observe(new Uint8Array(200).fill(0xff), 0);
    observer.observe(six.subarray(0, 40), 1);
    expect(observer.counters()).toEqual({ ...NONE, packets: 2, malformed: 1, cut: 1 });
  });

  it("are refused for a wrong checksum where that is asked for", async () => {
    const { observer, of } = await watch({ verifyChecksums: true });
    observer.observe(from("client", { flags: "S", seq: 0 }), 0);
    const wrong = from("client", { seq: 1, text: "wrong" });
    wrong[44]! ^= 1;
    const cut = from("client", { seq: 1, text: "right" }).subarray(0, 43);
    observer.observe(wrong, 1);
    observer.observe(cut, 2);
    observer.finish();
    expect(of(0, "client")).toEqual(["rig", 2]);
    expect(observer.counters()).toEqual({ ...NONE, packets: 3, taken: 2, refused: 1, wrongChecksum: 1 });
  });

  it("are taken as offloading leaves them: without a length, a checksum, or both", async () => {
    const { observer, of } = await watch();
    const long = "#".repeat(40_000);
    observer.observe(from("client", { flags: "S", seq: 0 }), 0);
    const four = from("client", { seq: 1, text: long });
    four.fill(0, 2, 4);
    four.fill(0, 10, 12);
    observer.observe(four, 1);
    observer.observe(four.subarray(0, 54), 2, four.length);
    const ends = [
      { address: "2001:db8::1", port: 1 },
      { address: "2001:db8::2", port: 2 },
    ] as const;
    const six = from("client", { seq: 1, text: long }, ...ends);
    six.fill(0, 4, 6);
    observer.observe(six, 3);
    observer.finish();
    expect(of(0, "client")).toEqual([long]);
    expect(of(1, "server")).toEqual([long]);
  });

  it("are never thrown: vectors, and packets cut and damaged anywhere", async () => {
    const all = vectors.segments.map(packetOf);
    const { observer } = await watch();
    all.forEach((packet, time) => {
      observer.observe(packet, time);
      for (let length = 0; length < Math.min(packet.length, 100); length++)
        observer.observe(packet.subarray(0, length), time);
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.array(fc.tuple(fc.nat(100), fc.nat(255))),
        fc.option(fc.nat(100)),
        (packet, damages, more) => {
          const damaged = packet.slice();
          for (const [at, octet] of damages) if (at < damaged.length) damaged[at] = octet;
          observer.observe(damaged, 1, more === null ? undefined : damaged.length + more);
        },
      ),
      { numRuns: 3000 },
    );
    observer.observe(randomOctets(200_000, 1).fill(0x45, 0, 1), 1);
    accounted(observer.counters());
    expect(observer.counters().taken).toBeGreaterThan(1000);
    observer.finish();
  });
});

describe("memory", () => {
  it("that ends costs the oldest conversations their place, each of which is told once", async () => {
    const seen = new Map<number, number>();
    let text = 0;
    const { observer } = await watch({
      onEnd: ({ number }) => seen.set(number, (seen.get(number) ?? 0) + 1),
      onText: (_, __, bytes) => {
        text += bytes.length;
      },
    });
    const many = 20_000;
    const lively = { address: "203.0.113.1", port: 999 };
    observer.observe(from("client", { flags: "S", seq: 0 }, lively), 0);
    for (let i = 0; i < many; i++) {
      const client = { address: `10.${i >> 14}.${(i >> 7) & 127}.${i & 127}`, port: 1024 + i };
      observer.observe(from("client", { flags: "S", seq: i }, client), i);
      if (i % 100 === 0) observer.observe(from("client", { seq: 1 }, lively), i);
      // Behind a hole, so that each would hold text.
      observer.observe(from("client", { seq: i + 10, text: "held back" }, client), i);
    }
    expect(seen.size).toBeGreaterThan(many / 2);
    expect(observer.conversations().length).toBe(many + 1 - seen.size);
    // Not the oldest, but the one that was not heard of for longest.
    expect(seen.has(0)).toBe(false);
    observer.finish();
    expect([seen.size, Math.max(...seen.values())]).toEqual([many + 1, 1]);
    expect(text).toBe(many * "held back".length);
  });

  it("that one direction has filled with text beyond a hole is had back by giving up the hole", async () => {
    const { observer, of } = await watch();
    observer.observe(from("client", { flags: "S", seq: 0 }), 0);
    // An older hole, which a little text waits for, is none of the big one's business.
    observer.observe(from("client", { flags: "S", seq: 0 }, MODEST), 0);
    observer.observe(from("client", { seq: 2, text: "b" }, MODEST), 0);
    const text = Buffer.from(randomOctets(4 * 2 ** 20, 5)).toString("latin1");
    for (let at = 0; at < text.length; at += 4096)
      observer.observe(
        from("client", { seq: 101 + at, text: Buffer.from(text.slice(at, at + 4096), "latin1") }),
        1,
      );
    // The neighbour still has room to put two segments in order.
    const other = { ...CLIENT, port: 40001 };
    observer.observe(from("client", { flags: "S", seq: 0 }, other), 0);
    observer.observe(from("client", { seq: 3, text: "cd" }, other), 0);
    observer.observe(from("client", { seq: 1, text: "ab" }, other), 0);
    observer.observe(from("client", { seq: 1, text: "a" }, MODEST), 0);
    observer.finish();
    const told = of(0, "client");
    expect(told[0]).toBe(100);
    expect(told[1] === text).toBe(true);
    expect([of(1, "client"), of(2, "client")]).toEqual([["ab"], ["abcd"]]);
  });

  it("is not asked for more runs than it has: every second octet of a stream", async () => {
    const { observer, of } = await watch();
    observer.observe(from("client", { flags: "S", seq: 0 }), 0);
    observer.observe(from("client", { flags: "S", seq: 0 }, MODEST), 0);
    observer.observe(from("client", { seq: 2, text: "b" }, MODEST), 0);
    for (let i = 0; i < 3000; i++) observer.observe(from("client", { seq: 2 + 2 * i, text: "x" }), i);
    observer.observe(from("client", { seq: 1, text: "a" }, MODEST), 0);
    observer.finish();
    expect(of(1, "client")).toEqual(["ab"]);
    expect(of(0, "client")).toEqual(Array.from({ length: 3000 }, () => [1, "x"]).flat());
  });

  it("comes back: what was held and given up leaves room for as much again", async () => {
    const { observer, of, ended } = await watch();
    for (let round = 0; round < 300; round++) {
      const client = { ...CLIENT, port: 1024 + round };
      observer.observe(from("client", { flags: "S", seq: 0 }, client), round);
      for (let i = 0; i < 8; i++)
        observer.observe(from("client", { seq: 100 + 9000 * i, text: "y".repeat(8000) }, client), round);
      // Nothing was given up for want of room, which is what a leak would come to.
      expect(of(round, "client")).toEqual([]);
      observer.finish();
      expect(ended[round]!.client).toMatchObject({ gaps: 8, text: 64_000 });
    }
    expect(observer.conversations()).toEqual([]);
  });
});

describe("the observer", () => {
  it("refuses options and arguments that cannot be, by name", async () => {
    const bad = (options: object) => expect(createObserver(options)).rejects;
    await bad({ memmory: 1 }).toThrow(/EINVAL.*memmory/);
    await bad({ memory: 1000 }).toThrow(/EINVAL.*1000/);
    await bad({ verifyChecksums: 1 }).toThrow(/EINVAL.*verifyChecksums.*1/);
    await bad({ onText: "print" }).toThrow(/EINVAL.*onText.*print/);
    const { observer } = await watch();
    const packet = from("client", {});
    expect(() => observer.observe([1] as unknown as Uint8Array, 0)).toThrow(/EINVAL.*packet.*\[1\]/);
    expect(() => observer.observe(packet, Number.NaN)).toThrow(/EINVAL.*time.*NaN/);
    expect(() => observer.observe(packet, 0, packet.length - 1)).toThrow(/EINVAL.*originalLength.*39/);
    observer.close();
    expect(() => observer.observe(packet, 0)).toThrow(/ERR_ENGINE_CLOSED/);
    expect(() => observer.counters()).toThrow(/ERR_ENGINE_CLOSED/);
  });

  it("goes on after a callback has thrown, and lets none call it", async () => {
    let told = "";
    let act: (text: string) => void = () => {};
    const { observer } = await watch({
      onText: (_, __, bytes) => {
        const text = Buffer.from(bytes).toString();
        act(text);
        told += text;
      },
    });
    const send = (seq: number, text: string) => observer.observe(from("client", { seq, text }), 0);
    send(1, "a");
    act = () => send(3, "c");
    expect(() => send(2, "b")).toThrow(/EBUSY/);
    act = () => {};
    send(3, "c");
    observer.finish();
    expect(told).toBe("ac");
  });
});
