import { describe, expect, it } from "vitest";
import { errorCode, makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

describe("options of a listener", () => {
  it("are those of its connections from the SYN,ACK on", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    listener.setOption("maxSegment", 500);
    listener.setOption("dscp", 8);
    listener.setOption("hopLimit", 9);
    listener.setOption("userTimeoutOption", 200);
    listener.setOption("keepAliveIdle", 10);
    listener.setOption("keepAlive", true);
    listener.setOption("noDelay", true);
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, options: { mss: 1460 } });
    const synAck = peer.expect({ flags: "SA", options: { mss: 500 } });
    expect([synAck.tos, synAck.ttl, synAck.kinds.includes(28)]).toEqual([32, 9, true]);
    peer.send({ flags: "A", seq: 1, ack: 1 });
    const connection = listener.accept()!;
    connection.write(randomOctets(501, 1));
    peer.expect({ text: 0 }); // the user timeout
    const sizes = peer.take().map(({ text }) => text.length);
    expect(sizes).toEqual([500, 1]);
    peer.send({ seq: 1, ack: 502 });
    peer.expectWithin(10_000, { flags: "A", seq: 501 });
  });

  it("hold for cookies too, and for none that began before", async () => {
    const engine = await makeEngine({ settings: { tcpSyncookies: 2, tcpTimestamps: 0 } });
    const listener = engine.listen({ port: 80 });
    const before = new Peer(engine, { peerPort: 1 });
    before.send({ flags: "S", seq: 0, options: { mss: 1460 } });
    before.expect({ flags: "SA", options: { mss: 1460 } });
    listener.setOption("maxSegment", 600);
    const peer = new Peer(engine, { peerPort: 2 });
    peer.send({ flags: "S", seq: 0, options: { mss: 1460 } });
    peer.expect({ flags: "SA", options: { mss: 600 } });
    peer.send({ flags: "A", seq: 1, ack: 1 });
    expect(listener.accept()!.info().sndMss).toBe(600);
  });

  it("linger and cork are inherited, and a listener itself says nothing", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    listener.setOption("linger", 0);
    listener.setOption("cork", true);
    listener.setOption("cork", false);
    listener.setOption("userTimeout", 3000);
    const peer = new Peer(engine);
    peer.silence();
    const connection = peer.connect(listener);
    connection.write(Buffer.from("x"));
    peer.flush();
    peer.wait(3000);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    peer.take();
    const other = new Peer(engine, { peerPort: 7, now: peer.now });
    other.connect(listener).close();
    other.expect({ flags: "RA" });
    expect(() => listener.setOption("dscp", 64)).toThrow(/dscp.*64/);
  });
});
