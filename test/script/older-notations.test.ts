import { describe, expect, it } from "vitest";
import { readCapture } from "../../bindings/pcap/index.ts";
import type { IcmpPacket, TcpPacket } from "../../bindings/script/ast.ts";
import { parseScript } from "../../bindings/script/index.ts";
import { CONNECTED, passed, run } from "./run.ts";

const action = (text: string) => parseScript(`0 ${text}`).events[0]!.action;

describe("ICMP messages", () => {
  it.each([
    ["[1:1461(1460)] icmp unreachable frag_needed mtu 1200", { quotedSeq: 1, quotedLength: 1460, mtu: 1200 }],
    [
      "[0:0(0)] icmp unreachable port_unreachable",
      { quotedSeq: 0, quotedLength: 0, code: "port_unreachable" },
    ],
    ["[4294967295:4294967295(0)] icmp packet_too_big mtu 1280", { quotedSeq: 4294967295 }],
  ])("may quote in front: %s", (text, wanted) =>
    expect(action(`< ${text}`) as IcmpPacket).toMatchObject({ kind: "icmp", ...wanted }),
  );

  it.each([
    ["[1:1(0)] . 1:1(0) ack 1 win 5", "expected icmp"],
    ["[1:1(0)] icmp unreachable code_1 [1:1(0)]", "quotes one packet"],
    ["[1:1(0) icmp unreachable", "expected ]"],
  ])("and nothing else may: %s", (text, message) => expect(() => action(`< ${text}`)).toThrow(message));

  it.each([
    "information_request",
    "information_reply",
    "address_mask_request",
    "address_mask_reply",
    "router_advertisement",
    "router_solicitation",
  ])("%s is one", (type) => expect(action(`< icmp ${type}`)).toMatchObject({ kind: "icmp", type }));

  it("one that says nothing of what it quotes quotes the SYN, whatever was sent since", async () => {
    const { pcapng } = await run(`${CONNECTED}+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1
      +0 < icmp unreachable host_unreachable\n+0 < [0:0(0)] icmp unreachable host_unreachable`);
    const packets = [...readCapture(pcapng())].map(({ data }) => data);
    const sequenceAt = (data: Uint8Array, at: number) =>
      new DataView(data.buffer, data.byteOffset).getUint32(at);
    const initial = sequenceAt(packets[1]!, 24);
    expect(packets.slice(-2).map((data) => sequenceAt(data, 20 + 8 + 20 + 4))).toEqual([initial, initial]);
  });
});

describe("an ACE count without letters", () => {
  it.each([
    ["[noecn] 5. 1:1(0) ack 1 win 5", { ace: 5, flags: 16 }],
    ["0. 1:1(0) ack 1 win 5", { ace: 0, flags: 16 }],
    ["1000 > 2000 5. 1:1(0) ack 1 win 5", { ace: 5, ports: { source: 1000, destination: 2000 } }],
    ["1000 > 2000 . 1:1(0) ack 1 win 5", { flags: 16, ports: { source: 1000, destination: 2000 } }],
  ])("%s", (text, wanted) =>
    expect(action(`< ${text}`) as TcpPacket).toMatchObject({ kind: "tcp", ...wanted }),
  );
});

describe("a pair of alternatives", () => {
  const source = "0 `true`\n#ifdef STANDARD\n+1 `echo 1`\n#endif\n#ifdef FreeBSD\n+2 `echo 2`\n#endif\n";
  const chosen = (text: string, defines = {}) =>
    parseScript(text, { defines })
      .events.slice(1)
      .map((event) => (event.action as { text: string }).text);

  it("is the standard one, unless the other is asked for", () => {
    expect(chosen(source)).toEqual(["echo 1"]);
    expect(chosen(source, { FreeBSD: "1" })).toEqual(["echo 2"]);
    expect(chosen(`-D FreeBSD\n${source}`)).toEqual(["echo 2"]);
    expect(chosen(source, { FreeBSD: "1", STANDARD: "1" })).toEqual(["echo 1", "echo 2"]);
  });
});

it("octets changed by name are passed over in reading", () => {
  const { events } = parseScript("0 < . 1:1(0) ack 1 win 5 {rep tcp src_port 0x0b63}\n+0 `true`");
  expect(events).toHaveLength(2);
  expect(() => parseScript("0 < . 1:1(0) ack 1 win 5 {rep tcp")).toThrow("a brace is not closed");
});

it("a packet that quotes what is unknown is no connection's", async () => {
  const { verdict } = await run(`${CONNECTED}+0 < [9:9(0)] icmp unreachable port_unreachable
    +0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0`);
  expect(verdict).toEqual(passed);
});
