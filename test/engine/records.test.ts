import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// Ends of records (Linux's MSG_EOR). Segments are 1,000 octets long.

const MSS = 1000;
const SYN = { options: { mss: MSS } };

async function open(settings = {}) {
  const all = await connected({ syn: SYN, engine: { settings: { tcpTimestamps: 0, ...settings } } });
  /** [sequence number, octets] of each segment of text. */
  const sent = () => all.peer.take().flatMap(({ seq, text }) => (text.length ? [[seq, text.length]] : []));
  return { ...all, sent };
}

describe("the end of a record", () => {
  it("ends a segment, whose record waits for nothing although it is small; the last one may yet grow", async () => {
    const { peer, connection, sent } = await open();
    // In flight and small: what follows waits, by Nagle's rule.
    connection.write(randomOctets(10, 1));
    expect(sent()).toEqual([[1, 10]]);
    for (const n of [400, 1200, 300]) connection.write(randomOctets(n, n), { endOfRecord: true });
    connection.write(randomOctets(50, 4));
    expect(sent()).toEqual([
      [11, 400],
      [411, 1000],
      [1411, 200],
      [1611, 300],
    ]);
    peer.send({ seq: 1, ack: 1911 });
    expect(sent()).toEqual([[1911, 50]]);
  });

  it("is told with PSH", async () => {
    const { peer, connection } = await open();
    connection.write(randomOctets(10, 1));
    connection.write(randomOctets(20, 2), { endOfRecord: true });
    connection.write(randomOctets(30, 3));
    expect(peer.expect({ seq: 1, text: 30 }).flags).toBe("PA");
  });

  it("is where it was when text is sent again", async () => {
    const { peer, connection, sent } = await open();
    connection.write(randomOctets(300, 1), { endOfRecord: true });
    connection.write(randomOctets(300, 2), { endOfRecord: true });
    connection.write(randomOctets(300, 3), { endOfRecord: true });
    sent();
    peer.wait(1000);
    const again = sent();
    expect(again[0]).toEqual([1, 300]);
    peer.send({ seq: 1, ack: 301 });
    again.push(...sent());
    peer.send({ seq: 1, ack: 601 });
    again.push(...sent());
    expect(again.every(([seq, length]) => (seq - 1) % 300 === 0 && length === 300)).toBe(true);
    expect(again.map(([seq]) => seq)).toContain(601);
  });

  it("twice in one place is one, and none where nothing is queued", async () => {
    const { connection, sent } = await open();
    connection.write(new Uint8Array(0), { endOfRecord: true });
    connection.write(randomOctets(5, 1));
    connection.write(new Uint8Array(0), { endOfRecord: true });
    connection.write(new Uint8Array(0), { endOfRecord: true });
    connection.write(randomOctets(5, 2));
    expect(sent()).toEqual([[1, 5]]);
  });

  it("is remembered up to 2,048 times; then a write waits for an acknowledgment", async () => {
    const { peer, connection } = await open();
    let records = 0;
    while (connection.write(Uint8Array.of(1), { endOfRecord: true })) records++;
    expect(records).toBe(2048);
    // Without one it is still text that is taken.
    expect(connection.write(Uint8Array.of(1))).toBe(1);
    peer.eventTypes();
    let seen = 1;
    for (let all = peer.take(); all.length > 0; all = peer.take()) {
      seen = all.at(-1)!.seq + all.at(-1)!.text.length;
      peer.send({ seq: 1, ack: seen });
    }
    expect(seen).toBe(2050);
    expect(peer.eventTypes()).toContain("writable");
    expect(connection.write(Uint8Array.of(1), { endOfRecord: true })).toBe(1);
  });

  it("gives its memory back with the connection, whatever it ends in", async () => {
    const { listener, engine } = await connected({ syn: SYN, engine: { memory: 2 * 2 ** 20 } });
    let peerPort = 50_000;
    let peer: Peer;
    const another = () => {
      peer = new Peer(engine, { peerPort: peerPort++ });
      return peer.connect(listener);
    };
    const room = () => {
      let taken = 0;
      const probe = another();
      for (let n = 1; n > 0; n = probe.write(new Uint8Array(8192))) taken += n;
      probe.abort();
      peer!.take();
      return taken;
    };
    const before = room();
    for (let i = 0; i < 300; i++) {
      const connection = another();
      connection.write(randomOctets(10, 1), { endOfRecord: true });
      if (i & 1) connection.shutdown();
      if (i & 2) connection.close();
      connection.abort();
      expect(() => connection.write(randomOctets(10, 1), { endOfRecord: true })).toThrow();
      peer!.take();
    }
    expect(room()).toBe(before);
  });
});
