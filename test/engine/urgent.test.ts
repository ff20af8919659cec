import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

describe("urgent text sent", () => {
  it("[9293-MUST-62] is pointed past by URG", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("ab"));
    connection.write(Buffer.from("c"), { urgent: true });
    const got = peer.expect({ seq: 1, text: "abc" });
    expect([got.flags, got.urgent]).toEqual(["PAU", 3]);
    peer.send({ seq: 1, ack: 4 });
    connection.write(Buffer.from("xyz"), { urgent: true });
    expect(peer.expect({ seq: 4, text: "xyz" }).urgent).toBe(3);
  });

  it("[9293-MUST-30] is in line, and what follows it is not urgent", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("urgent"), { urgent: true });
    connection.write(Buffer.from(" and not"));
    const first = peer.expect({ seq: 1, text: "urgent and not" });
    expect([first.flags, first.urgent]).toEqual(["PAU", 6]);
    peer.send({ seq: 1, ack: 15 });
    connection.write(Buffer.from("calm"));
    const second = peer.expect({ seq: 15, text: "calm" });
    expect([second.flags, second.urgent]).toEqual(["PA", 0]);
  });

  it("[9293-MUST-31] may be longer than the pointer reaches: every segment says URG until it is passed", async () => {
    const { peer, connection } = await connected();
    const text = randomOctets(100_000, 1);
    let sent = 0;
    let seen = 0;
    while (sent < text.length) {
      const taken = connection.write(text.subarray(sent), { urgent: true });
      sent += taken;
      for (const packet of peer.take()) {
        seen = packet.seq - 1 + packet.text.length;
        expect(packet.flags).toContain("U");
        // As far as it reaches; never short of the segment, never past what is urgent.
        expect(packet.urgent).toBeGreaterThanOrEqual(packet.text.length);
        expect(packet.seq - 1 + packet.urgent).toBeLessThanOrEqual(sent);
      }
      peer.send({ seq: 1, ack: seen + 1 });
    }
    for (let more = peer.take(); more.length > 0; more = peer.take()) {
      for (const { flags, seq, text: piece, urgent } of more) {
        expect(flags).toContain("U");
        expect(urgent).toBe(Math.min(sent + 1 - seq, 65535));
        seen = seq - 1 + piece.length;
      }
      peer.send({ seq: 1, ack: seen + 1 });
    }
    expect(seen).toBe(text.length);
    connection.write(Buffer.from("calm"));
    expect(peer.expect({ seq: 100_001 }).flags).not.toContain("U");
  });

  it("is told of again when its segment is, and to a window that is shut", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("now"), { urgent: true });
    peer.expect({ seq: 1, text: "now" });
    expect(peer.expectWithin(2000, { seq: 1, text: "now" }).urgent).toBe(3);
    peer.send({ seq: 1, ack: 4, window: 0 });
    peer.silence();
    connection.write(Buffer.from("stop"), { urgent: true });
    const told = peer.expect({ seq: 4, text: 0 });
    expect([told.flags, told.urgent]).toEqual(["AU", 4]);
  });

  it("written before the connection is open follows the handshake", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    connection.write(Buffer.from("early"), { urgent: true });
    peer.enginePort = connection.localPort;
    expect(peer.expect({ flags: "S" }).urgent).toBe(0);
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    const got = peer.expect({ seq: 1, text: "early" });
    expect([got.flags, got.urgent]).toEqual(["PAU", 5]);
  });
});

describe("urgent text received", () => {
  it("[9293-MUST-32] is told of once for each pointer that goes further", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "AU", seq: 1, ack: 1, urgent: 3, text: "abc" });
    expect(peer.eventTypes()).toEqual(["urgent", "readable"]);
    peer.send({ flags: "AU", seq: 4, ack: 1, urgent: 10, text: "def" });
    expect(peer.eventTypes()).toEqual(["urgent", "readable"]);
    // The same end again, and one before it.
    peer.send({ flags: "AU", seq: 7, ack: 1, urgent: 7, text: "ghi" });
    peer.send({ flags: "AU", seq: 10, ack: 1, urgent: 1, text: "j" });
    expect(peer.eventTypes()).toEqual(["readable", "readable"]);
    expect(readAll(connection).toString()).toBe("abcdefghij");
  });

  it("[9293-MUST-33] says how much of it is left to read", async () => {
    const { peer, connection } = await connected();
    expect(connection.urgent).toBe(0);
    peer.send({ flags: "AU", seq: 1, ack: 1, urgent: 6, text: "0123456789" });
    expect(connection.urgent).toBe(6);
    const into = new Uint8Array(4);
    connection.read(into);
    expect(connection.urgent).toBe(2);
    connection.read(into);
    expect(connection.urgent).toBe(0);
    expect(Buffer.concat([Buffer.from(into), readAll(connection)]).toString()).toBe("456789");
  });

  it("[9293-MUST-31] may be announced before it arrives, in segments that follow", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "AU", seq: 1, ack: 1, urgent: 5000, text: "a" });
    expect(connection.urgent).toBe(5000);
    peer.send({ flags: "A", seq: 2, ack: 1, text: randomOctets(1400, 1) });
    readAll(connection);
    expect(connection.urgent).toBe(5000 - 1401);
  });

  it("is told of by a bare ACK, by a copy cut to the window, and not by a pointer of zero", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "AU", seq: 1, ack: 1, urgent: 0, text: "abc" });
    expect(peer.eventTypes()).toEqual(["readable"]);
    peer.send({ flags: "AU", seq: 4, ack: 1, urgent: 9 });
    expect(peer.eventTypes()).toEqual(["urgent"]);
    expect(connection.urgent).toBe(12);
    // Begins before RCV.NXT: its pointer counts from where the segment began.
    peer.send({ flags: "AU", seq: 2, ack: 1, urgent: 15, text: "bcdefg" });
    expect(peer.eventTypes()).toContain("urgent");
    expect(connection.urgent).toBe(16);
  });

  it("waits for whoever accepts the connection", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0 });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "AU", seq: 1, ack: 1, urgent: 2, text: "hi" });
    const connection = listener.accept()!;
    expect(peer.eventTypes()).toContain("urgent");
    expect(connection.urgent).toBe(2);
  });

  it("once read leaves nothing behind that 2^31 octets on would seem urgent", async () => {
    const { peer, connection } = await connected({ peer: { iss: 0xfffffff0 } });
    peer.send({ flags: "AU", seq: 1, ack: 1, urgent: 30, text: randomOctets(40, 1) });
    expect(connection.urgent).toBe(30);
    readAll(connection);
    expect(connection.urgent).toBe(0);
    peer.send({ flags: "AU", seq: 41, ack: 1, urgent: 1, text: "x" });
    expect(connection.urgent).toBe(1);
  });
});
