import { createHash } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { addressOctets } from "../support/addresses.ts";
import { connected } from "../support/connected.ts";
import { errorCode, makeEngine, seed } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";

// RFC 1122, 4987, 5961, 6056 and 6528, and what operators of Linux expect.

const SECOND = 1000;
const MINUTE = 60 * SECOND;

afterEach(() => {
  vi.restoreAllMocks();
});

describe("ephemeral ports", () => {
  const open = (engine: Engine, remoteAddress = "192.0.2.2", remotePort = 80) =>
    engine.connect({ remoteAddress, remotePort });
  const range = (first: number, last: number) => ({ settings: { ipLocalPortRange: [first, last] as const } });

  it("[6056-1] [6056-5] follow no order over destinations, and for each a step from where the key says", async () => {
    const [engine, other] = await Promise.all([makeEngine(), makeEngine({ seed: seed(2) })]);
    const ports: number[] = [];
    const elsewhere: number[] = [];
    for (let i = 0; i < 1000; i++) {
      const address = `198.51.${i >> 8}.${i & 255}`;
      ports.push(open(engine, address).localPort);
      elsewhere.push(open(other, address).localPort);
    }
    const steps = ports.slice(1).map((port, i) => Math.abs(port - ports[i]!));
    expect(steps.filter((step) => step < 10).length).toBeLessThan(20);
    // All sixteenths of the range are used.
    expect(new Set(ports.map((port) => Math.floor((port - 32_768) / 1765))).size).toBe(16);
    // Another key, other ports.
    expect(ports.filter((port, i) => port === elsewhere[i]).length).toBeLessThan(10);

    const same = Array.from({ length: 20 }, () => open(engine).localPort);
    for (const [i, port] of same.slice(1).entries())
      expect((port - same[i]! + 28_232) % 28_232).toBeLessThan(5);
  });

  it("[6056-2] come from the whole of the range that is set", async () => {
    const engine = await makeEngine(range(1024, 65_535));
    const ports = Array.from({ length: 600 }, (_, i) => open(engine, "192.0.2.2", 1 + i).localPort);
    expect(Math.min(...ports)).toBeLessThan(4000);
    expect(Math.max(...ports)).toBeGreaterThan(62_000);
    const usual = await makeEngine();
    for (let i = 0; i < 600; i++) {
      const { localPort } = open(usual, "192.0.2.2", 1 + i);
      expect(localPort).toBeGreaterThanOrEqual(32_768);
      expect(localPort).toBeLessThanOrEqual(60_999);
    }
  });

  it("[6056-3] are none that somebody listens on", async () => {
    const engine = await makeEngine(range(40_000, 40_003));
    engine.listen({ port: 40_001 });
    const ports = [open(engine), open(engine), open(engine)].map(({ localPort }) => localPort);
    expect(ports.sort()).toEqual([40_000, 40_002, 40_003]);
    expect(() => open(engine)).toThrow("EADDRNOTAVAIL");
  });

  it("[6056-4] [seed-14] are none in use towards the same destination, TIME-WAIT included", async () => {
    const engine = await makeEngine(range(40_000, 40_001));
    const taken = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, localPort: 40_000 });
    expect(engine.transmit(1000).length).toBe(1);
    const peer = new Peer(engine, { peerPort: 80 });
    const connection = open(engine);
    expect(connection.localPort).toBe(40_001);
    peer.enginePort = 40_001;
    peer.expect({ flags: "S" });
    taken.abort();
    timeWait(peer, connection);
    expect(open(engine).localPort).toBe(40_000);
    expect(() => open(engine)).toThrow("EADDRNOTAVAIL");
    // Another destination is another matter.
    expect([40_000, 40_001]).toContain(open(engine, "192.0.2.3").localPort);
    peer.wait(MINUTE);
    expect(open(engine).localPort).toBe(40_001);
  });

  it("[seed-13] are 28,232 for a destination, then none", async () => {
    const engine = await makeEngine({ memory: 64 * 2 ** 20 });
    const ports = new Set<number>();
    for (let i = 0; i < 28_232; i++) ports.add(open(engine).localPort);
    expect(ports.size).toBe(28_232);
    expect(() => open(engine)).toThrow("EADDRNOTAVAIL");
    expect(open(engine, "192.0.2.2", 81).state).toBe("SYN-SENT");
  });
});

describe("initial sequence numbers", () => {
  it("[1948-1] [seed-15] are M + MD5 over the tuple and the first half of the seed", async () => {
    const engine = await makeEngine({ seed: seed(5) });
    engine.listen({ port: 80 });
    for (const [local, remote] of [
      ["192.0.2.1", "192.0.2.2"],
      ["2001:db8::1", "2001:db8::2"],
    ] as const) {
      const peer = new Peer(engine, { engineAddress: local, peerAddress: remote, now: 5000 });
      peer.send({ flags: "S" });
      peer.expect({ flags: "SA" });
      const port = (n: number) => [n >> 8, n & 255];
      const input = [
        ...addressOctets(local),
        ...port(80),
        ...addressOctets(remote),
        ...port(40_000),
        ...seed(5).subarray(0, 16),
      ];
      const f = createHash("md5").update(Uint8Array.from(input)).digest().readUInt32BE(0);
      expect(peer.engineIss).toBe((f + 5_000_000 / 4) % 2 ** 32);
    }
  });

  it("[6528-5] take their secret from the platform's generator when no seed is given", async () => {
    const octets = seed(9);
    const random = vi.spyOn(crypto, "getRandomValues").mockImplementation((into) => {
      (into as unknown as Uint8Array).set(octets);
      return into;
    });
    const issOf = async (given: Uint8Array | undefined) => {
      const { createEngine } = await import("../../bindings/engine.ts");
      const engine = await createEngine({
        addresses: ["192.0.2.1"],
        memory: 4 * 2 ** 20,
        ...(given && { seed: given }),
      });
      engine.listen({ port: 80 });
      const peer = new Peer(engine);
      peer.send({ flags: "S" });
      peer.expect({ flags: "SA" });
      return peer.engineIss;
    };
    const drawn = await issOf(undefined);
    expect(random).toHaveBeenCalledOnce();
    expect((random.mock.calls[0]![0] as unknown as Uint8Array).length).toBe(32);
    expect(drawn).toBe(await issOf(octets));
    expect(drawn).not.toBe(await issOf(seed(10)));
    expect(random).toHaveBeenCalledOnce();
  });
});

describe("SYN and accept queues", () => {
  it("[4987-1] [4987-4] keep as many as are set, each in less than a kilobyte", async () => {
    const engine = await makeEngine({
      memory: 2 * 2 ** 20,
      settings: { tcpMaxSynBacklog: 1000, tcpSyncookies: 0 },
    });
    engine.listen({ port: 80 });
    let answered = 0;
    for (let i = 0; i < 1200; i++) {
      const peer = new Peer(engine, { peerPort: 1000 + i });
      peer.send({ flags: "S" });
      answered += peer.take().filter(({ flags }) => flags === "SA").length;
    }
    expect(answered).toBe(1000);
    expect(engine.connections().length).toBe(1000);
    // The first is as good as the last.
    const first = new Peer(engine, { peerPort: 1000 });
    first.send({ flags: "S" });
    expect(first.expect({ flags: "SA", ack: 1 }).srcPort).toBe(80);
  });

  it("[4987-6] hold connections rather than send cookies while there is room", async () => {
    const engine = await makeEngine({ settings: { tcpMaxSynBacklog: 2 } });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460, ws: 7 } });
    // A cookie could not remember the window scale, nor come again by itself.
    expect(peer.expect({ flags: "SA" }).options.ws).toBeDefined();
    peer.wait(SECOND);
    peer.expect({ flags: "SA" });
    peer.send({ seq: 1, ack: 1 });
    expect(listener.accept()!.info().sndWscale).toBe(7);
    expect(engine.counters().SyncookiesSent).toBe(0);
  });

  it("[4987-2] give up half-open connections sooner when told to", async () => {
    const engine = await makeEngine({ settings: { tcpSynackRetries: 1 } });
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    peer.wait(2999);
    peer.expect({ flags: "SA" });
    expect(engine.connections().length).toBe(1);
    peer.wait(1);
    expect(engine.connections()).toEqual([]);
    peer.silence();
  });

  it("[seed-7] reset what finds no room, if tcpAbortOnOverflow says so", async () => {
    const engine = await makeEngine({ settings: { tcpAbortOnOverflow: 1 } });
    const listener = engine.listen({ port: 80, backlog: 0 });
    const [first, second] = [new Peer(engine, { peerPort: 1 }), new Peer(engine, { peerPort: 2 })];
    for (const peer of [first, second]) {
      peer.send({ flags: "S" });
      peer.expect({ flags: "SA" });
    }
    first.send({ seq: 1, ack: 1 });
    first.silence();
    second.send({ seq: 1, ack: 1 });
    expect(second.expect({ seq: 1 }).flags).toContain("R");
    expect(engine.connections().length).toBe(1);
    expect(listener.accept()!.remotePort).toBe(1);
    expect(listener.accept()).toBeUndefined();
  });
});

describe("challenge ACKs", () => {
  it("[5961-8] are as many a second as is set", async () => {
    const { peer } = await connected({ engine: { settings: { tcpChallengeAckLimit: 2 } } });
    for (let second = 0; second < 3; second++) {
      for (let i = 0; i < 20; i++) peer.send({ flags: "R", seq: 10 });
      expect(peer.take().length).toBe(2);
      peer.wait(SECOND);
    }
  });
});

describe("TIME-WAIT", () => {
  it("[1337-2] is not ended by a reset if tcpRfc1337 says so, else it is", async () => {
    const plain = await connected();
    timeWait(plain.peer, plain.connection);
    plain.peer.send({ flags: "R", seq: 2 });
    plain.peer.silence();
    expect(plain.engine.connections()).toEqual([]);

    const { peer, connection, engine } = await connected({ engine: { settings: { tcpRfc1337: 1 } } });
    timeWait(peer, connection);
    peer.send({ flags: "R", seq: 2 });
    peer.send({ flags: "RA", seq: 2, ack: 2 });
    peer.silence();
    peer.wait(MINUTE - 1);
    expect(engine.connections().length).toBe(1);
    peer.wait(1);
    expect(engine.connections()).toEqual([]);
  });
});

describe("keepalive", () => {
  it.each([0, 1])(
    "[1122-2] a probe with %i octets of garbage is answered, whether we probe or not",
    async (octets) => {
      const { peer, connection } = await connected();
      peer.send({ seq: 1, ack: 1, text: "hello" });
      peer.take();
      for (let i = 0; i < 3; i++) {
        peer.wait(60 * MINUTE);
        peer.send({ seq: 5, ack: 1, text: "?".repeat(octets) });
        peer.expect({ flags: "A", seq: 1, ack: 6, text: 0 });
        peer.silence();
      }
      expect(connection.readable).toBe(5);
    },
  );

  it("[seed-16] [1122-3] [9293-MAY-5] asks after 7200 s, nine times 75 s apart, and gives up at 7875 s", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    const start = peer.now;
    for (let i = 0; i < 9; i++) {
      const probe = peer.expectWithin(7200 * SECOND, { flags: "A", seq: 0, ack: 1, text: 0 });
      expect(probe.at - start).toBe((7200 + 75 * i) * SECOND);
      expect(connection.state).toBe("ESTABLISHED");
    }
    peer.waitUntil(start + 7875 * SECOND - 1);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(1);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("[seed-17] [1122-4] endures lost answers; one of nine is enough", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    for (let i = 0; i < 9; i++) peer.expectWithin(7200 * SECOND, { seq: 0 });
    peer.send({ seq: 1, ack: 1 });
    const answered = peer.now;
    expect(peer.expectWithin(7200 * SECOND, { seq: 0 }).at - answered).toBe(7200 * SECOND);
    expect(connection.state).toBe("ESTABLISHED");
  });
});

describe("user timeout", () => {
  it("[9293-MUST-21] [9293-X-15] is a connection's own", async () => {
    const { peer, connection, engine, listener } = await connected();
    const other = new Peer(engine, { peerPort: 40_001, now: peer.now });
    const patient = other.connect(listener);
    connection.setOption("userTimeout", 10 * SECOND);
    for (const each of [connection, patient]) each.write(Buffer.from("hello?"));
    peer.flush();
    peer.wait(10 * SECOND - 1);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(1);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    peer.wait(10 * MINUTE);
    expect(patient.state).toBe("ESTABLISHED");
  });
});

/** Close a connection that is open, or being opened, first. */
function timeWait(peer: Peer, connection: Connection): void {
  if (connection.state === "SYN-SENT") {
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    peer.take();
  }
  connection.shutdown();
  peer.expect({ flags: "FA", seq: 1 });
  peer.send({ flags: "FA", seq: 1, ack: 2 });
  peer.expect({ flags: "A", seq: 2, ack: 2 });
  expect(connection.state).toBe("TIME-WAIT");
}
