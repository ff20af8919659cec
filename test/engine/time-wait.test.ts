import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection, Engine, EngineOptions } from "../../bindings/types.ts";
import { icmp } from "../support/datagrams.ts";
import { atEnd, debugModule, makeEngine, readAll } from "../support/engine.ts";
import { build, parse } from "../support/packet.ts";
import { Peer, type Sent } from "../support/peer.ts";
import { slotsTaken } from "../support/slots.ts";

const MINUTE = 60_000;
/** The keeper of the list has a slot of its own. */
const KEEPER = 1;

/** A host that grants every connection and closes when it is told to: answers until nothing more is said. */
function answer(engine: Engine, now: number): void {
  for (let packets = engine.transmit(now); packets.length > 0; packets = engine.transmit(now)) {
    const answers: Uint8Array[] = [];
    for (const octets of packets) {
      const { src, dst, srcPort, dstPort, seq, ack, flags } = parse(octets);
      const back = { src: dst, dst: src, srcPort: dstPort, dstPort: srcPort };
      if (flags === "S") answers.push(build({ ...back, flags: "SA", seq: 7, ack: seq + 1 }));
      else if (flags.includes("F")) answers.push(build({ ...back, flags: "FA", seq: ack, ack: seq + 1 }));
    }
    engine.receive(answers, now);
    engine.poll();
  }
}

const to = (index: number) => ({ remoteAddress: "192.0.2.2", remotePort: 1 + index });

/** So many connections that were closed by us and by the peer, one crowd after the other. */
function closeMany(engine: Engine, count: number, now: number, to: (i: number) => { remotePort: number }) {
  for (let done = 0; done < count; ) {
    const crowd: Connection[] = [];
    for (; crowd.length < 500 && done < count; done++)
      crowd.push(engine.connect({ remoteAddress: "192.0.2.2", ...to(done) }));
    answer(engine, now);
    for (const connection of crowd) connection.close();
    answer(engine, now);
  }
}

/** A connection of ours in TIME-WAIT. `read`: whether what the peer had sent was read, which lets go of it. */
async function timeWait(options: { engine?: EngineOptions; syn?: Sent; text?: number; read?: boolean } = {}) {
  const { text = 0, read = true } = options;
  const engine = await makeEngine(options.engine);
  const peer = new Peer(engine, { peerPort: 80 });
  const connection = peer.accept(options.syn);
  const ts = peer.trace.length && options.syn?.options?.ts;
  const stamp = ts ? { options: { ts: [ts[0] + 1, 0] as [number, number] } } : {};
  for (let at = 0; at < text; at += 1000)
    peer.send({ seq: 1 + at, ack: 1, text: "x".repeat(Math.min(1000, text - at)), ...stamp });
  connection.shutdown();
  peer.flush();
  peer.send({ flags: "FA", seq: 1 + text, ack: 2, ...stamp });
  peer.take();
  expect(connection.state).toBe("TIME-WAIT");
  if (read) {
    expect(readAll(connection).length).toBe(text);
    expect(atEnd(connection)).toBe(true);
  }
  peer.silence();
  return { engine, peer, connection, rcvNxt: 2 + text, stamp };
}

describe("a TIME-WAIT that nobody holds", () => {
  it("[seed-11] costs a quarter of a slot, and nothing once it is over", async () => {
    const engine = await makeEngine({ memory: 8 * 2 ** 20, wasm: await debugModule() });
    closeMany(engine, 10_000, 1000, to);
    expect(engine.connections().length).toBe(10_000);
    expect(new Set(engine.connections().map(({ info }) => info.state))).toEqual(new Set(["TIME-WAIT"]));
    expect(slotsTaken(engine) * 512).toBeLessThanOrEqual(10_000 * 128 + KEEPER * 512);
    engine.advance(1000 + MINUTE - 1);
    expect(engine.connections().length).toBe(10_000);
    engine.advance(1000 + MINUTE);
    expect(engine.connections()).toEqual([]);
    expect(slotsTaken(engine)).toBe(KEEPER);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("[seed-13] [seed-14] [6056-4] keeps its port: 28,232 towards one destination in memory that so many TCBs had no place in", async () => {
    const engine = await makeEngine({ memory: 8 * 2 ** 20 });
    const one = { remoteAddress: "192.0.2.2", remotePort: 80 };
    closeMany(engine, 28_232, 1000, () => one);
    expect(slotsTaken(engine)).toBe(28_232 / 4 + KEEPER);
    expect(() => engine.connect(one)).toThrow("EADDRNOTAVAIL");
    // Looking for a port in vain has cost nothing.
    expect(slotsTaken(engine)).toBe(28_232 / 4 + KEEPER);
    expect(engine.connect({ ...one, remotePort: 81 }).state).toBe("SYN-SENT");
    engine.advance(1000 + MINUTE - 1);
    expect(() => engine.connect(one)).toThrow("EADDRNOTAVAIL");
    engine.advance(1000 + MINUTE);
    expect(engine.connect(one).state).toBe("SYN-SENT");
  });

  it("is one of four that give their slot back when the last of them is over", async () => {
    const engine = await makeEngine({ wasm: await debugModule() });
    const peers = Array.from({ length: 9 }, (_, i) => new Peer(engine, { peerPort: 100 + i, now: 1000 + i }));
    for (const peer of peers) {
      const connection = peer.accept();
      connection.close();
      peer.expect({ flags: "FA" });
      peer.send({ flags: "FA", seq: 1, ack: 2 });
      peer.expect({ flags: "A" });
    }
    expect(slotsTaken(engine)).toBe(3 + KEEPER);
    // Three of the second slot end; the fourth is kept, and their places are taken again.
    const [fifth] = peers.slice(4, 5);
    fifth!.now = 1009;
    fifth!.send({ flags: "FA", seq: 1, ack: 2 });
    fifth!.expect({ flags: "A" });
    engine.advance(1008 + MINUTE);
    expect(engine.connections().map(({ remotePort }) => remotePort)).toEqual([104]);
    expect(slotsTaken(engine)).toBe(1 + KEEPER);
    const late = new Peer(engine, { peerPort: 200, now: 1008 + MINUTE });
    late.accept().close();
    late.expect({ flags: "FA" });
    late.send({ flags: "FA", seq: 1, ack: 2 });
    late.expect({ flags: "A" });
    expect(slotsTaken(engine)).toBe(1 + KEEPER);
    engine.advance(1009 + MINUTE);
    expect(engine.connections().map(({ remotePort }) => remotePort)).toEqual([200]);
    engine.advance(1008 + 2 * MINUTE);
    expect(slotsTaken(engine)).toBe(KEEPER);
  });

  it("is still what the handle tells of, until it is over", async () => {
    for (const address of ["192.0.2.2", "2001:db8::2"]) {
      const engine = await makeEngine();
      const peer = new Peer(engine, {
        peerPort: 80,
        peerAddress: address,
        engineAddress: address.includes(":") ? "2001:db8::1" : "192.0.2.1",
      });
      const connection = peer.accept();
      connection.close();
      peer.expect({ flags: "FA" });
      peer.send({ flags: "FA", seq: 1, ack: 2 });
      peer.expect({ flags: "A" });
      expect(slotsTaken(engine)).toBe(1 + KEEPER);
      expect(connection.state).toBe("TIME-WAIT");
      expect(connection.info().state).toBe("TIME-WAIT");
      const { localAddress, localPort, remoteAddress, remotePort, info } = engine.connections()[0]!;
      expect(info.state).toBe("TIME-WAIT");
      for (const [name, value] of Object.entries({ localAddress, localPort, remoteAddress, remotePort }))
        expect(value).toBe(connection[name as "localPort"]);
      expect(connection.readable + connection.writable + connection.unacked).toBe(0);
      expect(() => connection.write(Buffer.from("x"))).toThrow("EPIPE");
      // Told when it began, and not again.
      expect(peer.eventTypes()).toEqual(["closed"]);
      expect(engine.nextDeadline()).toBe(peer.now + MINUTE);
      peer.wait(MINUTE - 1);
      expect(connection.state).toBe("TIME-WAIT");
      peer.wait(1);
      expect(connection.state).toBe("CLOSED");
      expect(peer.eventTypes()).toEqual([]);
      // What takes its place is not taken for it.
      const next = engine.connect({ remoteAddress: address, remotePort: 80, localPort });
      expect([next.state, connection.state]).toEqual(["SYN-SENT", "CLOSED"]);
    }
  });

  it("is not another's: a handle of the same addresses and ports tells of its own", async () => {
    const { engine, peer, connection } = await timeWait({
      engine: { settings: { tcpTwReuse: 1 } },
      syn: STAMPED,
    });
    peer.wait(1000);
    const { localPort, remoteAddress, remotePort } = connection;
    const second = engine.connect({ localPort, remoteAddress, remotePort });
    expect([second.state, connection.state]).toEqual(["SYN-SENT", "CLOSED"]);
    const syn = peer.expect({ flags: "S" });
    expect(syn.seq).toBeGreaterThan(2);
    peer.send({ flags: "SA", seq: 100_000, ack: syn.seq + 1 });
    peer.take();
    second.close();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 100_001, ack: syn.seq + 2 });
    peer.expect({ flags: "A" });
    expect([second.state, connection.state]).toEqual(["TIME-WAIT", "CLOSED"]);
    connection.abort();
    expect(second.state).toBe("TIME-WAIT");
  });

  it("ends with an abort, without a word", async () => {
    const { engine, peer, connection } = await timeWait();
    connection.close();
    connection.abort();
    peer.silence();
    expect(connection.state).toBe("CLOSED");
    expect(slotsTaken(engine)).toBe(KEEPER);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("is not concerned by what ICMP says", async () => {
    const { engine, peer, connection } = await timeWait();
    const { src, dst, octets } = (() => {
      peer.send({ flags: "FA", seq: 1, ack: 2 });
      return peer.expect({ flags: "A" });
    })();
    const before = { ...engine.counters() };
    for (const [type, code] of [
      [3, 1],
      [3, 3],
      [3, 4],
      [11, 0],
      [12, 0],
    ])
      peer.deliver(icmp({ src: "203.0.113.1", dst: src }, type!, code!, 600, octets.subarray(0, 28)));
    peer.silence();
    expect(dst).toBe("192.0.2.2");
    expect(connection.state).toBe("TIME-WAIT");
    const { IcmpInErrors, OutOfWindowIcmps, OutSegs } = engine.counters();
    expect({ IcmpInErrors, OutOfWindowIcmps, OutSegs }).toEqual({
      IcmpInErrors: before.IcmpInErrors,
      OutOfWindowIcmps: 0,
      OutSegs: before.OutSegs,
    });
    expect(engine.nextDeadline()).toBe(peer.now + MINUTE);
  });

  it("keeps its TCB where there is no memory for anything else", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20, wasm: await debugModule() });
    const peer = new Peer(engine, { peerPort: 80 });
    const connection = peer.accept();
    expect(() => {
      for (let port = 1000; port < 65_536; port++) engine.listen({ port });
    }).toThrow("ENOMEM");
    const before = slotsTaken(engine);
    connection.close();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 1, ack: 2 });
    peer.expect({ flags: "A" });
    expect(slotsTaken(engine)).toBe(before);
    peer.wait(MINUTE - 1);
    expect(connection.state).toBe("TIME-WAIT");
    expect(peer.eventTypes().filter((type) => type === "closed").length).toBe(1);
    peer.wait(1);
    expect(connection.state).toBe("CLOSED");
    expect(peer.eventTypes()).toEqual([]);
  });

  it("ends in its time although it comes late among those that end later", async () => {
    const engine = await makeEngine({ wasm: await debugModule() });
    // Three that are held, with text unread, while others come: few, few, and too many to go past.
    const held = [1, 2, 3].map((i) => {
      const peer = new Peer(engine, { peerPort: i, now: 1000 * i });
      const connection = peer.accept();
      connection.shutdown();
      peer.expect({ flags: "FA" });
      peer.send({ flags: "FA", seq: 1, ack: 2, text: "unread" });
      peer.take();
      return { peer, connection };
    });
    for (let i = 0; i < 80; i++) {
      closeMany(engine, 1, 4000 + i, () => to(100 + i));
      if (i === 1) held[2]!.connection.close();
      if (i === 3) held[1]!.connection.close();
    }
    answer(engine, 5000);
    expect(slotsTaken(engine)).toBe(1 + Math.ceil(82 / 4) + KEEPER);
    held[0]!.connection.close();
    answer(engine, 5000);
    expect(slotsTaken(engine)).toBe(1 + Math.ceil(82 / 4) + KEEPER);
    const ends: [number, number][] = [];
    for (let next = engine.nextDeadline(); next !== undefined; next = engine.nextDeadline()) {
      const before = engine.connections().map(({ remotePort }) => remotePort);
      engine.advance(next);
      const after = new Set(engine.connections().map(({ remotePort }) => remotePort));
      for (const port of before) if (!after.has(port)) ends.push([port, next]);
    }
    expect(ends.slice(0, 3)).toEqual([1, 2, 3].map((i) => [i, 1000 * i + MINUTE]));
    expect(ends.slice(3).map(([, at]) => at)).toEqual(
      Array.from({ length: 80 }, (_, i) => 4000 + i + MINUTE),
    );
    expect(slotsTaken(engine)).toBe(KEEPER);
  });
});

const STAMPED: Sent = { options: { mss: 1460, ts: [1000, 0] } };

describe("tcpMaxTwBuckets", () => {
  it("bounds them, brief or not: those beyond end at once, with their last ACK", async () => {
    const engine = await makeEngine({ settings: { tcpMaxTwBuckets: 2 }, wasm: await debugModule() });
    const end = (port: number, text = "") => {
      const peer = new Peer(engine, { peerPort: port });
      const connection = peer.accept(STAMPED);
      connection.shutdown();
      peer.expect({ flags: "FA" });
      peer.send({ flags: "FA", seq: 1, ack: 2, text, options: { ts: [1001, 0] } });
      const { options } = peer.expect({ flags: "A", seq: 2, ack: 2 + text.length });
      expect(options.ts?.[1]).toBe(1001);
      peer.silence();
      expect(peer.eventTypes()).toContain("closed");
      return { connection, peer };
    };
    // The first is held, for it has something to read.
    const first = end(1, "text").connection;
    expect([first.state, end(2).connection.state]).toEqual(["TIME-WAIT", "TIME-WAIT"]);
    const { connection, peer } = end(3, "text");
    expect(connection.state).toBe("CLOSED");
    expect(engine.counters().TCPTimeWaitOverflow).toBe(1);
    expect(readAll(connection).toString()).toBe("text");
    expect(atEnd(connection)).toBe(true);
    expect(connection.error).toBeUndefined();
    peer.send({ flags: "FA", seq: 1, ack: 2 });
    peer.expect({ flags: "R" });
    // One leaves, one may come.
    first.abort();
    expect(end(4).connection.state).toBe("TIME-WAIT");
    expect(end(5).connection.state).toBe("CLOSED");
    peer.wait(MINUTE);
    expect(end(6).connection.state).toBe("TIME-WAIT");
    expect(engine.counters().TCPTimeWaitOverflow).toBe(2);
  });

  it("of 0 means none, after CLOSING too", async () => {
    const engine = await makeEngine({ settings: { tcpMaxTwBuckets: 0 } });
    const peer = new Peer(engine, { peerPort: 80 });
    const connection = peer.accept();
    connection.close();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 1, ack: 1 }, { seq: 2, ack: 2 });
    peer.expect({ flags: "A", seq: 2, ack: 2 });
    peer.silence();
    expect(connection.state).toBe("CLOSED");
    expect(slotsTaken(engine)).toBe(0);
  });
});

describe("TIME-WAIT", () => {
  it.each([true, false])("tells a peer that is ahead of its own FIN where it is (read: %s)", async (read) => {
    const { peer } = await timeWait({ text: 10, read });
    // The very next number says nothing new.
    peer.send({ seq: 12, ack: 2 });
    peer.silence();
    peer.send({ seq: 13, ack: 2 });
    peer.expect({ flags: "A", seq: 2, ack: 12 });
    peer.send({ flags: "R", seq: 13 });
    peer.expect({ flags: "A", seq: 2, ack: 12 });
  });
});

describe("a brief TIME-WAIT does what a full one does", () => {
  const near = (spread: number) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: -3, max: 3 }) },
      { weight: 2, arbitrary: fc.integer({ min: -spread, max: spread }) },
      { weight: 1, arbitrary: fc.integer({ min: -0x7fffffff, max: 0x7fffffff }) },
    );
  const segment = fc.record({
    flags: fc.constantFrom("A", "FA", "F", "S", "SA", "R", "RA", "PA", "FPA", "", "SF", "SFA", "P"),
    seq: near(70_000),
    ack: near(70_000),
    text: fc.constantFrom(0, 0, 0, 1, 2, 1000),
    stamp: fc.constantFrom(undefined, undefined, -1, 0, 0, 1, 2, 0x7fffffff, 0x80000000),
    again: fc.constantFrom(1, 1, 1, 15),
  });
  const pause = fc.constantFrom(1, 400, 999, 1000, 30_000, MINUTE - 1, MINUTE, 25 * 86_400_000);
  const event = fc.oneof({ weight: 8, arbitrary: segment }, { weight: 2, arbitrary: pause });
  type Happening = typeof event extends fc.Arbitrary<infer T> ? T : never;
  const situation = fc.record({
    tcpTimestamps: fc.constantFrom(0, 1),
    ws: fc.constantFrom(undefined, undefined, 0, 7),
    sackPermitted: fc.constantFrom(undefined, true as const),
    // What fills the small buffer but for the FIN shuts the window, and a little less makes it narrow.
    text: fc.constantFrom(1, 3000, 3500, 4095),
    rmem: fc.constantFrom(4096, 4096, 131_072),
    limit: fc.constantFrom(10, 3),
    tcpRfc1337: fc.constantFrom(0, 1, 1),
    six: fc.boolean(),
    hops: fc.constantFrom(undefined, 9),
    // While both are held, and when only one is.
    before: fc.array(segment, { maxLength: 3 }),
    events: fc.array(event, { maxLength: 40 }),
  });

  it("[9293-X-16] [seed-12] [1337-2] segment for segment", async () => {
    const wasm = await debugModule();
    await fc.assert(
      fc.asyncProperty(situation, async ({ events, ...given }) => {
        const settings = {
          tcpTimestamps: given.tcpTimestamps,
          tcpRfc1337: given.tcpRfc1337,
          tcpRmem: [4096, given.rmem, Math.max(given.rmem, 6_291_456)] as [number, number, number],
          tcpChallengeAckLimit: given.limit,
        };
        const addresses = given.six ? { peerAddress: "2001:db8::2", engineAddress: "2001:db8::1" } : {};
        const make = async () => {
          const engine = await makeEngine({ memory: 2 * 2 ** 20, settings, wasm });
          const peer = new Peer(engine, { peerPort: 80, ...addresses });
          const { ws, sackPermitted } = given;
          const options = {
            mss: 1460,
            ts: [1000, 0] as [number, number],
            ...(ws !== undefined && { ws }),
            ...(sackPermitted && { sackPermitted }),
          };
          const connection = peer.accept({ options });
          if (given.hops) connection.setOption("hopLimit", given.hops);
          const clock = { options: { ts: [1001, 0] as [number, number] } };
          for (let at = 0; at < given.text; at += 1000)
            peer.send({ seq: 1 + at, ack: 1, text: "x".repeat(Math.min(1000, given.text - at)), ...clock });
          connection.shutdown();
          peer.flush();
          peer.send({ flags: "FA", seq: 1 + given.text, ack: 2, ...clock });
          peer.take();
          expect(connection.state).toBe("TIME-WAIT");
          return { engine, peer, connection };
        };
        const full = await make();
        const brief = await make();
        const happen = (happens: Happening) => {
          for (const { peer } of [full, brief]) {
            if (typeof happens === "number") peer.wait(happens);
            else {
              const { flags, seq, ack, text, stamp, again } = happens;
              const sent: Sent = {
                flags,
                seq: 2 + given.text + seq,
                ack: 2 + ack,
                text: "y".repeat(text),
                ...(stamp === undefined ? {} : { options: { ts: [(1001 + stamp) >>> 0, 5] } }),
              };
              for (let i = 0; i < again; i++) peer.send(sent);
            }
          }
          expect(brief.peer.trace).toEqual(full.peer.trace);
          const octets = ({ peer }: typeof full) => peer.take().map(({ octets }) => octets);
          expect(octets(brief)).toEqual(octets(full));
          expect(brief.engine.nextDeadline()).toBe(full.engine.nextDeadline());
          expect(brief.engine.counters()).toEqual(full.engine.counters());
          expect(brief.connection.state).toBe(full.connection.state);
        };
        given.before.forEach(happen);
        readAll(brief.connection);
        expect(atEnd(brief.connection)).toBe(true);
        brief.peer.silence();
        const over = brief.connection.state === "CLOSED";
        expect(over && given.tcpRfc1337).toBeFalsy();
        expect(slotsTaken(brief.engine)).toBe(over ? 0 : 1 + KEEPER);
        events.forEach(happen);
      }),
      { numRuns: 250, seed: 1337 },
    );
  });

  it("[9293-MAY-2] [6191-1] a new SYN takes its place, above its numbers", async () => {
    for (const stamped of [false, true]) {
      const engine = await makeEngine();
      const listener = engine.listen({ port: 80 });
      const peer = new Peer(engine);
      const connection = peer.connect(listener, stamped ? STAMPED : {});
      connection.close();
      peer.expect({ flags: "FA" });
      peer.send({ flags: "FA", seq: 1, ack: 2, ...(stamped ? { options: { ts: [1001, 0] } } : {}) });
      peer.expect({ flags: "A" });
      expect(slotsTaken(engine)).toBe(2 + KEEPER);
      const iss = stamped ? peer.iss - 1000 : peer.iss + 1000;
      const again = new Peer(engine, { now: peer.now, iss });
      again.send({ flags: "S", options: stamped ? { ts: [1002, 0] } : {} });
      again.expect({ flags: "SA", ack: 1 });
      expect((again.engineIss - peer.engineIss) | 0).toBeGreaterThan(2);
      expect(engine.counters().TWRecycled).toBe(1);
      expect(engine.connections().map(({ info }) => info.state)).toEqual(["SYN-RECEIVED"]);
      expect(connection.state).toBe("CLOSED");
    }
  });
});
