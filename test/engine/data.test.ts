import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { atEnd, errorCode, makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const MSS = 1460;

describe("PSH", () => {
  it("stands where the queue ends, and where a burst of several segments ends for want of a window", async () => {
    const { peer, connection } = await connected({ syn: { options: { mss: 1000 } } });
    connection.write(randomOctets(12_500, 1));
    const pushed = () => peer.take().map(({ flags }) => flags.includes("P"));
    expect(pushed()).toEqual([...new Array(9).fill(false), true]);
    // One segment is no burst.
    peer.send({ seq: 1, ack: 1001, window: 10_000 });
    expect(pushed()).toEqual([false]);
    peer.send({ seq: 1, ack: 10_001 });
    expect(pushed()).toEqual([false, true]);
  });
});

describe("sending", () => {
  it("[9293-MUST-60] sends a small write at once and keeps it until it is acknowledged", async () => {
    const { peer, connection } = await connected();
    expect(connection.write(Buffer.from("hello"))).toBe(5);
    peer.expect({ flags: "PA", seq: 1, ack: 1, text: "hello" });
    expect(connection.unacked).toBe(5);
    peer.send({ seq: 1, ack: 6 });
    peer.silence();
    expect(connection.unacked).toBe(0);
    expect(peer.engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-MUST-61] [9293-SHLD-28] cuts a write into full segments, PSH on the last only", async () => {
    const { peer, connection } = await connected();
    const text = randomOctets(3 * MSS, 1);
    connection.write(text);
    for (let i = 0; i < 3; i++)
      peer.expect({
        flags: i === 2 ? "PA" : "A",
        seq: 1 + i * MSS,
        text: text.subarray(i * MSS, (i + 1) * MSS),
      });
    peer.silence();
  });

  it("takes one acknowledgment for many segments, and a part of them", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(3 * MSS, 1));
    expect(peer.take().length).toBe(3);
    peer.send({ seq: 1, ack: 1 + MSS });
    expect(connection.unacked).toBe(2 * MSS);
    peer.send({ seq: 1, ack: 1 + MSS + 100 });
    expect(connection.unacked).toBe(2 * MSS - 100);
    peer.send({ seq: 1, ack: 1 + 3 * MSS });
    expect(connection.unacked).toBe(0);
    peer.wait(60_000);
    peer.silence();
  });

  it("slides with the window and never sends beyond it", async () => {
    const { peer, connection } = await connected({ window: 2 * MSS });
    connection.write(randomOctets(6 * MSS, 1));
    expect(peer.take().map(({ seq, text }) => [seq, text.length])).toEqual([
      [1, MSS],
      [1 + MSS, MSS],
    ]);
    peer.send({ seq: 1, ack: 1 + MSS, window: 2 * MSS });
    peer.expect({ seq: 1 + 2 * MSS, text: MSS });
    peer.silence();
    // The window closes as it is filled: nothing goes.
    peer.send({ seq: 1, ack: 1 + 2 * MSS, window: MSS });
    peer.silence();
    peer.send({ seq: 1, ack: 1 + 3 * MSS, window: 3 * MSS });
    expect(peer.take().map(({ seq, text }) => [seq, text.length])).toEqual([
      [1 + 3 * MSS, MSS],
      [1 + 4 * MSS, MSS],
      [1 + 5 * MSS, MSS],
    ]);
  });

  it("[9293-MUST-1] takes a window of 65,535 for what it is", async () => {
    const { peer, connection } = await connected({ window: 65535 });
    const text = randomOctets(200_000, 1);
    let written = connection.write(text);
    let acked = 0;
    let most = 0;
    for (let segments = peer.take(); segments.length > 0; segments = peer.take()) {
      const end = Math.max(...segments.map(({ seq, text }) => seq - 1 + text.length));
      most = Math.max(most, end - acked);
      acked = end;
      for (const { seq, text } of segments) peer.send({ seq: 1, ack: seq + text.length, window: 65535 });
      if (written < text.length) written += connection.write(text.subarray(written));
    }
    expect(most).toBeGreaterThan(32_768);
    expect(most).toBeLessThanOrEqual(65_535);
  });

  it("[9293-X-5] does not let an older window overwrite a newer one", async () => {
    const { peer, connection } = await connected({ window: 0 });
    connection.write(randomOctets(4 * MSS, 1));
    peer.send({ seq: 1, ack: 1, window: 2 * MSS, text: "x" });
    expect(peer.take().filter(({ text }) => text.length > 0).length).toBe(2);
    // This one was sent before: its SEQ is older.
    peer.send({ seq: 1, ack: 1, window: 4 * MSS });
    expect(peer.take().filter(({ text }) => text.length > 0)).toEqual([]);
  });

  it("[9293-SHLD-7] holds a second small write until the first is acknowledged, and sends what has gathered", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("a"));
    peer.expect({ text: "a" });
    connection.write(Buffer.from("bcd"));
    connection.write(Buffer.from("efg"));
    peer.silence();
    peer.send({ seq: 1, ack: 2 });
    peer.expect({ flags: "PA", seq: 2, text: "bcdefg" });
    peer.silence();
  });

  it("[9293-MUST-17] sends every small write at once when Nagle is off", async () => {
    const { peer, connection } = await connected();
    connection.setOption("noDelay", true);
    for (const letter of "abc") {
      connection.write(Buffer.from(letter));
      peer.expect({ flags: "PA", text: letter });
    }
    peer.silence();
  });

  it("releases what Nagle held when it is turned off", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("a"));
    peer.expect({ text: "a" });
    connection.write(Buffer.from("b"));
    peer.silence();
    connection.setOption("noDelay", true);
    peer.expect({ text: "b" });
  });

  it("does not wait for an ACK with the last piece of a long write", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(MSS + 10, 1));
    peer.expect({ text: MSS });
    peer.expect({ text: 10, flags: "PA" });
  });

  it("takes no more than its buffer has room for, and says when there is room again", async () => {
    const { peer, connection } = await connected({
      engine: { settings: { tcpWmem: [4096, 16384, 16384] } },
      window: 65535,
    });
    const text = randomOctets(100_000, 1);
    const taken = connection.write(text);
    expect(taken).toBe(16384);
    expect(connection.writable).toBe(0);
    expect(connection.write(text.subarray(taken))).toBe(0);
    const segments = peer.take();
    expect(peer.eventTypes()).toEqual([]);
    peer.send({ seq: 1, ack: segments.at(-1)!.seq + segments.at(-1)!.text.length });
    expect(peer.eventTypes()).toContain("writable");
    expect(connection.writable).toBeGreaterThan(0);
    expect(connection.write(text.subarray(taken))).toBeGreaterThan(0);
  });

  it("[9293-MUST-65] never sends MSS without SYN, nor any option it was not offered", async () => {
    const { peer, connection } = await connected();
    connection.write(randomOctets(10 * MSS, 1));
    const segments = peer.take();
    expect(segments.length).toBeGreaterThan(2);
    for (const { kinds, reserved } of segments) expect([kinds, reserved]).toEqual([[], 0]);
  });
});

describe("receiving", () => {
  it("delivers text in order and acknowledges it within half a second [9293-MUST-40]", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "PA", seq: 1, ack: 1, text: "hello" });
    expect(peer.eventTypes()).toEqual(["readable"]);
    expect(readAll(connection).toString()).toBe("hello");
    peer.expectWithin(499, { flags: "A", seq: 1, ack: 6, text: 0 });
    peer.wait(10_000);
    peer.silence();
  });

  it("[9293-SHLD-18] [5681-12] delays the ACK of a lone segment once the connection is under way", async () => {
    const { peer, connection } = await connected();
    let seq = 1;
    // An interactive connection: the peer writes, we answer.
    let ours = 1;
    for (let i = 0; i < 40; i++) {
      peer.send({ flags: "PA", seq, ack: ours, text: "tick" });
      seq += 4;
      readAll(connection);
      connection.write(Buffer.from("tock"));
      ours += 4;
      peer.take();
      peer.wait(50);
    }
    peer.send({ seq, ack: ours });
    peer.wait(1000);
    peer.take();
    peer.send({ flags: "PA", seq, ack: ours, text: "tick" });
    peer.silence();
    peer.expectWithin(499, { flags: "A", ack: seq + 4 });
  });

  it("[9293-SHLD-19] [5681-14] never leaves two full segments unacknowledged, nor sends two ACKs for one", async () => {
    const { peer, connection } = await connected();
    let seq = 1;
    let acked = 1;
    let acks = 0;
    for (let i = 0; i < 61; i++) {
      peer.send({ seq, ack: 1, text: randomOctets(MSS, i) });
      seq += MSS;
      const got = peer.take();
      expect(got.length).toBeLessThanOrEqual(1);
      for (const { ack } of got) acked = ack;
      acks += got.length;
      expect(seq - acked).toBeLessThan(2 * MSS);
      readAll(connection);
    }
    expect(acks).toBeGreaterThanOrEqual(30);
  });

  it("lets an answer carry the acknowledgment", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "PA", seq: 1, ack: 1, text: "ping" });
    peer.take();
    connection.write(Buffer.from("pong"));
    peer.expect({ flags: "PA", seq: 1, ack: 5, text: "pong" });
    peer.send({ seq: 5, ack: 5 });
    peer.wait(10_000);
    peer.silence();
  });

  it("[9293-MUST-58] [9293-MUST-59] answers a batch of ten segments with far fewer ACKs", async () => {
    const { peer, connection } = await connected();
    const text = randomOctets(10 * MSS, 1);
    peer.send(
      ...Array.from({ length: 10 }, (_, i) => ({
        seq: 1 + i * MSS,
        ack: 1,
        text: text.subarray(i * MSS, (i + 1) * MSS),
      })),
    );
    const acks = peer.take();
    expect(acks.length).toBeLessThanOrEqual(2);
    expect(acks.at(-1)!.ack).toBe(1 + 10 * MSS);
    expect(readAll(connection).equals(text)).toBe(true);
  });

  it("[9293-SHLD-31] [5681-13] queues what is out of order, asks for the hole at once, acknowledges all when it is filled", async () => {
    const { peer, connection } = await connected();
    const text = randomOctets(600, 1);
    const piece = (i: number) => ({ seq: 1 + 100 * i, ack: 1, text: text.subarray(100 * i, 100 * (i + 1)) });
    for (const i of [5, 1, 3]) {
      peer.send(piece(i));
      peer.expect({ flags: "A", ack: 1, text: 0 });
    }
    peer.silence();
    expect(connection.readable).toBe(0);
    expect(peer.eventTypes()).toEqual([]);
    peer.send(piece(2));
    peer.expect({ ack: 1 });
    peer.send(piece(4));
    peer.expect({ ack: 1 });
    peer.send(piece(0));
    peer.expect({ ack: 601 });
    peer.silence();
    expect(readAll(connection).equals(text)).toBe(true);
  });

  it("sends one duplicate ACK for each segment out of order, even in one batch", async () => {
    const { peer } = await connected();
    peer.send(...[2, 3, 4].map((i) => ({ seq: 1 + 100 * i, ack: 1, text: randomOctets(100, i) })));
    const acks = peer.take();
    expect(acks.map(({ ack }) => ack)).toEqual([1, 1, 1]);
  });

  it("[9293-X-10] takes the new half of a segment whose first half is old", async () => {
    const { peer, connection } = await connected();
    peer.send({ seq: 1, ack: 1, text: "hello " });
    peer.take();
    peer.send({ seq: 1, ack: 1, text: "hello world" });
    peer.expectWithin(499, { ack: 12 });
    expect(readAll(connection).toString()).toBe("hello world");
  });

  it("takes nothing twice, and the first of two versions", async () => {
    const { peer, connection } = await connected();
    peer.send(
      { seq: 3, ack: 1, text: "CDEF" },
      { seq: 2, ack: 1, text: "bcdefg" },
      { seq: 1, ack: 1, text: "a" },
    );
    expect(readAll(connection).toString().toLowerCase()).toBe("abcdefg");
    peer.take();
    peer.send({ seq: 1, ack: 1, text: "abcdefg" });
    peer.expect({ flags: "A", ack: 8 });
    expect(connection.readable).toBe(0);
  });

  it("[9293-X-4] [9293-X-3] answers what lies outside the window with an ACK, RST excepted", async () => {
    const { peer, connection } = await connected();
    for (const sent of [
      { seq: 0, text: "x" },
      { seq: -1000, text: "old" },
      { seq: 1 + (1 << 20), text: "far" },
      { seq: -1 },
    ]) {
      peer.send({ ack: 1, ...sent });
      peer.expect({ flags: "A", seq: 1, ack: 1, text: 0 });
      peer.wait(1000);
      peer.silence();
    }
    peer.send({ flags: "R", seq: 0 }, { flags: "R", seq: 1 + (1 << 20) });
    peer.silence();
    expect(connection.state).toBe("ESTABLISHED");
    expect(connection.readable).toBe(0);
  });

  it("[9293-X-9] answers an ACK of what was never sent with an ACK, and drops its text", async () => {
    const { peer, connection } = await connected();
    peer.send({ seq: 1, ack: 2, text: "hello" });
    peer.expect({ flags: "A", seq: 1, ack: 1 });
    expect(connection.readable).toBe(0);
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("[5961-6] [9293-MAY-12] does the same for an ACK older than any window", async () => {
    const { peer, connection } = await connected({ window: 10_000 });
    connection.write(randomOctets(1000, 1));
    peer.take();
    peer.send({ seq: 1, ack: 1001, window: 10_000 });
    // SND.UNA is 1001; the largest window the peer has offered reaches back to -8999 or, with its SYN's, to -64534.
    peer.send({ seq: 1, ack: 1001 - 65_536, text: "stale" });
    peer.expect({ flags: "A", ack: 1 });
    expect(connection.readable).toBe(0);
    peer.send({ seq: 1, ack: 1, text: "fine" });
    expect(connection.readable).toBe(4);
  });

  it("drops a segment without ACK", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "P", seq: 1, text: "hello" });
    peer.silence();
    expect(connection.readable).toBe(0);
  });

  it("[9293-MUST-3] drops what is damaged, in silence, and takes it when it comes intact", async () => {
    const { peer, connection, engine } = await connected();
    const packet = peer.packet({ seq: 1, ack: 1, text: "hello" });
    const damaged = packet.slice();
    damaged[damaged.length - 1]! ^= 1;
    const before = engine.counters();
    peer.deliver(damaged);
    peer.wait(1000);
    peer.silence();
    expect(connection.readable).toBe(0);
    expect(engine.counters().InCsumErrors).toBe(before.InCsumErrors! + 1);
    peer.deliver(packet);
    expect(readAll(connection).toString()).toBe("hello");
  });

  it("[9293-MUST-5] [9293-MUST-6] takes text behind options it does not know", async () => {
    const { peer, connection } = await connected();
    peer.send({ seq: 1, ack: 1, text: "hello", rawOptions: [1, 200, 6, 1, 2, 3, 4, 1, 253, 3, 0] });
    expect(readAll(connection).toString()).toBe("hello");
  });

  it("[9293-X-11] delivers what comes with FIN, then the end", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "FA", seq: 1, ack: 1, text: "hello" });
    peer.expectWithin(499, { ack: 7 });
    const into = new Uint8Array(3);
    expect(connection.read(into)).toBe(3);
    expect(connection.read(into)).toBe(2);
    expect(connection.read(into)).toBe(-1);
    expect(connection.read(into)).toBe(-1);
    expect(connection.state).toBe("CLOSE-WAIT");
  });

  it("keeps a FIN that came before the text, and does not end early", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "FA", seq: 6, ack: 1 });
    peer.expect({ flags: "A", ack: 1 });
    expect(connection.state).toBe("ESTABLISHED");
    expect(connection.read(new Uint8Array(1))).toBe(0);
    peer.send({ seq: 1, ack: 1, text: "hello" });
    peer.expect({ ack: 7 });
    expect(readAll(connection).toString()).toBe("hello");
    expect(atEnd(connection)).toBe(true);
  });

  it.each([0, 0x7ffffff0, 0xfffffff0, 0xffffffff])(
    "[9293-X-2] carries text across the wrap of sequence numbers: the peer begins at %i",
    async (iss) => {
      const { peer, connection } = await connected({ peer: { iss } });
      const text = randomOctets(40, 1);
      for (const at of [10, 0, 30, 20]) peer.send({ seq: 1 + at, ack: 1, text: text.subarray(at, at + 10) });
      expect(peer.take().at(-1)!.ack).toBe(41);
      expect(readAll(connection).equals(text)).toBe(true);
    },
  );

  it.each([10, 3000])("[9293-X-2] sends across the wrap: it begins %i before 2^32", async (before) => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const scout = new Peer(engine);
    scout.send({ flags: "S" });
    scout.expect({ flags: "SA" });
    scout.send({ flags: "R", seq: 1 });
    // The ISN rises by one in 4 microseconds: wait until it is where it should be.
    const wait = (2 ** 32 - before - scout.engineIss) * 0.004;
    const peer = new Peer(engine, { now: 1000 + wait });
    const connection = peer.connect(listener);
    expect(2 ** 32 - peer.engineIss).toBeGreaterThan(0);
    expect(2 ** 32 - peer.engineIss).toBeLessThanOrEqual(before + 1);
    const text = randomOctets(5 * MSS, 1);
    connection.write(text);
    const got = peer.take();
    expect(Buffer.concat(got.map((segment) => segment.text)).equals(text)).toBe(true);
    expect(got.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4].map((i) => 1 + i * MSS));
    peer.send({ seq: 1, ack: 1 + 2 * MSS });
    expect(connection.unacked).toBe(3 * MSS);
    peer.wait(3000);
    expect(peer.take()[0]).toMatchObject({ seq: 1 + 2 * MSS });
    peer.send({ seq: 1, ack: 1 + 5 * MSS });
    expect(connection.unacked).toBe(0);
    expect(errorCode(connection)).toBeUndefined();
  });
});
