import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { expandIds, readTable } from "../../scripts/conformance-join.mjs";
import { errorCode } from "../support/engine.ts";
import { Peer, type Sent } from "../support/peer.ts";
import { BUFFER, EVENTS, type Event, SHOWN } from "../support/statemachine-events.ts";
import { type Scene, type SceneOptions, scene, stateOf } from "../support/statemachine-scene.ts";

// RFC 9293 §3.10 row by row: each row of test/spec/statemachine.tsv is an event in a state, the state that follows and
// the segments that are sent. The table says what; statemachine-events.ts how each event is brought about; and
// test/spec/conformance.json which rows describe a road not taken, or not yet, and why.

interface Row {
  id: string;
  state: string;
  event: string;
  guard: string;
  next: string;
  out: string;
}

const spec = (name: string) => readFileSync(new URL(`../spec/${name}`, import.meta.url), "utf8");

const rows: Row[] = readTable(spec("statemachine.tsv")).map((row: Record<string, string>) => ({
  id: row.id!,
  state: row.state!,
  event: row.event!,
  guard: row.guard!,
  next: row.next_state!,
  out: row.segments_out!,
}));

const notes = JSON.parse(spec("conformance.json")) as Record<"deviations" | "notYet", { rows: string[] }[]>;
const excused = new Set<string>(
  [...notes.deviations, ...notes.notYet].flatMap((entry) => expandIds(entry.rows)),
);

function how({ event, guard }: Row): Event | undefined {
  return EVENTS[`${event}|${guard}`];
}

/** What has to be so before the event can be brought about. */
function options({ state, event, guard }: Row): SceneOptions {
  const call = /^(TIMEOUT-USER|OPEN-ACTIVE|SEND|RECEIVE|CLOSE|ABORT|STATUS)$/.test(event);
  const full = event === "SEG-ZERO-WINDOW" || guard === "enough data queued";
  // A FIN takes up the last octet of the window.
  const finBefore = /^(CLOSE-WAIT|CLOSING|LAST-ACK|TIME-WAIT)$/.test(state);
  return {
    active: state === "SYN-RECEIVED" && (/active/.test(guard) || call),
    received: full ? BUFFER - Number(finBefore) : guard === "data still queued" ? 5 : 0,
    engine: {
      settings: {
        ...(full && { tcpRmem: [BUFFER, BUFFER, BUFFER] as const }),
        ...(guard.includes("1337") && { tcpRfc1337: 1 }),
      },
    },
  };
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
    case "SND.NXT-1":
      return at.sndNxt - 1;
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
    expect(rows.filter((row) => !how(row) && !excused.has(row.id)).map(({ id }) => id)).toEqual([]);
  });

  const shown = rows.filter((row) => !excused.has(row.id));

  it.each(shown.map((row) => [row.id, row.state, row.event, row.guard, row] as const))(
    "%s %s, %s, %s",
    async (_, __, ___, ____, row) => {
      const waiting = row.event === "TIMEOUT-PERSIST" && row.state === "FIN-WAIT-1";
      const at = await scene(waiting ? "ESTABLISHED" : row.state, options(row));
      at.row = row.state;
      const { peer } = at;
      const result = how(row)!(at);
      const sent = result === SHOWN ? undefined : result;
      if (sent) peer.send(sent);

      const template = /<SEQ=([^>]+)>(?:<ACK=([^>]+)>)?<CTL=([^>]+)>/.exec(row.out);
      if (result === SHOWN) peer.silence();
      else if (template) {
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
        const next = new Peer(at.engine, { peerPort: 40_001, enginePort: peer.enginePort, now: peer.now });
        next.send({ flags: "S" });
        next.expect({ flags: "SA" });
      } else if (row.event === "SEG-SYN" && row.state === "TIME-WAIT" && row.next === "SYN-RECEIVED") {
        expect(at.engine.connections().map(({ info }) => info.state)).toEqual(["SYN-RECEIVED"]);
      } else expect(state, peer.tail()).toBe(row.next);

      at.after?.();

      // What the user is told.
      if (row.event === "SEG-RST" && row.next === "CLOSED" && at.connection) {
        const refused = row.state === "SYN-SENT" || row.state === "SYN-RECEIVED";
        // What was sent before the FIN may be lost: the user is told in CLOSING and LAST-ACK too, as by Linux.
        const over = row.state === "TIME-WAIT";
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
