import { describe, expect, it } from "vitest";
import { configure } from "../../bindings/script/config.ts";
import { dialectOf } from "../../bindings/script/dialect.ts";
import { parseScript } from "../../bindings/script/index.ts";
import { BIND, engine, LISTEN, passed, run } from "./run.ts";

const SOCKET = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
const BSD = "0 `sysctl -w net.inet.tcp.rfc1323=0`\n";
const settings = (source: string) => configure(parseScript(source)).settings;

describe("whose kernel a script is written for", () => {
  it.each([
    ["0 `sysctl -w net.inet.tcp.sack.enable=1`", "a setting"],
    ["0 `sysctl kern.ipc.maxsockbuf=73728`", "another setting"],
    ["0 `sockstat -4 -P tcp -s | grep -c TIME_WAIT | grep 1`", "a command"],
    [`${SOCKET}+0 setsockopt(3, IPPROTO_TCP, TCP_KEEPINIT, [5], 4) = 0`, "an option"],
    [`${SOCKET}+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65536], [4]) = 0`, "a size nobody set"],
    [`${SOCKET}+0 %{ assert tcpi_state == TCPI_LISTEN }%`, "the name of a state"],
    [`${SOCKET}+0 %{ assert tcpi_snd_cwnd == 14600 }%`, "a window in octets"],
    [
      "0 < S 0:0(0) win 5\n+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 6,sackOK,eol,eol>",
      "the order of options",
    ],
    [`// net.inet.tcp.something must be 1\n${SOCKET}`, "a remark"],
  ])("is told by %j: %s", (source) => expect(dialectOf(parseScript(source))).toBe("bsd"));

  it.each([
    ["0 `sysctl -q net.ipv4.tcp_sack=1`"],
    [
      `${SOCKET}+0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [65536], 4) = 0
      +0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65536], [4]) = 0`,
    ],
    ["0 < S 0:0(0) win 5\n+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 6>"],
    [`${SOCKET}+0 %{ assert tcpi_options & TCPI_OPT_SACK }%`],
  ])("is Linux's: %j", (source) => expect(dialectOf(parseScript(source))).toBe("linux"));

  it("--dialect says it, and nothing else than a dialect", async () => {
    const source = `${SOCKET}+0 getsockopt(3, IPPROTO_TCP, TCP_KEEPCNT, [8], [4]) = 0`;
    expect((await run(source)).verdict.status).toBe("failed");
    expect((await run(source, { overrides: { dialect: "bsd" } })).verdict).toEqual(passed);
    expect((await run(source, { overrides: { dialect: "klingon" } })).verdict).toMatchObject({
      message: expect.stringContaining('linux or bsd, not "klingon"'),
    });
  });
});

describe("sizes of buffers", () => {
  const size = (option: string, value: number) =>
    `+0 getsockopt(3, SOL_SOCKET, ${option}, [${value}], [4]) = 0\n`;

  it("Linux's default is the setting's, and what is set is doubled", async () => {
    const source = `0 \`sysctl net.ipv4.tcp_rmem="4096 50000 70000" net.ipv4.tcp_wmem="4096 30000 70000"\`
      ${SOCKET.replace("0 ", "+0 ")}${size("SO_RCVBUF", 50000)}${size("SO_SNDBUF", 30000)}
      +0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [20000], 4) = 0\n${size("SO_RCVBUF", 40000)}`;
    expect((await run(source)).verdict).toEqual(passed);
    expect((await run(SOCKET + size("SO_RCVBUF", 131072) + size("SO_SNDBUF", 16384))).verdict).toEqual(
      passed,
    );
  });

  it("BSD's receive space is rounded up to segments once they are known, and is not doubled", async () => {
    const client = `${SOCKET}+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n${size("SO_RCVBUF", 65536)}
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>\n${size("SO_RCVBUF", 65536)}
      +.1 < S. 0:0(0) ack 1 win 5 <mss 1400>\n+0 > . 1:1(0) ack 1\n${size("SO_RCVBUF", 65800)}`;
    expect((await run(client)).verdict).toEqual(passed);
    const timestamps = client
      .replace("<mss 1400>", "<mss 1400,nop,nop,TS val 1 ecr 0>")
      .replace("> . 1:1(0) ack 1", "> . 1:1(0) ack 1 <...>");
    expect((await run(timestamps)).verdict).toEqual(passed);
    const server = `${LISTEN}${size("SO_RCVBUF", 65536)}+0 < S 0:0(0) win 5 <mss 1400>
      +0 > S. 0:0(0) ack 1 <...>\n+.1 < . 1:1(0) ack 1 win 5\n+0 accept(3, ..., ...) = 4
      ${size("SO_RCVBUF", 65800).replace("(3", "(4")}${size("SO_RCVBUF", 65536)}`;
    expect((await run(server)).verdict).toEqual(passed);
    const set = `${BSD}${SOCKET.replace("0 ", "+0 ")}+0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [20000], 4) = 0
      ${size("SO_RCVBUF", 20000)}`;
    expect((await run(set)).verdict).toEqual(passed);
  });

  it("BSD's come from what three settings say together", () => {
    expect(settings(BSD).tcpRmem).toEqual([4096, 131072, 2097152]);
    expect(
      settings(`${BSD}+0 \`sysctl net.inet.tcp.recvspace=3000\`\n+0 \`sysctl kern.ipc.maxsockbuf=73728\``),
    ).toMatchObject({ tcpRmem: [3000, 3000, 73728], tcpWmem: [4096, 65536, 73728] });
  });

  it("a size that is set decides the window scale in Linux, not in BSD", () => {
    const source = (command: string) => `0 \`${command}\`\n${SOCKET.replace("0 ", "+0 ")}
      +0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [20000], 4) = 0`;
    expect(settings(source("true")).tcpRmem).toEqual([4096, 20000, 20000]);
    expect(settings(source("sysctl kern.ipc.maxsockbuf=73728")).tcpRmem).toEqual([4096, 20000, 73728]);
  });

  it("more than a stream holds is all it holds, and told of", async () => {
    const source = '0 `sysctl net.ipv4.tcp_rmem="4096 20000 2147483647"`\n';
    const { ignoredSettings } = await run(source);
    expect(settings(source).tcpRmem).toEqual([4096, 20000, expect.any(Number)]);
    expect(ignoredSettings.join()).toContain("2147483647");
  });

  it("BSD's first retransmission comes after three seconds, one where a script has its second SYN then", () => {
    const syns = (after: number) => `${BSD}+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
      +0...20 connect(3, ..., ...) = -1 ETIMEDOUT\n+0 > S 0:0(0) <...>\n+${after} > S 0:0(0) <...>`;
    expect(settings(syns(3)).tcpRtoInitMs).toBe(3000);
    expect(settings(syns(1)).tcpRtoInitMs).toBe(1000);
    const said = syns(3).replace(BSD, `${BSD}+0 \`sysctl net.inet.tcp.rexmit_initial=1000\`\n`);
    expect(settings(said).tcpRtoInitMs).toBe(1000);
    expect(settings(syns(3).replace(BSD, "0 `true`\n")).tcpRtoInitMs).toBeUndefined();
  });

  it("BSD's SYNs keep their interval for a while where a script has them so", () => {
    const syns = (second: number) => `${BSD}+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
      +0...20 connect(3, ..., ...) = -1 ETIMEDOUT\n+0 > S 0:0(0) <...>\n+3 > S 0:0(0) <...>
      +${second} > S 0:0(0) <...>`;
    expect(settings(syns(3.2)).tcpSynLinearTimeouts).toBe(4);
    expect(settings(syns(6.2)).tcpSynLinearTimeouts).toBe(0);
    expect(settings(syns(3.2).replace(BSD, "0 `true`\n")).tcpSynLinearTimeouts).toBeUndefined();
  });

  it("BSD's timeouts are longer by its slop", () => {
    expect(settings(BSD)).toMatchObject({ tcpRtoMinUs: 30_000, tcpRexmitSlop: 200 });
    expect(settings(`${BSD}+0 \`sysctl net.inet.tcp.rexmit_slop=50\``).tcpRexmitSlop).toBe(50);
  });

  it("what BSD has against SYNs with FIN, and against ICMP, are the engine's settings", () => {
    const source = `${BSD}+0 \`sysctl net.inet.tcp.drop_synfin=1\`\n+0 \`sysctl net.inet.tcp.icmp_may_rst=0\``;
    expect(settings(source)).toMatchObject({ tcpDropSynfin: 1, tcpIcmpMayRst: 0 });
  });

  it("numbers of a SYN that nobody listens for are what they are", async () => {
    const source = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0
      +0 < S 17:20(3) win 5 <mss 1460>\n+0 > R. 0:0(0) ack 21`;
    expect((await run(source)).verdict).toEqual(passed);
  });

  it("what comes for a listener without a SYN leaves the listener to be looked at", async () => {
    const source = `${BSD}${LISTEN.replace("0 ", "+0 ")}+0 %{ assert tcpi_state == TCPI_LISTEN }%
      +0 < R 0:0(0) win 5\n+0 %{ assert tcpi_state == TCPI_LISTEN }%`;
    expect((await run(source)).verdict).toEqual(passed);
  });

  it("a script that makes no setting presumes what its first SYN's scale tells, a corrupted one does not", async () => {
    const source = `${LISTEN}+0 < S 0:0(0) win 5 <mss 1460,nop,wscale 7>
      +0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 6>`;
    const { verdict, presumedSettings } = await run(source);
    expect(verdict).toEqual(passed);
    expect(presumedSettings).toEqual([expect.stringMatching(/^tcp_rmem=/)]);
    const set = `0 \`sysctl net.ipv4.tcp_rmem="4096 131072 6291456"\`\n${source.replace("0 socket", "+0 socket")}`;
    expect((await run(set)).verdict.status).toBe("failed");
    expect((await run(source.replace("wscale 6", "wscale 8"))).verdict.status).toBe("failed");
    expect((await run(source.replace("wscale 6", "wscale 7"))).presumedSettings).toEqual([]);
    const commented = `//\`./defaults.sh\`\n${source.replace("wscale 6", "wscale 8")}`;
    expect((await run(commented)).presumedSettings).toEqual([expect.stringMatching(/15728640$/)]);
    expect((await run(commented)).verdict).toEqual(passed);
  });
});

describe("defaults of the other dialect", () => {
  it("IPv6 has the MTU of IPv4 there, and 1520 in Linux's", async () => {
    const source = `${SOCKET}+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <mss 1440,sackOK,TS val 1 ecr 0,nop,wscale 6>`;
    const overrides = { ip_version: "ipv6" };
    const bsd = { ...overrides, dialect: "bsd" };
    expect((await run(source, { overrides: bsd })).verdict).toEqual(passed);
    expect((await run(source.replace("1440", "1460"), { overrides })).verdict).toEqual(passed);
  });

  it("a connection must come about in time, 75 seconds or TCP_KEEPINIT", async () => {
    const connect = (end: number, before = "") => `${BSD}${SOCKET.replace("0 ", "+0 ")}${before}
      +0...${end} connect(3, ..., ...) = -1 ETIMEDOUT\n+0 > S 0:0(0) <...>\n`;
    expect((await run(connect(75))).verdict).toEqual(passed);
    const option = "+0 setsockopt(3, IPPROTO_TCP, TCP_KEEPINIT, [5], 4) = 0\n";
    expect((await run(connect(5, option))).verdict).toEqual(passed);
    const told = `${option}+0 getsockopt(3, IPPROTO_TCP, TCP_KEEPINIT, [5], [4]) = 0\n`;
    expect((await run(connect(5, told))).verdict).toEqual(passed);
  });

  it("the time to come about is over once the connection has", async () => {
    const { verdict } = await run(`${BSD}+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
      +0 setsockopt(3, IPPROTO_TCP, TCP_KEEPINIT, [2], 4) = 0
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>
      +.1 < S. 0:0(0) ack 1 win 60000 <mss 1460>\n+0 > . 1:1(0) ack 1
      +0 write(3, ..., 10) = 10\n+0 > P. 1:11(10) ack 1
      +.5 > P. 1:11(10) ack 1\n+1 > P. 1:11(10) ack 1\n+2 > P. 1:11(10) ack 1\n+4 > P. 1:11(10) ack 1`);
    expect(verdict).toEqual(passed);
  });

  it("settings for sockets count from where they are made, for sockets made later", async () => {
    const count = (fd: number, value: number) =>
      `+0 getsockopt(${fd}, IPPROTO_TCP, TCP_KEEPCNT, [${value}], [4]) = 0\n`;
    const socket = (fd: number) => `+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = ${fd}\n`;
    const source = `${BSD}${socket(3)}${count(3, 8)}+.1 \`sysctl -w net.inet.tcp.keepcnt=2\`
      ${count(3, 8)}${socket(4)}${count(4, 2)}+0 < S 0:0(0) win 5\n+0 > R. 0:0(0) ack 1
      +0 \`sysctl -w net.inet.tcp.keepcnt=5\`\n${socket(5)}${count(5, 5)}${count(4, 2)}`;
    expect((await run(source)).verdict).toEqual(passed);
  });

  it("keepalive is as the settings at the socket's birth say", async () => {
    const { verdict } =
      await run(`0 \`sysctl net.inet.tcp.keepidle=3000 net.inet.tcp.keepintvl=1000 net.inet.tcp.keepcnt=2\`
      ${LISTEN.replace("0 ", "+0 ")}+0 < S 0:0(0) win 65535\n+0 > S. 0:0(0) ack 1 <...>
      +.1 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4
      +0 \`sysctl net.inet.tcp.keepidle=9000\`
      +0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
      +3 > . 0:0(0) ack 1\n+1 > . 0:0(0) ack 1\n+1 > R. 1:1(0) ack 1`);
    expect(verdict).toEqual(passed);
  });

  it("tcp_info has the window in octets", async () => {
    const source = `${BSD}${LISTEN.replace("0 ", "+0 ")}+0 < S 0:0(0) win 65535 <mss 1000>
      +0 > S. 0:0(0) ack 1 <...>\n+.1 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4
      +0 %{ assert tcpi_snd_cwnd == 10000; assert tcpi_snd_ssthresh == 0x7fffffff }%`;
    expect((await run(source)).verdict).toEqual(passed);
  });

  it("TCP_MAXSEG counts the room for options, and is the least there is before", async () => {
    const size = (value: number) => `+0 getsockopt(3, IPPROTO_TCP, TCP_MAXSEG, [${value}], [4]) = 0\n`;
    const { verdict } = await run(
      `0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3\n${size(536)}
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>
      +.1 < S. 0:0(0) ack 1 win 5 <mss 1400,nop,nop,TS val 1 ecr 0>\n+0 > . 1:1(0) ack 1 <...>\n${size(1400)}`,
      {
        overrides: { dialect: "bsd" },
      },
    );
    expect(verdict).toEqual(passed);
  });

  it("sockstat counts sockets whose connection is over", async () => {
    const { verdict } = await run(`0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>
      +0 \`sockstat -4 -P tcp -s | grep -c CLOSED | grep 0\`\n+.1 < R. 0:0(0) ack 1 win 0
      +0 \`sockstat -4 -P tcp -s | grep -c CLOSED | grep 1\``);
    expect(verdict).toEqual(passed);
  });
});

describe("what a stack like this does not do is skipped, and tidying up is not", () => {
  const HALF = `${LISTEN}+0 < S 0:0(0) win 5 <mss 1460>\n+0 > S. 0:0(0) ack 1 <...>\n`;
  const commands = [
    "sysctl -w net.inet.tcp.rexmit_drop_options=1",
    "sysctl -w net.inet.tcp.insecure_rst=1",
    "sysctl -w net.inet.tcp.ecn.plusplus=1",
    "tcpdrop -s TIME_WAIT",
  ];

  it.each(commands)("%s", async (command) => {
    const { verdict } = await run(`${HALF}+0 \`${command}\`\n+.1 < . 1:1(0) ack 1 win 5`);
    expect(verdict.status).toBe("skipped");
    expect((await run(`${HALF}+0 \`${command}\`\n+0 close(3) = 0`)).verdict).toEqual(passed);
  });

  it.each([
    'grep " 0A " /proc/net/tcp | grep ":1F90"',
    "dmesg | tail",
    "tcpdump -i tun0 -w x.pcap &",
    "sysctl -w net.inet.tcp.drop_synfin=0",
  ])("%s changes nothing", async (command) => {
    expect((await run(`${HALF}+0 \`${command}\`\n+.1 < . 1:1(0) ack 1 win 5`)).verdict).toEqual(passed);
  });

  it("TCP_NOOPT, when it is asked for", async () => {
    const option = (value: number) => `${BIND}+0 setsockopt(3, IPPROTO_TCP, TCP_NOOPT, [${value}], 4) = 0`;
    expect((await run(option(0))).verdict).toEqual(passed);
    expect((await run(option(1))).verdict).toEqual({
      status: "skipped",
      reason: expect.stringContaining("TCP_NOOPT"),
    });
  });

  it("but relaxed, where a SYN has no option but the MSS, which RFC 9293 SHLD-5 wants", async () => {
    const script = (options: string, setting = "") => `${setting}${LISTEN}
      +0 setsockopt(3, IPPROTO_TCP, TCP_NOOPT, [1], 4) = 0
      +0 < S 0:0(0) win 500 <mss 1000,sackOK,TS val 100 ecr 0,nop,wscale 6>
      +0 > S. 0:0(0) ack 1 ${options}\n+.1 < . 1:1(0) ack 1 win 500\n+0 accept(3, ..., ...) = 4
      +0 %{ assert tcpi_options == 0 }%`;
    const relaxed = async (source: string) => (await run(source, { relaxed: true })).verdict;
    expect(await relaxed(script(""))).toEqual(passed);
    expect(await relaxed(script("", BSD.replace("=0", "=1")))).toEqual(passed);
    expect(await relaxed(script("<sackOK,eol,eol>"))).toMatchObject({
      status: "failed",
      message: expect.stringContaining("options"),
    });
  });

  it("a network whose packets are too short", async () => {
    const { verdict } = await run("--mtu=72\n0 `true`");
    expect(verdict).toEqual({ status: "skipped", reason: expect.stringContaining("mtu") });
  });

  it("packets whose octets are changed by name", async () => {
    const { verdict } = await run(`${HALF}+.1 < . 1:1(0) ack 1 win 5 {rep ipv4 ttl 0x01}`);
    expect(verdict).toEqual({ status: "skipped", reason: expect.stringContaining("by name") });
    const expected = await run(`${HALF.replace("<...>", "<mss 1460> { mut tcp mss }")}`);
    expect(expected.verdict).toEqual(verdict);
  });
});

it("the engine's own limits are BSD's where the script's are", () => {
  expect(engine.memory).toBeGreaterThan(0);
  expect(settings(BSD)).toMatchObject({ tcpSynRetries: 12, tcpSynackRetries: 3, tcpRtoMaxMs: 64000 });
});
