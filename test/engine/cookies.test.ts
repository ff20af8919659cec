import { describe, expect, it } from "vitest";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const full = { settings: { tcpMaxSynBacklog: 1 } };

/** A listener on `address` whose SYN queue is full. */
async function flooded(options: Parameters<typeof makeEngine>[0] = full, address = "192.0.2.1") {
  const engine = await makeEngine(options);
  const listener = engine.listen({ port: 80 });
  const source = address.includes(":") ? "2001:db8::66" : "192.0.2.66";
  new Peer(engine, { engineAddress: address, peerAddress: source, peerPort: 1 }).send({ flags: "S" });
  const peer = new Peer(engine, {
    engineAddress: address,
    peerAddress: address.includes(":") ? "2001:db8::2" : "192.0.2.2",
    peerPort: 40_001,
  });
  peer.take();
  return { engine, listener, peer };
}

describe("SYN cookies", () => {
  it.each(["192.0.2.1", "2001:db8::1"])(
    "[seed-4] open a connection to %s of which nothing was kept",
    async (address) => {
      const { engine, listener, peer } = await flooded(full, address);
      const before = engine.connections().length;
      peer.send({ flags: "S", options: { mss: 1440, ws: 7 } });
      const answer = peer.expect({ flags: "SA", seq: 0, ack: 1 });
      // Nothing that would have to be remembered is granted.
      expect(Object.keys(answer.options)).toEqual(["mss"]);
      expect(engine.connections().length).toBe(before);
      expect(engine.nextDeadline()).toBeGreaterThan(0);
      peer.send({ seq: 1, ack: 1, window: 65535 });
      const connection = listener.accept();
      expect(connection?.state).toBe("ESTABLISHED");
      expect(connection?.info().sndMss).toBe(1440);
      connection?.write(randomOctets(3000, 1));
      expect(peer.take().map(({ text }) => text.length)).toEqual([1440, 1440, 120]);
      const { SyncookiesSent, SyncookiesRecv, SyncookiesFailed, TCPReqQFullDoCookies } = engine.counters();
      expect({ SyncookiesSent, SyncookiesRecv, SyncookiesFailed, TCPReqQFullDoCookies }).toEqual({
        SyncookiesSent: 1,
        SyncookiesRecv: 1,
        SyncookiesFailed: 0,
        TCPReqQFullDoCookies: 1,
      });
    },
  );

  it("take the text that comes with the final ACK", async () => {
    const { listener, peer } = await flooded();
    peer.send({ flags: "S" });
    peer.take();
    peer.send({ seq: 1, ack: 1, text: "first words" });
    const connection = listener.accept()!;
    expect(readAll(connection).toString()).toBe("first words");
  });

  it.each([
    [47, 48],
    [536, 536],
    [1000, 536],
    [1460, 1460],
    [9000, 1460],
  ])("name an MSS that the peer's %i allows: %i", async (mss, used) => {
    const { listener, peer } = await flooded();
    peer.send({ flags: "S", options: { mss } });
    peer.take();
    peer.send({ seq: 1, ack: 1 });
    expect(listener.accept()?.info().sndMss).toBe(used);
  });

  it("[seed-3] are refused when they were guessed, altered, or sent to somebody else", async () => {
    const { engine, listener, peer } = await flooded();
    peer.send({ flags: "S" });
    peer.take();
    for (const wrong of [{ ack: 2 }, { ack: 9 }, { seq: 2, ack: 1 }, { ack: 0x40000 }]) {
      peer.send({ seq: 1, ...wrong });
      peer.expect({ flags: "R" });
    }
    const thief = new Peer(engine, { peerPort: 40_002 });
    thief.engineIss = peer.engineIss;
    thief.send({ seq: 1, ack: 1 });
    expect(thief.take().map(({ flags }) => flags)).toEqual(["R"]);
    expect(listener.accept()).toBeUndefined();
    expect(engine.counters().SyncookiesFailed).toBe(5);
  });

  it("[seed-3] are good for a minute at least, and not for three", async () => {
    for (const [wait, good] of [
      [60_000, true],
      [180_000, false],
    ] as const) {
      const { listener, peer, engine } = await flooded();
      peer.send({ flags: "S" });
      peer.take();
      peer.wait(wait);
      // Another flood keeps the listener on its guard.
      new Peer(engine, { peerAddress: "192.0.2.67", peerPort: 2, now: peer.now }).send({ flags: "S" });
      new Peer(engine, { peerAddress: "192.0.2.68", peerPort: 2, now: peer.now }).send({ flags: "S" });
      peer.take();
      peer.send({ seq: 1, ack: 1 });
      expect(listener.accept() !== undefined).toBe(good);
    }
  });

  it("are not believed by a listener that sent none", async () => {
    const { peer } = await flooded();
    peer.send({ flags: "S" });
    peer.take();
    const calm = await makeEngine();
    const listener = calm.listen({ port: 80 });
    const same = new Peer(calm, { peerPort: 40_001 });
    same.engineIss = peer.engineIss;
    same.send({ seq: 1, ack: 1 });
    expect(same.take().map(({ flags }) => flags)).toEqual(["R"]);
    expect(listener.accept()).toBeUndefined();
    expect(calm.counters().SyncookiesFailed).toBe(0);
  });

  it("are not sent when tcpSyncookies is 0: the SYN is dropped and counted", async () => {
    const { engine, peer } = await flooded({ settings: { tcpMaxSynBacklog: 1, tcpSyncookies: 0 } });
    peer.send({ flags: "S" });
    peer.silence();
    expect(engine.counters().TCPReqQFullDrop).toBe(1);
    expect(engine.counters().ListenDrops).toBe(1);
  });

  it("are sent to everybody when tcpSyncookies is 2", async () => {
    const engine = await makeEngine({ settings: { tcpSyncookies: 2 } });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460 } });
    peer.expect({ flags: "SA" });
    expect(engine.connections()).toEqual([]);
    peer.send({ seq: 1, ack: 1 });
    expect(listener.accept()?.state).toBe("ESTABLISHED");
  });

  it("[seed-2] [4987-5] hold no memory through 20,000 spoofed SYNs, in which an honest client connects", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20 });
    const listener = engine.listen({ port: 80 });
    const most = () => engine.connections().length;
    for (let i = 0; i < 20_000; i++) {
      const spoofed = new Peer(engine, { peerAddress: `198.51.${i >> 8}.${i & 255}`, peerPort: 1000 });
      spoofed.send({ flags: "S" });
      if (i % 1000 === 999) {
        const honest = new Peer(engine, { peerPort: 50_000 + i / 1000 });
        honest.send({ flags: "S", options: { mss: 1460 } });
        honest.expect({ flags: "SA" });
        honest.send({ seq: 1, ack: 1 });
        expect(listener.accept()?.state).toBe("ESTABLISHED");
      }
    }
    expect(most()).toBeLessThanOrEqual(256 + 20);
    expect(engine.counters().SyncookiesSent).toBeGreaterThan(19_000);
  });

  it("wait when the accept queue is full, and hold nothing meanwhile", async () => {
    const engine = await makeEngine({ settings: { tcpSyncookies: 2 } });
    const listener = engine.listen({ port: 80, backlog: 0 });
    const [first, second] = [1, 2].map((n) => new Peer(engine, { peerPort: 40_000 + n })) as [Peer, Peer];
    for (const peer of [first, second]) {
      peer.send({ flags: "S" });
      peer.expect({ flags: "SA" });
    }
    first.send({ seq: 1, ack: 1 });
    second.send({ seq: 1, ack: 1 });
    second.silence();
    expect(engine.connections().length).toBe(1);
    expect(engine.counters().ListenOverflows).toBe(1);
    listener.accept();
    second.send({ seq: 1, ack: 1, text: "again" });
    expect(readAll(listener.accept()!).toString()).toBe("again");
  });
});
