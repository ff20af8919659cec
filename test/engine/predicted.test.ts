import fc from "fast-check";
import { expect, it } from "vitest";
import type { Connection, Engine } from "../../bindings/types.ts";
import { debugModule, makeEngine, readAll } from "../support/engine.ts";
import { build, checksum } from "../support/packet.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// Header prediction: packets that come in one batch do what they do when each comes in a batch of its own, where none is
// like the one before it. Nothing is sent inside input, so that nothing else tells the two apart.

const TEXT = randomOctets(1 << 16, 11);
const wasm = await debugModule();

/** What a segment has that the one before it had not; the numbers are the peer's next where nothing else is said. */
interface Step {
  kind: (typeof KINDS)[number];
  length: number;
  flow: number;
}

const KINDS = [
  ...Array<"text">(12).fill("text"),
  "push",
  "full",
  "full",
  "full",
  "again",
  "ahead",
  "just ahead",
  "early fin",
  "overlap",
  "stranger",
  "other port",
  "protocol",
  "beyond",
  "wrong sum",
  "wrong text",
  "wrong header",
  "wrong version",
  "ack",
  "ack ahead",
  "window",
  "tick",
  "late tick",
  "echo",
  "no options",
  "other options",
  "congestion",
  "reduced",
  "traffic class",
  "ttl",
  "urgent",
  "fin",
  "reset",
  "syn",
  "padding",
  "cut",
  "empty",
  "fragment",
  "route",
] as const;

/** Those that leave the peer's next number where it is. */
const LOST = new Set<string>([
  ...[
    "wrong sum",
    "wrong text",
    "wrong header",
    "wrong version",
    "fragment",
    "stranger",
    "other port",
    "protocol",
  ],
  ...["beyond", "ahead", "just ahead", "early fin"],
]);

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(1448), fc.integer({ min: 1, max: 1448 })),
  flow: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
});

const four = (n: number) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

/** One peer's side of a connection, as far as its packets go. */
class Flow {
  readonly peer: Peer;
  readonly connection: Connection;
  readonly stamps: boolean;
  next = 1;
  acked = 1;
  window = 65535;
  clock = 1000;
  echo: number;

  constructor(peer: Peer, connection: Connection, stamps: boolean, echo: number) {
    this.peer = peer;
    this.connection = connection;
    this.stamps = stamps;
    this.echo = echo;
  }

  packet({ kind, length }: Step): Uint8Array {
    if (kind === "full") length = 1448;
    if (kind === "ack") this.acked = Math.min(this.acked + 1448, 1 + 20 * 1448);
    if (kind === "window") this.window -= 100;
    if (kind === "tick") this.clock++;
    if (kind === "echo") this.echo++;
    const shift =
      {
        again: -length,
        overlap: -(length >> 1),
        ahead: 2000,
        "just ahead": 20,
        "early fin": 20,
        beyond: 70000,
      }[kind as string] ?? 0;
    const seq = this.next + shift;
    const text = kind === "empty" ? new Uint8Array() : TEXT.subarray(seq & 0x7fff, (seq & 0x7fff) + length);
    const flags =
      { push: "PA", urgent: "UA", fin: "FA", "early fin": "FA", reset: "R", syn: "S", reduced: "AC" }[
        kind as string
      ] ?? "A";
    const clock = kind === "late tick" ? this.clock - 1 : this.clock;
    const stamps = [1, 1, 8, 10, ...four(clock), ...four(this.echo)];
    const rawOptions = !this.stamps || kind === "no options" ? [] : stamps;
    if (kind === "other options") rawOptions.push(1, 1, 1, 1);
    const { peer } = this;
    const packet = build({
      src: kind === "stranger" ? peer.peerAddress.replace(/2$/, "3") : peer.peerAddress,
      dst: peer.engineAddress,
      srcPort: kind === "other port" ? 50000 : peer.peerPort,
      dstPort: peer.enginePort,
      seq: peer.iss + seq,
      ack: peer.engineIss + this.acked + (kind === "ack ahead" ? 1 << 20 : 0),
      window: this.window,
      flags,
      urgent: 1,
      text,
      rawOptions,
      tos: { congestion: 3, "traffic class": 8 }[kind as string] ?? 0,
      ttl: kind === "ttl" ? 3 : 64,
      ipOptions: kind === "route" && !peer.peerAddress.includes(":") ? [1, 1, 1, 0] : [],
    });
    const four4 = packet[0]! >> 4 === 4;
    const header = four4 ? 20 : 40;
    const spoil = (at: number) => {
      packet[at] = packet[at]! ^ 0x55;
    };
    if (kind === "wrong sum") spoil(header + 16);
    if (kind === "wrong text") spoil(packet.length - 1);
    if (kind === "wrong header") spoil(four4 ? 10 : 6);
    if (kind === "wrong version") spoil(0);
    if (kind === "fragment") spoil(four4 ? 7 : 6);
    if (kind === "protocol") packet[four4 ? 9 : 6] = 17;
    if (four4 && (kind === "fragment" || kind === "protocol")) {
      packet.fill(0, 10, 12);
      const sum = checksum(packet.subarray(0, 20));
      packet.set([sum >> 8, sum & 255], 10);
    }
    if (kind === "cut") return packet.subarray(0, packet.length - 1);
    if (kind === "padding") return Uint8Array.from([...packet, 1, 2, 3, 4, 5]);
    if (!LOST.has(kind)) this.next = Math.max(this.next, seq + text.length);
    return packet;
  }
}

interface Setting {
  stamps: boolean;
  sack: boolean;
  ecn: boolean;
  family: 4 | 6;
  memory: number;
  buffer: number;
}

/** What the user does with its connections before a batch. */
const USER = ["nothing", "read", "read", "close", "write urgently"] as const;

/** An engine with two established connections, each with text in flight. */
async function open({ stamps, sack, ecn, family, memory, buffer }: Setting): Promise<[Engine, Flow[]]> {
  const engine = await makeEngine({ wasm, memory, settings: { tcpEcn: 1, tcpRmem: [4096, buffer, buffer] } });
  const listener = engine.listen({ port: 80 });
  const flows = [40000, 40001].map((peerPort) => {
    const addresses = family === 6 ? { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" } : {};
    const peer = new Peer(engine, { peerPort, ...addresses });
    const options = { mss: 1460, ...(sack && { sackPermitted: true as const }) };
    peer.send({ flags: ecn ? "SEC" : "S", options: { ...options, ...(stamps && { ts: [1000, 0] }) } });
    const echo = peer.expect({}).options.ts?.[0] ?? 0;
    peer.send({ seq: 1, ack: 1, window: 65535, ...(stamps && { options: { ts: [1000, echo] } }) });
    const connection = listener.accept()!;
    connection.write(TEXT.subarray(0, 20 * 1448));
    peer.take();
    return new Flow(peer, connection, stamps, echo);
  });
  engine.poll();
  return [engine, flows];
}

/** All that can be seen of an engine. */
function seen(engine: Engine, flows: Flow[], now: number, read: boolean) {
  return {
    sent: engine.transmit(now).map((packet) => Buffer.from(packet).toString("hex")),
    events: engine.poll().map(({ type }) => type),
    counters: engine.counters(),
    deadline: engine.nextDeadline(),
    connections: flows.map(({ connection }) => ({
      info: connection.info(),
      readable: connection.readable,
      text:
        read && connection.error === undefined && connection.readable > 0
          ? readAll(connection).toString("hex")
          : "",
    })),
  };
}

const setting: fc.Arbitrary<Setting> = fc.record({
  stamps: fc.boolean(),
  sack: fc.boolean(),
  ecn: fc.boolean(),
  family: fc.constantFrom(4, 6),
  memory: fc.constantFrom(4 * 2 ** 20, 2 ** 21),
  buffer: fc.constantFrom(8192, 131072),
});

it("text that follows text, with a header like its, does what it does by itself", async () => {
  await fc.assert(
    fc.asyncProperty(
      setting,
      fc.array(fc.tuple(fc.array(step, { minLength: 1, maxLength: 40 }), fc.constantFrom(...USER)), {
        maxLength: 6,
      }),
      async (chosen, rounds) => {
        const [batched, flows] = await open(chosen);
        const [single, others] = await open(chosen);
        let now = flows[0]!.peer.now;
        for (const [steps, user] of rounds) {
          now += 3;
          for (const { connection } of [flows[0]!, others[0]!]) {
            if (user === "close") connection.close();
            if (user === "write urgently" && connection.writable > 0)
              connection.write(TEXT.subarray(0, 10), { urgent: true });
          }
          const packets = steps.map((one) => flows[one.flow]!.packet(one));
          batched.receive(packets, now);
          for (const packet of packets) single.receive([packet], now);
          expect(seen(batched, flows, now, user === "read")).toEqual(
            seen(single, others, now, user === "read"),
          );
        }
      },
    ),
    { numRuns: 1000 },
  );
}, 120_000);

it("twenty segments of one batch come whole, over IPv4 and IPv6, with timestamps and without", async () => {
  for (const family of [4, 6] as const)
    for (const stamps of [false, true]) {
      const [engine, [flow]] = await open({
        stamps,
        sack: true,
        ecn: false,
        family,
        memory: 4 * 2 ** 20,
        buffer: 131072,
      });
      const { connection } = flow!;
      const packets = Array.from({ length: 20 }, () => flow!.packet({ kind: "full", length: 0, flow: 0 }));
      engine.receive(packets, flow!.peer.now);
      expect(readAll(connection)).toEqual(Buffer.from(TEXT.subarray(1, 1 + 20 * 1448)));
      expect(connection.info().dataSegsIn).toBe(20);
      expect(engine.counters().InSegs).toBe(engine.counters().InDelivers);
    }
});
