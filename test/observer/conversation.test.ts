import { describe, expect, it } from "vitest";
import { CLIENT, from, SERVER, watch } from "./watch.ts";

/** Client's ISN 1000, server's 5000. */
async function established() {
  const watched = await watch();
  const { observer } = watched;
  observer.observe(from("client", { flags: "S", seq: 1000 }), 10);
  observer.observe(from("server", { flags: "SA", seq: 5000, ack: 1001 }), 22);
  observer.observe(from("client", { flags: "A", seq: 1001, ack: 5001 }), 25.5);
  return watched;
}

describe("a conversation", () => {
  it("is told with its ends, times, octets and how it began and ended", async () => {
    const { observer, of, ended } = await established();
    observer.observe(from("client", { flags: "PA", seq: 1001, ack: 5001, text: "question" }), 30);
    observer.observe(from("client", { flags: "PA", seq: 1001, ack: 5001, text: "question" }), 31);
    observer.observe(from("server", { flags: "PA", seq: 5001, ack: 1009, text: "answer" }), 40);
    observer.observe(from("server", { flags: "FA", seq: 5007, ack: 1009 }), 41);
    observer.observe(from("client", { flags: "FA", seq: 1009, ack: 5008 }), 42);
    observer.observe(from("server", { flags: "A", seq: 5008, ack: 1010 }), 43);
    const whole = {
      number: 0,
      client: { ...CLIENT, packets: 5, text: 8, retransmitted: 8, gaps: 0, missing: 0 },
      server: { ...SERVER, packets: 4, text: 6, retransmitted: 0, gaps: 0, missing: 0 },
      firstTime: 10,
      lastTime: 43,
      began: "syn",
      ended: "fin",
      handshakeRtt: 15.5,
    };
    expect(observer.conversations()).toEqual([whole]);
    expect(ended).toEqual([]);
    observer.finish();
    expect(ended).toEqual([whole]);
    expect(observer.conversations()).toEqual([]);
    expect([of(0, "client"), of(0, "server")]).toEqual([["question"], ["answer"]]);
  });

  it.each([
    ["open", []],
    ["client-fin", [["client", "FA"]]],
    ["server-fin", [["server", "FA"]]],
    [
      "fin",
      [
        ["server", "FA"],
        ["client", "FA"],
        ["client", "RA"],
      ],
    ],
    ["client-reset", [["client", "R"]]],
    [
      "server-reset",
      [
        ["client", "FA"],
        ["server", "RA"],
        ["client", "R"],
      ],
    ],
  ] as const)("ends %s", async (end, flags) => {
    const { observer, ended } = await established();
    for (const [sender, which] of flags)
      observer.observe(from(sender, { flags: which, seq: sender === "client" ? 1001 : 5001, ack: 0 }), 50);
    observer.finish();
    expect(ended.map((conversation) => conversation.ended)).toEqual([end]);
  });

  it("refused is one: SYN and RST", async () => {
    const { observer, of, ended } = await watch();
    observer.observe(from("client", { flags: "S", seq: 1000 }), 1);
    observer.observe(from("server", { flags: "RA", seq: 0, ack: 1001, text: "no such service" }), 2);
    observer.finish();
    expect(ended).toMatchObject([{ began: "syn", ended: "server-reset", handshakeRtt: undefined }]);
    expect(of(0, "server")).toEqual([]);
  });

  it("has no round trip when a part of the handshake came twice", async () => {
    const { observer, ended } = await watch();
    for (const time of [0, 1000]) observer.observe(from("client", { flags: "S", seq: 7 }), time);
    observer.observe(from("server", { flags: "SA", seq: 9, ack: 8 }), 1010);
    observer.observe(from("client", { seq: 8, ack: 10 }), 1020);
    observer.finish();
    expect(ended).toMatchObject([{ handshakeRtt: undefined, client: { packets: 3 } }]);
  });

  it("has no round trip when time ran backwards in it", async () => {
    const { observer, ended } = await watch();
    observer.observe(from("client", { flags: "S", seq: 7 }), 50);
    observer.observe(from("server", { flags: "SA", seq: 9, ack: 8 }), 51);
    observer.observe(from("client", { seq: 8, ack: 10 }), 49);
    observer.finish();
    expect(ended).toMatchObject([{ firstTime: 50, lastTime: 51, handshakeRtt: undefined }]);
  });

  it("goes by the last answer to its SYN before the client takes one", async () => {
    const { observer, of } = await watch();
    observer.observe(from("client", { flags: "S", seq: 7 }), 0);
    for (const seq of [5000, 9000]) observer.observe(from("server", { flags: "SA", seq, ack: 8 }), 1);
    observer.observe(from("client", { seq: 8, ack: 9001 }), 2);
    // Too late: the client has taken the other.
    observer.observe(from("server", { flags: "SA", seq: 5000, ack: 8 }), 3);
    observer.observe(from("server", { seq: 9001, ack: 8, text: "hello" }), 4);
    observer.finish();
    expect(of(0, "server")).toEqual(["hello"]);
  });

  it("may be caught in the middle; the server then is who has the lower port", async () => {
    const { observer, of, ended } = await watch();
    observer.observe(from("server", { seq: 0xfffffffe, ack: 700, text: "half" }), 1);
    observer.observe(from("client", { seq: 700, ack: 2, text: "a word" }), 2);
    observer.observe(from("server", { seq: 2, ack: 706, text: " and half" }), 3);
    observer.finish();
    expect(ended).toMatchObject([{ began: "midstream", ended: "open", client: CLIENT, server: SERVER }]);
    expect([of(0, "client"), of(0, "server")]).toEqual([["a word"], ["half and half"]]);
  });

  it("may be caught at the answer to its SYN", async () => {
    const { observer, of, ended } = await watch();
    const server = { address: "198.51.100.9", port: 50000 };
    observer.observe(from("server", { flags: "SA", seq: 5, ack: 100 }, CLIENT, server), 1);
    // What the server acknowledged without having been seen to receive is a hole.
    observer.observe(from("client", { seq: 103, ack: 6, text: "late" }, CLIENT, server), 2);
    observer.observe(from("server", { seq: 6, ack: 107 }, CLIENT, server), 3);
    observer.finish();
    expect(ended).toMatchObject([{ began: "syn-ack", client: CLIENT, server }]);
    expect(of(0, "client")).toEqual([3, "late"]);
  });

  it("of IPv6 is one as well", async () => {
    const { observer, of, ended } = await watch();
    const client = { address: "2001:db8::7", port: 40000 };
    const server = { address: "2001:db8:ffff::1", port: 443 };
    observer.observe(from("client", { flags: "S", seq: 1 }, client, server), 1);
    observer.observe(from("server", { flags: "SA", seq: 1, ack: 2 }, client, server), 2);
    observer.observe(from("client", { seq: 2, ack: 2, text: "six" }, client, server), 3);
    observer.finish();
    expect(ended).toMatchObject([{ client: { ...client, text: 3 }, server }]);
    expect(of(0, "client")).toEqual(["six"]);
  });
});

describe("numbers of conversations", () => {
  it("follow their first packets", async () => {
    const { observer, ended } = await watch();
    for (const port of [3003, 3001, 3002, 3001])
      observer.observe(from("client", { flags: "S", seq: 1 }, { ...CLIENT, port }), port);
    observer.finish();
    expect(ended.map(({ number, client }) => [number, client.port]).sort()).toEqual([
      [0, 3003],
      [1, 3001],
      [2, 3002],
    ]);
  });

  it("tell apart the two conversations of a tuple that was used again after the first was over", async () => {
    const { observer, of, ended } = await established();
    observer.observe(from("client", { flags: "FA", seq: 1001, ack: 5001, text: "one" }), 30);
    observer.observe(from("server", { flags: "FA", seq: 5001, ack: 1005 }), 31);
    observer.observe(from("client", { flags: "S", seq: 900 }), 40);
    expect(ended).toMatchObject([{ number: 0, ended: "fin" }]);
    observer.observe(from("server", { flags: "SA", seq: 300, ack: 901 }), 41);
    observer.observe(from("client", { seq: 901, ack: 301, text: "two" }), 42);
    observer.finish();
    expect(ended).toMatchObject([
      { number: 0, ended: "fin", client: { text: 3 } },
      { number: 1, ended: "open", firstTime: 40, handshakeRtt: 2 },
    ]);
    expect([of(0, "client"), of(1, "client")]).toEqual([["one"], ["two"]]);
  });

  it("are not raised by a SYN that comes again, or by one that is not answered", async () => {
    const { observer, of, ended } = await established();
    observer.observe(from("client", { flags: "S", seq: 1000 }), 30);
    // Forged: the server answers with a challenge, and the conversation goes on.
    observer.observe(from("client", { flags: "S", seq: 77777 }), 31);
    observer.observe(from("server", { flags: "A", seq: 5001, ack: 1001 }), 32);
    observer.observe(from("client", { seq: 1001, ack: 5001, text: "undisturbed" }), 33);
    observer.finish();
    expect(ended).toHaveLength(1);
    expect(of(0, "client")).toEqual(["undisturbed"]);
  });

  it("are raised when the other side takes a SYN for a new one, though the old had no end", async () => {
    const { observer, of, ended } = await established();
    observer.observe(from("client", { flags: "S", seq: 77777 }), 31);
    observer.observe(from("server", { flags: "SA", seq: 88888, ack: 77778 }), 33);
    observer.observe(from("client", { seq: 77778, ack: 88889, text: "anew" }), 36);
    observer.finish();
    expect(ended).toMatchObject([
      { number: 0, ended: "open" },
      { number: 1, began: "syn", firstTime: 31, handshakeRtt: 5, client: { packets: 2 } },
    ]);
    expect(of(1, "client")).toEqual(["anew"]);
  });

  it("are raised by a new SYN where the first was never answered", async () => {
    const { observer, ended } = await watch();
    observer.observe(from("client", { flags: "S", seq: 1 }), 0);
    observer.observe(from("client", { flags: "S", seq: 99 }), 90_000);
    observer.finish();
    expect(ended.map(({ number }) => number)).toEqual([0, 1]);
  });
});

describe("gaps", () => {
  it("are told as soon as the other side acknowledges text behind them", async () => {
    const { observer, of } = await established();
    observer.observe(from("client", { seq: 1011, ack: 5001, text: "behind" }), 30);
    expect(of(0, "client")).toEqual([]);
    observer.observe(from("server", { seq: 5001, ack: 1006 }), 31);
    expect(of(0, "client")).toEqual([]);
    observer.observe(from("server", { seq: 5001, ack: 1017 }), 32);
    expect(of(0, "client")).toEqual([10, "behind"]);
  });

  it("are told when they are acknowledged to their last octet, before text came or after", async () => {
    const { observer, of } = await established();
    observer.observe(from("client", { seq: 1011, ack: 5001, text: "behind" }), 30);
    observer.observe(from("server", { seq: 5001, ack: 1010 }), 31);
    expect(of(0, "client")).toEqual([]);
    observer.observe(from("server", { seq: 5001, ack: 1011 }), 32);
    expect(of(0, "client")).toEqual([10, "behind"]);
    observer.observe(from("server", { seq: 5001, ack: 1027 }), 33);
    observer.observe(from("client", { seq: 1028, ack: 5001, text: "ahead" }), 34);
    expect(of(0, "client")).toEqual([10, "behind"]);
    observer.observe(from("client", { seq: 1027, ack: 5001, text: "+" }), 35);
    expect(of(0, "client")).toEqual([10, "behind", 10, "+ahead"]);
  });

  it("are told at the end, those at the very end too", async () => {
    const { observer, of, ended } = await established();
    observer.observe(from("client", { seq: 1011, ack: 5001, text: "behind" }), 30);
    observer.observe(from("server", { flags: "FA", seq: 5101, ack: 1001 }), 31);
    observer.finish();
    expect([of(0, "client"), of(0, "server")]).toEqual([[10, "behind"], [100]]);
    expect(ended).toMatchObject([{ client: { gaps: 1, missing: 10 }, server: { gaps: 1, missing: 100 } }]);
  });

  it("are not made of a FIN, seen or missed", async () => {
    const { observer, of } = await established();
    observer.observe(from("client", { flags: "FA", seq: 1001, ack: 5001, text: "bye" }), 30);
    // The server's FIN was not captured.
    observer.observe(from("server", { seq: 5001, ack: 1005, text: "good" }), 31);
    observer.observe(from("client", { seq: 1005, ack: 5006 }), 32);
    observer.finish();
    expect([of(0, "client"), of(0, "server")]).toEqual([["bye"], ["good"]]);
  });

  it("stand for what was not captured of each packet", async () => {
    const { observer, of, ended } = await established();
    const text = "0123456789".repeat(100);
    for (let i = 0; i < 3; i++) {
      const packet = from("client", { seq: 1001 + i * 1000, ack: 5001, text });
      observer.observe(packet.subarray(0, 50), 30 + i);
    }
    observer.observe(from("server", { seq: 5001, ack: 4001 }), 40);
    observer.finish();
    expect(of(0, "client")).toEqual([text.slice(0, 10), 990, text.slice(0, 10), 990, text.slice(0, 10), 990]);
    expect(ended[0]!.client).toMatchObject({ text: 30, missing: 2970, retransmitted: 0 });
  });

  it("do not hide that a segment came again, captured in part each time", async () => {
    const { observer, ended } = await established();
    const packet = from("client", { seq: 1001, ack: 5001, text: "0123456789" }).subarray(0, 43);
    for (const time of [30, 31, 32]) observer.observe(packet, time);
    observer.finish();
    expect(ended[0]!.client).toMatchObject({ text: 3, missing: 7, retransmitted: 20 });
  });

  it("are not made of an acknowledgment or a segment from nowhere", async () => {
    const { observer, of, ended } = await established();
    observer.observe(from("server", { seq: 5001, ack: 1001 + 0x60000000 }), 30);
    observer.observe(from("client", { seq: 1001 + 0x30000000, ack: 5001, text: "stray" }), 31);
    observer.observe(from("client", { seq: 1001, ack: 5001, text: "on course" }), 32);
    observer.finish();
    expect(of(0, "client")).toEqual(["on course"]);
    expect(ended[0]!.client).toMatchObject({ text: 9, retransmitted: 0, missing: 0 });
  });

  it("may be longer than could be held, where nothing the other side sent was captured", async () => {
    const { observer, of } = await watch();
    observer.observe(from("client", { seq: 1, text: "one" }), 1);
    const far = from("client", { seq: 0x30000001, text: "0123456789" });
    observer.observe(far.subarray(0, 44), 2);
    observer.finish();
    expect(of(0, "client")).toEqual(["one", 0x30000000 - 3, "0123", 6]);
  });

  it("may be longer than could be held, when the other side acknowledges as much", async () => {
    const { observer, of } = await established();
    const far = 40_000_000;
    observer.observe(from("server", { seq: 5001, ack: 1001 + far - 500 }), 30);
    observer.observe(from("client", { seq: 1001 + far, ack: 5001, text: "far on" }), 31);
    observer.observe(from("client", { seq: 1001 + far - 500, ack: 5001, text: "#".repeat(500) }), 32);
    expect(of(0, "client")).toEqual([far - 500, `${"#".repeat(500)}far on`]);
  });
});
