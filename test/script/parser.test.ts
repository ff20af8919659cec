import { describe, expect, it } from "vitest";
import type { Call, Expr, ScriptEvent, TcpOption, TcpPacket } from "../../bindings/script/ast.ts";
import { parseScript, ScriptSyntaxError } from "../../bindings/script/index.ts";
import { packetText } from "../../bindings/script/packet-text.ts";

const parse = (source: string, defines: Record<string, string> = {}) => parseScript(source, { defines });
const events = (source: string, defines = {}): ScriptEvent[] => parse(source, defines).events;
const packet = (text: string) => events(`0 ${text}`)[0]!.action as TcpPacket;
const call = (text: string) => events(`0 ${text}`)[0]!.action as Call;

describe("times", () => {
  it.each([
    ["0 `x`\n1.5 `y`", { kind: "absolute", at: 1_500_000 }],
    ["0 `x` .25 `y`", { kind: "absolute", at: 250_000 }],
    ["0 `x` +0.1 `y`", { kind: "relative", at: 100_000 }],
    ["0 `x` +.1 `y`", { kind: "relative", at: 100_000 }],
    ["0 `x` * > . 1:1(0) ack 1", { kind: "any" }],
    ["0 `x` 1.0~1.2 > . 1:1(0) ack 1", { kind: "absoluteRange", at: 1_000_000, end: 1_200_000 }],
    ["0 `x` +.1~+.2 > . 1:1(0) ack 1", { kind: "relativeRange", at: 100_000, end: 200_000 }],
  ])("%j", (source, time) => expect(events(source)[1]!.time).toEqual(time));

  it.each([
    ["0 `x` +.08...0.180 read(3, ..., 1) = 1", "relative", 80_000, 180_000],
    ["0 `x` 0...0.2 read(3, ..., 1) = 1", "absolute", 0, 200_000],
    ["0 `x` 1.5...+2 read(3, ..., 1) = 1", "absolute", 1_500_000, 2_000_000],
  ])("a call that blocks: %j", (source, kind, at, end) => {
    expect(events(source)[1]).toMatchObject({ time: { kind, at }, end });
  });
});

describe("packets", () => {
  it.each([
    ["< S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>"],
    ["> S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>"],
    ["> P. 1:1001(1000) ack 1"],
    ["< . 1:1(0) ack 1001 win 257 <sack 2001:3001 4001:5001,nop,nop>"],
    ["> . 1:1(0) ack 1 <nop,nop,TS val 100 ecr 700>"],
    ["> . 1:1(0) ack 1 <...>"],
    ["> FP. 1:11(10) ack 1 win 0"],
    ["< R 1:1(0) win 0"],
    ["> R 0:0(0)!"],
    ["> - 1:1(0)"],
    ["> [ect0] PE. 1:11(10) ack 1"],
    ["< [ce,ttl 3] . 1:1(0) ack 1 win 5"],
    ["> [tos 0x10,flowlabel 0x12345] . 1:1(0) ack 1"],
    ["> 8080 > 40000 S. 0:0(0) ack 1 <mss 1460>"],
    ["> .5 1:1(0) ack 1"],
    ["> P.5 1:11(10) ack 1"],
    ["> SEWA 0:0(0) <...>"],
    ["> ...(0) ack 1"],
    ["< S 0:0(0) win 5 <mss 1460,FO 3021b9d889017eeb,nop,nop>"],
    ["> S 0:0(0) <mss 1460,nop,nop,FO>"],
    ["< S 0:0(0) win 5 <mss 1460,FOEXP 00001234,nop,nop,nop,eol>"],
    ["> . 1:1(0) ack 1 <ECN e1b 1 ceb 0 e0b 1,nop>"],
    ["> . 4294967295:0(1) ack 1"],
    ["< PU. 1:101(100) ack 1 win 5 urg 50"],
    ["> S. 0:0(0) ack 1 <...> / udp (8080 > 9899)"],
  ])("%s", (text) => {
    // Flags are written in an order of their own; without them, what is read says what was written.
    const shown = packetText(packet(text.replace("> ...", "> . ...")));
    const order = (line: string) =>
      line.replace(/\b[SFRPUEWA]+(?=[. ])/g, (letters) => [...letters].sort().join(""));
    expect(order(shown.replace(/^\. \.\.\./, "..."))).toBe(order(text.slice(2)));
  });

  it("flags in any cut", () => {
    const flags = (text: string) => {
      const { flags: bits, ace } = packet(`> ${text} 1:1(0) ack 1`);
      return [bits, ace];
    };
    expect(flags("P5.")).toEqual(flags("P.5"));
    expect(flags(".P")).toEqual(flags("P."));
    expect(flags("F5.")).toEqual([17, 5]);
  });

  it("numbers that look like words, and words that look like numbers", () => {
    const cookie = (text: string) =>
      packet(`< S 0:0(0) win 1 <FO ${text}>`).options![0] as TcpOption & { cookie: string };
    expect(cookie("000012345678").cookie).toBe("000012345678");
    expect(cookie("12e4567890ab").cookie).toBe("12e4567890ab");
  });

  it.each([
    ["icmp unreachable frag_needed mtu 1200 [1:1001(1000)]", { mtu: 1200, quotedSeq: 1, quotedLength: 1000 }],
    ["icmp packet_too_big mtu 1400 [1:1001(1000)]", { mtu: 1400 }],
    ["icmp type_3 code_4 [0:0(0)]", { type: "type_3", code: "code_4" }],
    ["icmp echo_request id 5", { id: 5 }],
    ["icmp unreachable port_unreachable [udp (100)]", { quotedUdp: 100 }],
  ])("%s", (text, fields) => expect(packet(`< ${text}`)).toMatchObject(fields));
});

describe("system calls", () => {
  const number = (value: number, text = String(value)): Expr => ({ kind: "number", value, text });

  it("arguments of every kind", () => {
    const { args } = call(
      'sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 50}], msg_flags=MSG_PEEK|0x10}, "a\\x00" "b") = -1 EAGAIN (x y\'z)',
    );
    expect(args).toEqual([
      number(4),
      {
        kind: "struct",
        fields: [
          { name: "msg_name", args: [{ kind: "any" }], value: { kind: "any" } },
          {
            name: "msg_iov",
            args: [number(1)],
            value: {
              kind: "list",
              items: [
                {
                  kind: "struct",
                  fields: [
                    { name: "", args: [], value: { kind: "any" } },
                    { name: "", args: [], value: number(50) },
                  ],
                },
              ],
            },
          },
          {
            name: "msg_flags",
            args: [],
            value: { kind: "or", parts: [{ kind: "word", name: "MSG_PEEK" }, number(16, "0x10")] },
          },
        ],
      },
      { kind: "string", value: "a\\x00b" },
    ]);
  });

  it.each([
    ["socket(..., SOCK_STREAM, IPPROTO_TCP) = 3", { result: number(3) }],
    [
      "connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)",
      { result: number(-1), errno: "EINPROGRESS" },
    ],
    ["fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)", { result: number(2, "0x2") }],
  ])("%s", (text, wanted) => expect(call(text)).toMatchObject(wanted));
});

describe("the file", () => {
  it("options, init and cleanup commands, comments, code", () => {
    const script = parse(`// A title
      --tolerance_usecs=10000 --ip_version=ipv4
      -D NAME=value --define=CMD=\`true\`
      /* more */
      \`./defaults.sh
      ./set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0\`
      // A remark
      0 socket(NAME, 0) = 3
      +0 %{ assert tcpi_state == 1,
            "x" }%
      \`./cleanup.sh\``);
    expect(script.title).toEqual(["A title"]);
    expect(script.options.map(({ name, value }) => `${name}=${value}`)).toEqual([
      "tolerance_usecs=10000",
      "ip_version=ipv4",
      "define=NAME=value",
      "define=CMD=`true`",
    ]);
    expect(script.init?.text).toContain("tcp_sack=0");
    expect(script.cleanup?.text).toBe("./cleanup.sh");
    expect(script.events[0]!.remarks).toEqual(["more", "A remark"]);
    expect(script.events[1]!.action).toMatchObject({
      kind: "code",
      text: expect.stringMatching(/^assert.*"x"$/s),
    });
  });

  it("#ifdef keeps what is defined; STANDARD is", () => {
    const source =
      "0 `x`\n#ifdef STANDARD\n+1 `y`\n#endif\n#ifdef FreeBSD\n+2 `z` not even a script @\n#endif\n";
    expect(events(source).map(({ action }) => (action as { text: string }).text)).toEqual(["x", "y"]);
    expect(events("0 `x`\n#ifdef A\n+1 `y`\n#endif\n", { A: "1" })).toHaveLength(2);
  });

  it("definitions may be numbers, words, strings and commands, and the caller's prevail", () => {
    const source = '-D N=5 -D S="text" -D W=F_GETFL\n0 fcntl(N, W, S) = N';
    expect(call.call(null, "x() = 0")).toBeDefined();
    const { args, result } = events(source, { N: "7" })[0]!.action as Call;
    expect(args[0]).toMatchObject({ value: 7 });
    expect(args[1]).toEqual({ kind: "word", name: "F_GETFL" });
    expect(args[2]).toEqual({ kind: "string", value: "text" });
    expect(result).toMatchObject({ value: 7 });
  });
});

describe("what is no script: line, column and what stood there", () => {
  it.each([
    ["", 1, "without an event"],
    ["0 `x`\n  bogus", 2, "expected a time, got bogus"],
    ["1 `x`", 1, "first event must be at time 0"],
    ["0 `x`\n2 `y`\n1 `z`", 3, "time goes backwards"],
    ["0 < S 0:1(0) win 5", 1, "0:1 are not 0 octets"],
    ["0 < S 0:0(0)", 1, "needs a window"],
    ["0 < S 0:0(0) win 65536", 1, "65536"],
    ["0 < S 0:0(0) win 5 <mss 1460,nop>", 1, "5 octets of options"],
    ["0 < S 0:0(0) win 5 <bogus 1>", 1, "unknown TCP option bogus"],
    ["0 < X 0:0(0) win 5", 1, "expected TCP flags, got X"],
    ["0 < . 1:1(0) ack 1 win 5 <...>", 1, "inbound packet needs its options"],
    ["0 < [bogus] . 1:1(0) ack 1 win 5", 1, "unknown IP field bogus"],
    ["0 < icmp bogus", 1, "unknown ICMP type bogus"],
    ["0 < icmp unreachable bogus", 1, "unknown ICMP code bogus"],
    ["0 read(3, ..., 5 = 5", 1, "expected )"],
    ["0 read(3, ..., 5)", 1, "expected ="],
    ["0 `x`\n* read(3) = 0", 2, "only a packet"],
    ["0 `x`\n+1~+.5 > . 1:1(0) ack 1", 2, "ends before it begins"],
    ["0 `x`\n1...0.5 read(3) = 0", 2, "end before it starts"],
    ["0 `x`\n/* open", 2, "comment is not closed"],
    ["#ifdef A\n0 `x`", 1, "#ifdef is not closed"],
    ["0 `x`\n#endif", 2, "#endif without"],
    ["0 `x`\n@", 2, '"@"'],
    ["0 < ipv4 1", 1, "inside ipv4"],
  ])("%j", (source, line, message) => {
    let caught: unknown;
    try {
      parse(source);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ScriptSyntaxError);
    expect(caught).toMatchObject({ code: "EINVAL", line, message: expect.stringContaining(message) });
  });
});
