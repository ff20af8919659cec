import { describe, expect, it } from "vitest";
import type { Connection } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { Peer, type Sent } from "../support/peer.ts";

// RFC 7323 §3 and RFC 6191: timestamps where they are missing, odd, or decide about TIME-WAIT.

const SYN: Sent = { options: { mss: 1460, ts: [1000, 0] } };

/** Close first, up to TIME-WAIT, every segment of the peer's at its clock `ts`, or without. */
function timeWait(peer: Peer, connection: Connection, ts?: number): void {
  const options = ts === undefined ? {} : { options: { ts: [ts, 0] as [number, number] } };
  connection.shutdown();
  peer.expect({ flags: "FA" });
  peer.send({ flags: "FA", seq: 1, ack: 2, ...options });
  peer.expect({ flags: "A", ack: 2 });
  expect(connection.state).toBe("TIME-WAIT");
}

describe("timestamps", () => {
  it("[7323-8] a segment that lacks them is no reason to end a connection that has them", async () => {
    const { peer, connection } = await connected({ syn: SYN });
    for (let i = 0; i < 5; i++) peer.send({ seq: 1, ack: 1, text: "bare" });
    peer.take();
    expect(connection.state).toBe("ESTABLISHED");
    peer.send({ seq: 1, ack: 1, text: "full", options: { ts: [1001, 0] } });
    expect(peer.expectWithin(499, { flags: "A", ack: 5 }).options.ts).toBeDefined();
    expect(connection.state).toBe("ESTABLISHED");
    expect(readAll(connection).length).toBe(4);
  });

  it("[7323-9] our SYN echoes nothing, and what a SYN echoes is not looked at", async () => {
    const engine = await makeEngine();
    const active = new Peer(engine, { peerPort: 40_001 });
    engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40_001 });
    expect(active.expect({ flags: "S" }).options.ts![1]).toBe(0);
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460, ts: [7, 0xdeadbeef] } });
    expect(peer.expect({ flags: "SA" }).options.ts![1]).toBe(7);
    expect(engine.connections().find(({ localPort }) => localPort === 80)!.info.rtt).toBe(0);
  });
});

describe("a SYN in TIME-WAIT", () => {
  it("[6191-2] with an equal timestamp is taken if its sequence is larger, and else not", async () => {
    for (const [beyond, taken] of [
      [1000, true],
      [-1000, false],
    ] as const) {
      const { peer, connection, engine } = await connected({ syn: SYN });
      timeWait(peer, connection, 1005);
      const again = new Peer(engine, { now: peer.now, iss: peer.iss + beyond });
      again.send({ flags: "S", options: { mss: 1460, ts: [1005, 0] } });
      const sent = again.take().map(({ flags }) => flags);
      if (taken) expect(sent).toEqual(["SA"]);
      else expect(sent).not.toContain("SA");
    }
  });

  it("[9293-SHLD-4] with a newer timestamp is taken whatever its sequence, and answered beyond the old one", async () => {
    const { peer, connection, engine } = await connected({ syn: SYN });
    timeWait(peer, connection, 1005);
    const again = new Peer(engine, { now: peer.now, iss: peer.iss - 1000 });
    again.send({ flags: "S", options: { mss: 1460, ts: [1006, 0] } });
    again.expect({ flags: "SA", ack: 1 });
    expect((again.engineIss - peer.engineIss) | 0).toBeGreaterThan(2);
  });
});
