import { describe, expect, it } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { ICMP, icmp, ip, join, readIcmp } from "../support/datagrams.ts";
import { errorCode, makeEngine, readAll } from "../support/engine.ts";
import { Peer, type Received } from "../support/peer.ts";
import { packetOf, vectors } from "../support/vectors.ts";

const router = "203.0.113.1";
const router6 = "2001:db8:ffff::1";
const six = { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" };

/** An ICMP error about `packet`, one of the engine's, quoting `octets` of it. */
function about(packet: Received, type: number, code: number, rest = 0, octets = 28): Uint8Array {
  const v6 = packet.version === 6;
  const quoted = packet.octets.subarray(0, v6 ? Math.max(octets, 48) : octets);
  return icmp({ src: v6 ? router6 : router, dst: packet.src }, type, code, rest, quoted);
}

const softCode = (connection: Connection) =>
  (connection.softError as (Error & { code?: string }) | undefined)?.code;

async function opening(options = {}) {
  const engine = await makeEngine();
  const peer = new Peer(engine, { peerPort: 80, ...options });
  const connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: 80 });
  peer.enginePort = connection.localPort;
  return { engine, peer, connection, syn: peer.expect({ flags: "S" }) };
}

describe("errors about a connection", () => {
  const soft: [string, number, number, string][] = [
    ["net unreachable", 3, 0, "ENETUNREACH"],
    ["host unreachable", 3, 1, "EHOSTUNREACH"],
    ["source route failed", 3, 5, "EHOSTUNREACH"],
    ["time exceeded", 11, 0, "EHOSTUNREACH"],
    ["reassembly time exceeded", 11, 1, "EHOSTUNREACH"],
    ["parameter problem", 12, 0, "EHOSTUNREACH"],
  ];

  it.each(soft)(
    "[9293-MUST-56] [9293-MUST-47] [9293-SHLD-25] %s is remembered and ends nothing",
    async (_, type, code, expected) => {
      const { peer, connection, syn } = await opening();
      peer.deliver(about(syn, type, code));
      expect(connection.state).toBe("SYN-SENT");
      expect(softCode(connection)).toBe(expected);
      peer.expectWithin(1000, { flags: "S" });
      peer.send({ flags: "SA", ack: 1 });
      expect(connection.state).toBe("ESTABLISHED");
      peer.take();
      connection.write(Buffer.from("hello"));
      const sent = peer.expect({ text: "hello" });
      peer.deliver(about(sent, type, code));
      expect(connection.state).toBe("ESTABLISHED");
      expect(softCode(connection)).toBe(expected);
      peer.send({ seq: 1, ack: 6 });
      expect(connection.softError).toBeUndefined();
      peer.send({ seq: 1, ack: 6, text: "and on" });
      expect(readAll(connection).toString()).toBe("and on");
    },
  );

  it("[9293-MUST-56] is what a connection that times out ends with", async () => {
    const { peer, connection, syn } = await opening();
    peer.deliver(about(syn, 3, 1));
    peer.wait(400_000);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("EHOSTUNREACH");
    expect(peer.eventTypes()).toContain("timedOut");
  });

  it.each([
    ["protocol unreachable", 2, "ENOPROTOOPT"],
    ["port unreachable", 3, "ECONNREFUSED"],
    ["host unknown", 7, "EHOSTUNREACH"],
    ["net prohibited", 9, "ENETUNREACH"],
    ["prohibited", 13, "EHOSTUNREACH"],
  ])("[9293-SHLD-26] %s ends a connection that is opening", async (_, code, expected) => {
    const { peer, connection, syn, engine } = await opening();
    peer.deliver(about(syn, 3, code));
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe(expected);
    expect(peer.eventTypes()).toEqual(["reset"]);
    peer.wait(10_000);
    peer.silence();
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("a hard error ends not even a connection that is opening, where that is set", async () => {
    const engine = await makeEngine({ settings: { tcpIcmpMayRst: 0 } });
    const peer = new Peer(engine, { peerPort: 80 });
    const connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: 80 });
    peer.enginePort = connection.localPort;
    peer.deliver(about(peer.expect({ flags: "S" }), 3, 3));
    expect([connection.state, softCode(connection)]).toEqual(["SYN-SENT", "ECONNREFUSED"]);
    peer.expectWithin(1000, { flags: "S" });
    peer.send({ flags: "SA", ack: 1 });
    expect(connection.state).toBe("ESTABLISHED");
  });

  it.each([2, 3, 4, 9, 13])(
    "[5927-2] unreachable, code %i, ends no synchronized connection",
    async (code) => {
      const { peer, connection } = await connected();
      connection.write(Buffer.from("hello"));
      peer.deliver(about(peer.expect({ text: "hello" }), 3, code, 1400));
      expect(connection.state).toBe("ESTABLISHED");
      peer.send({ seq: 1, ack: 6, text: "alive" });
      expect(readAll(connection).toString()).toBe("alive");
    },
  );

  it("[9293-SHLD-26] port unreachable takes back a half-open connection", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.deliver(about(peer.expect({ flags: "SA" }), 3, 3));
    expect(engine.connections()).toEqual([]);
    expect(listener.accept()).toBeUndefined();
    peer.wait(10_000);
    peer.silence();
  });

  it.each([
    ["no route", 1, 0, "ENETUNREACH", false],
    ["prohibited", 1, 1, "EHOSTUNREACH", true],
    ["beyond scope", 1, 2, "EHOSTUNREACH", false],
    ["address unreachable", 1, 3, "EHOSTUNREACH", false],
    ["port unreachable", 1, 4, "ECONNREFUSED", true],
    ["time exceeded", 3, 0, "EHOSTUNREACH", false],
    ["parameter problem", 4, 1, "EHOSTUNREACH", false],
  ])("[9293-MUST-56] [9293-SHLD-26] over IPv6: %s", async (_, type, code, expected, hard) => {
    const { peer, connection, syn } = await opening(six);
    peer.deliver(about(syn, type, code));
    expect(connection.state).toBe(hard ? "CLOSED" : "SYN-SENT");
    expect(hard ? errorCode(connection) : softCode(connection)).toBe(expected);
  });

  it("[9293-MUST-54] reach the connection they quote and no other", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const one = new Peer(engine, { peerPort: 40_001 });
    const other = new Peer(engine, { peerPort: 40_002 });
    const connections = [one.connect(listener), other.connect(listener)];
    connections[0]!.write(Buffer.from("x"));
    one.deliver(about(one.expect({ text: "x" }), 3, 1));
    expect(connections.map(softCode)).toEqual(["EHOSTUNREACH", undefined]);
  });

  it("[5927-1] count only when they quote what is in flight", async () => {
    const { engine, peer, connection } = await connected();
    connection.write(Buffer.from("hello"));
    const sent = peer.expect({ text: "hello" });
    const at = 20 + 4;
    const original = new DataView(sent.octets.buffer, sent.octets.byteOffset).getUint32(at);
    for (const [off, counts] of [
      [-1, false],
      [6, false],
      [0x7fffffff, false],
      [0x80000000, false],
      // SND.NXT was not sent yet.
      [5, false],
      [0, true],
      [4, true],
    ] as const) {
      const quoted = sent.octets.slice();
      new DataView(quoted.buffer).setUint32(at, (original + off) >>> 0);
      const before = engine.counters().OutOfWindowIcmps!;
      peer.deliver(about({ ...sent, octets: quoted }, 3, 1));
      expect(softCode(connection)).toBe(counts ? "EHOSTUNREACH" : undefined);
      expect(engine.counters().OutOfWindowIcmps! - before).toBe(counts ? 0 : 1);
    }
  });

  it("[seed-19] about keepalive probes tell why the peer was given up", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    peer.wait(7_200_000);
    const probe = peer.expect({ flags: "A", seq: 0 });
    peer.deliver(about(probe, 3, 1));
    expect(softCode(connection)).toBe("EHOSTUNREACH");
    peer.wait(9 * 75_000);
    expect(errorCode(connection)).toBe("EHOSTUNREACH");
  });

  it("[9293-MUST-55] source quench changes nothing", async () => {
    const { engine, peer, connection } = await connected();
    connection.write(Buffer.alloc(20_000));
    const sent = peer.take();
    const before = connection.info();
    peer.deliver(about(sent[0]!, 4, 0));
    expect(connection.info()).toEqual(before);
    peer.silence();
    expect(engine.counters().IcmpInSrcQuenchs).toBe(1);
  });

  it("that cannot be told apart, or are about nobody, are counted", async () => {
    const { engine, peer, connection } = await connected();
    connection.write(Buffer.from("hello"));
    const sent = peer.expect({ text: "hello" });
    const bad = (packet: Uint8Array, counter: string) => {
      const before = engine.counters();
      peer.deliver(packet);
      const after = engine.counters();
      expect(after[counter]).toBe(before[counter]! + 1);
      expect(after.InDelivers).toBe(before.InDelivers! + 1);
      expect(connection.softError).toBeUndefined();
    };
    for (const octets of [0, 1, 19, 20, 24, 27]) bad(about(sent, 3, 1, 0, octets), "IcmpInErrors");
    const spoilt = about(sent, 3, 1);
    spoilt[40]! ^= 1;
    bad(spoilt, "IcmpInCsumErrors");
    bad(ip({ src: router, dst: sent.src, protocol: ICMP }, [3, 1, 0]), "IcmpInErrors");
    // The quote of somebody else's segment, and of a fragment that shows no ports.
    const foreign = sent.octets.slice();
    foreign[20]! ^= 1;
    bad(about({ ...sent, octets: foreign }, 3, 1), "IcmpInErrors");
    const later = sent.octets.slice();
    later[7] = 1;
    bad(about({ ...sent, octets: later }, 3, 1), "IcmpInErrors");
    const long = sent.octets.slice();
    long[0] = 0x4f;
    bad(about({ ...sent, octets: long }, 3, 1), "IcmpInErrors");
  });

  it("to an address that is not ours, or from one that no host has, are dropped", async () => {
    const { engine, peer, connection } = await connected();
    connection.write(Buffer.from("hello"));
    const { octets } = peer.expect({ text: "hello" });
    const quoted = octets.subarray(0, 28);
    for (const [src, dst] of [
      [router, "255.255.255.255"],
      [router, "192.0.2.255"],
      [router, "224.0.0.1"],
      [router, "198.51.100.7"],
      ["224.0.0.1", "192.0.2.1"],
      ["255.255.255.255", "192.0.2.1"],
      ["192.0.2.1", "192.0.2.1"],
    ] as const) {
      const before = engine.counters().InAddrErrors!;
      peer.deliver(icmp({ src, dst }, 3, 1, 0, quoted));
      expect(engine.counters().InAddrErrors).toBe(before + 1);
      expect(connection.softError).toBeUndefined();
    }
  });
});

describe("echo", () => {
  const ask = (engine: Engine, packet: Uint8Array): Uint8Array[] => {
    engine.receive([packet], 1000);
    return engine.transmit(1000);
  };

  it.each([
    ["192.0.2.2", "192.0.2.1", 8, 0],
    ["2001:db8::2", "2001:db8::1", 128, 129],
  ])("[1122-12] from %s is answered", async (src, dst, request, reply) => {
    const engine = await makeEngine();
    for (const size of [0, 1, 7, 56, 1471, 1472]) {
      const data = Uint8Array.from({ length: Math.min(size, src.includes(":") ? 1452 : 1472) }, (_, i) => i);
      const packets = ask(engine, icmp({ src, dst }, request, 0, 0x12345678, data));
      expect(packets.length).toBe(1);
      expect(readIcmp(...packets)).toEqual({
        src: dst,
        dst: src,
        type: reply,
        code: 0,
        rest: 0x12345678,
        body: data,
      });
    }
    expect(engine.counters()[src.includes(":") ? "Icmp6OutEchoReplies" : "IcmpOutEchoReps"]).toBe(6);
  });

  it("[1122-12] larger than the MTU is answered in fragments", async () => {
    const engine = await makeEngine();
    const data = Uint8Array.from({ length: 40_000 }, (_, i) => i * 7);
    for (const [src, dst, request] of [
      ["192.0.2.2", "192.0.2.1", 8],
      ["2001:db8::2", "2001:db8::1", 128],
    ] as const) {
      const packets = ask(engine, icmp({ src, dst }, request, 0, 1, data));
      expect(packets.length).toBeGreaterThan(27);
      expect(Math.max(...packets.map(({ length }) => length))).toBeLessThanOrEqual(1500);
      expect(readIcmp(...packets).body).toEqual(data);
      expect(join(packets).id).toBeGreaterThan(0);
    }
    expect(engine.counters().FragOKs).toBe(2);
  });

  it("[1122-8] to a broadcast or multicast address, or with a bad checksum, is not", async () => {
    const engine = await makeEngine();
    for (const dst of ["255.255.255.255", "192.0.2.255", "224.0.0.1"])
      expect(ask(engine, icmp({ src: "192.0.2.2", dst }, 8, 0, 1, []))).toEqual([]);
    expect(ask(engine, icmp({ src: "2001:db8::2", dst: "ff02::1" }, 128, 0, 1, []))).toEqual([]);
    const spoilt = icmp({ src: "192.0.2.2", dst: "192.0.2.1" }, 8, 0, 1, [1, 2, 3]);
    spoilt[29]! ^= 1;
    expect(ask(engine, spoilt)).toEqual([]);
  });

  it("answers that nobody takes are bounded, and memory comes back", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20 });
    const request = icmp({ src: "192.0.2.2", dst: "192.0.2.1" }, 8, 0, 1, new Uint8Array(1400));
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40; i++) engine.receive(new Array(50).fill(request), 1000);
      const answers = engine.transmit(1000);
      expect(answers.length).toBeGreaterThan(20);
      expect(answers.length).toBeLessThan(300);
      expect(engine.counters().IcmpOutErrors! + engine.counters().IcmpOutMsgs!).toBe((round + 1) * 2000);
    }
  });
});

describe("vectors", () => {
  const { client4, client6, server4, server6 } = vectors.meta.hosts;
  const inGroup = vectors.segments.filter(({ group, verdict }) => group === "icmp" && verdict !== "emit");
  const about = inGroup.filter(({ name }) => !name.includes("echo"));

  it.each(about.map((vector) => [vector.id, vector.name, vector.expect, vector] as const))(
    "%s, %s: %s",
    async (_, name, expected, vector) => {
      const engine = await makeEngine({ addresses: [`${client4}/24`, `${client6}/64`] });
      const packet = packetOf(vector);
      const v6 = packet[0]! >> 4 === 6;
      const opening = () =>
        engine.connect({
          remoteAddress: v6 ? server6 : server4,
          remotePort: 80,
          localPort: 40_000,
        });
      const connection = opening();
      const syn = engine.transmit(0)[0]!;
      // The quote must be of this connection's SYN.
      const seq = syn.subarray(v6 ? 44 : 24, v6 ? 48 : 28);
      const at = v6 ? 40 + 8 + 40 + 4 : 20 + 8 + 20 + 4;
      const inFlight = vector.id !== "icmp-015";
      if (packet.length >= at + 4 && inFlight) {
        const old = packet.slice(at, at + 4);
        packet.set(seq, at);
        // RFC 1624, sixteen bits at a time.
        const sumAt = v6 ? 42 : 22;
        for (const i of [0, 2]) {
          let sum = ~((packet[sumAt]! << 8) | packet[sumAt + 1]!) & 0xffff;
          sum += ~((old[i]! << 8) | old[i + 1]!) & 0xffff;
          sum += (packet[at + i]! << 8) | packet[at + i + 1]!;
          while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
          packet[sumAt] = (~sum >> 8) & 0xff;
          packet[sumAt + 1] = ~sum & 0xff;
        }
      }
      engine.receive([packet], 1);
      const { pmtu } = connection.info();
      const hard = /protocol unreach|port unreach|admin/.test(name);
      if (vector.verdict === "drop" || /source quench|increase/.test(name)) {
        expect(connection.state).toBe("SYN-SENT");
        expect(connection.softError).toBeUndefined();
        expect(pmtu).toBe(1500);
      } else if (/MTU/.test(name)) {
        expect(pmtu).toBe(name.includes("MTU 0") ? 1006 : name.includes("40") ? 552 : 1280);
      } else if (hard) {
        expect(connection.state).toBe("CLOSED");
      } else {
        expect(expected).toMatch(/soft/);
        expect(connection.state).toBe("SYN-SENT");
        expect(connection.softError).toBeDefined();
      }
    },
  );

  it.each(["icmp-018", "icmp-028"])("[1122-12] %s is answered", async (id) => {
    const engine = await makeEngine({ addresses: [`${server4}/24`, `${server6}/64`] });
    const vector = vectors.segments.find((one) => one.id === id)!;
    engine.receive([packetOf(vector)], 0);
    const sent = readIcmp(...engine.transmit(0));
    const asked = readIcmp(packetOf(vector));
    expect(sent).toEqual({ ...asked, src: asked.dst, dst: asked.src, type: id === "icmp-018" ? 0 : 129 });
  });
});
