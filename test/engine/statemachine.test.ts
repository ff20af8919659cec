import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Connection, Engine, Listener } from "../../bindings/types.ts";
import { errorCode, makeEngine } from "../support/engine.ts";
import { Peer, type Sent } from "../support/peer.ts";

// RFC 9293 §3.10 row by row: each row of test/spec/statemachine.tsv is an event in a state, the state that follows and
// the segments that are sent. The table says what; here stands how each event is brought about.

interface Row {
  id: string;
  state: string;
  event: string;
  guard: string;
  next: string;
  out: string;
}

const rows: Row[] = readFileSync(new URL("../spec/statemachine.tsv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [id, state, event, guard, next, out] = line.split("\t") as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    return { id, state, event, guard, next, out };
  });

/** A connection in the row's state, and where both sequence spaces stand (relative numbers). */
interface Scene {
  engine: Engine;
  listener: Listener;
  peer: Peer;
  connection: Connection | undefined;
  sndUna: number;
  sndNxt: number;
  rcvNxt: number;
}

/** Bring a connection to `state`, with four octets in flight where there can be any. */
async function scene(state: string, active = false): Promise<Scene> {
  const engine = await makeEngine({ memory: 2 * 2 ** 20 });
  const listener = engine.listen({ port: 80 });
  const peer = new Peer(engine, { enginePort: state === "CLOSED" ? 81 : 80, iss: 0xfffffff0 });
  const at: Scene = { engine, listener, peer, connection: undefined, sndUna: 0, sndNxt: 1, rcvNxt: 1 };
  if (state === "CLOSED" || state === "LISTEN") return at;
  if (state === "SYN-SENT" || active) {
    at.connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: peer.peerPort });
    peer.enginePort = at.connection.localPort;
    peer.expect({ flags: "S" });
    if (state === "SYN-SENT") return at;
    peer.send({ flags: "S", seq: 0 });
    peer.expect({ flags: "SA" });
    return at;
  }
  peer.send({ flags: "S", seq: 0, options: { mss: 1460 } });
  peer.expect({ flags: "SA" });
  if (state === "SYN-RECEIVED") return at;
  peer.send({ seq: 1, ack: 1 });
  const connection = listener.accept()!;
  at.connection = connection;
  connection.write(Buffer.from("data"));
  at.sndUna = 1;
  at.sndNxt = 5;
  if (state === "CLOSE-WAIT" || state === "LAST-ACK") peerCloses(at, 1);
  if (["FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK", "TIME-WAIT"].includes(state)) {
    connection.shutdown();
    at.sndNxt = 6;
  }
  peer.take();
  if (state === "CLOSING") peerCloses(at, 1);
  if (state === "FIN-WAIT-2" || state === "TIME-WAIT") {
    peer.send({ seq: 1, ack: 6 });
    at.sndUna = 6;
  }
  if (state === "TIME-WAIT") peerCloses(at, 6);
  peer.take();
  expect(stateOf(at)).toBe(state);
  return at;
}

function peerCloses(at: Scene, ack: number): void {
  at.peer.send({ flags: "FA", seq: 1, ack });
  at.rcvNxt = 2;
}

function stateOf({ engine, connection }: Scene): string {
  return connection?.state ?? engine.connections()[0]?.info.state ?? "CLOSED";
}

/** What the event sends, and what it changes in the scene; undefined when it is no segment. */
type Event = (at: Scene) => Sent | undefined;

const text = (seq: number, ack: number, octets = "hello"): Sent => ({ flags: "PA", seq, ack, text: octets });

/** By event and guard, or by event alone. */
const EVENTS: Record<string, Event> = {
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

/** Rows that say nothing about this engine, or are shown elsewhere, each with its reason. */
const BEYOND: [pattern: RegExp, reason: string][] = [
  [/^SEG-SECURITY|security mismatch/, "RFC 9293 has no security compartments any more than Linux has"],
  [/^SEG-SYN\|in window, RFC 793 style without 5961/, "RFC 5961 is followed"],
  [/^SEG-RST\|SEG.SEQ=RCV.NXT, plain RFC 9293/, "RFC 1337 is followed: a RST does not end TIME-WAIT"],
  [/^SEG-SYN\|not newer: RFC 6191/, "the ACK of RFC 9293 is sent instead of silence"],
  [/^SEG-SYN\|source address invalid/, "vectors.test.ts, martians"],
  [/^SEG-SYN-ACK\|acks SYN but not all data/, "no TCP Fast Open"],
  [/^SEG-URG\|pointer advances/, "urgent data is delivered in line and not signalled"],
  [/^SEG-FIN\|see SEG-ACK|^SEG-NO-ACK\|see.*SYN-SENT/, "other rows"],
  [/^SEG-ZERO-WINDOW/, "window.test.ts"],
  [/^TIMEOUT-(PERSIST|DELACK)/, "window.test.ts, data.test.ts"],
  [/^TIMEOUT-(KEEPALIVE|USER)/, "no such timers: none runs unless it is asked for"],
  [/^TIMEOUT-TIME-WAIT\|(timer not running|no TCB)|^TIMEOUT-RTX\|no TCB/, "there is no timer to expire"],
  [/^OPEN-PASSIVE/, "listen.test.ts; a connection is no listener's TCB"],
  [/^OPEN-ACTIVE\|(remote|no )/, "handshake.test.ts"],
  [/^(SEND|RECEIVE|STATUS|CLOSE|ABORT)\|(no access|otherwise|remote)/, "there is no handle to call with"],
  [/^(SEND|RECEIVE)\|/, "data.test.ts, window.test.ts"],
  [/^CLOSE\|(send queue not empty|data pending|no SEND issued)/, "close.test.ts and transfer.test.ts"],
];

/** Single rows among those above that are shown, or not. */
const UNREACHABLE: Record<string, string> = {
  "sm-128": "no TCP Fast Open",
  "sm-152": "window.test.ts",
  "sm-220": "in SYN-RECEIVED an unacceptable ACK draws RST (sm-229); the check of RFC 5961 is a MAY",
  "sm-236": "in FIN-WAIT-2 everything is acknowledged",
  "sm-135": "the rows it names",
  "sm-287": "the rows it names",
};

function how({ event, guard }: Row): Event | undefined {
  return EVENTS[`${event}|${guard}`];
}

function beyond(row: Row): string | undefined {
  if (UNREACHABLE[row.id]) return UNREACHABLE[row.id];
  if (how(row)) return undefined;
  return BEYOND.find(([pattern]) => pattern.test(`${row.event}|${row.guard}`))?.[1];
}

/** The numbers a row's reply is written in. */
function value(term: string, at: Scene, sent: Sent | undefined): number {
  const syn = Number(sent?.flags?.includes("S") ?? false);
  const fin = Number(sent?.flags?.includes("F") ?? false);
  switch (term) {
    case "0":
    case "ISS":
      return 0;
    case "SND.NXT":
      return at.sndNxt;
    case "RCV.NXT":
      return at.rcvNxt;
    case "SEG.ACK":
      return sent!.ack!;
    case "SEG.SEQ+SEG.LEN":
      return sent!.seq! + (sent!.text?.length ?? 0) + syn + fin;
    default:
      throw new Error(`no such term: ${term}`);
  }
}

describe("RFC 9293 §3.10, row by row", () => {
  it("knows each row: how to bring it about, or why not", () => {
    expect(rows.length).toBe(331);
    expect(rows.filter((row) => !how(row) && !beyond(row)).map(({ id }) => id)).toEqual([]);
  });

  const shown = rows.filter((row) => !beyond(row));

  it.each(shown.map((row) => [row.id, row.state, row.event, row.guard, row] as const))(
    "%s %s, %s, %s",
    async (_, __, ___, ____, row) => {
      const calls = row.event === "ABORT" || row.event === "OPEN-ACTIVE" || row.event === "STATUS";
      const active = row.state === "SYN-RECEIVED" && (/active/.test(row.guard) || calls);
      const at = await scene(row.state, active);
      const { peer } = at;
      const sent = how(row)!(at);
      if (sent) peer.send(sent);

      const template = /<SEQ=([^>]+)>(?:<ACK=([^>]+)>)?<CTL=([^>]+)>/.exec(row.out);
      if (template) {
        const got = peer.expectWithin(499);
        const [, seq, ack, control] = template as unknown as [string, string, string | undefined, string];
        const flags = new Set(control.split(",").map((flag) => flag[0]));
        // "again": the first unacknowledged segment. A RST may acknowledge, a FIN may carry what was queued before.
        const loose = row.out.includes("common: resend SYN,ACK");
        if (loose && got.flags === "SA") expect([got.seq, got.ack]).toEqual([0, at.rcvNxt]);
        else {
          const found = new Set([...got.flags].filter((flag) => flag !== "P"));
          if (flags.has("R") && !ack) found.delete("A");
          expect(found, peer.tail()).toEqual(flags);
          // In SYN-RECEIVED and for a new connection, the engine's numbers begin with its SYN.
          if (row.event !== "SEG-SYN" || row.state !== "TIME-WAIT") {
            const expected =
              flags.has("F") && got.text.length > 0 ? at.sndNxt - 1 - got.text.length : undefined;
            const from = flags.has("F") ? at.sndNxt - 1 : value(seq, at, sent);
            expect(got.seq, peer.tail()).toBe(expected ?? from);
          }
          if (ack && got.flags.includes("A")) expect(got.ack, peer.tail()).toBe(value(ack, at, sent));
        }
        if (row.out.includes("window 0")) expect(got.window).toBe(0);
        peer.silence();
      } else if (row.out.startsWith("first unacked segment")) {
        expect(peer.expect().seq).toBe(at.sndUna);
        peer.silence();
      } else {
        expect(row.out).toMatch(/^(none|new data if window opened)/);
        peer.silence();
      }

      const state = stateOf(at);
      if (row.next === "LISTEN") {
        expect(state).toBe("CLOSED");
        // The listener serves on.
        const next = new Peer(at.engine, { peerPort: 40_001, now: peer.now });
        next.send({ flags: "S" });
        next.expect({ flags: "SA" });
      } else if (row.event === "SEG-SYN" && row.state === "TIME-WAIT" && row.next === "SYN-RECEIVED") {
        expect(at.engine.connections().map(({ info }) => info.state)).toEqual(["SYN-RECEIVED"]);
      } else expect(state, peer.tail()).toBe(row.next);

      // What the user is told.
      if (row.event === "SEG-RST" && row.next === "CLOSED" && at.connection) {
        const refused = row.state === "SYN-SENT" || row.state === "SYN-RECEIVED";
        const over = row.state === "CLOSING" || row.state === "LAST-ACK";
        const reset = row.state === "CLOSE-WAIT" ? /ECONNRESET|EPIPE/ : /ECONNRESET/;
        if (over) expect(errorCode(at.connection)).toBeUndefined();
        else expect(errorCode(at.connection)).toMatch(refused ? /ECONNREFUSED/ : reset);
      }
      if (row.event === "SEG-TEXT" && row.state === "ESTABLISHED" && row.guard === "straddles left edge") {
        const into = new Uint8Array(10);
        expect(at.connection!.read(into)).toBe(4);
        expect(Buffer.from(into.subarray(0, 4)).toString()).toBe("ello");
      }
      if (row.event === "SEG-FIN" && row.guard === "retransmitted FIN") {
        peer.wait(59_999);
        expect(stateOf(at)).toBe("TIME-WAIT");
        peer.wait(1);
        expect(stateOf(at)).toBe("CLOSED");
      }
    },
  );
});
