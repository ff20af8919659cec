import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";

describe("listening", () => {
  it("on a port that is taken is refused, on another address or after close it is not", async () => {
    const engine = await makeEngine({ addresses: ["192.0.2.1", "192.0.2.9"] });
    const listener = engine.listen({ port: 80, address: "192.0.2.1" });
    expect(() => engine.listen({ port: 80, address: "192.0.2.1" })).toThrow(/EADDRINUSE.*80/);
    expect(() => engine.listen({ port: 80 })).toThrow("EADDRINUSE");
    engine.listen({ port: 80, address: "192.0.2.9" }).close();
    engine.listen({ port: 81 });
    listener.close();
    expect(engine.listen({ port: 80 }).port).toBe(80);
  });

  it.each([
    [{ port: -1 }, "-1"],
    [{ port: 65536 }, "65536"],
    [{ port: 1.5 }, "1.5"],
    [{ port: Number.NaN }, "NaN"],
    [{ port: 80, address: "192.0.2.77" }, "192.0.2.77"],
    [{ port: 80, address: "example" }, "example"],
    [{ port: 80, backlog: -1 }, "-1"],
  ])("refuses %j, naming the value", async (options, named) => {
    const engine = await makeEngine();
    expect(() => engine.listen(options)).toThrow(named);
  });

  it("[9293-MUST-41] disturbs no connection on the same port", async () => {
    const { peer, connection, listener, engine } = await connected();
    listener.close();
    expect(connection.state).toBe("ESTABLISHED");
    engine.listen({ port: 80 });
    peer.send({ seq: 1, ack: 1, text: "still here" });
    expect(readAll(connection).toString()).toBe("still here");
  });

  it("[9293-MUST-42] is possible on a port from which a connection is being opened", async () => {
    const engine = await makeEngine();
    const opening = engine.connect({ remoteAddress: "192.0.2.3", remotePort: 9, localPort: 80 });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    expect(peer.take().map(({ flags }) => flags)).toEqual(["S"]);
    const other = new Peer(engine, { peerPort: 40001 });
    expect(other.connect(listener).state).toBe("ESTABLISHED");
    expect(opening.state).toBe("SYN-SENT");
  });

  it("one listener serves both families", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    new Peer(engine).connect(listener);
    new Peer(engine, { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" }).connect(listener);
    expect(engine.connections().length).toBe(2);
  });

  it("answers for any address when it is told to", async () => {
    const engine = await makeEngine({ addresses: [], anyAddress: true });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine, { engineAddress: "203.0.113.77" });
    const connection = peer.connect(listener);
    expect(connection.localAddress).toBe("203.0.113.77");
  });
});

describe("backlog", () => {
  it("[seed-5] [seed-6] [seed-8] limits connections that wait; the others complete when there is room", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80, backlog: 2 });
    const peers = Array.from({ length: 6 }, (_, i) => new Peer(engine, { peerPort: 41_000 + i }));
    let established = 0;
    for (const peer of peers) {
      peer.send({ flags: "S" });
      if (peer.take().length === 0) continue;
      peer.send({ flags: "A", seq: 1, ack: 1 });
      // A final ACK that finds no room is ignored, not answered.
      peer.silence();
      established++;
    }
    // Linux's queue holds one more than it is told.
    expect(engine.connections().filter(({ info }) => info.state === "ESTABLISHED").length).toBe(3);
    const { ListenOverflows, ListenDrops } = engine.counters();
    expect(ListenOverflows! + ListenDrops!).toBeGreaterThan(0);
    for (let i = 0; i < 3; i++) expect(listener.accept()?.state).toBe("ESTABLISHED");
    expect(listener.accept()).toBeUndefined();
    // Whoever was ignored tries again and gets in.
    const last = peers.at(-1)!;
    last.wait(2000);
    last.take();
    if (established < 6) {
      last.send({ flags: "S" });
      last.expect({ flags: "SA" });
    }
    last.send({ flags: "A", seq: 1, ack: 1 });
    expect(listener.accept()?.remotePort).toBe(41_005);
  });

  it("[seed-1] limits half-open connections: the SYNs beyond are dropped and counted", async () => {
    const engine = await makeEngine({ settings: { tcpMaxSynBacklog: 4, tcpSyncookies: 0 } });
    engine.listen({ port: 80 });
    let answered = 0;
    for (let i = 0; i < 6; i++) {
      const peer = new Peer(engine, { peerPort: 41_000 + i });
      peer.send({ flags: "S" });
      answered += peer.take().length;
    }
    expect(answered).toBe(4);
    const { TCPReqQFullDrop, ListenDrops } = engine.counters();
    expect(TCPReqQFullDrop! + ListenDrops!).toBeGreaterThanOrEqual(2);
    // A reset makes room.
    const first = new Peer(engine, { peerPort: 41_000 });
    first.send({ flags: "R", seq: 1 });
    const next = new Peer(engine, { peerPort: 41_009 });
    next.send({ flags: "S" });
    next.expect({ flags: "SA" });
  });

  it("closing a listener resets those that wait, and those half open", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const waiting = new Peer(engine, { peerPort: 41_000 });
    waiting.send({ flags: "S" });
    waiting.expect({ flags: "SA" });
    waiting.send({ flags: "A", seq: 1, ack: 1 });
    const half = new Peer(engine, { peerPort: 41_001 });
    half.send({ flags: "S" });
    half.expect({ flags: "SA" });
    listener.close();
    const resets = half.take();
    expect(resets.length).toBeGreaterThanOrEqual(1);
    for (const { flags } of resets) expect(flags).toContain("R");
    expect(engine.connections()).toEqual([]);
    expect(engine.nextDeadline()).toBeUndefined();
    half.send({ flags: "S" });
    half.expect({ flags: "RA" });
    expect(() => listener.accept()).not.toThrow(TypeError);
  });

  it("forgets a connection that was reset while it waited", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S" });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "A", seq: 1, ack: 1 });
    peer.send({ flags: "R", seq: 1 });
    const connection = listener.accept();
    // Either it is not there any more, or it says what happened to it.
    if (connection) expect(() => connection.read(new Uint8Array(1))).toThrow("ECONNRESET");
    expect(engine.connections()).toEqual([]);
  });

  it("many connections come and go without a trace", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20 });
    const listener = engine.listen({ port: 80 });
    for (let i = 0; i < 3000; i++) {
      const peer = new Peer(engine, { peerPort: 1024 + i, now: 1000 + i });
      peer.send({ flags: "S", options: { mss: 1460 } });
      peer.expect({ flags: "SA" });
      peer.send({ flags: "PA", seq: 1, ack: 1, text: "hello" });
      const connection = listener.accept()!;
      expect(readAll(connection).toString()).toBe("hello");
      connection.write(Buffer.from("bye"));
      if (i % 2) connection.abort();
      else {
        connection.close();
        peer.take();
        peer.send({ flags: "R", seq: 6 });
      }
      peer.take();
    }
    expect(engine.connections()).toEqual([]);
    expect(engine.counters().PassiveOpens).toBe(3000);
  });
});
