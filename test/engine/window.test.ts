import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { errorCode, makeEngine, readAll } from "../support/engine.ts";
import type { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";
import { chance, drop, Wire } from "../support/wire.ts";

const MSS = 1460;
const small = { settings: { tcpRmem: [4096, 16384, 16384] as const } };

describe("the window field", () => {
  it("says again what a FIN has taken up, if there is room", async () => {
    const { peer } = await connected();
    peer.send({ flags: "FA", seq: 1, ack: 1 });
    expect(peer.expect({ ack: 2 }).window).toBe(65535);
  });

  it("opens by as much as the buffer has, not by as much as the field can say", async () => {
    const { peer, connection } = await connected();
    for (let i = 0; i < 3; i++) {
      peer.send({ seq: 1 + i, ack: 1, text: "x" });
      expect(peer.expect({ ack: 2 + i }).window).toBe(65535);
    }
    expect(connection.readable).toBe(3);
  });
});

describe("text that ends beyond the window", () => {
  /** A connection with a window of 16,384 octets, of which so many are taken and not read. */
  async function taken(unread: number) {
    const all = await connected({ engine: small });
    if (unread) {
      all.peer.send({ seq: 1, ack: 1, text: randomOctets(unread, 1) });
      all.peer.expect({ ack: 1 + unread });
    }
    return all;
  }

  it("is not taken where something is unread, and its ACK counts", async () => {
    const { peer, connection } = await taken(10_000);
    connection.write(Buffer.from("abc"));
    peer.expect({ text: "abc" });
    peer.send({ flags: "FA", seq: 10_001, ack: 4, text: randomOctets(6385, 2) });
    peer.expect({ ack: 10_001, window: 6384, text: 0 });
    expect(connection.readable).toBe(10_000);
    expect(connection.unacked).toBe(0);
    expect(connection.state).toBe("ESTABLISHED");
    peer.send({ seq: 10_001, ack: 4, text: randomOctets(6384, 2) });
    peer.expect({ ack: 16_385, window: 0 });
    expect(peer.engine.counters().BeyondWindow).toBe(1);
  });

  it("is taken whole where nothing is, and the window is closed until it is read", async () => {
    const { peer, connection } = await taken(0);
    const text = randomOctets(20_000, 3);
    peer.send({ seq: 1, ack: 1, text });
    peer.expect({ ack: 20_001, window: 0 });
    peer.send({ seq: 20_001, ack: 1, text: "x" });
    peer.expect({ ack: 20_001, window: 0 });
    expect(Buffer.compare(readAll(connection), text)).toBe(0);
    peer.expect({ ack: 20_001, window: 16_384 });
    expect(peer.engine.counters().BeyondWindow).toBe(0);
  });

  it("is not taken beyond a hole, whatever is unread", async () => {
    const { peer, connection } = await taken(0);
    peer.send({ seq: 5001, ack: 1, text: randomOctets(11_385, 4) });
    peer.expect({ ack: 1 });
    peer.send({ seq: 1, ack: 1, text: randomOctets(5000, 5) });
    peer.expect({ ack: 5001 });
    expect(connection.readable).toBe(5000);
    expect(peer.engine.counters().BeyondWindow).toBe(1);
  });

  it("counts where it begins there, too", async () => {
    const { peer } = await taken(0);
    peer.send({ seq: 16_385, ack: 1, text: "x" });
    peer.expect({ ack: 1 });
    peer.send({ seq: 16_000, ack: 1, text: randomOctets(385, 6) });
    peer.expect({ ack: 1 });
    expect(peer.engine.counters().BeyondWindow).toBe(1);
  });
});

describe("zero window", () => {
  it("lets a FIN pass that comes next, and no other, nor text with it", async () => {
    const { peer, connection } = await connected({ engine: small });
    peer.send({ seq: 1, ack: 1, text: randomOctets(16_384, 1) });
    peer.expect({ ack: 16_385, window: 0 });
    peer.send({ flags: "FA", seq: 16_385, ack: 1, text: "x" });
    peer.expect({ ack: 16_385 });
    peer.send({ flags: "FA", seq: 16_386, ack: 1 });
    peer.expect({ ack: 16_385 });
    expect(connection.state).toBe("ESTABLISHED");
    peer.send({ flags: "FA", seq: 16_385, ack: 1 });
    peer.expect({ ack: 16_386, window: 0 });
    expect(connection.state).toBe("CLOSE-WAIT");
    peer.send({ flags: "FA", seq: 16_386, ack: 1 });
    peer.expect({ ack: 16_386 });
    expect(readAll(connection).length).toBe(16_384);
  });

  it("[9293-MUST-36] [9293-SHLD-29] [9293-SHLD-30] is probed after one RTO, then with doubling gaps, and sending goes on", async () => {
    const { peer, connection } = await connected({ window: 0 });
    connection.write(randomOctets(3000, 1));
    peer.silence();
    const rto = connection.info().rto / 1000;
    const start = peer.now;
    const times = [start];
    for (let i = 0; i < 5; i++) {
      const probe = peer.expectWithin(200_000);
      times.push(probe.at);
      expect(probe.flags.replace("P", "")).toBe("A");
      // Either a question below the window or the next octet itself.
      expect([0, 1]).toContain(probe.seq);
      expect(probe.text.length).toBe(probe.seq);
      peer.send({ seq: 1, ack: 1, window: 0 });
      peer.silence();
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(gaps).toEqual([1, 2, 4, 8, 16].map((n) => n * rto));
    peer.send({ seq: 1, ack: 1, window: 65535 });
    const data = peer.take();
    expect(data.reduce((sum, { text }) => sum + text.length, 0)).toBe(3000);
  });

  it("[9293-MUST-37] is endured for days as long as probes are answered", async () => {
    const { peer, connection } = await connected({ window: 0 });
    connection.write(Buffer.from("patience"));
    const end = peer.now + 3 * 86_400_000;
    let probes = 0;
    let gap = 0;
    while (peer.now < end) {
      const last = peer.now;
      peer.expectWithin(10 * 60_000);
      gap = Math.max(gap, peer.now - last);
      probes++;
      peer.send({ seq: 1, ack: 1, window: 0 });
    }
    expect(connection.state).toBe("ESTABLISHED");
    expect(probes).toBeGreaterThan(1000);
    // The gap is capped like an RTO.
    expect(gap).toBeGreaterThanOrEqual(60_000);
    peer.send({ seq: 1, ack: 1, window: 100 });
    peer.expect({ text: "patience" });
  });

  it("gives up when probes are never answered", async () => {
    const { peer, connection } = await connected({ window: 0 });
    connection.write(Buffer.from("patience"));
    peer.wait(100_000);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(10_000_000);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    expect(peer.engine.nextDeadline()).toBeUndefined();
  });

  it("[9293-MUST-66] still lets an exact RST and nothing else through", async () => {
    const { peer, connection } = await connected({ engine: small });
    const window = fill(peer);
    expect(window).toBe(0);
    const seq = 1 + connection.readable;
    peer.send({ seq, ack: 1, text: "x" });
    peer.expect({ flags: "A", ack: seq, window: 0 });
    const readable = connection.readable;
    peer.send({ flags: "R", seq: seq + 1 });
    expect(connection.state).toBe("ESTABLISHED");
    peer.send({ flags: "R", seq });
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ECONNRESET");
    expect(readable).toBeGreaterThan(0);
  });

  it("[9293-MAY-8] answers every probe while the application does not read", async () => {
    const { peer, connection } = await connected({ engine: small });
    fill(peer);
    const seq = 1 + connection.readable;
    for (let i = 0; i < 20; i++) {
      peer.send(i % 2 ? { seq: seq - 1, ack: 1 } : { seq, ack: 1, text: "x" });
      peer.expect({ flags: "A", ack: seq, window: 0 });
      peer.wait(60_000);
      peer.silence();
    }
    expect(connection.state).toBe("ESTABLISHED");
  });
});

describe("a window that comes with text sent again", () => {
  it("counts from where it acknowledges, so that nothing is sent beyond it", async () => {
    const { peer, connection } = await connected({ window: 10_000 });
    connection.write(randomOctets(60_000, 1));
    let sent = Math.max(...peer.take().map(({ seq, text }) => seq + text.length));
    expect(sent).toBeLessThanOrEqual(10_001);
    peer.send({ seq: 1001, ack: 1, window: 10_000, text: new Uint8Array(1000) });
    peer.take();
    // The hole is filled by what was lost: older in its sequence number, newer in what it acknowledges.
    peer.send({ seq: 1, ack: 1 + 5 * MSS, window: 10_000 - 5 * MSS, text: new Uint8Array(1000) });
    for (const { seq, text } of peer.take()) sent = Math.max(sent, seq + text.length);
    expect(sent).toBeLessThanOrEqual(10_001);
    // And one that is older in both counts for nothing.
    peer.send({ seq: 501, ack: 1 + 4 * MSS, window: 60_000 });
    for (const { seq, text } of peer.take()) sent = Math.max(sent, seq + text.length);
    expect(sent).toBeLessThanOrEqual(10_001);
    peer.send({ seq: 2001, ack: 1 + 5 * MSS, window: 20_000 });
    for (const { seq, text } of peer.take()) sent = Math.max(sent, seq + text.length);
    expect(sent).toBeGreaterThan(10_001);
  });
});

describe("lost window update", () => {
  it("is recovered from by a probe", async () => {
    const [a, b] = await Promise.all([
      makeEngine({ addresses: ["192.0.2.1"] }),
      makeEngine({ addresses: ["192.0.2.2"], ...small }),
    ]);
    const wire = new Wire(a, b);
    const listener = b.listen({ port: 80 });
    const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    const text = randomOctets(60_000, 1);
    let written = 0;
    wire.app = () => {
      if (written < text.length && ours.state === "ESTABLISHED")
        written += ours.write(text.subarray(written));
    };
    wire.until(() => ours.state === "ESTABLISHED");
    wire.run(2000);
    const theirs = listener.accept()!;
    expect(wire.seen.at(-1)!.packet.window).toBe(0);
    // From here on pure ACKs that open the window are lost, three times.
    let lost = 0;
    wire.rule = ({ from, packet }) => {
      if (from !== "b" || packet.window === 0 || lost >= 3) return undefined;
      lost++;
      return drop;
    };
    const got: Buffer[] = [];
    const app = wire.app;
    wire.app = () => {
      app();
      got.push(readAll(theirs));
    };
    wire.until(() => Buffer.concat(got).length === text.length, 100_000);
    expect(lost).toBe(3);
    expect(Buffer.concat(got).equals(text)).toBe(true);
  });
});

describe("silly windows", () => {
  it("[9293-MUST-38] the sender waits for a segment's worth, or half the largest window, or its patience", async () => {
    const { peer, connection } = await connected({ window: 4 * MSS });
    connection.write(randomOctets(20 * MSS, 1));
    expect(peer.take().length).toBe(4);
    // Everything is acknowledged, and the window opens 50 octets at a time.
    const ack = 1 + 4 * MSS;
    for (let window = 50; window <= 500; window += 50) {
      peer.send({ seq: 1, ack, window });
      peer.silence();
      peer.wait(5);
    }
    peer.silence();
    const { at, text } = peer.expectWithin(1000, { seq: ack });
    expect(at - 1000).toBeGreaterThanOrEqual(100);
    expect(text.length).toBe(500);
    peer.send({ seq: 1, ack: ack + 500, window: 2 * MSS });
    expect(peer.take().map((segment) => segment.text.length)).toEqual([MSS, MSS]);
  });

  it("[9293-MUST-38] a peer with a small buffer is served in halves of it", async () => {
    const { peer, connection } = await connected({ syn: { window: 1000 }, window: 1000 });
    connection.write(randomOctets(5000, 1));
    peer.expect({ text: 1000 });
    peer.send({ seq: 1, ack: 1001, window: 400 });
    peer.silence();
    peer.send({ seq: 1, ack: 1001, window: 500 });
    peer.expect({ text: 500 });
  });

  it("[9293-MUST-39] the receiver opens its window by a segment or half the buffer, not by an octet", async () => {
    const { peer, connection } = await connected({ engine: small });
    fill(peer);
    const seq = 1 + connection.readable;
    let edge = seq;
    const one = new Uint8Array(1);
    for (let read = 1; read <= 4000; read++) {
      expect(connection.read(one)).toBe(1);
      for (const { ack, window } of peer.take()) {
        expect(ack + window - edge).toBeGreaterThanOrEqual(MSS);
        edge = ack + window;
      }
      // An ACK that is sent anyway opens it no earlier.
      if (read % 500 === 0) {
        peer.send({ seq: seq - 1, ack: 1 });
        const { ack, window } = peer.expect({ flags: "A", ack: seq });
        if (ack + window !== edge) {
          expect(ack + window - edge).toBeGreaterThanOrEqual(MSS);
          edge = ack + window;
        }
      }
    }
    expect(edge).toBeGreaterThan(seq);
  });

  it("tells the peer on its own when a closed window has opened", async () => {
    const { peer, connection } = await connected({ engine: small });
    fill(peer);
    const seq = 1 + connection.readable;
    expect(readAll(connection).length).toBe(seq - 1);
    const { ack, window } = peer.expect({ flags: "A", ack: seq });
    expect(ack).toBe(seq);
    expect(window).toBeGreaterThanOrEqual(2 * MSS);
    peer.silence();
  });
});

describe("shrinking windows", () => {
  it("[9293-MUST-34] [9293-SHLD-15] [9293-SHLD-16] a window taken back is respected, what is in flight comes again", async () => {
    const { peer, connection } = await connected({ window: 6 * MSS });
    connection.write(randomOctets(10 * MSS, 1));
    expect(peer.take().length).toBe(6);
    peer.send({ seq: 1, ack: 1 + MSS, window: 1000 });
    for (const { seq } of peer.take()) expect(seq).toBeLessThan(1 + 6 * MSS);
    const again = peer.expectWithin(5000, { seq: 1 + MSS });
    expect(again.text.length).toBeGreaterThan(0);
    expect(again.text.length).toBeLessThanOrEqual(MSS);
    // No new text beyond the edge as long as it stands.
    peer.wait(20_000);
    for (const { seq, text } of peer.take()) expect(seq + text.length).toBeLessThanOrEqual(1 + 6 * MSS);
    let ack = 1 + 6 * MSS;
    for (let round = 0; round < 4 && connection.unacked > 0; round++) {
      peer.send({ seq: 1, ack, window: 6 * MSS });
      for (const { seq, text } of peer.take()) {
        expect(seq).toBe(ack);
        ack += text.length;
      }
    }
    expect(connection.unacked).toBe(0);
    expect(ack).toBe(1 + 10 * MSS);
  });

  it("[9293-MUST-35] [9293-SHLD-17] one taken back to nothing is probed, with backoff, and the connection lives", async () => {
    const { peer, connection } = await connected({ window: 4 * MSS });
    connection.write(randomOctets(4 * MSS, 1));
    expect(peer.take().length).toBe(4);
    peer.send({ seq: 1, ack: 1 + MSS, window: 0 });
    peer.take();
    let last = peer.now;
    const gaps: number[] = [];
    for (let i = 0; i < 25; i++) {
      const { at } = peer.expectWithin(300_000);
      gaps.push(at - last);
      last = at;
      peer.take();
      peer.send({ seq: 1, ack: 1 + MSS, window: 0 });
      peer.take();
    }
    expect(gaps[4]! / gaps[1]!).toBeGreaterThan(3);
    expect(connection.state).toBe("ESTABLISHED");
    peer.send({ seq: 1, ack: 1 + MSS, window: 65535 });
    const again = peer.expectWithin(130_000, { seq: 1 + MSS });
    expect(again.text.length).toBe(MSS);
  });
});

describe("the advertised window", () => {
  it("[9293-SHLD-14] never moves its right edge left, whatever arrives and is read", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.record({ op: fc.constant("send" as const), n: fc.integer({ min: 1, max: 1460 }) }),
            fc.record({ op: fc.constant("gap" as const), n: fc.integer({ min: 1, max: 1460 }) }),
            fc.record({ op: fc.constant("read" as const), n: fc.integer({ min: 1, max: 9000 }) }),
            fc.record({ op: fc.constant("wait" as const), n: fc.integer({ min: 1, max: 500 }) }),
          ),
          { maxLength: 60 },
        ),
        fc.constantFrom(0, 3),
        async (operations, ws) => {
          const { peer, connection } = await connected({
            engine: { settings: { tcpRmem: [4096, 20_000, 400_000] } },
            syn: { options: ws ? { mss: MSS, ws } : { mss: MSS } },
          });
          const scale = ws ? connection.info().rcvWscale : 0;
          let edge = 0;
          let seq = 1;
          const check = () => {
            for (const { ack, window } of peer.take()) {
              expect(ack + window * 2 ** scale).toBeGreaterThanOrEqual(edge);
              edge = ack + window * 2 ** scale;
            }
          };
          for (const { op, n } of operations) {
            if (op === "send" && seq + n <= Math.max(edge, 4096)) {
              peer.send({ seq, ack: 1, text: randomOctets(n, n) });
              seq += n;
            } else if (op === "gap") peer.send({ seq: seq + 100, ack: 1, text: randomOctets(n, n) });
            else if (op === "read") connection.read(new Uint8Array(n));
            else if (op === "wait") peer.wait(n);
            check();
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("survives a network that reorders and loses while the reader dawdles", async () => {
    const [a, b] = await Promise.all([
      makeEngine({ addresses: ["192.0.2.1"] }),
      makeEngine({ addresses: ["192.0.2.2"], settings: { tcpRmem: [4096, 8192, 8192] } }),
    ]);
    const wire = new Wire(a, b);
    wire.rule = chance(5, { loss: 0.05, reorder: 0.1, duplicate: 0.05, delay: 5 });
    const listener = b.listen({ port: 80 });
    const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    const text = randomOctets(80_000, 1);
    let written = 0;
    const got: Buffer[] = [];
    const into = new Uint8Array(700);
    wire.app = () => {
      if (ours.state === "ESTABLISHED" && written < text.length)
        written += ours.write(text.subarray(written));
    };
    wire.until(() => ours.state === "ESTABLISHED");
    wire.run(3000);
    const theirs = listener.accept()!;
    while (Buffer.concat(got).length < text.length) {
      const n = theirs.read(into);
      if (n > 0) got.push(Buffer.from(into.slice(0, n)));
      wire.run(20);
      if (wire.now > 3_600_000) throw new Error(`stalled\n${wire.tail()}`);
    }
    expect(Buffer.concat(got).equals(text)).toBe(true);
  });
});

/** Fill the engine's receive buffer; returns the window it then advertises. */
function fill(peer: Peer): number {
  let seq = 1;
  peer.send({ seq: 0, ack: 1 });
  let { ack, window } = peer.expect({ flags: "A" });
  while (window > 0) {
    const n = Math.min(window - (seq - ack), MSS);
    if (n > 0) {
      peer.send({ seq, ack: 1, text: randomOctets(n, seq) });
      seq += n;
    }
    const last = peer.expectWithin(600);
    ({ ack, window } = peer.take().at(-1) ?? last);
  }
  return window;
}
