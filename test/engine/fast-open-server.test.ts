import { describe, expect, it } from "vitest";
import type { Connection } from "../../bindings/types.ts";
import { errorCode, makeEngine, readAll } from "../support/engine.ts";
import { cookieOf, EXPERIMENTAL, experimental, option, SYN_DATA } from "../support/fast-open.ts";
import { Peer, type Received } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// TCP Fast Open, RFC 7413.

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
