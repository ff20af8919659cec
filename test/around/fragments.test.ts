import { beforeEach, describe, expect, it } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { fragments, icmp, ip, readIcmp, readIp } from "../support/datagrams.ts";
import { debugModule, makeEngine, readAll } from "../support/engine.ts";
import { build } from "../support/packet.ts";
import { Peer } from "../support/peer.ts";
import { random } from "../support/random.ts";
import { packetOf, vectors } from "../support/vectors.ts";

const text = Uint8Array.from({ length: 5000 }, (_, i) => i * 31);

function shuffled<T>(list: readonly T[], chance: number): T[] {
  const next = random(chance);
  return list
    .map((item) => [next(), item] as const)
    .sort((a, b) => a[0] - b[0])
    .map(([, item]) => item);
}

describe.each([
  ["IPv4", "192.0.2.2", "192.0.2.1"],
  ["IPv6", "2001:db8::2", "2001:db8::1"],
] as const)("fragments over %s", (_, src, dst) => {
  const six = src.includes(":");
  const own = { src, dst };
  let engine: Engine;
  let now: number;
  beforeEach(async () => {
    engine = await makeEngine({ wasm: await debugModule() });
    now = 1000;
  });

  /** An echo request is answered when it is whole, and only then: its answer is what was put together. */
  const request = (data: Uint8Array) => icmp(own, six ? 128 : 8, 0, 0x00010002, data);
  const receive = (...packets: Uint8Array[]): Uint8Array[] => {
    engine.receive(packets, now);
    return engine.transmit(now);
  };
  const counters = () => {
    const { ReasmReqds, ReasmOKs, ReasmFails, ReasmTimeout } = engine.counters();
    return { ReasmReqds, ReasmOKs, ReasmFails, ReasmTimeout };
  };
  const expectWhole = (answer: Uint8Array[], data: Uint8Array) =>
    expect(Buffer.from(readIcmp(...answer).body).equals(data)).toBe(true);

  it("[1122-11] are put together in any order", () => {
    const data = text.subarray(0, 3001);
    for (let chance = 0; chance < 20; chance++) {
      const pieces = fragments(request(data), 8 * (1 + chance * 5), chance);
      const order = shuffled(pieces, chance);
      expect(receive(...order.slice(0, -1))).toEqual([]);
      expectWhole(receive(order.at(-1)!), data);
    }
    expect(counters()).toMatchObject({ ReasmOKs: 20, ReasmFails: 0 });
  });

  it("[1122-11] of several datagrams do not mix, whatever tells them apart", () => {
    const data = Array.from({ length: 6 }, (_, i) => text.slice(i * 100, i * 100 + 200));
    const pieces = data.map((one, i) => fragments(request(one), 104, 10 + i));
    expect(receive(...pieces.map((list) => list[0]!))).toEqual([]);
    for (const [i, list] of pieces.entries()) expectWhole(receive(list[1]!), data[i]!);
    // The same identification from another host.
    const other = six ? "2001:db8::3" : "192.0.2.3";
    const [first] = fragments(request(data[0]!), 104, 7);
    const [, second] = fragments(icmp({ src: other, dst }, six ? 128 : 8, 0, 0x00010002, data[0]!), 104, 7);
    expect(receive(first!, second!)).toEqual([]);
  });

  it("make packets up to 65,535 octets", () => {
    const data = Uint8Array.from({ length: 65_535 - (six ? 8 : 28) }, (_, i) => i * 7);
    const pieces = shuffled(fragments(request(data), 1448), 5);
    expectWhole(receive(...pieces), data);
    expect(counters().ReasmOKs).toBe(1);
  });

  it("beyond 65,535 octets are refused, which is counted", () => {
    const protocol = six ? 58 : 1;
    for (const offset of [65_528, 65_520]) {
      expect(receive(ip({ ...own, protocol, id: 1, offset }, new Uint8Array(64)))).toEqual([]);
    }
    expect(counters()).toMatchObject({ ReasmReqds: 2, ReasmFails: 2 });
  });

  it("empty, or of a length no piece can have, are refused", () => {
    const protocol = six ? 58 : 1;
    receive(ip({ ...own, protocol, id: 1, more: true }, []));
    receive(ip({ ...own, protocol, id: 1, more: true }, new Uint8Array(30)));
    receive(ip({ ...own, protocol, id: 1, offset: 8 }, []));
    expect(counters()).toMatchObject({ ReasmReqds: 3, ReasmFails: 3 });
    // Nothing was begun by them.
    const data = text.subarray(0, 100);
    expectWhole(receive(...fragments(request(data), 48, 1)), data);
  });

  it("[8200-2] that overlap spoil the datagram, also what is yet to come of it", () => {
    const data = text.subarray(0, 200);
    const pieces = fragments(request(data), 64, 3);
    const whole = readIp(request(data)).payload;
    const protocol = six ? 58 : 1;
    const overlaps = [
      ip({ ...own, protocol, id: 3, offset: 56, more: true }, whole.subarray(56, 128)),
      ip({ ...own, protocol, id: 3, offset: 0, more: true }, new Uint8Array(64)),
      ip({ ...own, protocol, id: 3, offset: 8, more: true }, new Uint8Array(8)),
      ip({ ...own, protocol, id: 3, offset: 0, more: true }, whole.subarray(0, 72)),
      ip({ ...own, protocol, id: 3, offset: 24 }, whole.subarray(24, 60)),
    ];
    for (const overlap of overlaps) {
      expect(receive(pieces[0]!, overlap, ...pieces.slice(1))).toEqual([]);
      expect(receive(...pieces)).toEqual([]);
      now += 61_000;
      // Its time is over: the identification may be used again.
      expectWhole(receive(...pieces), data);
      now += 61_000;
    }
  });

  it("that come twice are no overlap", () => {
    const data = text.subarray(0, 300);
    const pieces = fragments(request(data), 64, 3);
    expect(receive(pieces[0]!, pieces[0]!, pieces[4]!, pieces[4]!, pieces[1]!, pieces[0]!)).toEqual([]);
    expectWhole(receive(pieces[2]!, pieces[3]!), data);
  });

  it("that disagree on where the datagram ends spoil it", () => {
    const protocol = six ? 58 : 1;
    const whole = readIp(request(text.subarray(0, 120))).payload;
    const piece = (from: number, to: number, more: boolean) =>
      ip({ ...own, protocol, id: 4, offset: from, more }, whole.subarray(from, to));
    for (const order of [
      [piece(64, 120, false), piece(120, 128, false), piece(0, 64, true)],
      [piece(96, 128, true), piece(64, 96, false), piece(0, 64, true)],
      [piece(64, 128, false), piece(120, 128, true), piece(0, 64, true)],
    ]) {
      expect(receive(...order)).toEqual([]);
      now += 61_000;
    }
    expect(counters().ReasmOKs).toBe(0);
  });

  it("[1122-11] of which one never comes are given up after 60 seconds, and the sender is told", () => {
    // Of a protocol that is not ICMP: of that nobody is told anything.
    const whole = build({ ...own, srcPort: 1, dstPort: 80, seq: 1, text: text.subarray(0, 500) });
    const pieces = fragments(whole, 104, 9);
    expect(receive(...pieces.slice(0, -1))).toEqual([]);
    now += 59_999;
    expect(receive()).toEqual([]);
    expect(counters().ReasmTimeout).toBe(0);
    now += 1;
    engine.advance(now);
    expect(counters()).toMatchObject({ ReasmTimeout: 1, ReasmFails: 1 });
    const [told] = engine.transmit(now);
    const message = readIcmp(told!);
    expect(message).toMatchObject({ src: dst, dst: src, type: six ? 3 : 11, code: 1 });
    expect(Buffer.from(message.body).equals(pieces[0]!)).toBe(true);
    expect(receive(pieces.at(-1)!)).toEqual([]);
  });

  it("[1122-8] whose first piece never came, or of ICMP, are given up without a word", () => {
    const whole = build({ ...own, srcPort: 1, dstPort: 80, seq: 1, text: text.subarray(0, 500) });
    receive(...fragments(whole, 104, 9).slice(1), ...fragments(request(text), 1000, 10).slice(0, -1));
    now += 60_000;
    expect(receive()).toEqual([]);
    expect(counters().ReasmTimeout).toBe(2);
  });

  it("not for us take no memory", () => {
    const away = six ? "2001:db8:9::9" : "198.51.100.9";
    const before = engine.counters().InAddrErrors!;
    receive(...fragments(icmp({ src, dst: away }, six ? 128 : 8, 0, 1, text), 1000));
    expect(engine.counters().InAddrErrors).toBe(before + 6);
    now += 61_000;
    receive();
    expect(counters().ReasmTimeout).toBe(0);
  });

  it("[3168-14] marked by congestion mark the whole, unless one of them could not be", () => {
    const listener = engine.listen({ port: 80 });
    const options = { engineAddress: dst, peerAddress: src };
    const peer = new Peer(engine, options);
    const connection = peer.connect(listener);
    const marks = (...tos: number[]) => {
      const packet = peer.packet({ seq: 1, ack: 1, text: text.subarray(0, 48) });
      const { payload, protocol } = readIp(packet);
      const size = 24;
      return tos.map((one, i) =>
        ip(
          { ...own, protocol, tos: one, id: 8, offset: i * size, more: i < 2 },
          payload.subarray(i * size, i === 2 ? undefined : (i + 1) * size),
        ),
      );
    };
    peer.deliver(...marks(2, 3, 0));
    expect(connection.readable).toBe(0);
    peer.deliver(...marks(2, 3, 2));
    expect(connection.readable).toBe(48);
  });

  it("carry segments like any other packet", () => {
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine, { engineAddress: dst, peerAddress: src });
    const connection = peer.connect(listener);
    peer.deliver(...fragments(peer.packet({ seq: 1, ack: 1, text: text.subarray(0, 1400) }), 8).reverse());
    peer.take();
    expect(readAll(connection).equals(text.subarray(0, 1400))).toBe(true);
  });

  it("in endless number cost no more than their share, and what came last still fits", () => {
    for (let id = 0; id < 1000; id++) {
      const list = fragments(request(text.subarray(0, 3000)), 1448, id);
      receive(list[id % 2]!);
    }
    const data = text.subarray(0, 3000);
    expectWhole(receive(...fragments(request(data), 1448, 2000)), data);
    const { ReasmReqds, ReasmFails } = counters();
    expect(ReasmReqds).toBe(1003);
    expect(ReasmFails).toBeGreaterThan(900);
    now += 61_000;
    receive();
    // Everything came back: a connection has as much memory as ever.
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine, { engineAddress: dst, peerAddress: src, now });
    const connection: Connection = peer.connect(listener);
    expect(connection.writable).toBeGreaterThan(0);
  });
});

describe("vectors", () => {
  const { server4, server6 } = vectors.meta.hosts;
  const packet = (n: number) =>
    packetOf(vectors.segments.find(({ id }) => id === `frag-${String(n).padStart(3, "0")}`)!);
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine({ addresses: [`${server4}/24`, `${server6}/64`] });
    engine.listen({ port: 80 });
  });
  const delivered = (...numbers: number[]): number => {
    const before = engine.counters().InDelivers!;
    engine.receive(numbers.map(packet), 0);
    return engine.counters().InDelivers! - before;
  };

  it.each([
    [[2, 3, 4], 1],
    [[4, 3, 2], 1],
    [[3, 2, 4], 1],
    [[9, 3, 4], 1],
    [[2, 4], 0],
    [[5, 3, 4], 0],
    [[2, 6, 3, 4], 0],
    [[7], 0],
    [[8, 3, 4], 0],
    [[10], 1],
    [[11, 12], 1],
    [[12, 11], 1],
    [[11, 13], 0],
    [[11, 13, 12], 0],
  ])("[8200-2] [1122-11] frag %j: %i delivered", (numbers, expected) => {
    expect(delivered(...numbers)).toBe(expected);
  });

  it("are what the reference is: the reset that answers them is the same", () => {
    engine.receive([packet(1)], 0);
    const whole = engine.transmit(0);
    engine.receive([packet(2), packet(4), packet(3)], 0);
    const parts = engine.transmit(0);
    const numbers = (packets: Uint8Array[]) => packets.map((one) => [...one.subarray(20)]);
    expect(parts.length).toBe(1);
    expect(numbers(parts)).toEqual(numbers(whole));
  });
});
