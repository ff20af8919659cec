import { beforeEach, describe, expect, it } from "vitest";
import type { Engine, UdpSocket } from "../../bindings/types.ts";
import {
  fragments,
  icmp,
  ip,
  join,
  readIcmp,
  readIp,
  readUdp,
  UDP,
  udp,
  udpOctets,
} from "../support/datagrams.ts";
import { debugModule, makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { packetOf, vectors } from "../support/vectors.ts";

const text = Uint8Array.from({ length: 65_535 }, (_, i) => i * 31 + (i >> 8));
const letters = (data: Uint8Array) => Buffer.from(data).toString();

describe.each([
  ["IPv4", "192.0.2.2", "192.0.2.1", 28],
  ["IPv6", "2001:db8::2", "2001:db8::1", 48],
] as const)("UDP over %s", (_, remote, local, headers) => {
  const six = remote.includes(":");
  const there = { address: remote, port: 5000 };
  let engine: Engine;
  let socket: UdpSocket;
  beforeEach(async () => {
    engine = await makeEngine({ wasm: await debugModule() });
    socket = engine.bindUdp({ port: 53 });
  });
  const from = (srcPort: number, data: Uint8Array | string, more = {}) =>
    udp({ src: remote, dst: local, srcPort, dstPort: 53, ...more }, data);
  const receive = (...packets: Uint8Array[]): Uint8Array[] => {
    engine.receive(packets, 1000);
    return engine.transmit(1000);
  };

  it("datagrams keep their boundaries and say whom they are from", () => {
    expect(receive(from(5000, "one"), from(5001, ""), from(5002, "three"))).toEqual([]);
    const got = [socket.receive(), socket.receive(), socket.receive()];
    expect(got.map((one) => [one!.remotePort, letters(one!.bytes)])).toEqual([
      [5000, "one"],
      [5001, ""],
      [5002, "three"],
    ]);
    expect(got.every((one) => one!.remoteAddress === remote && one!.localAddress === local)).toBe(true);
    expect(socket.receive()).toBeUndefined();
    expect(engine.counters()).toMatchObject({ UdpInDatagrams: 3, UdpInErrors: 0, UdpNoPorts: 0 });
  });

  it("one event tells of as many as there are", () => {
    receive(from(5000, "one"), from(5000, "two"));
    expect(engine.poll()).toEqual([{ type: "datagram", socket }]);
    expect(engine.poll()).toEqual([]);
    receive(from(5000, "three"));
    expect(engine.poll()).toEqual([{ type: "datagram", socket }]);
  });

  it("[768-1] one socket sends to many, with a checksum", () => {
    for (let i = 0; i < 20; i++) socket.send(text.subarray(0, i), { ...there, port: 5000 + i });
    const sent = engine.transmit(0).map((packet) => readUdp(packet));
    expect(sent.length).toBe(20);
    sent.forEach(({ src, dst, srcPort, dstPort, checksum, data }, i) => {
      expect([src, dst, srcPort, dstPort]).toEqual([local, remote, 53, 5000 + i]);
      expect(data).toEqual(text.slice(0, i));
      expect(checksum).not.toBe(0);
    });
    expect(engine.counters().UdpOutDatagrams).toBe(20);
  });

  it("[768-1] a computed checksum of zero is sent as 0xffff", () => {
    // What is missing to a sum of zero: two octets that complement the rest.
    const blank = udpOctets({ src: local, dst: remote, srcPort: 53, dstPort: 5000 }, new Uint8Array(2));
    socket.send(blank.subarray(6, 8), there);
    const [packet] = engine.transmit(0);
    expect(readUdp(packet!).checksum).toBe(0xffff);
    expect(readUdp(packet!).data).toEqual(blank.slice(6, 8));
    expect(receive(from(5000, "still"))).toEqual([]);
    expect(letters(socket.receive()!.bytes)).toBe("still");
  });

  it("[seed-23] datagrams are read in the order they come in, as often as they come", () => {
    const [one, two, three] = ["one", "two", "three"].map((data) => from(5000, data));
    receive(three!, one!, two!, one!);
    const got = [];
    for (let next = socket.receive(); next; next = socket.receive()) got.push(letters(next.bytes));
    expect(got).toEqual(["three", "one", "two", "one"]);
  });

  it("[seed-24] a datagram lost is a gap that nobody mends, where a segment lost is sent again", async () => {
    const lost = (n: number) => n === 1;
    for (const [i, data] of ["one", "two", "three"].entries()) {
      socket.send(Buffer.from(data), there);
      const [packet] = engine.transmit(1000);
      if (!lost(i)) receive(from(5000, readUdp(packet!).data));
    }
    engine.advance(100_000);
    expect(engine.transmit(100_000)).toEqual([]);
    expect([socket.receive(), socket.receive()].map((one) => letters(one!.bytes))).toEqual(["one", "three"]);
    expect(socket.receive()).toBeUndefined();

    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine, { engineAddress: local, peerAddress: remote, now: 100_000 });
    const connection = peer.connect(listener);
    let arrived = "";
    for (const [i, data] of ["one", "two", "three"].entries()) {
      connection.write(Buffer.from(data));
      const packet = peer.expect();
      if (lost(i)) expect(peer.expectWithin(2000, { seq: packet.seq, text: data })).toBeDefined();
      arrived += data;
      peer.send({ seq: 1, ack: 1 + arrived.length });
    }
    expect(connection.unacked).toBe(0);
  });

  it("[seed-25] 4000 octets are three fragments of a datagram, and three segments", () => {
    socket.send(text.subarray(0, 4000), there);
    const packets = engine.transmit(1000).map(readIp);
    expect(packets.map(({ more }) => more)).toEqual([true, true, false]);
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine, { engineAddress: local, peerAddress: remote });
    peer.connect(listener).write(text.subarray(0, 4000));
    expect(peer.take().length).toBe(3);
  });

  it("[1122-10] [8200-1] a wrong checksum drops the datagram; none is one over IPv4 only", () => {
    receive(from(5000, "bad", { checksum: 0x1234 }));
    expect(socket.receive()).toBeUndefined();
    expect(engine.counters()).toMatchObject({ UdpInCsumErrors: 1, UdpInErrors: 1 });
    expect(receive(from(5000, "none", { checksum: 0 }))).toEqual([]);
    if (six) {
      expect(socket.receive()).toBeUndefined();
      expect(engine.counters().UdpInCsumErrors).toBe(2);
    } else expect(letters(socket.receive()!.bytes)).toBe("none");
  });

  it("impossible lengths are dropped, and octets behind the datagram are not part of it", () => {
    const fields = { src: remote, dst: local, srcPort: 1, dstPort: 53 };
    for (const length of [0, 7, 13, 65_535]) receive(from(5000, "four", { length }));
    receive(ip({ ...fields, protocol: UDP }, [0, 1, 0, 53, 0, 8, 0]));
    expect(engine.counters()).toMatchObject({ UdpInErrors: 5, UdpInDatagrams: 0 });
    receive(ip({ ...fields, protocol: UDP }, [...udpOctets(fields, "four"), 1, 2, 3]));
    expect(letters(socket.receive()!.bytes)).toBe("four");
  });

  it.each([1, 1472, 1473, 4000, 65_507])("%i octets arrive as they were sent", (length) => {
    const data = text.subarray(0, length);
    socket.send(data, there);
    const packets = engine.transmit(0);
    expect(packets.every((packet) => packet.length <= 1500)).toBe(true);
    expect(packets.length === 1).toBe(length + headers <= 1500);
    const sent = readUdp(...packets);
    expect(Buffer.from(sent.data).equals(data)).toBe(true);
    // And the other way, cut by somebody else.
    const octets = udpOctets({ src: remote, dst: local, srcPort: 9, dstPort: 53 }, data);
    const pieces: Uint8Array[] = [];
    const { id } = join(packets);
    for (let at = 0; at < octets.length; at += 1000)
      pieces.push(
        ip(
          { src: remote, dst: local, protocol: UDP, id, offset: at, more: at + 1000 < octets.length },
          octets.subarray(at, at + 1000),
        ),
      );
    expect(receive(...pieces.reverse())).toEqual([]);
    expect(Buffer.from(socket.receive()!.bytes).equals(data)).toBe(true);
  });

  it("more than any packet holds is EMSGSIZE, more than may wait is ENOBUFS", () => {
    expect(() => socket.send(new Uint8Array(six ? 65_528 : 65_508), there)).toThrow("EMSGSIZE");
    expect(engine.transmit(0)).toEqual([]);
    const sendAll = () => {
      for (let i = 0; i < 1000; i++) socket.send(text.subarray(0, 1000), there);
    };
    expect(sendAll).toThrow("ENOBUFS");
    const sent = engine.transmit(0).length;
    expect(sent).toBeGreaterThan(100);
    expect(engine.counters()).toMatchObject({ UdpSndbufErrors: 1, UdpOutDatagrams: sent });
    socket.send(text.subarray(0, 1000), there);
    expect(engine.transmit(0).length).toBe(1);
  });

  it("what nobody reads is dropped and counted, and memory comes back", async () => {
    for (let round = 0; round < 5; round++) {
      const before = engine.counters();
      for (let i = 0; i < 50; i++)
        receive(...Array.from({ length: 20 }, () => from(5000, text.subarray(0, 1000))));
      let got = 0;
      for (let one = socket.receive(); one; one = socket.receive()) {
        expect(one.bytes.length).toBe(1000);
        got++;
      }
      const after = engine.counters();
      expect(got).toBeGreaterThan(100);
      expect(got).toBeLessThan(220);
      expect(after.UdpInDatagrams! - before.UdpInDatagrams!).toBe(got);
      expect(after.UdpRcvbufErrors! - before.UdpRcvbufErrors!).toBe(1000 - got);
    }
    receive(from(5000, text.subarray(0, 1000)));
    socket.close();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine, { engineAddress: local, peerAddress: remote, now: 2000 });
    expect(peer.connect(listener).writable).toBeGreaterThan(0);
  });

  it("[1122-9] a closed port answers with port unreachable that quotes the datagram", () => {
    const packet = udp({ src: remote, dst: local, srcPort: 5000, dstPort: 9 }, "anyone?");
    const told = readIcmp(...receive(packet));
    expect(told).toMatchObject({ src: local, dst: remote, type: six ? 1 : 3, code: six ? 4 : 3, rest: 0 });
    expect(Buffer.from(told.body).equals(packet)).toBe(true);
    const long = readIcmp(
      ...receive(udp({ src: remote, dst: local, srcPort: 5000, dstPort: 9 }, text.subarray(0, 1400))),
    );
    expect(long.body.length).toBe(six ? 1280 - 48 : 576 - 28);
    expect(engine.counters()).toMatchObject({ UdpNoPorts: 2 });
  });

  it("port unreachable is not said more than a thousand times a second", () => {
    const packet = udp({ src: remote, dst: local, srcPort: 5000, dstPort: 9 }, "");
    let told = 0;
    for (let ms = 0; ms < 2000; ms++) {
      engine.receive([packet, packet, packet], 1000 + ms);
      told += engine.transmit(1000 + ms).length;
    }
    expect(told).toBeGreaterThan(1900);
    expect(told).toBeLessThan(2100);
    const { IcmpOutRateLimitGlobal, Icmp6OutRateLimitHost } = engine.counters();
    expect(IcmpOutRateLimitGlobal! + Icmp6OutRateLimitHost! + told).toBe(6000);
  });

  it("[1122-8] a datagram to a closed port in fragments is answered once, quoting the first", () => {
    const whole = udp({ src: remote, dst: local, srcPort: 5000, dstPort: 9 }, text.subarray(0, 2000));
    const told = receive(...fragments(whole, 1000));
    expect(told.length).toBe(1);
    expect(readIp(told[0]!).offset).toBe(0);
    expect(receive(fragments(whole, 1000, 9)[1]!)).toEqual([]);
  });

  it("a socket bound to an address hears what is sent to it alone", async () => {
    const second = six ? "2001:db8::77" : "192.0.2.77";
    const two = await makeEngine({ addresses: [local, second] });
    const bound = two.bindUdp({ port: 53, address: second });
    const other = two.bindUdp({ port: 53, address: local });
    expect(() => two.bindUdp({ port: 53 })).toThrow("EADDRINUSE");
    expect(() => two.bindUdp({ port: 53, address: local })).toThrow("EADDRINUSE");
    two.receive([udp({ src: remote, dst: second, srcPort: 1, dstPort: 53 }, "to the second")], 0);
    expect(letters(bound.receive()!.bytes)).toBe("to the second");
    expect(other.receive()).toBeUndefined();
    bound.send(text.subarray(0, 1), there);
    other.send(text.subarray(0, 1), { ...there, localAddress: second });
    expect(two.transmit(0).map((packet) => readUdp(packet).src)).toEqual([second, second]);
    bound.close();
    two.receive([udp({ src: remote, dst: second, srcPort: 1, dstPort: 53 }, "gone")], 0);
    expect(two.counters().UdpNoPorts).toBe(1);
    two.bindUdp({ port: 53, address: second });
  });

  it("[1191-1] [8201-2] a path that takes less is told of, and gets fragments", () => {
    socket.send(text.subarray(0, 1400), there);
    const [packet] = engine.transmit(0);
    expect(readIp(packet!).dontFragment).toBe(true);
    const router = six ? "2001:db8:ffff::1" : "203.0.113.1";
    const tooBig = (mtu: number, quoted: Uint8Array) =>
      icmp({ src: router, dst: local }, six ? 2 : 3, six ? 0 : 4, mtu, quoted.subarray(0, 60));
    const foreign = packet!.slice();
    foreign[six ? 41 : 21]! ^= 1;
    receive(tooBig(1300, foreign));
    socket.send(text.subarray(0, 1400), there);
    expect(engine.transmit(0).length).toBe(1);
    receive(tooBig(1300, packet!));
    socket.send(text.subarray(0, 1400), there);
    const packets = engine.transmit(0);
    expect(packets.length).toBe(2);
    expect(Math.max(...packets.map(({ length }) => length))).toBeLessThanOrEqual(1300);
    expect(letters(readUdp(...packets).data)).toBe(letters(text.subarray(0, 1400)));
    socket.send(text.subarray(0, 1400), { ...there, address: six ? "2001:db8::3" : "192.0.2.3" });
    expect(engine.transmit(0).length).toBe(1);
  });
});

describe("UDP sockets", () => {
  it("refuse what cannot be, and name it", async () => {
    const engine = await makeEngine({ addresses: ["192.0.2.1/24"] });
    const socket = engine.bindUdp({ port: 0 });
    expect(socket.port).toBeGreaterThanOrEqual(32768);
    expect(engine.bindUdp({ port: 0 }).port).not.toBe(socket.port);
    expect(() => engine.bindUdp({ port: socket.port })).toThrow("EADDRINUSE");
    expect(() => engine.bindUdp({ port: 65_536 })).toThrow("65536");
    expect(() => engine.bindUdp({ port: 1, address: "192.0.2.9" })).toThrow("EADDRNOTAVAIL");
    const bytes = new Uint8Array(1);
    expect(() => socket.send(bytes, { address: "here", port: 1 })).toThrow("here");
    expect(() => socket.send(bytes, { address: "192.0.2.2", port: 0 })).toThrow("EINVAL");
    expect(() => socket.send(bytes, { address: "2001:db8::2", port: 1 })).toThrow("EADDRNOTAVAIL");
    expect(() => socket.send(bytes, { address: "0.0.0.0", port: 1 })).toThrow("EINVAL");
    expect(() => socket.send("x" as unknown as Uint8Array, { address: "192.0.2.2", port: 1 })).toThrow(
      "EINVAL",
    );
    socket.close();
    socket.close();
    expect(() => socket.receive()).toThrow("EBADF");
    expect(() => socket.send(bytes, { address: "192.0.2.2", port: 1 })).toThrow("EBADF");
    expect(engine.transmit(0)).toEqual([]);
    expect(engine.bindUdp({ port: socket.port }).port).toBe(socket.port);
  });

  it("are no connections, and share no ports with them", async () => {
    const engine = await makeEngine();
    engine.bindUdp({ port: 80 });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    expect(peer.connect(listener).state).toBe("ESTABLISHED");
    expect(engine.connections().length).toBe(1);
    listener.close();
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("hold no memory while nothing waits", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20 });
    for (let port = 1000; port < 1400; port++) {
      const socket = engine.bindUdp({ port });
      engine.receive([udp({ src: "192.0.2.2", dst: "192.0.2.1", srcPort: 5000, dstPort: port }, "x")], 0);
      expect(letters(socket.receive()!.bytes)).toBe("x");
      socket.send(Buffer.from("y"), { address: "192.0.2.2", port: 5000 });
      expect(engine.transmit(0).length).toBe(1);
    }
    expect(engine.counters()).toMatchObject({ UdpInDatagrams: 400, UdpRcvbufErrors: 0 });
  });

  it("[1122-8] hear broadcasts, which are never answered", async () => {
    const engine = await makeEngine();
    const socket = engine.bindUdp({ port: 53 });
    for (const dst of ["255.255.255.255", "192.0.2.255"]) {
      engine.receive([udp({ src: "192.0.2.2", dst, srcPort: 5000, dstPort: 53 }, "all")], 0);
      expect(socket.receive()).toMatchObject({ localAddress: dst, remoteAddress: "192.0.2.2" });
      engine.receive([udp({ src: "192.0.2.2", dst, srcPort: 5000, dstPort: 9 }, "all")], 0);
      expect(engine.transmit(0)).toEqual([]);
      socket.send(new Uint8Array(1), { address: dst, port: 67 });
      expect(readUdp(engine.transmit(0)[0]!).dst).toBe(dst);
    }
    expect(engine.counters().UdpNoPorts).toBe(2);
    for (const [src, dst] of [
      ["192.0.2.2", "224.0.0.1"],
      ["192.0.2.255", "192.0.2.1"],
      ["192.0.2.1", "192.0.2.255"],
      ["192.0.2.2", "198.51.100.1"],
    ] as const)
      engine.receive([udp({ src, dst, srcPort: 5000, dstPort: 9 }, "x")], 0);
    expect(engine.transmit(0)).toEqual([]);
    expect(engine.counters()).toMatchObject({ InAddrErrors: 4, UdpNoPorts: 2 });
  });

  it("answer from any address where any is answered for", async () => {
    const engine = await makeEngine({ addresses: [], anyAddress: true });
    const socket = engine.bindUdp({ port: 53 });
    engine.receive([udp({ src: "192.0.2.2", dst: "203.0.113.9", srcPort: 5000, dstPort: 53 }, "who?")], 0);
    const { remoteAddress: address, remotePort: port, localAddress } = socket.receive()!;
    socket.send(Buffer.from("me"), { address, port, localAddress });
    expect(readUdp(engine.transmit(0)[0]!)).toMatchObject({ src: "203.0.113.9", dst: "192.0.2.2" });
  });
});

describe("vectors", () => {
  const { server4, server6 } = vectors.meta.hosts;
  const group = vectors.segments.filter((vector) => vector.group === "udp");

  it.each(group.map((vector) => [vector.id, vector.name, vector] as const))(
    "[1122-10] [8200-1] [768-1] %s, %s",
    async (_, name, vector) => {
      const engine = await makeEngine({ addresses: [`${server4}/24`, `${server6}/64`] });
      const socket = engine.bindUdp({ port: 53 });
      const packet = packetOf(vector);
      const { udp: decoded } = vector.decoded as { udp?: { payload: string; sport: number } };
      engine.receive([packet], 0);
      const answers = engine.transmit(0);
      const got = socket.receive();
      if (vector.verdict === "drop") {
        expect(got).toBeUndefined();
        expect(answers).toEqual([]);
        expect(engine.counters().UdpInErrors).toBe(1);
      } else if (name.includes("closed port")) {
        const expected = vectors.segments.find(({ id }) => id === "icmp-029")!;
        expect(readIcmp(...answers)).toEqual(readIcmp(packetOf(expected)));
      } else {
        expect(Buffer.from(got!.bytes).toString("hex")).toBe(decoded!.payload);
        expect(got!.remotePort).toBe(decoded!.sport);
        expect(answers).toEqual([]);
      }
    },
  );
});
