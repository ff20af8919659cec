import { describe, expect, it } from "vitest";
import type { TcpPacket } from "../../bindings/script/ast.ts";
import { differences, type Leniency } from "../../bindings/script/compare.ts";
import { ACK, flagsOfAce, SYN } from "../../bindings/script/flags.ts";
import { Flow } from "../../bindings/script/flow.ts";
import { parseScript } from "../../bindings/script/index.ts";
import { packetText } from "../../bindings/script/packet-text.ts";
import { decodeOptions } from "../../bindings/script/tcp-options.ts";
import { decode, type LivePacket, TCP, tcpSegment, wrap } from "../../bindings/script/wire.ts";

const packet = (text: string) => parseScript(`0 ${text}`).events[0]!.action as TcpPacket;
const address = (last: number) => Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, last]);

const REMOTE = 5000;
const LOCAL = 4_000_000_000;
const strict: Leniency = { relaxed: false, timestampTick: 0, tolerance: 4000, echoes: false };

/** A packet of the stack's with live numbers, by way of the wire. */
function live(text: string): LivePacket {
  const written = packet(`< ${text}`);
  const flags = written.flags | flagsOfAce(written.ace ?? 0);
  const fields = new Flow(40000, 8080).toLive(written, flags);
  const ends = { family: 4, source: address(1), destination: address(2) } as const;
  return decode(wrap(ends, TCP, tcpSegment(fields), written.ip));
}

/** After a passive handshake: the script calls the stack's initial sequence number 100. */
function connected(options = "<...>", namesCookies = false): Flow {
  const flow = new Flow(8080, 40000, namesCookies);
  flow.remoteIsn = REMOTE;
  const answer = live(
    `S. ${LOCAL}:${LOCAL}(0) ack ${REMOTE + 1} win 5 ${options === "<...>" ? "" : options}`,
  );
  flow.learn(
    packet(
      `> S. 100:100(0) ack ${REMOTE + 1} ${options.replace(/val \d+/, "val 700").replace(/FO \w+/, "FO aaaabbbbccccdddd")}`,
    ),
    answer,
  );
  return flow;
}

describe("numbers of the script and of the stack", () => {
  it("a SYN's are absolute, the others relative to both initial sequence numbers", () => {
    const flow = connected();
    expect(packetText(flow.toScript(live(`S. ${LOCAL}:${LOCAL}(0) ack ${REMOTE + 1} win 5`)))).toBe(
      `S. 100:100(0) ack ${REMOTE + 1} win 5`,
    );
    expect(packetText(flow.toScript(live(`. ${LOCAL + 1}:${LOCAL + 11}(10) ack ${REMOTE + 21} win 5`)))).toBe(
      ". 1:11(10) ack 21 win 5",
    );
    expect(flow.toLive(packet("< . 21:31(10) ack 11 win 5"), ACK)).toMatchObject({
      seq: REMOTE + 21,
      ack: LOCAL + 11,
    });
    expect(flow.toLive(packet("< S 9:9(0) win 5"), SYN)).toMatchObject({ seq: 9, ack: 0 });
    expect(flow.toLive(packet("< R 9:9(0)! win 5"), 4)).toMatchObject({ seq: 9 });
  });

  it("they go round at 2^32", () => {
    const flow = connected();
    const beyond = 2 ** 32 - LOCAL;
    expect(flow.toScript(live(`. 5:5(0) ack ${REMOTE + 1} win 5`)).seq).toBe(beyond + 5);
    expect(flow.toLive(packet(`< . 1:1(0) ack ${beyond + 5} win 5`), ACK).ack).toBe(5);
  });

  it("edges of SACK blocks count as acknowledgments do", () => {
    const flow = connected();
    const shown = flow.toScript(
      live(
        `. ${LOCAL + 1}:${LOCAL + 1}(0) ack ${REMOTE + 1} win 5 <nop,nop,sack ${REMOTE + 11}:${REMOTE + 21}>`,
      ),
    );
    expect(packetText(shown)).toContain("<nop,nop,sack 11:21>");
    const { options } = flow.toLive(packet("< . 1:1(0) ack 1 win 5 <nop,nop,sack 11:21>"), ACK);
    expect(decodeOptions(Uint8Array.from(options))![2]).toEqual({
      kind: "sack",
      blocks: [[LOCAL + 11, LOCAL + 21]],
    });
  });

  it("timestamps: the first pair says how far they are apart", () => {
    const flow = connected("<TS val 123456 ecr 1,nop,nop>");
    const echo = (text: string) =>
      decodeOptions(
        Uint8Array.from(
          flow.toLive(packet(`< . 1:1(0) ack 1 win 5 <TS val 9 ecr ${text},nop,nop>`), ACK).options,
        ),
      )![0];
    expect(echo("700")).toEqual({ kind: "TS", value: 9, echo: 123456 });
    expect(echo("750")).toEqual({ kind: "TS", value: 9, echo: 123506 });
    expect(echo("750!")).toEqual({ kind: "TS", value: 9, echo: 750 });
    const shown = flow.toScript(
      live(`. ${LOCAL + 1}:${LOCAL + 1}(0) ack ${REMOTE + 1} win 5 <TS val 123556 ecr 9,nop,nop>`),
    );
    expect(packetText(shown)).toContain("TS val 800 ecr 9");
  });

  it("cookies: the first one stands for the script's, where it does not tell their key", () => {
    const flow = connected("<FO 0123456789abcdef,nop,nop>", true);
    const { options } = flow.toLive(packet("< . 1:1(0) ack 1 win 5 <FO aaaabbbbccccdddd,nop,nop>"), ACK);
    expect(decodeOptions(Uint8Array.from(options))![0]).toEqual({ kind: "FO", cookie: "0123456789abcdef" });
    const own = connected("<FO 0123456789abcdef,nop,nop>");
    const kept = own.toLive(packet("< . 1:1(0) ack 1 win 5 <FO aaaabbbbccccdddd,nop,nop>"), ACK).options;
    expect(decodeOptions(Uint8Array.from(kept))![0]).toEqual({ kind: "FO", cookie: "aaaabbbbccccdddd" });
  });
});

describe("what is compared", () => {
  const flow = connected("<TS val 1000 ecr 1,nop,nop>");
  const sent = live(
    `[ce] P5. ${LOCAL + 1}:${LOCAL + 11}(10) ack ${REMOTE + 1} win 9 <nop,nop,TS val 1050 ecr 9>`,
  );
  // 750 is what the script calls 1050.
  const same = "P.5 1:11(10) ack 1 <nop,nop,TS val 750 ecr 9>";
  const compare = (text: string, leniency: Partial<Leniency> = {}) =>
    differences(packet(`> ${text}`), sent, flow, { ...strict, ...leniency });

  it.each([
    [same],
    [`[ce] ${same}`],
    ["P.5 1:11(10) ack 1 win 9 <...>"],
    ["P.5 ...(10) ack 1 <...>"],
    ["PEA. 1:11(10) ack 1 <...>"],
    [same.replace("val 750", "val 5")],
    [same.replace("ecr 9", "ecr 8")],
  ])("as expected: %s", (text) => expect(compare(text)).toEqual([]));

  it.each([
    [same.replace(".5", ".4"), "ACE"],
    [same.replace("P.5", ".5"), "flags"],
    ["PE. 1:11(10) ack 1 <...>", "flags"],
    [same.replace("ack 1", "ack 2"), "ack"],
    [same.replace("1:11", "2:12"), "sequence"],
    [same.replace("1:11(10)", "1:10(9)"), "length"],
    [same.replace("ack 1", "ack 1 win 8"), "window"],
    [same.replace("ack 1", "ack 1 urg 8"), "urgent"],
    [same.replace("nop,nop,", "").replace("ecr 9", "ecr 9,nop,nop"), "options"],
    ["P.5 1:11(10) ack 1", "options"],
    [`[ect0] ${same}`, "ECN"],
    [`[ect01] ${same}`, "ECN"],
    [`[ttl 5] ${same}`, "TTL"],
    [`[tos 0x10] ${same}`, "TOS"],
  ])("not as expected: %s", (text, what) => expect(compare(text).join()).toContain(what));

  it("timestamps are compared where the script says what a tick is, echoes where it asks for that", () => {
    expect(compare(same.replace("750", "754"), { timestampTick: 1000 })).toEqual([]);
    expect(compare(same.replace("750", "755"), { timestampTick: 1000 }).join()).toContain("TS val");
    expect(compare(same.replace("ecr 9", "ecr 8"), { echoes: true }).join()).toContain("options");
  });

  it("a wrong checksum is never as expected", () => {
    expect(differences(packet(`> ${same}`), { ...sent, flaws: ["wrong checksum"] }, flow, strict)).toEqual([
      "wrong checksum",
    ]);
  });
});
