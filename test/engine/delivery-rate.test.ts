import { describe, expect, it } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// Delivery rate, draft-ietf-ccwg-bbr's "Delivery Rate Samples", as tcp_info tells of it. Segments are 1,000 octets long.

const MSS = 1000;
const RTT = 100;

async function begin(settings: EngineOptions["settings"] = {}, options: { sack?: boolean } = {}) {
  const engine = await makeEngine({ settings: { tcpTimestamps: 0, ...settings } });
  const listener = engine.listen({ port: 80 });
  const peer = new Peer(engine);
  peer.send({
    flags: "S",
    seq: 0,
    options: { mss: MSS, ws: 7, ...(options.sack !== false && { sackPermitted: true }) },
  });
  peer.expect({ flags: "SA" });
  peer.wait(RTT);
  peer.send({ flags: "A", seq: 1, ack: 1, window: 60_000 });
  const connection = listener.accept()!;
  connection.setOption("noDelay", true);
  /** Write so many segments; returns how many have left. */
  const write = (segments: number) => {
    connection.write(randomOctets(MSS * segments, 1));
    return peer.take().length;
  };
  /** Acknowledge `count` segments, with blocks of whole segments, each [first, last], counted from 1. */
  const ack = (count: number, ...blocks: [number, number][]) => {
    const sack = blocks.map(([first, last]): [number, number] => [1 + MSS * (first - 1), 1 + MSS * last]);
    peer.send({ seq: 1, ack: 1 + MSS * count, window: 60_000, options: sack.length ? { sack } : {} });
    return peer.take().length;
  };
  return { engine, peer, connection, write, ack };
}

describe("delivery rate", () => {
  it("is what was delivered since the newest segment delivered was sent, by the time since the ACK before that", async () => {
    const { peer, connection, write, ack } = await begin();
    expect(connection.info().deliveryRate).toBe(0);
    expect(write(30)).toBe(10);
    peer.wait(RTT);
    ack(1);
    expect(connection.info().deliveryRate).toBe(1000 / 0.1);
    for (let i = 2; i <= 10; i++) {
      peer.wait(1);
      ack(i);
    }
    expect(connection.info().deliveryRate).toBe(Math.floor(10_000 / 0.109));
    peer.wait(RTT - 9);
    // Segments 11 and 12 left when the first was acknowledged, 13 and 14 a millisecond later.
    ack(12);
    expect(connection.info().deliveryRate).toBe(11_000 / 0.1);
    peer.wait(1);
    ack(14);
    // Of these the newest left 101 ms after segment 2, the last that was delivered then.
    expect(connection.info().deliveryRate).toBe(Math.floor(12_000 / 0.101));
  });

  it("counts what is SACKed when it is, and not again", async () => {
    const { peer, connection, write, ack } = await begin();
    write(30);
    peer.wait(RTT);
    ack(0, [2, 5]);
    expect(connection.info().deliveryRate).toBe(4000 / 0.1);
    peer.wait(25);
    ack(0, [2, 10]);
    expect(connection.info().deliveryRate).toBe(9000 / 0.125);
  });

  it("is no faster than the segments were sent, however close their ACKs come", async () => {
    const { peer, connection, write, ack } = await begin();
    for (let i = 0; i < 10; i++) {
      expect(write(1)).toBe(1);
      peer.wait(10);
    }
    ack(9);
    for (let i = 0; i < 10; i++) {
      expect(write(1)).toBe(1);
      peer.wait(i < 9 ? 10 : 5);
    }
    // Segment 20 left 110 ms after segment 9; between their ACKs were 95 ms.
    ack(20);
    expect(connection.info().deliveryRate).toBe(11_000 / 0.11);
  });

  it("is the path's, where it tells of the application only what is more", async () => {
    const { peer, connection, write, ack } = await begin({ tcpWmem: [4096, 65_536, 65_536] });
    // Whatever is written to a connection with nothing to send is that: it might have sent before.
    expect(write(30)).toBe(10);
    peer.wait(RTT);
    expect(ack(10)).toBe(20);
    expect(connection.info()).toMatchObject({ deliveryRate: 100_000, deliveryRateAppLimited: true });
    peer.wait(RTT);
    ack(30);
    expect(connection.info()).toMatchObject({ deliveryRate: 200_000, deliveryRateAppLimited: false });
    write(1);
    peer.wait(RTT);
    ack(31);
    expect(connection.info()).toMatchObject({ deliveryRate: 200_000, deliveryRateAppLimited: false });
    expect(write(25)).toBe(25);
    peer.wait(RTT);
    ack(56);
    expect(connection.info()).toMatchObject({ deliveryRate: 250_000, deliveryRateAppLimited: true });
  });

  it("is not told by what took less than any round trip", async () => {
    const { peer, connection, write, ack } = await begin();
    write(1);
    peer.wait(90);
    write(1);
    peer.wait(10);
    ack(1);
    peer.wait(1);
    write(1);
    peer.wait(4);
    ack(2);
    const { deliveryRate, minRtt } = connection.info();
    expect(minRtt).toBe(100_000);
    expect(deliveryRate).toBe(Math.floor(2000 / 0.105));
    // Segment 4 leaves 16 ms after segment 2 did, and is SACKed 15 ms after that was acknowledged.
    peer.wait(1);
    write(1);
    peer.wait(14);
    ack(2, [4, 4]);
    expect(connection.info()).toMatchObject({ deliveryRate, sacked: 1 });
  });

  it("is not known of a peer without SACK", async () => {
    const { peer, connection, write, ack } = await begin({}, { sack: false });
    write(10);
    peer.wait(RTT);
    ack(10);
    expect(connection.info()).toMatchObject({ deliveryRate: 0, deliveryRateAppLimited: false });
  });
});

describe("pacingRate", () => {
  it("is what Linux makes of the window where nothing paces: two of it a round trip in slow start, then six fifths", async () => {
    const { peer, connection, write, ack } = await begin({ tcpCongestionControl: "newreno" });
    write(30);
    expect(connection.info().pacingRate).toBe((2 * 10_000) / 0.1);
    peer.wait(RTT);
    ack(0, [2, 4]);
    ack(30);
    const { sndCwnd, sndSsthresh, rtt, pacingRate } = connection.info();
    expect(sndCwnd).toBeGreaterThanOrEqual(sndSsthresh);
    // The window is told in whole segments.
    expect(pacingRate).toBeGreaterThanOrEqual((1.2e6 * sndCwnd * MSS) / rtt);
    expect(pacingRate).toBeLessThan((1.2e6 * (sndCwnd + 1) * MSS) / rtt);
  });
});

describe("minRtt", () => {
  it("is the least of the last tcpMinRttWlen seconds, and never older", async () => {
    const { peer, connection, write, ack } = await begin({ tcpMinRttWlen: 10 });
    let count = 0;
    const round = (rtt: number) => {
      write(1);
      peer.wait(rtt);
      ack(++count);
    };
    round(50);
    const start = peer.now;
    expect(connection.info().minRtt).toBe(50_000);
    while (peer.now < start + 4900) round(80);
    expect(connection.info().minRtt).toBe(50_000);
    round(70);
    while (peer.now < start + 11_000) round(80);
    expect(connection.info().minRtt).toBe(70_000);
    while (peer.now < start + 21_000) round(80);
    expect(connection.info().minRtt).toBe(80_000);
    peer.wait(30_000);
    round(90);
    expect(connection.info().minRtt).toBe(90_000);
  });
});
