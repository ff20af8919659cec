import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { type CapturedPacket, readCapture } from "../../bindings/pcap/index.ts";

const spec = (name: string) => readFileSync(new URL(`../spec/${name}`, import.meta.url));
const segments = new Uint8Array(spec("segments.pcap"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));

function all(bytes: Uint8Array): CapturedPacket[] {
  return [...readCapture(bytes)];
}

/** A 28-octet IPv4 and a 48-octet IPv6 packet (UDP from port 1 to 2), as their own headers say. */
const ipv4 = fromHex("4500001c000040004011f96cc0000201c00002020001000200080000");
const ipv6 = fromHex(
  "6000000000081140 20010db8000000000000000000000001 20010db8000000000000000000000002 0001000200080000",
);

interface Frame {
  bytes: Uint8Array;
  seconds?: number;
  fraction?: number;
  original?: number;
}

function pcap(linkType: number, frames: Frame[], { little = true, magic = 0xa1b2c3d4 } = {}): Uint8Array {
  const size = 24 + frames.reduce((sum, f) => sum + 16 + f.bytes.length, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, little);
  view.setUint16(4, 2, little);
  view.setUint16(6, 4, little);
  view.setUint32(16, 65535, little);
  view.setUint32(20, linkType, little);
  let at = 24;
  for (const frame of frames) {
    view.setUint32(at, frame.seconds ?? 0, little);
    view.setUint32(at + 4, frame.fraction ?? 0, little);
    view.setUint32(at + 8, frame.bytes.length, little);
    view.setUint32(at + 12, frame.original ?? frame.bytes.length, little);
    bytes.set(frame.bytes, at + 16);
    at += 16 + frame.bytes.length;
  }
  return bytes;
}

/** pcapng blocks in a byte order. */
function blocks(little: boolean) {
  const block = (type: number, body: number[]): number[] => {
    const length = new Uint8Array(12 + body.length);
    const view = new DataView(length.buffer);
    view.setUint32(0, type, little);
    view.setUint32(4, length.length, little);
    length.set(body, 8);
    view.setUint32(length.length - 4, length.length, little);
    return [...length];
  };
  const u16 = (...values: number[]) => values.flatMap((v) => order([v & 255, (v >> 8) & 255]));
  const u32 = (...values: number[]) =>
    values.flatMap((v) => order([v & 255, (v >>> 8) & 255, (v >>> 16) & 255, v >>> 24]));
  const order = (bytes: number[]) => (little ? bytes : bytes.reverse());
  const padded = (bytes: Iterable<number>) => {
    const list = [...bytes];
    while (list.length % 4 !== 0) list.push(0);
    return list;
  };
  const option = (code: number, value: number[]) => [...u16(code, value.length), ...padded(value)];
  return {
    u32,
    option,
    section: () => block(0x0a0d0d0a, [...u32(0x1a2b3c4d), ...u16(1, 0), ...u32(0xffffffff, 0xffffffff)]),
    face: (linkType: number, snaplen: number, options: number[] = []) =>
      block(1, [...u16(linkType, 0), ...u32(snaplen), ...options]),
    enhanced: (face: number, high: number, low: number, data: Uint8Array, options: number[] = []) =>
      block(6, [...u32(face, high, low, data.length, data.length + 5), ...padded(data), ...options]),
    simple: (original: number, data: Uint8Array) => block(3, [...u32(original), ...padded(data)]),
    old: (face: number, high: number, low: number, data: Uint8Array) =>
      block(2, [...u16(face, 0xffff), ...u32(high, low, data.length, data.length), ...padded(data)]),
    other: () => block(0x0bad, u32(1, 2, 3)),
  };
}

function error(bytes: Uint8Array): SynwaveError {
  try {
    all(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(SynwaveError);
    expect((thrown as SynwaveError).code).toBe("ERR_CAPTURE_FORMAT");
    return thrown as SynwaveError;
  }
  throw new Error("nothing was thrown");
}

describe("readCapture", () => {
  test("reads the reference capture packet by packet", () => {
    const vectors = JSON.parse(spec("vectors.json").toString()) as {
      segments: { hex: string }[];
      tcpMd5: { packetHex: string }[];
    };
    const wanted = [...vectors.segments.map((s) => s.hex), ...vectors.tcpMd5.map((s) => s.packetHex)];
    const packets = all(segments);
    expect(packets.length).toBe(250);
    expect(packets.map((p) => hexOf(p.data))).toEqual(wanted);
    expect(packets.every((p) => p.linkType === 101 && p.originalLength === p.data.length)).toBe(true);
    expect(packets[1].time).toBe(2000);
  });

  test.each([
    ["microseconds", 0xa1b2c3d4, 250000],
    ["nanoseconds", 0xa1b23c4d, 250000000],
  ])("reads classic captures in %s and both byte orders", (_, magic, fraction) => {
    for (const little of [true, false]) {
      const frames = [{ bytes: ipv4, seconds: 1700000000, fraction, original: 99 }];
      const [packet, ...rest] = all(pcap(101, frames, { little, magic }));
      expect(rest).toEqual([]);
      expect(packet).toEqual({
        time: 1700000000250,
        data: ipv4,
        linkType: 101,
        originalLength: 99,
        direction: undefined,
      });
    }
  });

  const macs = "020000000001020000000002";
  test.each<[string, number, string, number]>([
    ["Ethernet", 1, `${macs}0800`, 14],
    ["Ethernet with a VLAN tag", 1, `${macs}81000005 0800`, 18],
    ["Ethernet with two VLAN tags", 1, `${macs}88a80005 81000006 0800`, 22],
    ["Linux cooked", 113, "0000 0001 0006 0200000000010000 0800", 16],
    ["Linux cooked 2", 276, "0800 0000 00000003 0001 00 06 0200000000010000", 20],
    ["NULL, little-endian", 0, "02000000", 4],
    ["NULL, big-endian", 0, "00000002", 4],
    ["LOOP", 108, "00000002", 4],
    ["IPV4", 228, "", 0],
    ["RAW", 101, "", 0],
  ])("strips %s", (_, linkType, header, length) => {
    const bytes = new Uint8Array([...fromHex(header), ...ipv4]);
    expect(bytes.length).toBe(length + 28);
    const packets = all(pcap(linkType, [{ bytes, original: bytes.length }]));
    expect(packets.map((p) => [hexOf(p.data), p.originalLength, p.linkType])).toEqual([
      [hexOf(ipv4), 28, linkType],
    ]);
  });

  test("strips what is in front of IPv6", () => {
    const packet = (linkType: number, header: string) =>
      all(pcap(linkType, [{ bytes: new Uint8Array([...fromHex(header), ...ipv6]) }])).map((p) =>
        hexOf(p.data),
      );
    for (const family of ["18000000", "1c000000", "1e000000", "0a000000", "0000001e"])
      expect(packet(0, family)).toEqual([hexOf(ipv6)]);
    expect(packet(1, `${macs}86dd`)).toEqual([hexOf(ipv6)]);
    expect(packet(229, "")).toEqual([hexOf(ipv6)]);
  });

  test("leaves out Ethernet's padding and what is no IP packet", () => {
    const padded = new Uint8Array([...fromHex(`${macs}0800`), ...ipv4, ...new Uint8Array(18)]);
    const arp = new Uint8Array([...fromHex(`${macs}0806`), ...new Uint8Array(46)]);
    const runt = fromHex("0200");
    const packets = all(pcap(1, [{ bytes: arp }, { bytes: padded }, { bytes: runt }]));
    expect(packets.map((p) => [hexOf(p.data), p.originalLength])).toEqual([[hexOf(ipv4), 28]]);
    expect(all(pcap(0, [{ bytes: fromHex("00000007aabb") }]))).toEqual([]);
  });

  test("a packet cut by the snaplen keeps its own length", () => {
    const bytes = new Uint8Array([...fromHex(`${macs}0800`), ...ipv4.subarray(0, 24)]);
    const [packet] = all(pcap(1, [{ bytes, original: 60 }]));
    expect([packet.data.length, packet.originalLength]).toEqual([24, 28]);
  });

  test("reads pcapng: sections of either byte order, interfaces, resolutions, old and simple packets", () => {
    const a = blocks(true);
    const b = blocks(false);
    const file = new Uint8Array([
      ...a.section(),
      ...a.face(101, 0),
      ...a.face(228, 0, [...a.option(2, [101, 116]), ...a.option(9, [9]), ...a.option(0, [])]),
      ...a.face(1, 0, [...a.option(9, [0x80 | 10]), ...a.option(14, [...a.u32(1000), 0, 0, 0, 0])]),
      ...a.other(),
      ...a.enhanced(0, 1, 5, ipv4, [...a.option(1, [33]), ...a.option(2, a.u32(1)), ...a.option(0, [])]),
      ...a.enhanced(1, 0, 3500000, ipv4.subarray(0, 27), a.option(2, a.u32(0xfff2))),
      ...a.enhanced(2, 0, 2048, new Uint8Array([...fromHex(`${macs}0800`), ...ipv4])),
      ...a.simple(28, ipv4),
      ...b.section(),
      ...b.face(229, 40),
      ...b.old(0, 0, 7000, ipv6),
      ...b.simple(48, ipv6.subarray(0, 40)),
    ]);
    const packets = all(file);
    expect(packets.map((p) => [p.time, p.linkType, p.direction, hexOf(p.data), p.originalLength])).toEqual([
      [(2 ** 32 + 5) / 1000, 101, "inbound", hexOf(ipv4), 33],
      [3.5, 228, "outbound", hexOf(ipv4.subarray(0, 27)), 32],
      [1002000, 1, undefined, hexOf(ipv4), 28],
      [1002000, 101, undefined, hexOf(ipv4), 28],
      [7, 229, undefined, hexOf(ipv6), 48],
      [7, 229, undefined, hexOf(ipv6.subarray(0, 40)), 48],
    ]);
  });

  test("reads a view into a larger buffer", () => {
    const around = new Uint8Array(segments.length + 20);
    around.set(segments, 7);
    expect(all(around.subarray(7, 7 + segments.length)).length).toBe(250);
  });

  test("names the offset and the value of what is wrong", () => {
    const { section, face, enhanced, simple, option } = blocks(true);
    const ng = (...parts: number[][]) => new Uint8Array(parts.flat());
    const change = (bytes: Uint8Array, at: number, value: number) => {
      const copy = bytes.slice();
      new DataView(copy.buffer).setUint32(at, value, true);
      return copy;
    };
    const good = ng(section(), face(101, 0), enhanced(0, 0, 1, ipv4));
    expect(all(good).length).toBe(1);
    for (const [bytes, ...named] of [
      [new Uint8Array(0), "0 octets", "offset 0"],
      [fromHex("12345678"), "0x12345678", "offset 0"],
      [fromHex("d4c3b2a1"), "offset 0", "after 4"],
      [segments.subarray(0, 30), "after 6", "offset 24"],
      [segments.subarray(0, 70), "40 octets", "30 left", "offset 32"],
      [change(segments, 4, 3), "version 3", "offset 4"],
      [pcap(147, [{ bytes: ipv4 }]), "link type 147", "offset 20"],
      [good.subarray(0, 20), "28 octets", "20 left", "offset 4"],
      [change(good, 8, 0x01020304), "0x04030201", "offset 8"],
      [change(good, 12, 2), "version 2", "offset 12"],
      [change(good, 32, 18), "length 18", "offset 32"],
      [change(good, 32, 8), "length 8", "offset 32"],
      [change(good, 44, 24), "20", "24", "offset 44"],
      [change(good, 56, 3), "interface 3", "offset 56"],
      [change(good, 68, 100), "100 octets", "room for 28", "offset 68"],
      [ng(section(), simple(28, ipv4)), "no interface", "offset 28"],
      [ng(section(), face(101, 0), simple(400, ipv4)), "400", "offset 56"],
      [ng(section(), face(101, 0, option(9, [6, 6]))), "option 9 of 2", "offset 46"],
      [change(ng(section(), face(101, 0, option(9, [6]))), 44, 0x00ff0009), "option 9 of 255", "offset 46"],
    ] as [Uint8Array, ...string[]][]) {
      const { message } = error(bytes);
      for (const name of named) expect(message).toContain(name);
    }
  });

  test("damaged captures give packets or the typed error, never anything else, and end", () => {
    const a = blocks(true);
    const ng = new Uint8Array([
      ...a.section(),
      ...a.face(1, 96, a.option(9, [9])),
      ...a.face(276, 0),
      ...a.enhanced(
        0,
        1,
        5,
        new Uint8Array([...fromHex(`${macs}81000005 0800`), ...ipv4]),
        a.option(2, a.u32(1)),
      ),
      ...a.simple(28, ipv4),
      ...a.enhanced(1, 1, 5, fromHex("0800 0000 00000003 0001 00 06 0200000000010000")),
    ]);
    const seeds = [
      ng,
      segments.slice(0, 400),
      pcap(0, [{ bytes: ipv4 }, { bytes: ipv6 }], { little: false }),
    ];
    const damage = fc.record({
      which: fc.nat(seeds.length - 1),
      cut: fc.nat(400),
      changes: fc.array(fc.tuple(fc.nat(399), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 4, 128, 255))), {
        maxLength: 6,
      }),
    });
    let readable = 0;
    let refused = 0;
    fc.assert(
      fc.property(damage, ({ which, cut, changes }) => {
        const bytes = seeds[which].slice(0, cut > 300 ? undefined : seeds[which].length - (cut % 64));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        let count = 0;
        try {
          for (const packet of readCapture(bytes)) {
            count++;
            expect(packet.originalLength).toBeGreaterThanOrEqual(packet.data.length);
            expect(packet.data.byteOffset + packet.data.length).toBeLessThanOrEqual(bytes.length);
            expect(Number.isNaN(packet.time)).toBe(false);
          }
          readable++;
        } catch (thrown) {
          if (!(thrown instanceof SynwaveError) || thrown.code !== "ERR_CAPTURE_FORMAT") throw thrown;
          expect(thrown.message).toMatch(/at offset \d+$/);
          refused++;
        }
        expect(count).toBeLessThan(40);
      }),
      { numRuns: 3000 },
    );
    expect(readable).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });

  test("bytes that were never a capture give the typed error", () => {
    const magics = fc.constantFrom("", "d4c3b2a1", "a1b23c4d", "0a0d0d0a1c0000004d3c2b1a01000000");
    fc.assert(
      fc.property(magics, fc.uint8Array({ maxLength: 200 }), (magic, noise) => {
        try {
          all(new Uint8Array([...fromHex(magic), ...noise]));
        } catch (thrown) {
          if (!(thrown instanceof SynwaveError) || thrown.code !== "ERR_CAPTURE_FORMAT") throw thrown;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
