import { describe, expect, it } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { icmp } from "../support/datagrams.ts";
import { errorCode, makeEngine, readAll } from "../support/engine.ts";
import { Peer, type Received } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// TCP Fast Open, RFC 7413.

const MSS = [2, 4, 1460 >> 8, 1460 & 255];
const FAST_OPEN = 34;
const EXPERIMENTAL = 254;
/** tcp_info's TCPI_OPT_SYN_DATA. */
const SYN_DATA = 32;

const hex = (text: string) => [...Buffer.from(text, "hex")];
/** The option, and the one from before it had a number. */
const option = (cookie = "") => [...MSS, FAST_OPEN, 2 + cookie.length / 2, ...hex(cookie)];
const experimental = (cookie = "") => [
  ...MSS,
  EXPERIMENTAL,
  4 + cookie.length / 2,
  0xf9,
  0x89,
  ...hex(cookie),
];

/** The cookie that a SYN or SYN,ACK has in the option `kind`; undefined without the option. */
function cookieOf({ octets, kinds }: Received, kind = FAST_OPEN): string | undefined {
  if (!kinds.includes(kind)) return undefined;
  for (let i = 40; ; i += octets[i] === 1 ? 1 : octets[i + 1]!)
    if (octets[i] === kind)
      return Buffer.from(octets.slice(i + (kind === FAST_OPEN ? 2 : 4), i + octets[i + 1]!)).toString("hex");
}

/** What one `read` gives: behind it there may be an error. */
function readOnce(connection: Connection): string {
  const into = Buffer.alloc(100);
  return into.subarray(0, connection.read(into)).toString();
}

describe("Fast Open, server", () => {
  async function serve(settings = {}, fastOpen = 16) {
    const engine = await makeEngine({ settings: { tcpFastopen: 3, tcpTimestamps: 0, ...settings } });
    const listener = engine.listen({ port: 80, fastOpen });
    let port = 40000;
    const peer = (peerAddress = "192.0.2.2", now = 1000) =>
      new Peer(engine, { peerAddress, peerPort: port++, now });
    /** The cookie the engine gives to whoever asks at an address. */
    const ask = (address?: string) => {
      const asker = peer(address);
      asker.send({ flags: "S", seq: 0, rawOptions: option() });
      const cookie = cookieOf(asker.expect({ flags: "SA", ack: 1 }))!;
      asker.send({ flags: "R", seq: 1 });
      return cookie;
    };
    return { engine, listener, peer, ask, cookie: ask() };
  }

  it("[7413-1] is off unless the listener asks for it and the setting allows it", async () => {
    for (const [tcpFastopen, fastOpen] of [
      [3, 0],
      [1, 16],
    ] as const) {
      const { cookie } = await serve();
      const engine = await makeEngine({ settings: { tcpFastopen } });
      const listener = engine.listen({ port: 80, fastOpen });
      const peer = new Peer(engine);
      peer.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
      const synAck = peer.expect({ flags: "SA", ack: 1 });
      expect(cookieOf(synAck)).toBeUndefined();
      expect(listener.accept()).toBeUndefined();
      peer.send({ seq: 1, ack: 1, text: "hello" });
      expect(readAll(listener.accept()!).toString()).toBe("hello");
    }
  });

  it("[7413-5] gives the user the text of a SYN with a valid cookie at once, and acknowledges it", async () => {
    const { engine, listener, peer: make, cookie } = await serve();
    const peer = make();
    peer.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    expect(peer.eventTypes()).toEqual(["accepted"]);
    const connection = listener.accept()!;
    expect([connection.state, readAll(connection).toString()]).toEqual(["SYN-RECEIVED", "hello"]);
    const synAck = peer.expect({ flags: "SA", seq: 0, ack: 6, window: 65535 });
    expect(cookieOf(synAck)).toBeUndefined();
    peer.send({ seq: 6, ack: 1, text: " again" });
    expect([connection.state, readAll(connection).toString()]).toEqual(["ESTABLISHED", " again"]);
    expect(peer.eventTypes()).toContain("established");
    expect(connection.info().options & SYN_DATA).toBe(SYN_DATA);
    expect(connection.info().bytesReceived).toBe(11);
    expect(engine.counters().TCPFastOpenPassive).toBe(1);
    expect(engine.counters().TCPFastOpenCookieReqd).toBe(1);
  });

  it("[7413-4] takes a cookie from no other address than the one it was given to", async () => {
    const { engine, listener, peer, ask, cookie } = await serve();
    const thief = peer("192.0.2.3");
    thief.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    expect(cookieOf(thief.expect({ flags: "SA", ack: 1 }))).toBe(ask("192.0.2.3"));
    expect(listener.accept()).toBeUndefined();
    expect(engine.counters().TCPFastOpenPassiveFail).toBe(1);
  });

  it("[7413-6] acknowledges the SYN alone where the cookie is wrong, and sends a good one", async () => {
    const { listener, peer: make, cookie } = await serve();
    const peer = make();
    peer.send({ flags: "S", seq: 0, rawOptions: option("0123456789abcdef"), text: "hello" });
    expect(cookieOf(peer.expect({ flags: "SA", seq: 0, ack: 1 }))).toBe(cookie);
    peer.send({ seq: 1, ack: 1, text: "hello" });
    expect(readAll(listener.accept()!).toString()).toBe("hello");
  });

  it("[7413-2] takes cookies of 4 to 16 octets, an even number, for cookies, and any other for none", async () => {
    const { listener, peer } = await serve();
    for (let length = 1; length <= 18; length++) {
      const one = peer();
      const raw = option("00".repeat(length));
      one.send({ flags: "S", seq: 0, rawOptions: raw, text: "hello" });
      const told = cookieOf(one.expect({ flags: "SA", ack: 1 })) !== undefined;
      expect([length, told]).toEqual([length, length >= 4 && length <= 16 && length % 2 === 0]);
    }
    expect(listener.accept()).toBeUndefined();
  });

  it("makes the cookies Linux makes of the same key and addresses", async () => {
    const engine = await makeEngine({
      addresses: ["192.168.0.1/16", "fd3d:a0b:17d6::1/48"],
      settings: { tcpFastopen: 2, tcpFastopenKey: "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4" },
    });
    engine.listen({ port: 80, fastOpen: 1 });
    const peer = new Peer(engine, { engineAddress: "192.168.0.1", peerAddress: "192.0.2.1" });
    peer.send({ flags: "S", seq: 0, rawOptions: option() });
    expect(cookieOf(peer.expect({ flags: "SA" }))).toBe("3021b9d889017eeb");
    const ends = { engineAddress: "fd3d:a0b:17d6::1", peerAddress: "fd3d:fa7b:d17d::1" };
    const other = new Peer(engine, ends);
    other.send({ flags: "S", seq: 0, rawOptions: option() });
    const { octets, kinds } = other.expect({ flags: "SA" });
    expect(cookieOf({ octets: octets.slice(20), kinds } as Received)).toBe("c1d1e9742a47a9bc");
  });

  it("answers the experimental option in kind", async () => {
    const { listener, peer, cookie } = await serve();
    const asker = peer();
    asker.send({ flags: "S", seq: 0, rawOptions: experimental() });
    const synAck = asker.expect({ flags: "SA", ack: 1 });
    expect([cookieOf(synAck), cookieOf(synAck, EXPERIMENTAL)]).toEqual([undefined, cookie]);
    const user = peer();
    user.send({ flags: "S", seq: 0, rawOptions: experimental(cookie), text: "hello" });
    user.expect({ flags: "SA", ack: 6 });
    expect(readAll(listener.accept()!).toString()).toBe("hello");
  });

  it("takes cookies made under the key before, and replaces them", async () => {
    const keys = ["1-2-3-4", "5-6-7-8"];
    const { engine, peer, ask, cookie: old } = await serve({ tcpFastopenKey: keys[1] });
    engine.configure({ tcpFastopenKey: keys.join(",") });
    const fresh = ask();
    expect(fresh).not.toBe(old);
    for (const [cookie, told] of [
      [old, fresh],
      [fresh, undefined],
    ] as const) {
      const user = peer();
      user.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
      expect(cookieOf(user.expect({ flags: "SA", ack: 6 }))).toBe(told);
    }
    expect(engine.counters().TCPFastOpenPassiveAltKey).toBe(1);
    engine.configure({ tcpFastopenKey: keys[0]! });
    const late = peer();
    late.send({ flags: "S", seq: 0, rawOptions: option(old), text: "hello" });
    late.expect({ flags: "SA", ack: 1 });
  });

  it("gives a listener keys of its own", async () => {
    const { listener, ask, cookie } = await serve();
    listener.setOption("fastOpenKey", "1-2-3-4");
    const own = ask();
    expect(own).not.toBe(cookie);
    listener.setOption("fastOpenKey", "");
    expect(ask()).toBe(cookie);
    expect(() => listener.setOption("fastOpenKey", "1-2-3")).toThrow("fastOpenKey must be one or two keys");
  });

  it("does without cookies, and for every listener, where the setting says so", async () => {
    const engine = await makeEngine({ settings: { tcpFastopen: 0x602 } });
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", seq: 0, options: { mss: 1460 }, text: "hello" });
    peer.expect({ flags: "SA", ack: 6 });
    expect(readAll(listener.accept()!).toString()).toBe("hello");
    const plain = new Peer(engine, { peerPort: 2 });
    plain.send({ flags: "S", seq: 0, options: { mss: 1460 } });
    plain.expect({ flags: "SA", ack: 1 });
    expect(listener.accept()).toBeUndefined();
  });

  it("[7413-10] lets no more be open before their handshake than the limit says", async () => {
    const { engine, listener, peer, cookie } = await serve({}, 2);
    const open = (now: number) => {
      const one = peer(undefined, now);
      one.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
      return { one, fast: one.expect({ flags: "SA" }).ack === 6 };
    };
    const [first, second, third] = [open(1000), open(1000), open(1000)];
    expect([first.fast, second.fast, third.fast]).toEqual([true, true, false]);
    expect(engine.counters().TCPFastOpenListenOverflow).toBe(1);
    // One whose handshake is over makes room, accepted or not; one that was reset only after a minute (§5.1).
    first.one.send({ seq: 6, ack: 1 });
    const fourth = open(1001);
    expect(fourth.fast).toBe(true);
    second.one.send({ flags: "R", seq: 6 });
    fourth.one.send({ flags: "R", seq: 6 });
    expect(open(1002).fast).toBe(false);
    expect(open(61_003).fast).toBe(true);
    // Those that were reset wait for accept none the less, with their text.
    const accepted: Connection[] = [];
    for (let one = listener.accept(); one; one = listener.accept()) accepted.push(one);
    expect(accepted.map((one) => [one.state, readOnce(one)])).toEqual([
      ["ESTABLISHED", "hello"],
      ["CLOSED", "hello"],
      ["CLOSED", "hello"],
      ["SYN-RECEIVED", "hello"],
    ]);
    expect(errorCode(accepted[1]!)).toBe("ECONNRESET");
  });

  it("[7413-11] sends what the initial window admits before the handshake is over, and the rest behind it", async () => {
    const { listener, peer: make, cookie } = await serve({ tcpWmem: [4096, 65536, 65536] });
    const peer = make();
    const answer = randomOctets(40_000, 1);
    peer.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    const connection = listener.accept()!;
    expect(connection.write(answer)).toBe(40_000);
    peer.expect({ flags: "SA", seq: 0, ack: 6 });
    const before = peer.take();
    expect(before.map(({ seq, text }) => [seq, text.length])).toEqual(
      Array.from({ length: 10 }, (_, i) => [1 + i * 1460, 1460]),
    );
    expect(connection.state).toBe("SYN-RECEIVED");
    peer.send({ seq: 6, ack: 1 + 2 * 1460 });
    expect(connection.state).toBe("ESTABLISHED");
    const after = peer.take();
    expect(after.length).toBeGreaterThan(0);
    expect(after[0]!.seq).toBe(1 + 10 * 1460);
    let text = Buffer.concat([...before, ...after].map((one) => one.text));
    while (text.length < 40_000) {
      peer.send({ seq: 6, ack: 1 + text.length });
      text = Buffer.concat([text, ...peer.take().map((one) => one.text)]);
    }
    expect(text.equals(Buffer.from(answer))).toBe(true);
  });

  it("sends its SYN,ACK again with the text acknowledged, and tells the user when nobody answers", async () => {
    const { listener, peer: make, cookie } = await serve();
    const peer = make();
    const syn = { flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" };
    peer.send(syn);
    peer.expect({ flags: "SA", ack: 6 });
    peer.send(syn);
    peer.expect({ flags: "SA", seq: 0, ack: 6 });
    const connection = listener.accept()!;
    connection.write(Buffer.from("answer"));
    peer.expect({ seq: 1, text: "answer" });
    peer.expectWithin(1000, { flags: "SA", seq: 0, ack: 6 });
    peer.wait(200_000);
    expect([connection.state, errorCode(connection)]).toEqual(["CLOSED", "ETIMEDOUT"]);
    expect(peer.eventTypes()).toContain("timedOut");
    expect(readOnce(connection)).toBe("hello");
  });

  it("tells the user of a reset before the handshake is over, behind the text", async () => {
    const { listener, peer: make, cookie } = await serve();
    const peer = make();
    peer.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    const connection = listener.accept()!;
    peer.eventTypes();
    peer.send({ flags: "R", seq: 6 });
    expect(peer.eventTypes()).toContain("reset");
    expect(readOnce(connection)).toBe("hello");
    expect(() => connection.read(new Uint8Array(1))).toThrow("reset");
  });

  it("lets the user close before the handshake is over, which makes room for another", async () => {
    const { listener, peer: make, cookie } = await serve({}, 1);
    const peer = make();
    peer.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    const connection = listener.accept()!;
    readAll(connection);
    connection.write(Buffer.from("bye"));
    connection.close();
    peer.expect({ flags: "SA", ack: 6 });
    peer.expect({ flags: "FPA", seq: 1, text: "bye" });
    peer.send({ flags: "FA", seq: 6, ack: 5 });
    peer.expect({ flags: "A", seq: 5, ack: 7 });
    expect(connection.state).toBe("TIME-WAIT");
    const next = make();
    next.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    next.expect({ flags: "SA", ack: 6 });
  });

  it("resets what waits for a listener that is closed, and lets go on what was accepted", async () => {
    const { engine, listener, peer, cookie } = await serve();
    const [accepted, waiting] = [peer(), peer()];
    accepted.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    const connection = listener.accept()!;
    waiting.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    listener.close();
    waiting.flush();
    expect(waiting.take().at(-1)!.flags).toBe("RA");
    // What takes the listener's slot must not hear of its children.
    const next = engine.listen({ port: 81, fastOpen: 1 });
    accepted.send({ seq: 6, ack: 1 });
    expect(connection.state).toBe("ESTABLISHED");
    const user = new Peer(engine, { enginePort: 81, peerPort: 50000 });
    user.send({ flags: "S", seq: 0, rawOptions: option(cookie), text: "hello" });
    user.expect({ flags: "SA", ack: 6 });
    expect(readAll(next.accept()!).toString()).toBe("hello");
  });

  it("[7413-12] may give the same text again, which the README says: a SYN that came twice opens twice", async () => {
    const { listener, peer: make, cookie } = await serve();
    const peer = make();
    const syn = { flags: "S", seq: 0, rawOptions: option(cookie), text: "pay" };
    for (let times = 0; times < 2; times++) {
      peer.send(syn);
      const connection = listener.accept()!;
      expect(readAll(connection).toString()).toBe("pay");
      connection.abort();
    }
    const { readFileSync } = await import("node:fs");
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8").replaceAll("\n", " ");
    expect(readme).toContain("same text twice");
  });
});

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
