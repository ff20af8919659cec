import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { icmp } from "../support/datagrams.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer, type Received } from "../support/peer.ts";

const four = {};
const six = { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" };
const minutes = 60_000;

function tooBig(packet: Received, mtu: number): Uint8Array {
  return packet.version === 4
    ? icmp({ src: "203.0.113.1", dst: packet.src }, 3, 4, mtu, packet.octets.subarray(0, 28))
    : icmp({ src: "2001:db8:ffff::1", dst: packet.src }, 2, 0, mtu, packet.octets.subarray(0, 1232));
}

const text = Uint8Array.from({ length: 60_000 }, (_, i) => i * 13);

/** A connection with a full window in flight. */
async function flying(peerOptions = four, syn = {}) {
  const made = await connected({ peer: peerOptions, syn });
  expect(made.connection.write(text.subarray(0, 8192))).toBe(8192);
  return { ...made, sent: made.peer.take() };
}

describe.each([
  ["IPv4", four, 1500, 1400, 40],
  ["IPv6", six, 1500, 1400, 60],
] as const)("a path over %s that takes less than the interface", (_, options, mtu, less, headers) => {
  it("[1191-1] [1191-6] [8201-2] [9293-X-18] gets what is in flight again, smaller, and no less at a time", async () => {
    const { peer, connection, sent } = await flying(options);
    expect(sent[0]!.length).toBe(mtu);
    expect(sent.every(({ dontFragment }) => dontFragment)).toBe(true);
    const before = connection.info();
    peer.deliver(tooBig(sent[0]!, less));
    const again = peer.take();
    const { pmtu, sndMss, sndSsthresh, totalRetrans } = connection.info();
    expect([pmtu, sndMss, sndSsthresh]).toEqual([less, less - headers, before.sndSsthresh]);
    expect(again[0]!.seq).toBe(1);
    expect(again[0]!.length).toBe(less);
    expect(again.every(({ length, dontFragment }) => length <= less && dontFragment)).toBe(true);
    expect(Buffer.concat(again.map((one) => one.text)).equals(text.subarray(0, 8192))).toBe(true);
    expect(totalRetrans).toBe(again.length);
    // The congestion window is what it was: as many octets as before may fly.
    expect(connection.info().sndCwnd * sndMss).toBeGreaterThanOrEqual(
      before.sndCwnd * before.sndMss - sndMss,
    );
    peer.send({ seq: 1, ack: 8193 });
    connection.write(text.subarray(0, 5000));
    expect(Math.max(...peer.take().map(({ length }) => length))).toBe(less);
  });

  it("[1191-5] sends again once, however many messages come", async () => {
    const { peer, sent } = await flying(options);
    peer.deliver(...sent.map((packet) => tooBig(packet, less)));
    const again = peer.take();
    const starts = again.map(({ seq }) => seq);
    expect(new Set(starts).size).toBe(starts.length);
    peer.deliver(...sent.map((packet) => tooBig(packet, less)));
    peer.silence();
  });

  it("[1191-2] is never taken to be larger for a message", async () => {
    const { peer, connection, sent } = await flying(options);
    for (const told of [less, less + 50, mtu, 9000]) peer.deliver(tooBig(sent[0]!, told));
    expect(connection.info().pmtu).toBe(less);
  });

  it("[8201-5] is not believed of a segment that was never sent", async () => {
    const { engine, peer, connection, sent } = await flying(options);
    for (const [at, change] of [
      [options === four ? 24 : 44, 1],
      [options === four ? 21 : 41, 1],
    ] as const) {
      const octets = sent[0]!.octets.slice();
      octets[at]! ^= change;
      peer.deliver(tooBig({ ...sent[0]!, octets }, less));
    }
    expect(connection.info().pmtu).toBe(mtu);
    peer.silence();
    expect(engine.counters().OutOfWindowIcmps).toBe(1);
  });

  it("[1191-3] [1191-7] [8201-3] [8201-6] is tried again after ten minutes, and a probe lost is no congestion", async () => {
    const { peer, connection, sent } = await flying(options);
    peer.deliver(tooBig(sent[0]!, less));
    peer.take();
    let acked = 8193;
    peer.send({ seq: 1, ack: acked });
    const turn = (): Received[] => {
      connection.write(text.subarray(0, 4000));
      const packets = peer.take();
      return packets;
    };
    const answer = () => {
      acked += 4000;
      peer.send({ seq: 1, ack: acked });
      peer.take();
    };
    peer.wait(5 * minutes);
    expect(turn()[0]!.length).toBe(less);
    answer();
    peer.wait(4.9 * minutes);
    expect(turn()[0]!.length).toBe(less);
    answer();
    peer.wait(0.2 * minutes);
    const larger = turn();
    expect(larger[0]!.length).toBe(mtu);
    const { sndCwnd, sndMss, sndSsthresh } = connection.info();
    peer.deliver(tooBig(larger[0]!, less));
    const after = connection.info();
    expect(after.sndSsthresh).toBe(sndSsthresh);
    expect(after.sndCwnd * after.sndMss).toBeGreaterThan((sndCwnd - 1) * sndMss);
    expect(peer.take()[0]).toMatchObject({ length: less, seq: acked });
    answer();
    expect(connection.info().pmtu).toBe(less);
  });

  it("is remembered for the next connection to the destination, and for no other", async () => {
    const { engine, listener, peer, sent } = await flying(options);
    peer.deliver(tooBig(sent[0]!, less));
    const next = new Peer(engine, { ...options, peerPort: 40_001, now: peer.now });
    expect(next.connect(listener).info()).toMatchObject({ pmtu: less, sndMss: less - headers });
    const peerAddress = options === four ? "192.0.2.3" : "2001:db8::3";
    const other = new Peer(engine, { ...options, peerAddress, now: peer.now });
    expect(other.connect(listener).info().pmtu).toBe(mtu);
    peer.wait(11 * minutes);
    const later = new Peer(engine, { ...options, peerPort: 40_002, now: peer.now });
    expect(later.connect(listener).info().pmtu).toBe(mtu);
  });

  it("[1191-2] is not widened for others by a message that tells one less", async () => {
    const { engine, listener, peer, sent } = await flying(options);
    const second = new Peer(engine, { ...options, peerPort: 40_001, now: peer.now });
    const connection = second.connect(listener);
    connection.write(text.subarray(0, 2000));
    const [first] = second.take();
    peer.deliver(tooBig(sent[0]!, less));
    second.deliver(tooBig(first!, less + 50));
    expect(connection.info().pmtu).toBe(less);
    const third = new Peer(engine, { ...options, peerPort: 40_002, now: peer.now });
    expect(third.connect(listener).info().pmtu).toBe(less);
  });

  it("[8201-4] [9293-MUST-16] never gets more than the peer takes", async () => {
    const { peer, connection, sent } = await flying(options, { options: { mss: 700 } });
    expect(connection.info().sndMss).toBe(700);
    peer.deliver(tooBig(sent[0]!, less));
    expect(connection.info()).toMatchObject({ pmtu: less, sndMss: 700 });
    peer.silence();
  });

  it("carries a transfer to its end", async () => {
    const { peer, connection } = await connected({ peer: options });
    let written = connection.write(text);
    const got = new Map<number, Uint8Array>();
    let next = 1;
    for (let i = 0; i < 200 && next <= text.length; i++) {
      for (const packet of peer.take()) {
        if (packet.length > less) peer.deliver(tooBig(packet, less));
        else if (packet.text.length > 0) got.set(packet.seq, packet.text);
      }
      for (let piece = got.get(next); piece; piece = got.get(next)) next += piece.length;
      peer.send({ seq: 1, ack: next });
      if (written < text.length) written += connection.write(text.subarray(written));
    }
    expect(next).toBe(text.length + 1);
  });
});

describe("what routers may tell", () => {
  it("[1191-2] of less than 552 octets over IPv4 makes packets of 552 that may be fragmented", async () => {
    const { peer, connection, sent } = await flying();
    peer.deliver(tooBig(sent[0]!, 40));
    const again = peer.take();
    expect(connection.info().pmtu).toBe(552);
    expect(again.length).toBe(10);
    expect(again.every(({ length, dontFragment }) => length <= 552 && !dontFragment)).toBe(true);
    expect(new Set(again.map(({ id }) => id)).size).toBe(again.length);
  });

  it("[1191-2] of less than 552 octets, when packets have that size already, lets them be fragmented", async () => {
    const { peer, connection, sent } = await flying();
    peer.deliver(tooBig(sent[0]!, 552));
    const again = peer.take();
    expect(again.every(({ length, dontFragment }) => length <= 552 && dontFragment)).toBe(true);
    peer.deliver(tooBig(again[0]!, 296));
    const pieces = peer.take();
    expect(pieces.length).toBe(again.length);
    expect(pieces.every(({ length, dontFragment }) => length <= 552 && !dontFragment)).toBe(true);
    peer.deliver(tooBig(again[0]!, 296));
    peer.silence();
    expect(connection.info().pmtu).toBe(552);
  });

  it("[8201-1] of less than 1280 octets over IPv6 is not believed", async () => {
    const { peer, connection, sent } = await flying(six);
    for (const told of [0, 1000, 1279]) peer.deliver(tooBig(sent[0]!, told));
    expect(connection.info().pmtu).toBe(1500);
    peer.silence();
    peer.deliver(tooBig(sent[0]!, 1280));
    expect(connection.info().sndMss).toBe(1220);
    expect(peer.take()[0]!.length).toBe(1280);
  });

  it.each([
    [1500, 1492],
    [1400, 1006],
    [1006, 552],
  ])("[1191-4] nothing, of a packet of %i octets, makes them %i", async (mtu, expected) => {
    const engine = await makeEngine({ mtu, addresses: ["192.0.2.1/24"] });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    const connection = peer.connect(listener);
    connection.write(text.subarray(0, 8192));
    const [first] = peer.take();
    expect(first!.length).toBe(mtu);
    peer.deliver(tooBig(first!, 0));
    expect(connection.info().pmtu).toBe(expected);
  });

  it("of a SYN counts from the first text on", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine, { peerPort: 80 });
    const connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: 80 });
    peer.enginePort = connection.localPort;
    peer.deliver(tooBig(peer.expect({ flags: "S" }), 1000));
    peer.silence();
    peer.send({ flags: "SA", ack: 1, options: { mss: 1460 } });
    peer.expect({ flags: "A" });
    connection.write(text.subarray(0, 2000));
    expect(peer.take()[0]!.length).toBe(1000);
    peer.send({ seq: 1, ack: 2001, text: "done" });
    expect(readAll(connection).toString()).toBe("done");
  });

  it("is forgotten first that was told first, when there is too much of it", async () => {
    const engine = await makeEngine({ memory: 8 * 2 ** 20 });
    const listener = engine.listen({ port: 80 });
    let now = 1000;
    const pmtuOf = (address: string, port: number, told?: number) => {
      const peer = new Peer(engine, { peerAddress: address, peerPort: port, now: now++ });
      const connection = peer.connect(listener);
      connection.write(text.subarray(0, 2000));
      const [first] = peer.take();
      if (told) peer.deliver(tooBig(first!, told));
      const { pmtu } = connection.info();
      connection.abort();
      peer.take();
      return pmtu;
    };
    for (let i = 0; i < 1000; i++)
      expect(pmtuOf(`10.1.${i >> 8}.${i & 255 || 1}`, 1000 + i, 1300)).toBe(1300);
    let kept = 0;
    for (let i = 990; i < 1000; i++)
      kept += Number(pmtuOf(`10.1.${i >> 8}.${i & 255}`, 5000, undefined) === 1300);
    expect(kept).toBe(10);
  });
});
