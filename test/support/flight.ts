import { expect } from "vitest";
import type { EngineOptions } from "../../bindings/types.ts";
import { makeEngine } from "./engine.ts";
import type { Options } from "./packet.ts";
import { Peer, type Sent } from "./peer.ts";
import { randomOctets } from "./random.ts";

// Segments in flight to a peer that tells of holes, unless it is told not to: 1,000 octets long, segment n from 1 + 1000 (n - 1)
// on; the round trip is 100 ms.

export const MSS = 1000;
export const RTT = 100;
export const at = (n: number) => 1 + MSS * (n - 1);

export async function flight(
  segments: number,
  settings: EngineOptions["settings"] = {},
  options: Sent["options"] = {},
) {
  const engine = await makeEngine({
    settings: { tcpTimestamps: 0, tcpCongestionControl: "newreno", ...settings },
  });
  const listener = engine.listen({ port: 80 });
  const peer = new Peer(engine);
  const { ts } = options;
  peer.send({
    flags: "S",
    seq: 0,
    options: { mss: MSS + (ts ? 12 : 0), ws: 7, sackPermitted: true, ...options },
  });
  const synAck = peer.expect({ flags: "SA" });
  peer.wait(RTT);
  const echoed = (echo: number | undefined): Options =>
    ts && echo !== undefined ? { ts: [ts[0] + Math.round(peer.now), echo] } : {};
  peer.send({ flags: "A", seq: 1, ack: 1, window: 60_000, options: echoed(synAck.options.ts?.[0]) });
  const connection = listener.accept()!;
  peer.eventTypes();
  connection.write(randomOctets(MSS * segments, 1));
  /** TSvals of the segments that sent() has shown, by number: of the first copy, and of the last. */
  const stamps = { first: new Map<number, number>(), last: new Map<number, number>() };
  const sent = () =>
    peer.take().map(({ seq, text, options: { ts: stamp } }) => {
      const n = (seq - 1) / MSS + (text.length ? 1 : 0.5);
      if (stamp && !stamps.first.has(n)) stamps.first.set(n, stamp[0]);
      if (stamp) stamps.last.set(n, stamp[0]);
      return n;
    });
  /** An ACK up to segment `next`, with blocks of whole segments, each [first, last]. */
  const ack = (next: number, ...blocks: [number, number][]) => answer(next, undefined, ...blocks);
  /** The same with an echo, if there are timestamps. */
  const answer = (next: number, echo: number | undefined, ...blocks: [number, number][]) => {
    const sack = blocks.map(([first, last]): [number, number] => [at(first), at(last + 1)]);
    peer.send({
      seq: 1,
      ack: at(next),
      window: 60_000,
      options: { ...echoed(echo), ...(sack.length ? { sack } : {}) },
    });
  };
  return { engine, peer, connection, sent, ack, answer, stamps };
}

/** Ten segments in flight and a round trip ago, more written. */
export async function tenInFlight(
  more = 20,
  settings: EngineOptions["settings"] = {},
  options: Sent["options"] = {},
) {
  const all = await flight(10 + more, settings, options);
  expect(all.sent()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  all.peer.wait(RTT);
  return all;
}
