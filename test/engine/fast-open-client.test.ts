import { describe, expect, it } from "vitest";
import type { Engine } from "../../bindings/types.ts";
import { icmp } from "../support/datagrams.ts";
import { errorCode, makeEngine, readAll } from "../support/engine.ts";
import { cookieOf, EXPERIMENTAL, FAST_OPEN, hex, option, SYN_DATA } from "../support/fast-open.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// TCP Fast Open, RFC 7413.

describe("Fast Open, client", () => {
  const COOKIE = "0123456789abcdef";

  async function client(settings = {}) {
    const engine = await makeEngine({ settings: { tcpTimestamps: 0, ...settings } });
    let now = 1000;
    let last: Peer | undefined;
    /** A connection under way, with what it wrote at once, and its SYN. */
    const open = (text: string | Uint8Array = "", peerAddress = "192.0.2.2") => {
      // What was left unsaid by then.
      now = Math.max(now, last?.now ?? 0);
      engine.transmit(now);
      const connection = engine.connect({ remoteAddress: peerAddress, remotePort: 80, fastOpen: true });
      const taken = connection.write(Buffer.from(text));
      const ends = { peerAddress, peerPort: 80, enginePort: connection.localPort, now };
      const peer = new Peer(engine, ends);
      last = peer;
      const syn = peer.expect({ flags: "S", seq: 0 });
      return { connection, peer, syn, taken };
    };
    /** Wait for `duration`, which makes later ones begin then. */
    const wait = (duration: number) => {
      now += duration;
    };
    /** Have a cookie given. */
    const learn = (cookie = COOKIE, mss = 1460, address?: string) => {
      const { connection, peer } = open("", address);
      const raw = [2, 4, mss >> 8, mss & 255, FAST_OPEN, 2 + cookie.length / 2, ...hex(cookie)];
      peer.send({ flags: "SA", seq: 0, ack: 1, rawOptions: raw });
      connection.abort();
      peer.take();
    };
    return { engine, open, learn, wait };
  }

  const answer = (engine: Engine) => engine.counters();

  it("[7413-3] asks for a cookie first, with no text", async () => {
    const { open } = await client();
    const { connection, peer, syn } = open("hello");
    expect([cookieOf(syn), syn.text.length]).toEqual(["", 0]);
    peer.send({ flags: "SA", seq: 0, ack: 1, rawOptions: option(COOKIE) });
    peer.expect({ flags: "PA", seq: 1, ack: 1, text: "hello" });
    expect(connection.info().options & SYN_DATA).toBe(0);
  });

  it("[7413-9] sends text with a cookie it was given, as much as the server's MSS has room for", async () => {
    const { engine, open, learn } = await client();
    learn(COOKIE, 940);
    const { connection, peer, syn, taken } = open(randomOctets(2000, 1));
    expect([cookieOf(syn), syn.text.length, taken]).toEqual([COOKIE, 900, 900]);
    expect(Buffer.from(syn.text).equals(Buffer.from(randomOctets(2000, 1).subarray(0, 900)))).toBe(true);
    peer.send({ flags: "SA", seq: 0, ack: 901, options: { mss: 1460 } });
    peer.expect({ flags: "A", seq: 901, ack: 1, text: 0 });
    expect(peer.eventTypes()).toEqual(["established", "writable"]);
    const { options, bytesAcked, unacked } = connection.info();
    expect([options & SYN_DATA, bytesAcked, unacked, connection.unacked]).toEqual([SYN_DATA, 900, 0, 0]);
    connection.write(Buffer.from("more"));
    peer.expect({ seq: 901, text: "more" });
    expect(connection.info().delivered).toBe(1);
    expect(answer(engine).TCPFastOpenActive).toBe(1);
  });

  it("[7413-9] remembers that nothing came of it, and goes without for a quarter of an hour", async () => {
    const { open, learn, wait } = await client();
    learn();
    const refused = open("hello");
    refused.peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 } });
    refused.connection.abort();
    const second = open("hello");
    expect([cookieOf(second.syn), second.syn.text.length]).toEqual([undefined, 0]);
    second.connection.abort();
    wait(899_000);
    const third = open("hello");
    expect(cookieOf(third.syn)).toBeUndefined();
    third.connection.abort();
    wait(2000);
    expect(cookieOf(open("hello").syn)).toBe(COOKIE);
  });

  it("[7413-9] remembers of a server without Fast Open that it has none, or asks again where set to", async () => {
    for (const [time, asked] of [
      [900, undefined],
      [0, ""],
    ] as const) {
      const { open } = await client({ tcpFastopenPathDisableTime: time });
      const first = open("hello");
      first.peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 } });
      first.connection.abort();
      // Before it had a number the option was an experimental one: that is tried once.
      const second = open("hello");
      expect([cookieOf(second.syn), cookieOf(second.syn, EXPERIMENTAL)]).toEqual([undefined, asked]);
      second.peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 } });
      second.connection.abort();
      expect(cookieOf(open("hello").syn)).toBe(asked);
    }
  });

  it("[7413-7] sends text that its SYN brought in vain again at once, or what is left of it", async () => {
    for (const [acked, sackPermitted] of [
      [1, true],
      [1, undefined],
      [301, true],
      [301, undefined],
    ] as const) {
      const { engine, open, learn } = await client();
      learn();
      const { connection, peer } = open(randomOctets(1000, 2));
      const options = { mss: 536, ...(sackPermitted && { sackPermitted }) };
      peer.send({ flags: "SA", seq: 0, ack: acked, options });
      const again = peer.take();
      const left = Buffer.from(randomOctets(1000, 2)).subarray(acked - 1);
      expect(again.map(({ at }) => at - peer.now)).toEqual([0, 0]);
      expect(again[0]!.seq).toBe(acked);
      expect(Buffer.concat(again.map(({ text }) => text)).equals(left)).toBe(true);
      expect(connection.info().options & SYN_DATA).toBe(0);
      connection.write(Buffer.from("more"));
      expect(Buffer.from(peer.take().at(-1)?.text ?? []).toString()).toBe("more");
      peer.send({ seq: 1, ack: 1005 });
      expect([connection.unacked, connection.info().caState]).toEqual([0, 0]);
      expect(answer(engine).TCPFastOpenActiveFail).toBe(1);
      peer.wait(5000);
      peer.silence();
    }
  });

  it("[7413-8] repeats a SYN without option and text, and the text with the ACK", async () => {
    const { open, learn } = await client();
    learn();
    const { peer, connection } = open("hello");
    const second = peer.expectWithin(1000, { flags: "S", seq: 0, text: 0 });
    expect(cookieOf(second)).toBeUndefined();
    peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 } });
    peer.expect({ flags: "PA", seq: 1, text: "hello" });
    connection.abort();
    // Nothing came of it.
    expect(cookieOf(open("hello").syn)).toBeUndefined();
  });

  it("takes the text for acknowledged where only the answer to the first SYN was late", async () => {
    const { open, learn } = await client();
    learn();
    const { peer, connection } = open("hello");
    peer.expectWithin(1000, { flags: "S", text: 0 });
    peer.send({ flags: "SA", seq: 0, ack: 6, options: { mss: 1460 } });
    peer.expect({ flags: "A", seq: 6, text: 0 });
    expect(connection.info().options & SYN_DATA).toBe(SYN_DATA);
    connection.abort();
    expect(cookieOf(open("hello").syn)).toBe(COOKIE);
  });

  it("goes without once a SYN with text was never answered, but a refusal is an answer", async () => {
    const { open, learn, wait } = await client({ tcpSynRetries: 1 });
    learn();
    const refused = open("hello");
    refused.peer.send({ flags: "RA", seq: 0, ack: 1 });
    expect(errorCode(refused.connection)).toBe("ECONNREFUSED");
    const silent = open("hello");
    expect(cookieOf(silent.syn)).toBe(COOKIE);
    silent.peer.wait(4000);
    expect(errorCode(silent.connection)).toBe("ETIMEDOUT");
    wait(5000);
    expect(cookieOf(open("hello").syn)).toBeUndefined();
  });

  it("[7413-2] keeps no cookie of a length that none has, nor one that comes with another segment than a SYN", async () => {
    for (const cookie of ["0102", "010203", "0102030405", "00".repeat(18)]) {
      const { open, learn } = await client({ tcpFastopenPathDisableTime: 0 });
      learn(cookie);
      expect(open("hello").syn.text.length).toBe(0);
    }
    const { open, learn } = await client();
    learn();
    const { peer, connection } = open("hello");
    peer.send({ flags: "SA", seq: 0, ack: 6, options: { mss: 1460 } });
    peer.send({ seq: 1, ack: 6, rawOptions: [FAST_OPEN, 6, 9, 9, 9, 9], text: "x" });
    connection.abort();
    expect(cookieOf(open("hello").syn)).toBe(COOKIE);
  });

  it("takes a cookie that replaces the one it sent, and none it did not ask for", async () => {
    const { open, learn } = await client();
    learn();
    const first = open("hello");
    first.peer.send({ flags: "SA", seq: 0, ack: 6, rawOptions: option("aabbccdd") });
    first.connection.abort();
    expect(cookieOf(open("hello").syn)).toBe("aabbccdd");
    const { engine, open: openWithout } = await client({ tcpFastopen: 5 });
    const without = openWithout("hello");
    expect([cookieOf(without.syn), without.syn.text.length]).toEqual([undefined, 5]);
    without.peer.send({ flags: "SA", seq: 0, ack: 6, rawOptions: option("aabbccdd") });
    without.connection.abort();
    engine.configure({ tcpFastopen: 1 });
    expect(cookieOf(openWithout("hello").syn)).toBe("");
  });

  it("waits for text no longer than an empty write, and not at all without a cookie", async () => {
    const { engine, open, learn } = await client();
    learn();
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, fastOpen: true });
    const peer = new Peer(engine, { peerPort: 80, enginePort: connection.localPort });
    peer.wait(10_000);
    peer.silence();
    connection.write(new Uint8Array(0));
    expect(cookieOf(peer.expect({ flags: "S", text: 0 }))).toBe(COOKIE);
    expect(cookieOf(open("", "192.0.2.9").syn)).toBe("");
  });

  it("remembers 256 servers, and forgets those first that were not used for longest", async () => {
    const { open, learn, wait } = await client();
    const address = (i: number) => `198.51.${100 + (i >> 8)}.${i & 255}`;
    const favourite = "203.0.113.1";
    learn(COOKIE, 1460, favourite);
    for (let i = 0; i < 600; i++) {
      wait(1);
      learn(COOKIE, 1460, address(i));
      const { syn, connection } = open("hello", favourite);
      connection.abort();
      expect(syn.text.length).toBe(5);
    }
    let known = 0;
    for (let i = 599; i >= 0; i--) {
      const { syn, connection } = open("hello", address(i));
      if (syn.text.length) known++;
      connection.abort();
    }
    expect(known).toBeGreaterThan(128);
    expect(known).toBeLessThanOrEqual(256);
  });

  it("says a SYN again without text as soon as a router finds it too long, and the text in pieces that pass", async () => {
    const { engine, open, learn } = await client();
    learn();
    const { connection, peer, syn } = open(randomOctets(1200, 3));
    expect(syn.text.length).toBe(1200);
    const router = { src: "203.0.113.1", dst: "192.0.2.1" };
    engine.receive([icmp(router, 3, 4, 800, syn.octets.subarray(0, 28))], peer.now);
    peer.expect({ flags: "S", seq: 0, text: 0 });
    peer.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 } });
    expect(peer.take().map(({ seq, text }) => [seq, text.length])).toEqual([
      [1, 760],
      [761, 440],
    ]);
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("forgets all cookies when Fast Open is switched off", async () => {
    const { engine, open, learn } = await client();
    learn();
    engine.configure({ tcpFastopen: 0 });
    expect(open("hello").syn.kinds).not.toContain(FAST_OPEN);
    engine.configure({ tcpFastopen: 1 });
    expect(cookieOf(open("hello").syn)).toBe("");
  });

  it("opens simultaneously with text on the SYN, which the peer may have taken or not", async () => {
    for (const acked of [6, 1]) {
      const { open, learn } = await client();
      learn();
      const { peer, connection } = open("hello");
      peer.send({ flags: "S", seq: 0, options: { mss: 1460 } });
      peer.expect({ flags: "SA", seq: 0, ack: 1, text: 0 });
      peer.send({ flags: "A", seq: 1, ack: acked });
      expect(connection.state).toBe("ESTABLISHED");
      const said = peer.take().map(({ text }) => Buffer.from(text).toString());
      expect(said.join("")).toBe(acked === 6 ? "" : "hello");
    }
  });

  it("fits a cookie of sixteen octets beside timestamps, and leaves the user timeout for later", async () => {
    const { open, learn } = await client({ tcpTimestamps: 1, tcpUserTimeoutOption: 300 });
    learn("00112233445566778899aabbccddeeff");
    const { syn } = open("hello");
    expect(cookieOf(syn)).toBe("00112233445566778899aabbccddeeff");
    expect([syn.options.ts !== undefined, syn.kinds.includes(28), syn.text.length]).toEqual([true, false, 5]);
  });

  it("gives text to another engine before the handshake is over", async () => {
    const left = await makeEngine({ addresses: ["10.0.0.1"] });
    const right = await makeEngine({ addresses: ["10.0.0.2"], settings: { tcpFastopen: 3 } });
    const listener = right.listen({ port: 7, fastOpen: 4 });
    const exchange = () => {
      for (let i = 0; i < 8; i++) {
        right.receive(left.transmit(1000), 1000);
        left.receive(right.transmit(1000), 1000);
      }
    };
    const open = () => left.connect({ remoteAddress: "10.0.0.2", remotePort: 7, fastOpen: true });
    open();
    exchange();
    listener.accept();
    const connection = open();
    connection.write(Buffer.from("request"));
    right.receive(left.transmit(1000), 1000);
    const served = listener.accept()!;
    expect(readAll(served).toString()).toBe("request");
    served.write(Buffer.from("response"));
    // One round trip for both.
    left.receive(right.transmit(1000), 1000);
    expect(readAll(connection).toString()).toBe("response");
    exchange();
    expect([connection.state, served.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    expect([connection.unacked, served.unacked]).toEqual([0, 0]);
  });
});
