import { describe, expect, it } from "vitest";
import type { Connection } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { errorCode, makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";

// RFC 5482: the user timeout option, kind 28.

const SECONDS = 1000;
const option = (value: number) => [28, 4, value >> 8, value & 255];
const MINUTES = 0x8000;

/** A passive connection of an engine that advertises `seconds`, whose peer advertised `value`. */
function opened(seconds: number, value?: number, state = {}) {
  return connected({
    engine: { settings: { tcpUserTimeoutOption: seconds, tcpTimestamps: 0, ...state } },
    syn: value === undefined ? {} : { rawOptions: option(value) },
  });
}

/** Write, and how many milliseconds later the connection gives up. */
function patience(peer: Peer, connection: Connection): number {
  connection.write(Buffer.from("x"));
  peer.flush();
  const from = peer.now;
  for (let i = 0; i < 10_000 && !connection.error; i++) {
    const next = peer.engine.nextDeadline();
    if (next === undefined) break;
    peer.waitUntil(next);
  }
  expect(errorCode(connection)).toBe("ETIMEDOUT");
  return peer.now - from;
}

describe("user timeout option", () => {
  it("[5482-1] is kind 28 of length 4, in seconds, or in minutes with the G bit", async () => {
    for (const [seconds, value] of [
      [200, 200],
      [32767, 32767],
      [32768, MINUTES | 547],
      [32767 * 60, MINUTES | 32767],
    ] as const) {
      const engine = await makeEngine({ settings: { tcpUserTimeoutOption: seconds } });
      const peer = new Peer(engine);
      engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
      const syn = peer.expect({ flags: "S" });
      expect(syn.kinds.at(-1)).toBe(28);
      expect([...syn.octets.subarray(-4)]).toEqual(option(value));
    }
  });

  it("[5482-6] goes with the SYN and the first segment that is none, active and passive", async () => {
    const { peer, connection } = await connected({ engine: { settings: { tcpUserTimeoutOption: 300 } } });
    // The SYN,ACK was expected by connected(); the ACK of the handshake is the peer's.
    connection.write(Buffer.from("x"));
    expect(peer.expect({ seq: 1, text: 0 }).kinds).toContain(28);
    expect(peer.expect({ seq: 1, text: "x" }).kinds).not.toContain(28);

    const engine = await makeEngine();
    const other = new Peer(engine);
    const active = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    active.setOption("userTimeoutOption", 300);
    other.enginePort = active.localPort;
    expect(other.expect({ flags: "S" }).kinds).toContain(28);
    other.send({ flags: "SA", seq: 0, ack: 1 });
    expect(other.expect({ flags: "A", seq: 1, text: 0 }).kinds).toContain(28);
    active.write(Buffer.from("x"));
    expect(other.expect({ seq: 1, text: "x" }).kinds).not.toContain(28);
    // A change is told at once.
    active.setOption("userTimeoutOption", 400);
    const told = other.expect({ flags: "A", text: 0 });
    expect([...told.octets.subarray(-4)]).toEqual(option(400));
  });

  it("goes with the SYN,ACK of a listener", async () => {
    const engine = await makeEngine({ settings: { tcpUserTimeoutOption: 300 } });
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0 });
    expect(peer.expect({ flags: "SA" }).kinds).toContain(28);
  });

  it("[5482-2] is never sent with zero, and ignored with zero", async () => {
    const { peer, connection } = await connected({ syn: { rawOptions: option(0) } });
    connection.setOption("userTimeoutOption", 0);
    connection.write(Buffer.from("x"));
    expect(peer.expect({ seq: 1 }).kinds).not.toContain(28);
    const { peer: other, connection: told } = await opened(150, 0);
    expect(patience(other, told)).toBe(150 * SECONDS);
    const { peer: third, connection: minutes } = await opened(150, MINUTES);
    expect(patience(third, minutes)).toBe(150 * SECONDS);
  });

  it("[5482-3] does not change what the user has set", async () => {
    const { peer, connection } = await opened(300, 30);
    connection.setOption("userTimeout", 60_000);
    expect(patience(peer, connection)).toBe(60 * SECONDS);
  });

  it.each([
    ["the peer's, if it is longer", 110, 200, 200],
    ["ours, if that is longer", 250, 200, 250],
    ["the peer's minutes", 110, MINUTES | 5, 300],
  ])("[5482-4] %s", async (_, ours, theirs, seconds) => {
    const { peer, connection } = await opened(ours, theirs);
    expect(patience(peer, connection)).toBe(seconds * SECONDS);
  });

  it("[5482-5] is at least 100 seconds and at most an hour", async () => {
    const { peer, connection } = await opened(1, 1);
    expect(patience(peer, connection)).toBe(100 * SECONDS);
    const { peer: other, connection: long } = await opened(1, MINUTES | 32767);
    // Fifteen retransmissions would have taken a quarter of that.
    expect(patience(other, long)).toBe(3600 * SECONDS);
  });

  it("follows what the peer says later", async () => {
    const { peer, connection } = await opened(110, 120);
    peer.send({ seq: 1, ack: 1, rawOptions: option(210) });
    expect(patience(peer, connection)).toBe(210 * SECONDS);
  });

  it("[5482-7] leaves states that are not synchronized to their default", async () => {
    const engine = await makeEngine({ settings: { tcpUserTimeoutOption: 110 } });
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.expect({ flags: "S" });
    peer.wait(200 * SECONDS);
    expect(connection.state).toBe("SYN-SENT");
    peer.wait(100 * SECONDS);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("[5482-8] is skipped where it is off", async () => {
    const { peer, connection } = await connected({
      syn: { rawOptions: [...option(100), 2, 4, 5, 180] },
      engine: { settings: { tcpRetries2: 3 } },
    });
    expect(connection.info().sndMss).toBe(1460);
    const quick = patience(peer, connection);
    expect(quick).toBeLessThan(100 * SECONDS);
    expect(peer.take().every(({ kinds }) => !kinds.includes(28))).toBe(true);
  });

  it("refuses what cannot be said", async () => {
    const { connection } = await connected();
    expect(() => connection.setOption("userTimeoutOption", 32767 * 60 + 1)).toThrow(
      /userTimeoutOption.*1966021/,
    );
    await expect(makeEngine({ settings: { tcpUserTimeoutOption: -1 } })).rejects.toThrow(/-1/);
  });
});
