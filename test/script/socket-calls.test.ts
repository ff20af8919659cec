import { describe, expect, it } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { ScriptSocket } from "../../bindings/script/script-socket.ts";
import { socketDefaults } from "../../bindings/script/socket-defaults.ts";
import type { Listener } from "../../bindings/types.ts";
import { BIND, CONNECTED, LISTEN, passed, run } from "./run.ts";

/** A script that goes on from an accepted connection, descriptor 4, passes. */
const passes = async (source: string, before = CONNECTED) =>
  expect((await run(before + source)).verdict).toEqual(passed);
const fails = async (source: string, message: RegExp, before = CONNECTED) =>
  expect((await run(before + source)).verdict).toMatchObject({
    status: "failed",
    message: expect.stringMatching(message),
  });

describe("TCP_INQ: recvmsg() says how much is left", () => {
  const receive = (length: number, left: number | string) =>
    `+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., ${length}}], msg_flags=0,
      msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=${left}}]}, 0) = ${length}\n`;
  const text =
    "+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0\n+0 < . 1:1001(1000) ack 1 win 5\n+0 > . 1:1(0) ack 1001\n";
  const fin = "+0 < F. 1001:1001(0) ack 1 win 5\n+0 > . 1:1(0) ack 1002\n";

  it("octets", () => passes(`${text}${receive(300, 700)}${receive(700, 0)}`));
  it("one more when there is none and the peer has finished", () =>
    passes(`${text}${fin}${receive(300, 700)}${receive(700, 1)}`));
  it("it is compared", () => fails(`${text}${receive(300, 701)}`, /control message says 700, expected 701/));
  it("and said only where it was asked for", () =>
    fails(`${text.replace("[1]", "[0]")}${receive(300, 700)}`, /says nothing, expected 700/));
  it("getsockopt() knows", () =>
    passes(
      "+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0\n+0 getsockopt(4, SOL_TCP, TCP_INQ, [1], [4]) = 0",
    ));
  it("other messages there are none of", () =>
    fails(text + receive(300, 700).replace("TCP_CM_INQ", "SO_TIMESTAMP"), /no control message/));
});

describe("a buffer that is not there", () => {
  it.each(["write(4, NULL, 10)", "send(4, NULL, 10, 0)", "sendto(4, NULL, 10, 0, ..., ...)"])("%s", (call) =>
    passes(`+0 ${call} = -1 EFAULT`),
  );
  it.each(["read(4, NULL, 10)", "recv(4, NULL, 10, 0)", "recvfrom(4, NULL, 10, 0, ..., ...)"])(
    "%s, once there is text, which stays",
    (call) =>
      passes(
        `+0 < . 1:11(10) ack 1 win 5\n+0 > . 1:1(0) ack 11\n+0 ${call} = -1 EFAULT\n+0 read(4, ..., 20) = 10`,
      ),
  );
  it("of no length is none", () => passes("+0 write(4, NULL, 0) = 0"));
});

describe("MSG_MORE", () => {
  const nodelay = "+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0\n";

  it("holds what is written back until something is written without it", () =>
    passes(
      `${nodelay}+0 send(4, ..., 10, MSG_MORE) = 10\n+.1 send(4, ..., 10, 0) = 10\n+0 > P. 1:21(20) ack 1`,
    ));
  it("or until an ACK lets Nagle decide", () =>
    passes(`+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+0 send(4, ..., 20, MSG_MORE) = 20
      +.05 < . 1:1(0) ack 11 win 65535\n+0 > P. 11:31(20) ack 1`));
  it("or for 200 ms", () =>
    passes(`${nodelay}+0 send(4, ..., 10, MSG_MORE) = 10\n+.2~+.22 > P. 1:11(10) ack 1`));
  it("TCP_CORK it leaves alone", () =>
    passes(`+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1
      +0 setsockopt(4, SOL_TCP, TCP_CORK, [1], 4) = 0\n+0 send(4, ..., 20, MSG_MORE) = 20
      +.05 < . 1:1(0) ack 11 win 65535\n+.19~+.21 > P. 11:31(20) ack 1`));
  it("TCP_NODELAY lets out what a cork holds, once", () =>
    passes(`+0 setsockopt(4, SOL_TCP, TCP_CORK, [1], 4) = 0\n+0 write(4, ..., 10) = 10\n+.01 ${nodelay.slice(3)}
      +0 > P. 1:11(10) ack 1\n+0 write(4, ..., 10) = 10\n+.01 < . 1:1(0) ack 11 win 65535\n+.19~+.21 > P. 11:21(10) ack 1`));
});

describe("urgent text", () => {
  const arrives = "+0 < PU. 1:101(100) ack 1 win 65535 urg 50\n+0 > . 1:1(0) ack 101\n";
  const mark = (value: number) => `+0 ioctl(4, SIOCATMARK, [${value}]) = 0\n`;

  it("send() with MSG_OOB says where it ends", () =>
    passes("+0 send(4, ..., 10, MSG_OOB) = 10\n+0 > PU. 1:11(10) ack 1 urg 10"));
  it("reading ends before it, and goes on behind it", () =>
    passes(`${arrives}${mark(0)}+0 read(4, ..., 200) = 49\n${mark(1)}+0 recv(4, ..., 1, MSG_OOB) = 1
      +0 read(4, ..., 200) = 50\n${mark(0)}`));
  it("it is taken once, and only where it is", () =>
    passes(`+0 recv(4, ..., 1, MSG_OOB) = -1 EINVAL\n${arrives}+0 recv(4, ..., 1, MSG_OOB) = 1
      +0 recv(4, ..., 1, MSG_OOB) = -1 EINVAL\n+0 read(4, ..., 200) = 49\n+0 read(4, ..., 200) = 50`));
  it("what has not come yet is waited for", () =>
    passes(
      "+0 < U. 1:11(10) ack 1 win 65535 urg 50\n+0 > . 1:1(0) ack 11\n+0 recv(4, ..., 1, MSG_OOB) = -1 EAGAIN",
    ));
  it("poll() tells of it", () =>
    passes(`${arrives}+0 poll([{fd=4, events=POLLPRI, revents=POLLPRI}], 1, 0) = 1\n+0 recv(4, ..., 1, MSG_OOB) = 1
      +0 poll([{fd=4, events=POLLPRI, revents=0}], 1, 0) = 0`));
  it("SO_OOBINLINE leaves it in its place", () =>
    passes(`+0 setsockopt(4, SOL_SOCKET, SO_OOBINLINE, [1], 4) = 0\n${arrives}+0 recv(4, ..., 1, MSG_OOB) = -1 EINVAL
      +0 read(4, ..., 200) = 100`));
});

describe("MSG_ZEROCOPY", () => {
  const on = "+0 setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0\n";
  const send = (from: number, length = 10) =>
    `+0 send(4, ..., ${length}, MSG_ZEROCOPY) = ${length}\n+0 > P. ${from}:${from + length}(${length}) ack 1\n`;
  const told = (first: number, last: number) => `+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0}],
    msg_flags=MSG_ERRQUEUE, msg_control=[{cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR,
      cmsg_data={ee_errno=0, ee_origin=SO_EE_ORIGIN_ZEROCOPY, ee_type=0, ee_code=SO_EE_CODE_ZEROCOPY_COPIED,
        ee_info=${first}, ee_data=${last}}}]}, MSG_ERRQUEUE) = 0\n`;
  const none = told(0, 0).replace(/= 0\n$/, "= -1 EAGAIN\n");
  const acked = (to: number) => `+.01 < . 1:1(0) ack ${to} win 65535\n`;

  it("is told of when what was sent is acknowledged", () =>
    passes(`${on}${send(1)}${none}${acked(11)}${told(0, 0)}${none}`));
  it("by numbers, those of neighbours together", () =>
    passes(
      `${on}${send(1)}${acked(11)}${told(0, 0)}${send(11)}${acked(21)}${send(21)}${acked(31)}${told(1, 2)}${none}`,
    ));
  it("which are compared", () =>
    fails(`${on}${send(1)}${acked(11)}${told(0, 1)}`, /ee_data is 0, expected 1/));
  it("and only where SO_ZEROCOPY asks for it", () => passes(`${send(1)}${acked(11)}${none}`));
  it("poll() tells of it", () =>
    passes(`${on}${send(1)}${acked(11)}+0 poll([{fd=4, events=POLLERR, revents=POLLERR}], 1, 0) = 1\n${told(0, 0)}
      +0 poll([{fd=4, events=POLLERR, revents=0}], 1, 0) = 0`));
});

describe("epoll", () => {
  const make = "+0 epoll_create(1) = 5\n";
  const control = (operation: string, events: string, result = "0") =>
    `+0 epoll_ctl(5, EPOLL_CTL_${operation}, 4, {events=${events}, fd=4}) = ${result}\n`;
  const told = (events: string) => `+0 epoll_wait(5, {events=${events}, fd=4}, 1, 0) = 1\n`;
  const quiet = "+0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0\n";
  const text = (from: number) =>
    `+.1 < . ${from}:${from + 10}(10) ack 1 win 65535\n+0 > . 1:1(0) ack ${from + 10}\n`;

  it("tells of what is ready as long as it is", () =>
    passes(`${make}${control("ADD", "EPOLLIN|EPOLLOUT")}${told("EPOLLOUT")}${told("EPOLLOUT")}${text(1)}
      ${told("EPOLLIN|EPOLLOUT")}+0 read(4, ..., 10) = 10\n${told("EPOLLOUT")}`));
  it("with EPOLLET once for all that happens", () =>
    passes(
      `${make}${control("ADD", "EPOLLIN|EPOLLET")}${quiet}${text(1)}${told("EPOLLIN")}${quiet}${text(11)}${told("EPOLLIN")}${quiet}`,
    ));
  it("with EPOLLONESHOT until it is asked again", () =>
    passes(`${make}${control("ADD", "EPOLLIN|EPOLLONESHOT")}${text(1)}${told("EPOLLIN")}${text(11)}${quiet}
      ${control("MOD", "EPOLLIN|EPOLLONESHOT")}${told("EPOLLIN")}${quiet}`));
  it("tells of room again only whoever has found none", () =>
    passes(`+0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [3000], 4) = 0
      +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n${make}${control("ADD", "EPOLLOUT|EPOLLET")}${told("EPOLLOUT")}
      +0 write(4, ..., 1460) = 1460\n+0 > P. 1:1461(1460) ack 1
      +.1 < . 1:1(0) ack 1461 win 65535\n${quiet}
      +0 write(4, ..., 90000) = 46720
      +0 > P. 1461:16061(14600) ack 1
      +.1 < . 1:1(0) ack 16061 win 65535
      +0 > P. 16061:45261(29200) ack 1\n${quiet}
      +.1 < . 1:1(0) ack 45261 win 65535
      +0 > P. 45261:48181(2920) ack 1\n${told("EPOLLOUT")}${quiet}`));
  it("waits", () =>
    passes(
      `${make}${control("ADD", "EPOLLIN")}+0...0.2 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 500) = 1
      +.1 < . 1:11(10) ack 1 win 65535\n+0 > . 1:1(0) ack 11
      +0 read(4, ..., 10) = 10\n+0....05 epoll_wait(5, {events=0, ptr=0}, 1, 50) = 0\n`.replace("0.2", "0.1"),
    ));
  it("compares what it tells", async () => {
    await fails(`${make}${control("ADD", "EPOLLOUT")}${told("EPOLLIN")}`, /events is 4, expected 1/);
    await fails(`${make}${control("ADD", "EPOLLOUT")}${told("EPOLLOUT").replace("fd=4", "fd=7")}`, /fd is 4/);
  });
  it("knows what it watches", () =>
    passes(`${make}${control("MOD", "EPOLLIN", "-1 ENOENT")}${control("ADD", "EPOLLIN")}${control("ADD", "EPOLLIN", "-1 EEXIST")}
      ${text(1)}${control("DEL", "0")}${quiet}${control("DEL", "0", "-1 ENOENT")}
      +0 close(5) = 0\n+0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = -1 EBADF\n+0 close(5) = -1 EBADF\n`));
});

describe("SO_TIMESTAMPING", () => {
  const on = `+0 setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, [SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE |
    SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID], 4) = 0\n`;
  const told = (
    what: string,
    key: number,
    milliseconds: number,
  ) => `+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0}],
    msg_flags=MSG_ERRQUEUE|MSG_TRUNC, msg_control=[
      {cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data={scm_sec=0, scm_nsec=${milliseconds}000000}},
      {cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR, cmsg_data={ee_errno=ENOMSG,
        ee_origin=SO_EE_ORIGIN_TIMESTAMPING, ee_type=0, ee_code=0, ee_info=${what}, ee_data=${key}}}]},
    MSG_ERRQUEUE) = 0\n`;
  // 14,600 octets leave at 100 ms, the rest at 150 ms.
  const send =
    "+0 write(4, ..., 15000) = 15000\n+0 > P. 1:14601(14600) ack 1\n+.05 < . 1:1(0) ack 14601 win 65535\n+0 > P. 14601:15001(400) ack 1\n";
  const acked = "+.02 < . 1:1(0) ack 15001 win 65535\n";

  it("tells when the last octet of a send was sent and when it was acknowledged", () =>
    passes(`${on}${send}${told("SCM_TSTAMP_SCHED", 14999, 150)}${told("SCM_TSTAMP_SND", 14999, 150)}${acked}
      ${told("SCM_TSTAMP_ACK", 14999, 170)}`));
  it("as it was", () =>
    fails(`${on}${send}${told("SCM_TSTAMP_SCHED", 14999, 100)}`, /time is 0.15 s, expected 0.1 s/));
  it("nothing it was not asked for", () =>
    fails(
      `${on.replace("SOF_TIMESTAMPING_TX_SCHED |", "")}${send}${told("SCM_TSTAMP_SCHED", 14999, 150)}`,
      /ee_info is 0, expected 1/,
    ));
});

describe("SO_SNDBUF is Linux's: twice what is asked for, and records are counted in it", () => {
  const opened = (window: number, size: number) => `${LISTEN}
    +0 < S 0:0(0) win ${window} <mss 1000>
    +0 > S. 0:0(0) ack 1 <...>
    +.1 < . 1:1(0) ack 1 win ${window}
    +0 accept(3, ..., ...) = 4
    +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
    +0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [${size}], 4) = 0\n`;
  const poll = (ready: string) => `+0 poll([{fd=4, events=POLLOUT, revents=${ready}}], 1, 0) = `;

  it("a record is half of the peer's window long, and the last one may go beyond", () =>
    passes("+0 write(4, ..., 20000) = 9000\n", opened(6000, 5000)));
  it("of one that is sent by half, the rest is filled up", () =>
    passes("+0 write(4, ..., 60000) = 30000\n", opened(40_000, 14_000)));
  it("short of a third of it being free it is not writable", () =>
    passes(
      `+0 write(4, ..., 20000) = 9000
      +.1 < . 1:1(0) ack 3001 win 6000\n${poll("0")}0
      +.1 < . 1:1(0) ack 6001 win 6000\n${poll("POLLOUT")}1\n`,
      opened(6000, 5000),
    ));
  it("less than what two records of 2,048 octets take cannot be asked for", () =>
    passes("+0 getsockopt(4, SOL_SOCKET, SO_SNDBUF, [4608], [4]) = 0\n", opened(6000, 1)));
  it("it can be changed", () =>
    passes(
      `+0 write(4, ..., 20000) = 9000
      +0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [10000], 4) = 0
      +0 write(4, ..., 20000) = 9000\n`,
      opened(6000, 5000),
    ));
});

describe("a send buffer that the script's own tcp_wmem says the beginning of", () => {
  const opened = (wmem: string) =>
    CONNECTED.replace("0 socket", `0 \`sysctl net.ipv4.tcp_wmem="${wmem}"\`\n+0 socket`);
  const full = `+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n+0 write(4, ..., 200000) = 46720\n+0 > P. 1:14601(14600) ack 1\n`;
  const again =
    "+.1 < . 1:1(0) ack 14601 win 65535\n+0 > P. 14601:43801(29200) ack 1\n+0 write(4, ..., 200000) = ";

  it("is counted as Linux does, and grows with the window for who has found no room", () =>
    passes(`${full}${again}157680`, opened("4096 30000 4194304")));
  it("but not beyond what is set", () => passes(`${full}${again}29200`, opened("4096 30000 30000")));
});

describe("options", () => {
  it("that change nothing are taken, and told", () =>
    passes(`+0 setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0\n+0 getsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], [4]) = 0
      +0 setsockopt(4, SOL_IP, IP_MTU_DISCOVER, [IP_PMTUDISC_DONT], 1) = 0
      +0 setsockopt(4, SOL_IP, IP_BIND_ADDRESS_NO_PORT, [1], 4) = 0
      +0 send(4, ..., 10, MSG_ZEROCOPY) = 10\n+0 > P. 1:11(10) ack 1`));
  it("names of code points", () =>
    passes(`+0 setsockopt(4, IPPROTO_IP, IP_TOS, [IPTOS_DSCP_AF21], 4) = 0\n+0 write(4, ..., 10) = 10
      +0 > [tos 0x48] P. 1:11(10) ack 1\n+0 setsockopt(4, IPPROTO_IP, IP_TOS, [IPTOS_DSCP_EF], 4) = 0
      +0 getsockopt(4, IPPROTO_IP, IP_TOS, [0xb8], [4]) = 0\n+0 setsockopt(4, IPPROTO_IP, IP_TOS, [IPTOS_DSCP_CS7], 4) = 0
      +0 getsockopt(4, IPPROTO_IP, IP_TOS, [0xe0], [4]) = 0`));
  it("IP_LOCAL_PORT_RANGE chooses the port, another one while it is taken", async () => {
    const connect = (
      fd: number,
      range: string,
    ) => `+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = ${fd}
      +0 setsockopt(${fd}, SOL_IP, IP_LOCAL_PORT_RANGE, [${range}], 4) = 0
      +0 connect(${fd}, ..., ...) = -1 `;
    const two = "0x9c419c40";
    await passes(
      `${connect(5, two)}EINPROGRESS\n+0 > 40000 > 8080 S 0:0(0) <...>\n${connect(6, two)}EINPROGRESS
       +0 > 40001 > 8080 S 0:0(0) <...>\n${connect(7, two)}EADDRNOTAVAIL`,
      "0 `true`\n",
    );
  });
  it("TCP_NOTSENT_LOWAT: writable while less than that is unsent", () =>
    passes(
      `+0 setsockopt(4, SOL_TCP, TCP_NOTSENT_LOWAT, [2000], 4) = 0
      +0 getsockopt(4, SOL_TCP, TCP_NOTSENT_LOWAT, [2000], [4]) = 0\n+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0
      +0 write(4, ..., 16400) = 16400\n+0 > P. 1:14601(14600) ack 1
      +0 poll([{fd=4, events=POLLOUT, revents=0}], 1, 0) = 0
      +.1 < . 1:1(0) ack 1461 win 65535\n+0 > P. 14601:16401(1800) ack 1
      +0 poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 1, 0) = 1`,
      CONNECTED.replace("0 socket", '0 `sysctl net.ipv4.tcp_wmem="4096 65536 65536"`\n+0 socket'),
    ));
  it("of a listener are those of its connections, from their SYN,ACK on", async () => {
    await passes(
      `+0 setsockopt(3, SOL_IP, IP_TTL, [7], 4) = 0\n+0 listen(3, 1) = 0\n+0 < S 0:0(0) win 65535 <mss 1460>
       +0 > [ttl 7] S. 0:0(0) ack 1 <...>\n+.1 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4
       +0 write(4, ..., 10) = 10\n+0 > [ttl 7] P. 1:11(10) ack 1`,
      BIND,
    );
  });
});

describe("options of a listener's", () => {
  const listening = (setOption: (name: string, value: unknown) => void) => {
    const socket = new ScriptSocket(false, "reno", socketDefaults("linux"));
    socket.setOption("dscp", 8);
    socket.listen({ port: 8080, setOption } as unknown as Listener);
    socket.setOption("maxSegment", 1100);
    return socket;
  };
  it("are told to the engine", () => {
    const set: unknown[] = [];
    listening((name, value) => set.push([name, value]));
    expect(set).toEqual([
      ["dscp", 8],
      ["maxSegment", 1100],
    ]);
  });
  it("are kept for what is accepted where it is none of a listener's", () => {
    const refuse = (name: string) => {
      throw new SynwaveError("EINVAL", `unknown option ${name}`);
    };
    expect(() => listening(refuse)).not.toThrow();
  });
});

describe("sockets", () => {
  it("of streams over UDP there are none", () =>
    passes("+0 socket(..., SOCK_STREAM, IPPROTO_UDP) = -1 EPROTONOSUPPORT"));
});

describe("calls", () => {
  it("are made at their time, though nothing has happened since long before", async () => {
    const connect = (
      fd: number,
      at: number,
    ) => `+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = ${fd}
      +0 setsockopt(${fd}, SOL_IP, IP_LOCAL_PORT_RANGE, [0x9c409c40], 4) = 0
      +${at} connect(${fd}, ..., ...) = -1 `;
    const source = `0 \`sysctl net.ipv4.tcp_tw_reuse=1\`\n${connect(3, 0)}EINPROGRESS\n+0 > S 0:0(0) <...>
      +.1 < S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,TS val 1 ecr 0>\n+0 > . 1:1(0) ack 1 <...>\n+0 close(3) = 0
      +0 > F. 1:1(0) ack 1 <...>\n+.1 < F. 1:1(0) ack 2 win 5 <nop,nop,TS val 2 ecr 0>\n+0 > . 2:2(0) ack 2 <...>\n`;
    expect((await run(`${source}${connect(4, 0.5)}EADDRNOTAVAIL`)).verdict).toEqual(passed);
    expect((await run(`${source}${connect(4, 1.5)}EINPROGRESS`)).verdict).toEqual(passed);
  });
});

describe("--mss", () => {
  const source = `${CONNECTED}+0 < . 1:5001(5000) ack 1 win 65535\n+0 > . 1:1(0) ack 5001
    +0 %{ assert tcpi_rcv_mss == 1000 }%`;
  it("says what a packet longer than the network's is a multiple of", async () => {
    expect((await run(`--mss=1000\n${source}`)).verdict).toEqual(passed);
    expect((await run(source)).verdict.status).toBe("failed");
  });
});

describe("the peer's numbers", () => {
  it("are those of its SYN,ACK, of the one that counts", () =>
    passes(
      `0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3\n+0 connect(3, ..., ...) = -1 EINPROGRESS
      +0 > S 0:0(0) <...>\n+.1 < S. 500:500(0) ack 9 win 5\n+0 > R 9:9(0)
      +.1 < S. 700:700(0) ack 1 win 60000 <mss 1460>\n+0 > . 1:1(0) ack 1
      +0 < P. 1:11(10) ack 1 win 60000\n+0 > . 1:1(0) ack 11\n+0 read(3, ..., 100) = 10`,
      "",
    ));
  it("are those of its SYN, whatever a listener has heard before", () =>
    passes(
      `+0 < F 17:20(3) win 5\n+0 < S 27:27(0) win 60000 <mss 1460>\n+0 > S. 0:0(0) ack 28 <...>
      +0 < . 1:1(0) ack 1 win 60000\n+0 < P. 1:11(10) ack 1 win 60000\n+0 > . 1:1(0) ack 11
      +0 accept(3, ..., ...) = 4\n+0 read(4, ..., 100) = 10`,
      LISTEN,
    ));
  it("are not those of a SYN that comes too late", () =>
    passes(
      `+0 < S 900:900(0) win 5\n+0 > . 1:1(0) ack 1\n+0 < P. 1:11(10) ack 1 win 5\n+0 > . 1:1(0) ack 11`,
    ));
});

describe("a connection between the ports of one that is over", () => {
  it("has numbers of its own", () =>
    passes(
      `+0 < S 0:0(0) win 5 <mss 1460>\n+0 > S. 0:0(0) ack 1 <...>\n+.1 < R 1:1(0) win 5
       +.1 < S 700:700(0) win 65535 <mss 1460>\n+0 > S. 0:0(0) ack 701 <...>\n+.1 < . 1:1(0) ack 1 win 65535
       +0 accept(3, ..., ...) = 4\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1`,
      LISTEN,
    ));
});

describe("Fast Open", () => {
  const SOCKET = "0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3\n";
  const verdictOf = async (source: string) => (await run(SOCKET + source)).verdict.status;

  it.each([
    ["+0 sendto(3, ..., 9, MSG_FASTOPEN, ..., ...) = -1 EINPROGRESS", "passed"],
    ["+0 sendto(3, ..., 9, MSG_FASTOPEN, AF_UNSPEC, ...) = -1 EOPNOTSUPP", "passed"],
    [
      "+0 `sysctl net.ipv4.tcp_fastopen=2`\n+0 sendto(3, ..., 9, MSG_FASTOPEN, ..., ...) = -1 EOPNOTSUPP",
      "passed",
    ],
    [
      "+0 `sysctl net.ipv4.tcp_fastopen=1`\n+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = 0\n" +
        "+0 `sysctl net.ipv4.tcp_fastopen=2`\n+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = -1 EOPNOTSUPP\n+0 connect(3, ..., ...) = -1 EOPNOTSUPP",
      "passed",
    ],
    [
      "+0 sendto(3, ..., 9, MSG_FASTOPEN, ..., ...) = -1 EINPROGRESS\n" +
        "+0 sendto(3, ..., 9, MSG_FASTOPEN, ..., ...) = -1 EALREADY\n+0 write(3, ..., 9) = -1 EAGAIN",
      "passed",
    ],
    ['+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_KEY, "\\x01\\x02", 2) = -1 EINVAL', "passed"],
    [
      "+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [5], 4) = 0\n+0 getsockopt(3, SOL_TCP, TCP_FASTOPEN, [5], [4]) = 0",
      "passed",
    ],
    ["+0 getsockopt(3, SOL_TCP, TCP_FASTOPEN, [5], [4]) = 0", "failed"],
  ])("%j %s", async (source, status) => {
    expect(await verdictOf(source)).toBe(status);
  });

  it("a connection whose SYN waits for text is connected to whoever asks again", async () => {
    const cached = `+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = 0
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>\n+.1 < S. 0:0(0) ack 1 win 500 <mss 1460,FO abcd1234,nop,nop>
      +0 > . 1:1(0) ack 1\n+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
      +0 setsockopt(4, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = 0\n`;
    const waits =
      "+0 connect(4, ..., ...) = 0\n+0 connect(4, ..., ...) = -1 EISCONN\n+0 write(4, ..., 9) = 9\n";
    const sends = "+0 sendto(4, ..., 9, MSG_FASTOPEN, ..., ...) = 9\n";
    const goes = "+0 > S 0:9(9) <...>\n+0 connect(4, ..., ...) = -1 EALREADY";
    expect(await verdictOf(cached + waits + goes)).toBe("passed");
    expect(await verdictOf(cached + sends + goes)).toBe("passed");
  });

  it("a key is that of the socket's own cookies", async () => {
    const octets = [1, 2, 3, 4].map((n) => `\\x0${n}\\x00\\x00\\x00`).join("");
    const script = (key: string, own: string) =>
      `+0 \`sysctl -q net.ipv4.tcp_fastopen=2 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_fastopen_key=${key}\`
       ${own}+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [1], 4) = 0
       +0 < S 0:0(0) win 5 <mss 1460,FO,nop,nop>
       +0 > S. 0:0(0) ack 1 <mss 1460,FO COOKIE,nop,nop>`;
    const cookieOf = async (source: string) => {
      const { verdict } = await run(SOCKET + source.replace("COOKIE", "0000000000000000"));
      return /got .*?FO (\w+)/.exec((verdict as { message: string }).message)![1];
    };
    const cookie = await cookieOf(script("1-2-3-4", ""));
    const own = `+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_KEY, "${octets}", 16) = 0\n`;
    expect(await cookieOf(script("9-9-9-9", own))).toBe(cookie);
    expect(await cookieOf(script("9-9-9-9", ""))).not.toBe(cookie);
  });

  it("TCP_SYNCNT is how often a SYN is repeated", async () => {
    const source = `+0 setsockopt(3, SOL_TCP, TCP_SYNCNT, [1], 4) = 0
      +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>\n+1 > S 0:0(0) <...>
      +2.1 getsockopt(3, SOL_SOCKET, SO_ERROR, [ETIMEDOUT], [4]) = 0`;
    expect(await verdictOf(source)).toBe("passed");
    expect(await verdictOf(source.replace("[1]", "[2]"))).toBe("failed");
    const later = `+0 \`sysctl net.ipv4.tcp_fastopen=5\`\n+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = 0
      +0 connect(3, ..., ...) = 0\n+0 write(3, ..., 9) = 9\n+0 setsockopt(3, SOL_TCP, TCP_SYNCNT, [1], 4) = 0
      +0 > S 0:9(9) <...>\n+1 > S 0:0(0) <...>\n+2.1 write(3, ..., 9) = -1 ETIMEDOUT`;
    expect(await verdictOf(later)).toBe("passed");
    expect(await verdictOf(later.replace("SYNCNT, [1]", "SYNCNT, [2]"))).toBe("failed");
    expect(await verdictOf("+0 setsockopt(3, SOL_TCP, TCP_SYNCNT, [0], 4) = -1 EINVAL")).toBe("passed");
  });
});

describe("what goes from a file, or through a pipe, to a socket", () => {
  const FILE = "+0 `/bin/dd if=/dev/zero of=/tmp/text bs=10 count=3 status=none`\n";
  const open = '+0 open("/tmp/text", O_RDONLY) = 5\n';

  it("sendfile() sends what is left of the file, from where it stands or from where it is told", () =>
    passes(`${FILE}${open}+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0\n+0 sendfile(4, 5, NULL, 20) = 20\n+0 > P. 1:21(20) ack 1
      +0 sendfile(4, 5, NULL, 20) = 10\n+0 > P. 21:31(10) ack 1\n+0 sendfile(4, 5, NULL, 20) = 0
      +0 sendfile(4, 5, [25], 20) = 5\n+0 > P. 31:36(5) ack 1\n+0 close(5) = 0\n+0 close(5) = -1 EBADF`));
  it("from a file that is open", () => passes("+0 sendfile(4, 5, NULL, 20) = -1 EBADF"));
  it("and that a command has made", async () => {
    expect((await run(CONNECTED + open)).verdict).toEqual({
      status: "skipped",
      reason: 'not applicable: open() of "/tmp/text"',
    });
  });

  const PIPE = "+0 pipe([5, 6]) = 0\n";
  const text = "+0 < P. 1:101(100) ack 1 win 500\n+0 > . 1:1(0) ack 101\n";
  it("splice() takes text to a pipe and from there", () =>
    passes(`${PIPE}${text}+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
      +0 splice(4, NULL, 6, NULL, 60, 0) = 60\n+0 splice(4, NULL, 6, NULL, 60, 0) = 40
      +0 splice(5, NULL, 4, NULL, 30, 0) = 30\n+0 > P. 1:31(30) ack 101
      +0 splice(5, NULL, 4, NULL, 99, 0) = 70\n+0 > P. 31:101(70) ack 101
      +0 splice(5, NULL, 4, NULL, 99, SPLICE_F_NONBLOCK) = -1 EAGAIN
      +0 splice(4, NULL, 6, NULL, 99, SPLICE_F_NONBLOCK) = -1 EAGAIN
      +0 splice(4, NULL, 4, NULL, 99, 0) = -1 EINVAL`));
  it("waits for text, and not behind its end", () =>
    passes(`${PIPE}+0...0.1 splice(4, NULL, 6, NULL, 60, 0) = 10\n+.1 < P. 1:11(10) ack 1 win 500
      +0 > . 1:1(0) ack 11\n+0 < F. 11:11(0) ack 1 win 500\n+0 > . 1:1(0) ack 12
      +0 splice(4, NULL, 6, NULL, 60, 0) = 0`));
  it("waits for what comes into the pipe", () =>
    fails(`${PIPE}+0 splice(5, NULL, 4, NULL, 60, 0) = 0`, /would block/));
  it("takes no more than a pipe holds", () =>
    passes(`${PIPE}+0 < P. 1:60001(60000) ack 1 win 500\n+0 > . 1:1(0) ack 60001
      +0 splice(4, NULL, 6, NULL, 60000, 0) = 60000\n+0 < P. 60001:70001(10000) ack 1 win 500
      +0 > . 1:1(0) ack 70001\n+0 splice(4, NULL, 6, NULL, 60000, 0) = 5536
      +0 splice(4, NULL, 6, NULL, 60000, SPLICE_F_NONBLOCK) = -1 EAGAIN`));
  it("ends at an urgent octet, and goes no further", () =>
    passes(`${PIPE}+0 < U. 1:101(100) ack 1 win 500 urg 100\n+0 > . 1:1(0) ack 101
      +0 splice(4, NULL, 6, NULL, 200, 0) = 99\n+0 splice(4, NULL, 6, NULL, 1, 0) = 0
      +0 splice(4, NULL, 6, NULL, 1, 0) = 0`));
});

describe("TCP_NOTSENT_LOWAT", () => {
  // Half of the window of 32,896 octets makes a record of 16 segments, of which the initial window lets ten leave.
  const write = (lowat: number, taken: number) =>
    `+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
    +0 setsockopt(4, SOL_TCP, TCP_NOTSENT_LOWAT, [${lowat}], 4) = 0\n+0 write(4, ..., 80000) = ${taken}`;
  const open = `\`./defaults.sh\`\n${LISTEN}+0 < S 0:0(0) win 500 <mss 1000,nop,wscale 7>\n+0 > S. 0:0(0) ack 1 <...>
    +.1 < . 1:1(0) ack 1 win 257\n+0 accept(3, ..., ...) = 4\n`;

  it("begins no record where so much waits unsent", () => passes(write(4000, 26_000), open));
  it("and bounds nothing where it is as large as can be", () => passes(write(0x7fffffff, 80_000), open));
});

describe("SO_RCVBUF counts records, as Linux does", () => {
  const open = (text: string) =>
    `${BIND}+0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [10000], 4) = 0\n+0 listen(3, 1) = 0
    +0 < S 0:0(0) win 65535 <mss 1460>\n+0 > S. 0:0(0) ack 1 <...>\n+.1 < . 1:1(0) ack 1 win 65535
    +0 accept(3, ..., ...) = 4\n${text}`;
  const long = "+0 < . 1:8001(8000) ack 1 win 500\n+0 > . 1:1(0) ack 8001 win";

  it("of text that comes in long ones twice as much finds room", () =>
    passes(
      open(`${long} 12000\n+0 < . 8001:18001(10000) ack 1 win 500\n+0 > . 1:1(0) ack 18001 win 2000`),
      "",
    ));
  it("what is set anew counts from the next on, and closes no window", () =>
    passes(
      open(`${long} 12000\n+0 setsockopt(4, SOL_SOCKET, SO_RCVBUF, [5000], 4) = 0
      +0 < . 8001:18001(10000) ack 1 win 500\n+0 > . 1:1(0) ack 18001 win 2000`),
      "",
    ));
  it("of text that comes by the packet, as much as was asked for", () =>
    passes(
      open(
        `${Array.from(
          { length: 8 },
          (_, i) =>
            `+0 < . ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1 win 500\n+0 > . 1:1(0) ack ${1001 + 1000 * i}\n`,
        ).join("")}+0 < . 8001:9001(1000) ack 1 win 500\n+0 > . 1:1(0) ack 9001 win 1000`,
      ),
      "",
    ));
});
