import { describe, expect, it } from "vitest";
import type { Settings } from "../../bindings/settings.ts";
import { connected } from "../support/connected.ts";
import { makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const MIB = 2 ** 20;
const TEXT = randomOctets(MIB, 1);

/** A connection to a peer that takes all, a round trip away. */
async function opened(settings: Partial<Settings> = {}, memory = 64 * MIB) {
  const got = await connected({
    engine: { settings, memory },
    syn: { options: { mss: 1460, ws: 10 } },
    window: 65_535,
  });
  const { peer, connection } = got;
  let end = 1;
  /** Take what is sent; its octets. */
  const take = () => {
    const before = end;
    for (const { seq, text } of peer.take()) end = Math.max(end, seq + text.length);
    return end - before;
  };
  /** Acknowledge all that was sent, a while later. */
  const acknowledge = () => {
    take();
    peer.wait(50);
    peer.send({ seq: 1, ack: end, window: 65_535 });
  };
  const writable = () => peer.eventTypes().includes("writable");
  return { ...got, connection, take, acknowledge, writable };
}

describe("the send buffer", () => {
  it("grows with the congestion window from tcpWmem's default, and no further than its maximum", async () => {
    const { connection, acknowledge, writable } = await opened({ tcpWmem: [4096, 40_000, 500_000] });
    expect(connection.write(TEXT)).toBe(40_000);
    for (let before = 40_000, i = 0; i < 8; i++) {
      acknowledge();
      expect(writable()).toBe(true);
      connection.write(TEXT);
      const { sndCwnd, sndMss } = connection.info();
      const wanted = Math.min(Math.max(40_000, 2 * sndCwnd * sndMss), 500_000);
      expect(connection.unacked).toBeGreaterThanOrEqual(wanted);
      expect(connection.unacked).toBeLessThan(Math.min(wanted + 2 * sndMss, 500_001));
      expect(connection.unacked).toBeGreaterThanOrEqual(before);
      before = connection.unacked;
    }
    expect(connection.unacked).toBe(500_000);
  });

  it("is what the user sets, whatever the congestion window", async () => {
    const { connection, acknowledge, writable } = await opened();
    connection.setOption("sendBuffer", 40_000);
    for (let i = 0; i < 6; i++) {
      connection.write(TEXT);
      expect(connection.unacked).toBe(40_000);
      acknowledge();
      expect(writable()).toBe(true);
    }
    connection.setOption("sendBuffer", 5 * MIB);
    for (let i = 0; i < 5; i++) expect(connection.write(TEXT)).toBe(MIB);
  });

  it("opens for a writer that was refused when it is made larger", async () => {
    const { connection, writable } = await opened();
    expect(connection.write(TEXT)).toBeLessThan(MIB);
    expect(writable()).toBe(false);
    connection.setOption("sendBuffer", 3 * MIB);
    expect(writable()).toBe(true);
    expect(connection.write(TEXT)).toBe(MIB);
  });

  it("is that of the listener for the connections that begin with it", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    listener.setOption("sendBuffer", 30_000);
    const first = new Peer(engine).connect(listener);
    first.setOption("sendBuffer", 20_000);
    const second = new Peer(engine, { peerPort: 40_001 }).connect(listener);
    listener.close();
    expect([first, second].map((connection) => connection.write(TEXT))).toEqual([20_000, 30_000]);
    expect(second.write(TEXT)).toBe(0);
  });
});

it("what a listener remembers of it is given back with the listener", async () => {
  const engine = await makeEngine({ memory: 2 * MIB });
  const peer = new Peer(engine);
  for (let i = 0; i < 5000; i++) {
    const listener = engine.listen({ port: 80 });
    listener.setOption("sendBuffer", 20_000);
    listener.close();
    peer.flush();
  }
});

describe("the limit of what may wait to be sent", () => {
  const tcpWmem = [4096, MIB, 4 * MIB] as const;

  it.each([
    ["by tcpNotsentLowat", { tcpNotsentLowat: 16_384 }, undefined],
    ["by the option", {}, 16_384],
    ["by the option before the setting", { tcpNotsentLowat: 1000 }, 16_384],
  ])(
    "bounds what is written and not sent %s, and wakes the writer when half is left",
    async (_, settings, own) => {
      const { connection, take, acknowledge, writable, peer } = await opened({ tcpWmem, ...settings });
      if (own) connection.setOption("notsentLowat", own);
      // Ten segments go at once, and leave room.
      expect(connection.write(TEXT)).toBe(16_384);
      expect(writable()).toBe(true);
      expect(connection.write(TEXT)).toBe(14_600);
      expect(connection.info().notsentBytes).toBe(16_384);
      expect(take()).toBe(14_600);
      expect(writable()).toBe(false);
      let refused = connection.write(TEXT) === 0;
      for (let i = 0; i < 8; i++) {
        expect(refused).toBe(true);
        acknowledge();
        // What the ACK let go counts: the writer hears of it in the same turn.
        expect(connection.info().notsentBytes).toBeLessThanOrEqual(16_383 >> 1);
        expect(writable()).toBe(true);
        while (connection.write(TEXT) > 0) {
          expect(connection.info().notsentBytes).toBeLessThanOrEqual(16_384);
          peer.flush();
        }
        refused = true;
        expect(connection.info().notsentBytes).toBeGreaterThan(16_383 >> 1);
      }
      // The buffer itself goes on growing.
      expect(connection.unacked).toBeGreaterThan(500_000);
    },
  );

  it("does not wake the writer as long as more than half of it waits", async () => {
    const { connection, peer, take, writable } = await opened({ tcpWmem, tcpNotsentLowat: 29_200 });
    connection.write(TEXT);
    take();
    writable();
    connection.write(TEXT);
    expect(connection.info().notsentBytes).toBe(29_200);
    // Each brings two more segments, in slow start.
    for (let i = 1; i <= 5; i++) {
      peer.send({ seq: 1, ack: 1 + i * 1460, window: 65_535 });
      expect(connection.info().notsentBytes).toBe(29_200 - i * 2 * 1460);
      expect(writable()).toBe(false);
    }
    peer.send({ seq: 1, ack: 1 + 6 * 1460, window: 65_535 });
    expect(writable()).toBe(true);
  });

  it("of one octet means that all before has been sent, not that octets go one by one", async () => {
    const { connection, take, acknowledge, writable } = await opened();
    connection.setOption("notsentLowat", 1);
    expect(connection.write(TEXT)).toBe(8192);
    expect(connection.write(TEXT)).toBe(0);
    expect(take()).toBe(8192);
    expect(writable()).toBe(true);
    expect(connection.write(TEXT)).toBe(8192);
    // Four of ten segments are left to the congestion window, and a small one waits for the others.
    expect(take()).toBeLessThan(8192);
    expect(writable()).toBe(false);
    acknowledge();
    expect(writable()).toBe(true);
  });

  it("wakes nobody for memory that others give back", async () => {
    const { engine, listener, peer, connection, take, writable } = await opened({
      tcpWmem,
      tcpNotsentLowat: 29_200,
    });
    const other = new Peer(engine, { peerPort: 40_001 }).connect(listener);
    connection.write(TEXT);
    take();
    writable();
    connection.write(TEXT);
    expect(connection.info().notsentBytes).toBe(29_200);
    other.write(TEXT);
    take();
    // There is a little room again, not worth being woken for.
    peer.send({ seq: 1, ack: 1 + 1460, window: 65_535 });
    expect(connection.writable).toBe(2 * 1460);
    other.abort();
    expect(writable()).toBe(false);
  });

  it("is inherited from a listener, and 0 is the setting's again", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    listener.setOption("notsentLowat", 9000);
    const connection = new Peer(engine).connect(listener);
    expect(connection.write(TEXT)).toBe(9000);
    connection.setOption("notsentLowat", 0);
    expect(connection.write(TEXT)).toBe(29_200 - 9000);
  });

  it("is refused where there is no memory left to remember it", async () => {
    const engine = await makeEngine({ memory: 2 * MIB });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    const connection = peer.connect(listener);
    const taken = [];
    for (let port = 1000; taken.length < 20_000; port++) {
      try {
        taken.push(engine.listen({ port }));
      } catch (error) {
        expect((error as { code?: string }).code).toBe("ENOMEM");
        break;
      }
    }
    expect(() => connection.setOption("sendBuffer", 20_000)).toThrow(
      "ENOMEM: no memory for option sendBuffer",
    );
    taken.pop()!.close();
    peer.flush();
    connection.setOption("sendBuffer", 20_000);
  });
});

it("every writer is told that a read makes room for, however many pieces the text is read in", async () => {
  const engine = await makeEngine({ memory: 2 * MIB, settings: { tcpWmem: [4096, MIB, MIB] } });
  const listener = engine.listen({ port: 80 });
  const peer = new Peer(engine);
  const reader = peer.connect(listener);
  const writers = Array.from({ length: 150 }, (_, i) =>
    new Peer(engine, { peerPort: 40_001 + i }).connect(listener),
  );
  for (let i = 0; i < 40; i++) peer.send({ seq: 1 + 1460 * i, ack: 1, text: new Uint8Array(1460) });
  peer.flush();
  const refused = writers.filter((writer) => writer.write(TEXT) === 0);
  expect(refused.length).toBeGreaterThan(10);
  engine.poll();
  expect(reader.read(new Uint8Array(65_536))).toBe(58_400);
  const told = engine.poll().flatMap((event) => (event.type === "writable" ? [event.connection] : []));
  // A block for each.
  expect(told.length).toBeGreaterThanOrEqual(7);
  expect(told).toEqual(refused.slice(0, told.length));
});
