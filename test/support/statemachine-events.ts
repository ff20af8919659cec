import { expect } from "vitest";
import type { Connection, ConnectOptions, Engine } from "../../bindings/types.ts";
import { errorCode } from "./engine.ts";
import { build } from "./packet.ts";
import type { Sent } from "./peer.ts";
import { type Scene, stateOf } from "./statemachine-scene.ts";

/** Octets of receive buffer where a row is about a full one. */
export const BUFFER = 2048;

/** The event has looked at what was sent itself. */
export const SHOWN = Symbol("shown");

/** What the event sends, and what it changes in the scene; undefined when it is no segment. */
export type Event = (at: Scene) => Sent | undefined | typeof SHOWN;

const text = (seq: number, ack: number, octets = "hello"): Sent => ({ flags: "PA", seq, ack, text: octets });

/** A connection that is gone, and whose handle was kept. */
function spend(at: Scene): Connection {
  const { engine, peer } = at;
  const connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: peer.peerPort });
  peer.flush();
  peer.take();
  connection.abort();
  at.connection = connection;
  return connection;
}

function fillSlots(engine: Engine): void {
  expect(() => {
    for (let port = 1000; port < 65_536; port++) engine.listen({ port });
  }).toThrow("ENOMEM");
}

function noTimer({ engine, peer }: Scene): undefined {
  expect(engine.nextDeadline()).toBeUndefined();
  peer.wait(1_000_000);
  return undefined;
}

/** By event and guard, or by event alone. */
export const EVENTS: Record<string, Event> = {
  "SEG-RST|any": () => ({ flags: "R", seq: 7 }),
  "SEG-NO-ACK|no RST, ACK off": () => ({ flags: "F", seq: 7, text: "abc" }),
  "SEG-ACK|no RST, ACK on": () => ({ seq: 7, ack: 99 }),
  "SEG-SYN|ACK off": () => ({ flags: "S", seq: 7, text: "abc" }),
  "SEG-NO-ACK|see SEG-SYN, SEG-RST, SEG-OTHER": () => ({ flags: "P", seq: 7, text: "abc" }),
  "SEG-ACK|no RST, ACK on (SYN,ACK and FIN,ACK too)": () => ({ flags: "SA", seq: 7, ack: 99 }),
  "SEG-SYN|no RST, no ACK": () => ({ flags: "S", seq: 0 }),
  "SEG-OTHER|no RST, ACK or SYN (e.g. bare FIN, bare data, null)": () => ({ flags: "", seq: 7 }),
  "SEG-BAD-ACK|SEG.ACK =< ISS or SEG.ACK > SND.NXT, no RST": () => ({ flags: "SA", seq: 0, ack: 2 }),
  "SEG-BAD-ACK|SEG.ACK =< ISS or SEG.ACK > SND.NXT, RST on": () => ({ flags: "RA", seq: 0, ack: 0 }),
  "SEG-RST|ACK acceptable": () => ({ flags: "RA", seq: 0, ack: 1 }),
  "SEG-RST|no ACK": () => ({ flags: "R", seq: 0 }),
  "SEG-SYN-ACK|SND.UNA < SEG.ACK =< SND.NXT": () => ({ flags: "SA", seq: 0, ack: 1 }),
  "SEG-SYN|no ACK (simultaneous open)": () => ({ flags: "S", seq: 0 }),
  "SEG-OTHER|ACK ok but no SYN, no RST": () => ({ seq: 1, ack: 1 }),
  "SEG-OTHER|no ACK, SYN or RST (bare FIN, data, null)": () => ({ flags: "F", seq: 1 }),
  "SEG-ACK|acceptable bare ACK: see SEG-OTHER; bad: see SEG-BAD-ACK": () => ({ seq: 1, ack: 1 }),
  "SEG-UNACCEPTABLE|fails table 6, no RST": ({ rcvNxt, sndNxt }) => text(rcvNxt - 10, sndNxt),
  "SEG-UNACCEPTABLE|fails table 6, RST on": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt - 10 }),
  "SEG-DUP-SYN|SEG.SEQ=IRS (peer retransmits SYN), falls left of window": () => ({ flags: "S", seq: 0 }),
  "SEG-RST|outside window (RFC 5961)": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt + (1 << 24) }),
  "SEG-RST|in window, SEG.SEQ != RCV.NXT (RFC 5961)": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt + 10 }),
  "SEG-RST|SEG.SEQ=RCV.NXT, from passive OPEN": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt }),
  "SEG-RST|SEG.SEQ=RCV.NXT, from active OPEN": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt }),
  "SEG-RST|SEG.SEQ=RCV.NXT": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt }),
  "SEG-RST|SEG.SEQ=RCV.NXT, plain RFC 9293": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt }),
  "SEG-RST|RFC 1337 fix F1 enabled": ({ rcvNxt }) => ({ flags: "R", seq: rcvNxt }),
  "SEG-SYN|in window, from passive OPEN": ({ rcvNxt }) => ({ flags: "S", seq: rcvNxt + 10 }),
  "SEG-SYN|in window, from active OPEN": ({ rcvNxt }) => ({ flags: "S", seq: rcvNxt + 10 }),
  "SEG-SYN|any sequence (RFC 5961)": ({ rcvNxt }) => ({ flags: "S", seq: rcvNxt + 10 }),
  "SEG-SYN|newer timestamp, or larger sequence per RFC 6191": (at) => {
    // The new connection begins where its SYN says.
    at.rcvNxt += 1001;
    return { flags: "S", seq: at.rcvNxt - 1 };
  },
  "SEG-SYN|not newer: without RFC 6191": () => ({ flags: "S", seq: 0 }),
  "SEG-NO-ACK|acceptable, ACK bit off, no RST/SYN": ({ rcvNxt }) => ({
    flags: "P",
    seq: rcvNxt,
    text: "abc",
  }),
  "SEG-ACK-TOO-OLD|SEG.ACK < SND.UNA-MAX.SND.WND (RFC 5961)": ({ rcvNxt, sndUna }) => ({
    seq: rcvNxt,
    ack: sndUna - 65_536,
  }),
  "SEG-ACK|SND.UNA < SEG.ACK =< SND.NXT": (at) => {
    at.sndUna += at.sndUna === 0 ? 1 : 2;
    return { seq: at.rcvNxt, ack: at.sndUna };
  },
  "SEG-ACK|otherwise": ({ rcvNxt, sndNxt }) => ({ seq: rcvNxt, ack: sndNxt + 4 }),
  "SEG-ACK|duplicate: SEG.ACK =< SND.UNA": ({ rcvNxt, sndUna }) => ({ seq: rcvNxt, ack: sndUna }),
  "SEG-ACK|SEG.ACK > SND.NXT": ({ rcvNxt, sndNxt }) => ({ seq: rcvNxt, ack: sndNxt + 1 }),
  "SEG-ACK-OF-FIN|our FIN acked": ({ rcvNxt, sndNxt }) => ({ seq: rcvNxt, ack: sndNxt }),
  "SEG-ACK|retransmit queue empty": ({ rcvNxt, sndNxt }) => ({ seq: rcvNxt, ack: sndNxt }),
  "SEG-ACK|does not ack our FIN": ({ rcvNxt, sndNxt }) => ({ seq: rcvNxt, ack: sndNxt - 1 }),
  "SEG-ACK|old duplicate, acceptable, no FIN": ({ rcvNxt, sndNxt }) => ({ seq: rcvNxt, ack: sndNxt }),
  "SEG-URG|any": ({ rcvNxt, sndUna }) => ({ flags: "AU", seq: rcvNxt, ack: sndUna, urgent: 5 }),
  "SEG-URG|pointer advances RCV.UP beyond read data": (at) => {
    at.after = () => {
      expect(at.peer.eventTypes().filter((type) => type === "urgent")).toEqual(["urgent"]);
      expect(at.connection!.urgent).toBe(5);
      at.peer.send({ flags: "AU", seq: at.rcvNxt, ack: at.sndUna, urgent: 5 });
      expect(at.peer.eventTypes()).not.toContain("urgent");
    };
    return { flags: "AU", seq: at.rcvNxt, ack: at.sndUna, urgent: 5 };
  },
  "SEG-URG|after ACK moved it to ESTABLISHED": ({ rcvNxt }) => ({
    flags: "AU",
    seq: rcvNxt,
    ack: 1,
    urgent: 5,
  }),
  "SEG-TEXT|SEG.SEQ=RCV.NXT": (at) => {
    at.rcvNxt += 5;
    return text(at.rcvNxt - 5, at.sndUna);
  },
  "SEG-TEXT|in window, above RCV.NXT": ({ rcvNxt, sndUna }) => text(rcvNxt + 10, sndUna),
  "SEG-TEXT|straddles left edge": (at) => {
    at.rcvNxt += 4;
    return text(at.rcvNxt - 5, at.sndUna);
  },
  "SEG-TEXT|any": ({ rcvNxt, sndUna }) => text(rcvNxt, sndUna),
  "SEG-TEXT|rides with the ACK that establishes": (at) => {
    at.rcvNxt += 5;
    return text(at.rcvNxt - 5, 1);
  },
  "SEG-TEXT|user fully closed (no reader), new data arrives": (at) => {
    at.connection!.close();
    at.peer.take();
    return text(at.rcvNxt, at.sndUna);
  },
  "SEG-FIN|ACK processed": (at) => {
    at.rcvNxt++;
    return { flags: "FA", seq: at.rcvNxt - 1, ack: 1 };
  },
  "SEG-FIN|in order": (at) => {
    at.rcvNxt++;
    return { flags: "FA", seq: at.rcvNxt - 1, ack: at.sndUna };
  },
  "SEG-FIN|our FIN not acked yet": (at) => {
    at.rcvNxt++;
    return { flags: "FA", seq: at.rcvNxt - 1, ack: at.sndUna };
  },
  "SEG-FIN|same segment acks our FIN": (at) => {
    at.rcvNxt++;
    return { flags: "FA", seq: at.rcvNxt - 1, ack: at.sndNxt };
  },
  "SEG-FIN|retransmitted FIN (usually out of window: step 1 ACKs it)": ({ rcvNxt, sndUna }) => ({
    flags: "FA",
    seq: rcvNxt - 1,
    ack: sndUna,
  }),
  "SEG-FIN|retransmitted FIN": ({ rcvNxt, sndUna }) => ({ flags: "FA", seq: rcvNxt - 1, ack: sndUna }),
  "SEG-FIN|out of order (gap before it)": ({ rcvNxt, sndUna }) => ({
    flags: "FA",
    seq: rcvNxt + 10,
    ack: sndUna,
  }),
  "SEG-FIN|SEG.SEQ cannot be checked": () => ({ flags: "F", seq: 1 }),
  "ABORT|any": ({ connection, listener }) => {
    if (connection) connection.abort();
    else listener.close();
    return undefined;
  },
  "CLOSE|any": ({ connection, listener }) => {
    if (!connection) listener.close();
    else if (connection.state === "SYN-SENT") connection.close();
    else connection.shutdown();
    return undefined;
  },
  "CLOSE|send queue empty": (at) => {
    at.connection!.shutdown();
    at.sndNxt = 6;
    return undefined;
  },
  "CLOSE-HALF-DUPLEX|unread receive data and app gave up reading (MAY-1, SHLD-3)": (at) => {
    at.peer.send(text(at.rcvNxt, at.sndUna));
    at.peer.take();
    at.connection!.close();
    return undefined;
  },
  "CLOSE|send queue not empty": ({ connection, peer, sndNxt, rcvNxt }) => {
    // A small segment is in flight: Nagle holds the second.
    connection!.write(Buffer.from("more"));
    peer.silence();
    connection!.shutdown();
    peer.expect({ flags: "FPA", seq: sndNxt, ack: rcvNxt, text: "more" });
    return SHOWN;
  },
  "CLOSE|no SEND issued and no data pending": (at) => {
    at.connection!.shutdown();
    at.sndNxt = 2;
    at.after = () => {
      // Lost, the SYN comes again and not the FIN: its acknowledgment is what the peer owes first.
      at.peer.expectWithin(5000, { flags: "SA", seq: 0, ack: 1 });
      for (let i = 0; i < 4; i++) at.peer.send({ seq: 1, ack: 0 });
      at.peer.silence();
      at.peer.send({ seq: 1, ack: 1 });
      at.peer.expectWithin(5000, { flags: "FA", seq: 1, ack: 1 });
      at.peer.send({ seq: 1, ack: 2 });
      expect(stateOf(at)).toBe("FIN-WAIT-2");
      expect(at.peer.eventTypes()).toContain("established");
    };
    return undefined;
  },
  "CLOSE|data pending": (at) => {
    at.connection!.write(Buffer.from("data"));
    at.connection!.shutdown();
    at.after = () => {
      at.peer.send({ seq: 1, ack: 1 });
      at.peer.expect({ flags: "FPA", seq: 1, ack: 1, text: "data" });
      expect(stateOf(at)).toBe("FIN-WAIT-1");
    };
    return undefined;
  },
  "CLOSE|otherwise": (at) => {
    spend(at).close();
    return undefined;
  },
  "ABORT|otherwise": (at) => {
    spend(at).abort();
    return undefined;
  },
  "STATUS|otherwise": (at) => {
    expect(spend(at).state).toBe("CLOSED");
    return undefined;
  },
  "SEND|otherwise": (at) => {
    const connection = spend(at);
    expect(() => connection.write(Buffer.from("x"))).toThrow("EPIPE");
    return undefined;
  },
  "RECEIVE|otherwise": (at) => {
    const connection = spend(at);
    expect(() => connection.read(new Uint8Array(1))).toThrow("EBADF");
    return undefined;
  },
  "SEND|room": (at) => {
    const { connection, peer } = at;
    if (connection!.state === "SYN-SENT" || connection!.state === "SYN-RECEIVED") {
      const syn = connection!.state === "SYN-SENT";
      expect(connection!.write(Buffer.from("data"))).toBe(4);
      at.after = () => {
        peer.send(syn ? { flags: "SA", seq: 0, ack: 1 } : { seq: 1, ack: 1 });
        peer.expect({ flags: "PA", seq: 1, ack: 1, text: "data" });
      };
      return undefined;
    }
    peer.send({ seq: at.rcvNxt, ack: at.sndNxt });
    expect(connection!.write(Buffer.from("more"))).toBe(4);
    peer.expect({ flags: "PA", seq: at.sndNxt, ack: at.rcvNxt, text: "more" });
    return SHOWN;
  },
  "SEND|no room": ({ connection, peer }) => {
    const some = new Uint8Array(100_000);
    expect(connection!.write(some)).toBeGreaterThan(0);
    while (connection!.write(some) > 0);
    peer.take();
    expect(connection!.write(some)).toBe(0);
    return SHOWN;
  },
  "RECEIVE|room": ({ connection }) => {
    expect(connection!.read(new Uint8Array(10))).toBe(0);
    return undefined;
  },
  "RECEIVE|too little data": ({ connection }) => {
    expect(connection!.read(new Uint8Array(10))).toBe(0);
    return undefined;
  },
  "RECEIVE|enough data queued": ({ connection, peer, sndNxt, rcvNxt }) => {
    peer.silence();
    expect(connection!.read(new Uint8Array(4096))).toBe(BUFFER);
    peer.expect({ flags: "A", seq: sndNxt, ack: rcvNxt, window: BUFFER });
    return SHOWN;
  },
  "RECEIVE|data still queued": ({ connection }) => {
    expect(connection!.read(new Uint8Array(10))).toBe(5);
    expect(connection!.read(new Uint8Array(10))).toBe(-1);
    return undefined;
  },
  "RECEIVE|no data left": ({ connection }) => {
    expect(connection!.read(new Uint8Array(10))).toBe(-1);
    return undefined;
  },
  "RECEIVE|any": ({ connection }) => {
    expect(connection!.read(new Uint8Array(10))).toBe(-1);
    return undefined;
  },
  "OPEN-PASSIVE|resources and access ok": ({ engine, peer }) => {
    engine.listen({ port: peer.enginePort });
    return undefined;
  },
  "OPEN-PASSIVE|no access to local socket": ({ engine, peer }) => {
    const options = { port: peer.enginePort, address: "198.51.100.1" };
    expect(() => engine.listen(options)).toThrow("EADDRNOTAVAIL");
    peer.send({ flags: "S", seq: 0 });
    peer.expect({ flags: "RA", ack: 1 });
    return SHOWN;
  },
  "OPEN-PASSIVE|no room": ({ engine }) => {
    fillSlots(engine);
    return undefined;
  },
  "OPEN-PASSIVE|same TCB (3.10.1 is silent; 3.9.1.1 forbids disturbing it)": ({ engine }) => {
    expect(() => engine.listen({ port: 80 })).toThrow("EADDRINUSE");
    return undefined;
  },
  "OPEN-ACTIVE|remote given": (at) => {
    const { peer } = at;
    at.connection = at.engine.connect({ remoteAddress: peer.peerAddress, remotePort: peer.peerPort });
    peer.enginePort = at.connection.localPort;
    return undefined;
  },
  "OPEN-ACTIVE|remote missing": ({ engine }) => {
    expect(() => engine.connect({ remotePort: 80 } as ConnectOptions)).toThrow("EINVAL");
    return undefined;
  },
  "OPEN-ACTIVE|remote is broadcast or multicast": ({ engine }) => {
    for (const remoteAddress of ["255.255.255.255", "192.0.2.255", "224.0.0.1", "ff02::1"])
      expect(() => engine.connect({ remoteAddress, remotePort: 80 })).toThrow("EINVAL");
    return undefined;
  },
  "OPEN-ACTIVE|no access to local socket": ({ engine, peer }) => {
    const options = { localAddress: "198.51.100.1", remoteAddress: peer.peerAddress, remotePort: 80 };
    expect(() => engine.connect(options)).toThrow("EADDRNOTAVAIL");
    return undefined;
  },
  "OPEN-ACTIVE|no room": ({ engine, peer }) => {
    fillSlots(engine);
    expect(() => engine.connect({ remoteAddress: peer.peerAddress, remotePort: 80 })).toThrow("ENOMEM");
    return undefined;
  },
  "SEG-SYN|source address invalid, or destination broadcast/multicast": ({ peer }) => {
    const syn = { srcPort: 40_000, dstPort: 80, flags: "S" };
    const good = { src: peer.peerAddress, dst: peer.engineAddress };
    const packets = [
      ...[
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.255",
        "192.0.2.1",
      ].map((src) => ({ ...good, src })),
      ...["255.255.255.255", "192.0.2.255", "224.0.0.1"].map((dst) => ({ ...good, dst })),
      ...["::", "::1", "ff02::1", "2001:db8::1"].map((src) => ({ src, dst: "2001:db8::1" })),
      { src: "2001:db8::2", dst: "ff02::1" },
    ];
    for (const addresses of packets) {
      peer.deliver(build({ ...syn, ...addresses }));
      peer.silence();
    }
    return undefined;
  },
  "SEG-FIN|see SEG-ACK / SEG-NO-ACK": ({ peer }) => {
    peer.send({ flags: "FA", seq: 7, ack: 99 });
    peer.expect({ flags: "R", seq: 99 });
    peer.send({ flags: "F", seq: 7, text: "abc" });
    peer.expect({ flags: "RA", seq: 0, ack: 11 });
    return SHOWN;
  },
  "SEG-ZERO-WINDOW|RCV.WND=0, SEG.SEQ=RCV.NXT, carries data": ({ rcvNxt, sndUna }) => text(rcvNxt, sndUna),
  "SEND|any": ({ connection }) => {
    expect(() => connection!.write(Buffer.from("x"))).toThrow("EPIPE");
    return undefined;
  },
  "STATUS|any": () => undefined,
  "OPEN-ACTIVE|same TCB": ({ engine, peer }) => {
    const to = { remoteAddress: peer.peerAddress, remotePort: peer.peerPort, localPort: peer.enginePort };
    expect(() => engine.connect(to)).toThrow("EADDRINUSE");
    return undefined;
  },
  "TIMEOUT-USER|no TCB": noTimer,
  "TIMEOUT-RTX|no TCB": noTimer,
  "TIMEOUT-TIME-WAIT|no TCB": noTimer,
  "TIMEOUT-TIME-WAIT|timer not running": ({ peer, sndUna }) => {
    peer.wait(60_001);
    // Whatever was unacknowledged came again in that time, and nothing else.
    for (const { seq } of peer.take()) expect(seq).toBe(sndUna);
    return SHOWN;
  },
  "TIMEOUT-PERSIST|SND.WND=0 and data waiting": (at) => {
    const { connection, peer, sndNxt, rcvNxt } = at;
    peer.send({ seq: rcvNxt, ack: sndNxt, window: 0 });
    connection!.write(Buffer.from("more"));
    if (at.row === "FIN-WAIT-1") connection!.shutdown();
    peer.silence();
    const shut = { seq: rcvNxt, ack: sndNxt, window: 0 };
    const probed = [1, 2, 3].map(() => {
      const { at } = peer.expectWithin(10_000, { flags: "A", seq: sndNxt - 1, ack: rcvNxt, text: 0 });
      peer.send(shut);
      return at;
    });
    expect(probed[2]! - probed[1]!).toBe(2 * (probed[1]! - probed[0]!));
    return SHOWN;
  },
  "TIMEOUT-KEEPALIVE|idle past interval, enabled": (at) => {
    at.peer.send({ seq: at.rcvNxt, ack: at.sndNxt });
    at.connection!.setOption("keepAliveIdle", 10);
    at.connection!.setOption("keepAlive", true);
    at.peer.wait(9_999);
    at.peer.silence();
    return undefined;
  },
  "TIMEOUT-USER|expires": ({ connection, peer }) => {
    connection!.setOption("userTimeout", 5000);
    // It counts from the sending of what is unacknowledged: let the timers know of it.
    peer.wait(4_999);
    expect(connection!.state).not.toBe("CLOSED");
    peer.take();
    peer.wait(1);
    expect(connection!.state).toBe("CLOSED");
    expect(errorCode(connection!)).toBe("ETIMEDOUT");
    expect(connection!.readable).toBe(0);
    return SHOWN;
  },
  "TIMEOUT-DELACK|ACK pending": (at) => {
    const { peer } = at;
    // The first of a connection are acknowledged at once.
    for (let i = 0; i < 20; i++) peer.send(text(at.rcvNxt++, at.sndUna, "x"));
    peer.wait(400);
    peer.take();
    peer.send(text(at.rcvNxt++, at.sndUna, "x"));
    peer.silence();
    return undefined;
  },
  "TIMEOUT-RTX|SYN unacked": ({ peer }) => void peer.wait(1000),
  "TIMEOUT-RTX|SYN,ACK unacked": ({ peer }) => void peer.wait(1000),
  "TIMEOUT-RTX|data unacked": ({ peer }) => void peer.wait(300),
  "TIMEOUT-RTX|data or FIN unacked": ({ peer }) => void peer.wait(300),
  "TIMEOUT-RTX|queue empty": ({ peer }) => void peer.wait(59_000),
  "TIMEOUT-RTX|nothing queued": ({ peer }) => void peer.wait(1_000_000),
  "TIMEOUT-TIME-WAIT|2MSL passed": ({ peer }) => void peer.wait(60_000),
  "TIMEOUT-FIN-WAIT-2|orphan timer (implementation, Linux tcp_fin_timeout 60 s)": ({ peer, connection }) => {
    connection!.close();
    peer.wait(60_000);
    return undefined;
  },
};
