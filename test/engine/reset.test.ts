import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { atEnd, errorCode, makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";

describe("resets", () => {
  it("[5961-1] [seed-18] [9293-MUST-12] at RCV.NXT ends the connection with ECONNRESET", async () => {
    const { peer, connection, engine } = await connected();
    peer.send({ flags: "R", seq: 1 });
    peer.silence();
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ECONNRESET");
    expect(peer.eventTypes()).toContain("reset");
    expect(() => connection.read(new Uint8Array(1))).toThrow("ECONNRESET");
    expect(() => connection.write(new Uint8Array(1))).toThrow("ECONNRESET");
    expect(engine.connections()).toEqual([]);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-SHLD-2] may carry text", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "RA", seq: 1, ack: 1, text: "go away" });
    expect(errorCode(connection)).toBe("ECONNRESET");
  });

  it("[5961-2] elsewhere in the window draws a challenge ACK and nothing else", async () => {
    const { peer, connection } = await connected();
    for (const seq of [2, 1000, 20_000]) {
      peer.send({ flags: "R", seq });
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      peer.silence();
    }
    expect(connection.state).toBe("ESTABLISHED");
    expect(peer.engine.counters().TCPChallengeACK).toBe(3);
    // The peer that has forgotten us answers the challenge with the exact number.
    peer.send({ flags: "R", seq: 1 });
    expect(errorCode(connection)).toBe("ECONNRESET");
  });

  it("[5961-3] outside the window are dropped in silence", async () => {
    const { peer, connection } = await connected();
    for (const seq of [0, -1, -100_000, 1 + (1 << 20), 1 + 0x7fffffff]) peer.send({ flags: "R", seq });
    peer.silence();
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("[5961-5] a SYN on a live connection draws a challenge ACK", async () => {
    const { peer, connection } = await connected();
    for (const seq of [0, 1, 100, -5000, 1 << 20]) {
      peer.wait(2000);
      peer.send({ flags: "S", seq });
      peer.expect({ flags: "A", seq: 1, ack: 1 });
      peer.silence();
    }
    peer.wait(2000);
    peer.send({ flags: "SA", seq: 1, ack: 1 });
    peer.expect({ flags: "A", seq: 1, ack: 1 });
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("[5961-7] [5961-9] a flood draws few challenges, and takes none from another connection", async () => {
    const { peer, connection, listener, engine } = await connected();
    const other = new Peer(engine, { peerPort: 40001, now: peer.now });
    other.connect(listener);
    for (let i = 0; i < 1000; i++) peer.send({ flags: "R", seq: 2 + i });
    const challenges = peer.take().length;
    expect(challenges).toBeGreaterThan(0);
    expect(challenges).toBeLessThan(200);
    expect(connection.state).toBe("ESTABLISHED");
    other.send({ flags: "R", seq: 2 });
    other.expect({ flags: "A" });
    // A second later there are challenges again.
    peer.wait(1001);
    peer.take();
    peer.send({ flags: "R", seq: 2 });
    peer.expect({ flags: "A" });
  });

  it("leave what had arrived before to be read, then the error", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "PA", seq: 1, ack: 1, text: "famous last words" });
    peer.take();
    peer.send({ flags: "R", seq: 18 });
    let text = "";
    const into = new Uint8Array(64);
    expect(() => {
      for (;;) text += Buffer.from(into.subarray(0, connection.read(into))).toString();
    }).toThrow("ECONNRESET");
    expect(["", "famous last words"]).toContain(text);
  });

  it("[9293-X-13] a peer that has lost its memory resets the connection by answering our text", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("are you there?"));
    peer.expect({ seq: 1 });
    // RST as RFC 9293 has it for a connection that does not exist: SEQ is our ACK.
    peer.send({ flags: "R", seq: 1 });
    expect(errorCode(connection)).toBe("ECONNRESET");
  });

  it("in CLOSE-WAIT and FIN-WAIT are errors, after a finished close they are not", async () => {
    const first = await connected();
    first.peer.send({ flags: "FA", seq: 1, ack: 1 });
    first.peer.take();
    first.peer.send({ flags: "R", seq: 2 });
    expect(first.connection.state).toBe("CLOSED");
    expect(errorCode(first.connection)).toMatch(/ECONNRESET|EPIPE/);

    const second = await connected();
    second.connection.shutdown();
    second.peer.take();
    second.peer.send({ flags: "R", seq: 1 });
    expect(errorCode(second.connection)).toBe("ECONNRESET");

    const third = await connected();
    third.connection.shutdown();
    third.peer.take();
    third.peer.send({ flags: "FA", seq: 1, ack: 2 });
    third.peer.take();
    expect(third.connection.state).toBe("TIME-WAIT");
    third.peer.send({ flags: "R", seq: 2 });
    expect(errorCode(third.connection)).toBeUndefined();
    expect(atEnd(third.connection)).toBe(true);
  });

  it("of ours carry timestamps when they end a connection that has them, and none in answer to a segment", async () => {
    const syn = { options: { mss: 1460, ts: [1000, 0] as [number, number] } };
    const { peer, connection, engine } = await connected({ syn });
    connection.write(new Uint8Array(1));
    const [value] = peer.expect({ text: 1 }).options.ts!;
    peer.wait(50);
    connection.abort();
    peer.wait(3);
    const { options } = peer.expect({ flags: "RA", seq: 2, ack: 1 });
    // The clock is that of the moment it leaves.
    expect(Object.keys(options)).toEqual(["ts"]);
    expect((options.ts![0] - value) | 0).toBeGreaterThanOrEqual(50);
    expect(options.ts![1]).toBe(1000);
    peer.send({ seq: 1, ack: 2, options: { ts: [1001, value] } });
    expect(peer.expect({ flags: "R", seq: 2 }).options).toEqual({});

    const plain = await connected();
    plain.connection.abort();
    expect(plain.peer.expect({ flags: "RA" }).options).toEqual({});

    // Text that nobody is left to read is answered as a segment is.
    const other = new Peer(engine, { peerPort: 40_001, now: peer.now });
    const listener = engine.listen({ port: 81 });
    other.enginePort = 81;
    other.connect(listener, syn).close();
    other.expect({ flags: "FA" });
    other.send({ seq: 1, ack: 2, text: "x", options: { ts: [1002, value] } });
    expect(other.expect({ flags: "R" }).options).toEqual({});
  });

  it("never answer a RST", async () => {
    const engine = await makeEngine();
    engine.listen({ port: 80 });
    for (const [enginePort, flags] of [
      [80, "R"],
      [80, "RA"],
      [80, "RS"],
      [81, "R"],
      [81, "RA"],
      [81, "RSFPUA"],
    ] as const) {
      const peer = new Peer(engine, { enginePort });
      peer.send({ flags, seq: 5, ack: 5 });
      peer.silence();
    }
  });
});
