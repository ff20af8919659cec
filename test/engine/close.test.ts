import { describe, expect, it } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { atEnd, errorCode, makeEngine, readAll } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";
import { drop, Wire } from "../support/wire.ts";

const MINUTE = 60_000;

describe("closing", () => {
  it("first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT, and 60 s later nothing is left", async () => {
    const { peer, connection, engine } = await connected();
    connection.shutdown();
    peer.expect({ flags: "FA", seq: 1, ack: 1 });
    expect(connection.state).toBe("FIN-WAIT-1");
    peer.send({ seq: 1, ack: 2 });
    expect(connection.state).toBe("FIN-WAIT-2");
    peer.send({ flags: "FA", seq: 1, ack: 2 });
    peer.expect({ flags: "A", seq: 2, ack: 2 });
    expect(connection.state).toBe("TIME-WAIT");
    expect(atEnd(connection)).toBe(true);
    expect(peer.eventTypes()).toContain("closed");
    const { now } = peer;
    peer.waitUntil(now + MINUTE - 1);
    expect(engine.connections().length).toBe(1);
    peer.waitUntil(now + MINUTE);
    expect(engine.connections()).toEqual([]);
    peer.silence();
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-X-16] [seed-12] [9293-MUST-13] a FIN that comes again starts TIME-WAIT again", async () => {
    const { peer, connection, engine } = await connected();
    timeWait(peer, connection);
    const { now } = peer;
    peer.waitUntil(now + 50_000);
    peer.send({ flags: "FA", seq: 1, ack: 2 });
    peer.expect({ flags: "A", seq: 2, ack: 2 });
    peer.waitUntil(now + 109_999);
    expect(engine.connections().length).toBe(1);
    peer.waitUntil(now + 110_000);
    expect(engine.connections()).toEqual([]);
    peer.send({ flags: "FA", seq: 1, ack: 2 });
    peer.expect({ flags: "R", seq: 2 });
  });

  it("second: CLOSE-WAIT, LAST-ACK, CLOSED", async () => {
    const { peer, connection, engine } = await connected();
    peer.send({ flags: "FA", seq: 1, ack: 1 });
    peer.expectWithin(499, { flags: "A", ack: 2 });
    expect(connection.state).toBe("CLOSE-WAIT");
    expect(peer.eventTypes()).toContain("readable");
    expect(atEnd(connection)).toBe(true);
    connection.close();
    peer.expect({ flags: "FA", seq: 1, ack: 2 });
    peer.send({ seq: 2, ack: 2 });
    peer.silence();
    expect(engine.connections()).toEqual([]);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-X-12] at the same time: FIN-WAIT-1, CLOSING, TIME-WAIT", async () => {
    const { peer, connection } = await connected();
    connection.shutdown();
    peer.expect({ flags: "FA", seq: 1 });
    peer.send({ flags: "FA", seq: 1, ack: 1 });
    peer.expect({ flags: "A", seq: 2, ack: 2 });
    expect(connection.state).toBe("CLOSING");
    peer.send({ seq: 2, ack: 2 });
    peer.silence();
    expect(connection.state).toBe("TIME-WAIT");
  });

  it("one FIN that acknowledges the other leads from FIN-WAIT-1 to TIME-WAIT", async () => {
    const { peer, connection } = await connected();
    connection.shutdown();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 1, ack: 2 });
    peer.expect({ flags: "A", ack: 2 });
    expect(connection.state).toBe("TIME-WAIT");
  });

  it("FIN goes after all that was written, with the last of it", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("a"));
    connection.write(Buffer.from("bc"));
    connection.shutdown();
    const segments = peer.take();
    expect(Buffer.concat(segments.map(({ text }) => text)).toString()).toBe("abc");
    expect(segments.at(-1)!.flags).toContain("F");
    expect(() => connection.write(Buffer.from("d"))).toThrow("EPIPE");
    connection.shutdown();
    peer.silence();
  });

  it("a FIN that was lost comes again until it is acknowledged", async () => {
    const { peer, connection } = await connected();
    connection.write(Buffer.from("bye"));
    connection.shutdown();
    peer.expect({ flags: "FPA", seq: 1, text: "bye" });
    const times = [1, 2, 3].map(() => peer.expectWithin(MINUTE, { flags: "FPA", seq: 1, text: "bye" }).at);
    expect(times[2]! - times[1]!).toBe(2 * (times[1]! - times[0]!));
    peer.send({ seq: 1, ack: 4 });
    peer.take();
    peer.expectWithin(MINUTE, { flags: "FA", seq: 4 });
    peer.send({ seq: 1, ack: 5 });
    expect(connection.state).toBe("FIN-WAIT-2");
    peer.wait(MINUTE);
    peer.silence();
  });

  it("half a close leaves the other direction open", async () => {
    const { peer, connection } = await connected();
    connection.shutdown();
    peer.expect({ flags: "FA", seq: 1 });
    peer.send({ seq: 1, ack: 2 });
    const text = randomOctets(5000, 1);
    for (let at = 0; at < text.length; at += 1000) {
      peer.send({ seq: 1 + at, ack: 2, text: text.subarray(at, at + 1000) });
      peer.wait(10 * MINUTE);
    }
    expect(peer.take().at(-1)!.ack).toBe(5001);
    expect(connection.state).toBe("FIN-WAIT-2");
    expect(readAll(connection).equals(text)).toBe(true);
    peer.send({ flags: "FA", seq: 5001, ack: 2 });
    peer.expect({ ack: 5002 });
    expect(connection.state).toBe("TIME-WAIT");
  });

  it("the peer's half leaves ours open", async () => {
    const { peer, connection } = await connected();
    peer.send({ flags: "FA", seq: 1, ack: 1 });
    peer.take();
    const text = randomOctets(5000, 1);
    connection.write(text);
    const segments = peer.take();
    expect(Buffer.concat(segments.map((segment) => segment.text)).equals(text)).toBe(true);
    peer.send({ seq: 2, ack: 5001 });
    expect(connection.unacked).toBe(0);
    connection.shutdown();
    peer.expect({ flags: "FA", seq: 5001, ack: 2 });
    expect(connection.state).toBe("LAST-ACK");
  });

  it("[9293-SHLD-3] close with unread text tells the peer by RST", async () => {
    const { peer, connection, engine } = await connected();
    peer.send({ seq: 1, ack: 1, text: "unread" });
    peer.take();
    connection.close();
    const { flags } = peer.expect({ seq: 1 });
    expect(flags).toContain("R");
    peer.silence();
    expect(engine.connections()).toEqual([]);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-SHLD-3] [9293-MAY-1] text for a connection that was closed is answered with RST", async () => {
    const { peer, connection, engine } = await connected();
    connection.close();
    peer.expect({ flags: "FA", seq: 1 });
    peer.send({ seq: 1, ack: 2 });
    peer.send({ seq: 1, ack: 2, text: "more" });
    const { flags } = peer.expect();
    expect(flags).toContain("R");
    expect(engine.connections()).toEqual([]);
  });

  it("a closed connection does not wait for the peer's FIN for ever", async () => {
    const { peer, connection, engine } = await connected({ engine: { settings: { tcpFinTimeout: 20 } } });
    connection.close();
    peer.expect({ flags: "FA" });
    peer.send({ seq: 1, ack: 2 });
    peer.wait(19_999);
    expect(engine.connections().length).toBe(1);
    peer.wait(1);
    expect(engine.connections()).toEqual([]);
    peer.silence();
  });

  it("abort sends RST at once, whatever waits", async () => {
    const { peer, connection, engine } = await connected();
    connection.write(randomOctets(50_000, 1));
    peer.take();
    connection.abort();
    const { flags } = peer.expect();
    expect(flags).toContain("R");
    peer.silence();
    expect(engine.connections()).toEqual([]);
    expect(engine.nextDeadline()).toBeUndefined();
  });

  it("close in SYN-SENT forgets the connection", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    peer.expect({ flags: "S" });
    connection.close();
    peer.wait(10 * MINUTE);
    peer.silence();
    expect(engine.connections()).toEqual([]);
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    peer.expect({ flags: "R", seq: 1 });
  });

  it("a handle that was closed reaches nobody else's connection", async () => {
    const { peer, connection, listener, engine } = await connected();
    connection.abort();
    peer.take();
    const next = new Peer(engine, { peerPort: 40001, now: peer.now });
    const other = next.connect(listener);
    expect(other.write(Buffer.from("mine"))).toBe(4);
    next.expect({ text: "mine" });
    // All of these are about a connection that is gone.
    for (const call of [
      () => connection.write(Buffer.from("theirs")),
      () => connection.abort(),
      () => connection.close(),
      () => connection.shutdown(),
      () => connection.setOption("noDelay", true),
    ])
      try {
        call();
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    next.silence();
    expect(other.state).toBe("ESTABLISHED");
    expect(connection.state).toBe("CLOSED");
  });
});

describe("TIME-WAIT", () => {
  it("[9293-MAY-2] [6191-3] makes room for a new SYN beyond the old sequence", async () => {
    const { peer, connection, listener, engine } = await connected();
    timeWait(peer, connection);
    const again = new Peer(engine, { now: peer.now + 100, iss: peer.iss + 100_000 });
    again.send({ flags: "S" });
    again.expect({ flags: "SA", ack: 1 });
    expect((again.engineIss - peer.engineIss) | 0).toBeGreaterThan(2);
    again.send({ flags: "A", seq: 1, ack: 1 });
    expect(listener.accept()?.state).toBe("ESTABLISHED");
  });

  it("[9293-MAY-2] answers an old duplicate of the SYN without leaving", async () => {
    const { peer, connection, engine } = await connected();
    timeWait(peer, connection);
    peer.send({ flags: "S", seq: 0 });
    for (const { flags } of peer.take()) expect(flags).toBe("A");
    expect(engine.connections().length).toBe(1);
  });

  it("[1337-1] [1337-5] answers old text with an ACK", async () => {
    const { peer, connection } = await connected();
    peer.send({ seq: 1, ack: 1, text: "hello" });
    readAll(connection);
    peer.take();
    connection.shutdown();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 6, ack: 2 });
    peer.expect({ ack: 7 });
    peer.send({ seq: 1, ack: 1, text: "hello" });
    peer.expect({ flags: "A", seq: 2, ack: 7 });
    expect(connection.state).toBe("TIME-WAIT");
  });

  it("[1337-4] lets no old text into the connection that takes its place", async () => {
    const ts = (value: number) => ({ options: { mss: 1460, ts: [value, 0] as [number, number] } });
    const { peer, connection, engine, listener } = await connected({ syn: ts(1000) });
    connection.close();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 1, ack: 2, ...ts(1001) });
    peer.expect({ ack: 2 });
    const old = peer.packet({ seq: 1, ack: 1, text: "of the old connection", ...ts(1000) });
    // The same ports, and numbers that make what is old fit the window.
    const again = new Peer(engine, { now: peer.now, iss: peer.iss - 5 + 2 ** 32 });
    again.send({ flags: "S", seq: 0, ...ts(2000) });
    again.expect({ flags: "SA" });
    again.send({ flags: "A", seq: 1, ack: 1, ...ts(2001) });
    const next = listener.accept()!;
    engine.receive([old], again.now);
    again.send({ seq: 1, ack: 1, text: "new ", ...ts(2002) });
    again.take();
    expect(readAll(next).toString()).toBe("new ");
    expect(engine.counters().PAWSEstab).toBe(1);
  });

  it("the same tuple is refused to connect until it is over [seed-11]", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const to = { remoteAddress: "192.0.2.2", remotePort: 40000, localPort: 5000 };
    peer.enginePort = 5000;
    const connection = engine.connect(to);
    peer.expect({ flags: "S" });
    peer.send({ flags: "SA", seq: 0, ack: 1 });
    peer.expect({ flags: "A" });
    timeWait(peer, connection);
    expect(() => engine.connect(to)).toThrow(/EADDRINUSE|EADDRNOTAVAIL/);
    peer.wait(59_900);
    expect(() => engine.connect(to)).toThrow(/EADDRINUSE|EADDRNOTAVAIL/);
    peer.wait(100);
    expect(engine.connect(to).state).toBe("SYN-SENT");
  });

  it("a handle that is held outlives it and says so", async () => {
    const { peer, connection } = await connected();
    peer.send({ seq: 1, ack: 1, text: "last words" });
    timeWait(peer, connection, 11);
    peer.wait(10 * MINUTE);
    expect(readAll(connection).toString()).toBe("last words");
    expect(atEnd(connection)).toBe(true);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBeUndefined();
  });
});

describe("closing between two engines", () => {
  it.each(["a", "b"] as const)(
    "ends on both sides when %s closes first and the last ACK is lost",
    async (first) => {
      const [a, b] = await Promise.all([
        makeEngine({ addresses: ["192.0.2.1"] }),
        makeEngine({ addresses: ["192.0.2.2"] }),
      ]);
      const { wire, ours, theirs } = await joined(a, b);
      const [active, passive] = first === "a" ? [ours, theirs] : [theirs, ours];
      let lost = false;
      wire.rule = ({ from, packet }) => {
        // The closer's ACK of the other's FIN.
        if (lost || from !== first || packet.flags !== "A" || active.state !== "TIME-WAIT") return undefined;
        lost = true;
        return drop;
      };
      wire.app = () => {
        if (passive.state === "CLOSE-WAIT") passive.close();
      };
      active.close();
      wire.until(() => a.connections().length === 0 && b.connections().length === 0, 10 * MINUTE);
      expect(lost).toBe(true);
      expect(wire.seen.some(({ packet }) => packet.flags.includes("R"))).toBe(false);
    },
  );

  it("ends on both sides when both close at once", async () => {
    const [a, b] = await Promise.all([
      makeEngine({ addresses: ["192.0.2.1"] }),
      makeEngine({ addresses: ["192.0.2.2"] }),
    ]);
    const { wire, ours, theirs } = await joined(a, b);
    ours.write(Buffer.from("x"));
    ours.shutdown();
    theirs.shutdown();
    wire.run(1000);
    expect([ours.state, theirs.state]).toEqual(["TIME-WAIT", "TIME-WAIT"]);
    expect(readAll(theirs).toString()).toBe("x");
    wire.run(MINUTE);
    expect([a.connections(), b.connections()]).toEqual([[], []]);
  });
});

describe("a FIN that went by itself", () => {
  it("is sent again by itself, behind the text before it", async () => {
    const { peer, connection } = await connected({ syn: { options: { mss: 1000, sackPermitted: true } } });
    connection.write(randomOctets(300, 1));
    peer.expect({ seq: 1, text: 300 });
    connection.shutdown();
    peer.expect({ flags: "FA", seq: 301 });
    // A probe of the tail first, then the timer.
    peer.wait(3000);
    const again = peer.take();
    expect(again.length).toBeLessThan(10);
    const said = new Set(again.map(({ flags, seq, text }) => `${flags} ${seq} ${text.length}`));
    expect(said).toEqual(new Set(["FA 301 0", "PA 1 300"]));
    peer.send({ seq: 1, ack: 302 });
    expect(connection.state).toBe("FIN-WAIT-2");
  });
});

/** Close first, up to TIME-WAIT; `seq` is the peer's next. */
function timeWait(peer: Peer, connection: Connection, seq = 1): void {
  connection.shutdown();
  peer.flush();
  peer.take();
  peer.send({ flags: "FA", seq, ack: 2 });
  peer.expect({ flags: "A", seq: 2, ack: seq + 1 });
  expect(connection.state).toBe("TIME-WAIT");
}

/** Two engines with a connection from a to b. */
async function joined(a: Engine, b: Engine) {
  const wire = new Wire(a, b);
  const listener = b.listen({ port: 80 });
  const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
  wire.until(() => ours.state === "ESTABLISHED");
  wire.run(100);
  return { wire, ours, theirs: listener.accept()! };
}
