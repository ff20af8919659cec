import { describe, expect, it } from "vitest";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

/** Of TcpInfo.options: timestamps, SACK, window scale. */
const OPTIONS = 1 | 2 | 4;
const full = { settings: { tcpMaxSynBacklog: 1 } };
/** What the field needs to say tcpRmem's maximum. */
const SCALE = 7;

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

  it("[seed-4] [4987-5] remember window scale and SACK through the timestamp they come with", async () => {
    for (const address of ["192.0.2.1", "2001:db8::1"])
      for (const ws of [undefined, 0, 7, 14])
        for (const sackPermitted of [undefined, true as const]) {
          const { listener, peer } = await flooded(full, address);
          const offered = { ...(ws !== undefined && { ws }), ...(sackPermitted && { sackPermitted }) };
          peer.send({ flags: "S", options: { mss: 1460, ts: [500, 0], ...offered } });
          const answer = peer.expect({ flags: "SA", seq: 0, ack: 1 });
          const [value, echo] = answer.options.ts!;
          expect(echo).toBe(500);
          expect(answer.options.ws).toBe(ws === undefined ? undefined : SCALE);
          expect(answer.options.sackPermitted).toBe(sackPermitted);
          peer.wait(20);
          peer.send({ seq: 1, ack: 1, window: 100, options: { ts: [520, value] } });
          const connection = listener.accept()!;
          const info = connection.info();
          expect(info.options & OPTIONS).toBe(1 | (sackPermitted ? 2 : 0) | (ws === undefined ? 0 : 4));
          expect(info.sndWscale).toBe(ws ?? 0);
          expect(info.rcvWscale).toBe(ws === undefined ? 0 : SCALE);
          expect(info.sndWnd).toBe(100 * 2 ** (ws ?? 0));
          // The option that every segment carries comes off.
          expect(info.sndMss).toBe((address.includes(":") ? 1440 : 1460) - 12);
          // It says what, and not when: the round trip is not measured by it.
          expect(info.rtt).toBe(0);
          connection.write(randomOctets(10, 1));
          const text = peer.expect({ text: 10 });
          expect(text.options.ts![1]).toBe(520);
          expect((text.options.ts![0] - value) | 0).toBeGreaterThanOrEqual(20);
        }
  });

  it("grant no option besides MSS that would have to be remembered by a timestamp there is not", async () => {
    for (const [settings, ts] of [
      [{}, undefined],
      [{ tcpTimestamps: 0 }, [500, 0] as [number, number]],
    ] as const) {
      const { listener, peer } = await flooded({ settings: { ...full.settings, ...settings } });
      peer.send({ flags: "S", options: { mss: 1460, ws: 7, sackPermitted: true, ...(ts && { ts }) } });
      expect(Object.keys(peer.expect({ flags: "SA" }).options)).toEqual(["mss"]);
      // Nor does one that comes all the same grant any.
      peer.send({ seq: 1, ack: 1, ...(ts && { options: { ts: [501, 0x17] as [number, number] } }) });
      const info = listener.accept()!.info();
      expect([info.options & OPTIONS, info.sndWscale, info.rcvWscale]).toEqual([0, 0, 0]);
    }
  });

  it("take an ACK without timestamps for one that knows of none", async () => {
    const { listener, peer } = await flooded();
    peer.send({ flags: "S", options: { mss: 1460, ws: 7, sackPermitted: true, ts: [500, 0] } });
    peer.take();
    peer.send({ seq: 1, ack: 1 });
    const info = listener.accept()!.info();
    expect([info.options & OPTIONS, info.sndWscale, info.rcvWscale]).toEqual([0, 0, 0]);
  });

  it("grant what is switched on", async () => {
    for (const [settings, expected] of [
      [{ tcpWindowScaling: 0 }, { ws: undefined, sackPermitted: true }],
      [{ tcpSack: 0 }, { ws: SCALE, sackPermitted: undefined }],
    ] as const) {
      const { listener, peer } = await flooded({ settings: { ...full.settings, ...settings } });
      peer.send({ flags: "S", options: { mss: 1460, ws: 3, sackPermitted: true, ts: [500, 0] } });
      const { options } = peer.expect({ flags: "SA" });
      expect({ ws: options.ws, sackPermitted: options.sackPermitted }).toEqual(expected);
      peer.send({ seq: 1, ack: 1, options: { ts: [501, options.ts![0]] } });
      const info = listener.accept()!.info();
      expect(info.options & OPTIONS).toBe(1 | (expected.sackPermitted ? 2 : 0) | (expected.ws ? 4 : 0));
    }
  });

  it("have timestamps that the connection's own never go behind, and that no echo is mistaken for", async () => {
    // Whatever the clock's low bits are, those of the options may be larger.
    for (const now of [1, 62, 63, 64, 65, 1000, 1023, 1024, 1087, 123_456]) {
      const engine = await makeEngine({ settings: { tcpSyncookies: 2 } });
      const listener = engine.listen({ port: 80 });
      const peer = new Peer(engine, { now });
      let last: number | undefined;
      for (const [scale, sackPermitted] of [
        [14, true],
        [0, undefined],
      ] as const) {
        const options = {
          ws: scale,
          ts: [500, 0] as [number, number],
          ...(sackPermitted && { sackPermitted }),
        };
        peer.send({ flags: "S", options });
        last = peer.expect({ flags: "SA" }).options.ts![0];
      }
      peer.send({ seq: 1, ack: 1, options: { ts: [500, last!] } });
      const connection = listener.accept()!;
      expect(connection.info().sndWscale).toBe(0);
      connection.write(randomOctets(10, 1));
      const ahead = (peer.expect({ text: 10 }).options.ts![0] - last!) | 0;
      expect(ahead).toBeGreaterThanOrEqual(0);
      expect(ahead).toBeLessThan(128);
    }
  });

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
