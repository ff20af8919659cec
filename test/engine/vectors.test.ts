import { beforeEach, describe, expect, it } from "vitest";
import type { Connection, Engine, Listener } from "../../bindings/types.ts";
import { check } from "../support/datagrams.ts";
import { makeEngine, readAll } from "../support/engine.ts";
import { type Packet, parse } from "../support/packet.ts";
import { Peer } from "../support/peer.ts";
import { packetOf, type SegmentVector, vectors } from "../support/vectors.ts";

const { client4, server4, client6, server6 } = vectors.meta.hosts;

/** Counters of packets that were thrown away before any connection saw them. */
const DROPS = [
  "InHdrErrors",
  "InTruncatedPkts",
  "InAddrErrors",
  "InUnknownProtos",
  "InDiscards",
  "InErrs",
  "ReasmReqds",
] as const;

let engine: Engine;
let listener: Listener;
beforeEach(async () => {
  engine = await makeEngine({ addresses: [`${server4}/24`, `${server6}/64`], memory: 2 * 2 ** 20 });
  listener = engine.listen({ port: 80 });
});

const drops = () => {
  const counters = engine.counters();
  return DROPS.reduce((sum, name) => sum + counters[name]!, 0);
};

function answersTo(packet: Uint8Array): Packet[] {
  engine.receive([packet], 1000);
  return engine.transmit(1000).map(parse);
}

const named = (vectors: SegmentVector[]) =>
  vectors.map((vector) => [vector.id, vector.name, vector] as const);
const inGroups = (...groups: SegmentVector["group"][]) =>
  vectors.segments.filter(({ group }) => groups.includes(group));

/** What RFC 9293 §3.10.7.1 and §3.10.7.2 answer to a segment for nobody's connection. */
function answer({ decoded }: SegmentVector): { flags: string; seq?: number; ack?: number } | undefined {
  const { flags, dport, seq, ack, payload } = decoded!.tcp!;
  const has = (flag: string) => flags.includes(flag);
  if (has("rst")) return undefined;
  if (has("ack")) return { flags: "R", seq: ack };
  const segLen = payload.length / 2 + Number(has("syn")) + Number(has("fin"));
  if (dport !== 80) return { flags: "AR", seq: 0, ack: (seq + segLen) >>> 0 };
  // RFC 3168 §6.1.1: ECN is granted to whoever asks for it.
  const granted = has("ece") && has("cwr") ? "AES" : "AS";
  return has("syn") ? { flags: granted, ack: (seq + 1) >>> 0 } : undefined;
}

describe("segments for a listener", () => {
  const accepted = inGroups("tcp", "opt", "badopt", "tcp6", "bad", "frag").filter(
    ({ verdict }) => verdict === "accept" || verdict === "no-crash",
  );

  it.each(named(accepted))("%s, %s: answered as the RFC has it", (_, __, vector) => {
    const before = drops();
    const [got, ...more] = answersTo(packetOf(vector));
    expect(more).toEqual([]);
    const expected = answer(vector);
    if (vector.group === "badopt" || vector.id === "tcp-017" || vector.id === "bad-032") {
      // Policy: a SYN with impossible options, with FIN, or from port 0 may be dropped, which is then counted.
      if (got === undefined) {
        expect(drops()).toBeGreaterThan(before);
        return;
      }
    }
    if (vector.group !== "badopt") expect(drops()).toBe(before);
    if (expected === undefined) {
      expect(got).toBeUndefined();
      return;
    }
    expect(got, "silence").toBeDefined();
    expect([...got!.flags].sort().join("")).toBe(expected.flags);
    if (expected.seq !== undefined) expect(got!.seq).toBe(expected.seq);
    // A SYN's text may be taken with it.
    const taken = vector.decoded!.tcp!.payload.length / 2;
    if (expected.ack !== undefined && expected.flags.endsWith("S"))
      expect([expected.ack, (expected.ack + taken) >>> 0]).toContain(got!.ack);
    else if (expected.ack !== undefined) expect(got!.ack).toBe(expected.ack);
  });

  it.each(named(inGroups("opt").filter(({ decoded }) => decoded!.tcp!.flags.join() === "syn")))(
    "[9293-MUST-64] %s, %s: its MSS and window scale are used",
    (_, __, vector) => {
      const [synAck] = answersTo(packetOf(vector));
      const { seq, payload, options } = vector.decoded!.tcp!;
      const peer = new Peer(engine, {
        engineAddress: server4,
        peerAddress: client4,
        peerPort: 40000,
        iss: seq,
        now: 1000,
      });
      peer.engineIss = synAck!.seq;
      peer.send({ seq: 1 + payload.length / 2, ack: 1, window: 3 });
      const connection = listener.accept()!;
      let mss: number | undefined;
      let shift: number | undefined;
      let timestamps = 0;
      for (const option of options as { kind?: number; mss?: number; shift?: number }[]) {
        if (option.kind === 0) break;
        if (option.kind === 2) mss = option.mss;
        if (option.kind === 3) shift = Math.min(option.shift!, 14);
        // What each segment carries from then on.
        if (option.kind === 8) timestamps = 12;
      }
      const info = connection.info();
      expect(info.sndWscale).toBe(shift ?? 0);
      expect(info.sndWnd).toBe(3 * 2 ** (shift ?? 0));
      expect(info.sndMss).toBe(Math.max(48, Math.min(1460, mss || 536)) - timestamps);
    },
  );
});

describe("segments that must be dropped", () => {
  const dropped = inGroups("bad", "tcp6", "martian").filter(({ verdict }) => verdict === "drop");

  it.each(named(dropped))(
    "[9293-MUST-57] [9293-MUST-63] [1122-7] %s, %s: silence, and counted",
    (_, __, vector) => {
      const before = drops();
      expect(answersTo(packetOf(vector))).toEqual([]);
      expect(drops()).toBeGreaterThan(before);
      expect(engine.connections()).toEqual([]);
      expect(engine.nextDeadline()).toBeUndefined();
    },
  );
});

describe("packets of a live connection", () => {
  /** The connection whose peer the vectors' client is. */
  function live(six: boolean): { peer: Peer; connection: Connection } {
    const peer = new Peer(engine, {
      engineAddress: six ? server6 : server4,
      peerAddress: six ? client6 : client4,
      peerPort: 40000,
      iss: 0x10000000 - 1,
      now: 1000,
    });
    return { peer, connection: peer.connect(listener) };
  }

  it.each(named(inGroups("bad", "tcp6").filter(({ verdict }) => verdict === "drop")))(
    "%s, %s: leaves it as it was",
    (_, __, vector) => {
      const { peer, connection } = live(vector.group === "tcp6");
      const before = { ...connection.info(), segsIn: 0 };
      peer.deliver(packetOf(vector));
      peer.silence();
      expect({ ...connection.info(), segsIn: 0 }).toEqual(before);
      peer.send({ flags: "PA", seq: 1, ack: 1, text: "alive" });
      expect(readAll(connection).toString()).toBe("alive");
    },
  );

  it.each(named(vectors.segments))("%s, %s: neither traps nor ends it unless it may", (_, __, vector) => {
    const { peer, connection } = live(vector.hex.startsWith("6"));
    const received = engine.counters().InReceives!;
    engine.receive([packetOf(vector)], peer.now);
    expect(engine.counters().InReceives).toBe(received + 1);
    for (const packet of engine.transmit(peer.now)) check(packet);
    // Of the vectors none carries the exact number for a RST of this connection, and it is SYN-free.
    if (!vector.decoded?.tcp?.flags.includes("rst"))
      expect(connection.state).toMatch(/ESTABLISHED|CLOSE-WAIT/);
    const next = new Peer(engine, {
      engineAddress: server4,
      peerAddress: client4,
      peerPort: 40_001,
      now: peer.now,
    });
    expect(next.connect(listener).state).toBe("ESTABLISHED");
  });
});
