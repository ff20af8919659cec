import { expect } from "vitest";
import type { Connection, Engine, EngineEvent, Listener } from "../../bindings/types.ts";
import { build, type Fields, type Options, octets, type Packet, parse } from "./packet.ts";
import { line } from "./trace.ts";

/** A segment the peer sends: sequence numbers count from its own ISS, acknowledgments from the engine's. */
export type Sent = Omit<Partial<Fields>, "src" | "dst" | "srcPort" | "dstPort">;

/** What a segment of the engine must be, as far as it is named; numbers relative as in `Sent`. */
export interface Expected {
  flags?: string;
  seq?: number;
  ack?: number;
  window?: number;
  /** Text, or its length. */
  text?: Uint8Array | string | number;
  options?: Options;
}

/** A segment of the engine: relative numbers, and when it came. */
export interface Received extends Packet {
  at: number;
  octets: Uint8Array;
}

export interface PeerOptions {
  engineAddress?: string;
  enginePort?: number;
  peerAddress?: string;
  peerPort?: number;
  /** The peer's initial sequence number. */
  iss?: number;
  now?: number;
}

/** One engine under a virtual clock against a peer whose every segment the test writes by hand. */
export class Peer {
  readonly engine: Engine;
  now: number;
  readonly engineAddress: string;
  enginePort: number;
  readonly peerAddress: string;
  peerPort: number;
  readonly iss: number;
  /** The engine's initial sequence number, once its SYN has been seen. */
  engineIss = 0;
  readonly events: EngineEvent[] = [];
  readonly trace: string[] = [];
  #waiting: Received[] = [];
  #learned = false;

  constructor(engine: Engine, options: PeerOptions = {}) {
    this.engine = engine;
    this.engineAddress = options.engineAddress ?? "192.0.2.1";
    this.enginePort = options.enginePort ?? 80;
    this.peerAddress = options.peerAddress ?? "192.0.2.2";
    this.peerPort = options.peerPort ?? 40000;
    this.iss = options.iss ?? 0x10000000;
    this.now = options.now ?? 1000;
    this.flush();
  }

  /** Octets of a segment from the peer. */
  packet(sent: Sent): Uint8Array {
    return build({
      src: this.peerAddress,
      dst: this.engineAddress,
      srcPort: this.peerPort,
      dstPort: this.enginePort,
      flags: "A",
      ...sent,
      seq: (sent.seq ?? 0) + this.iss,
      ack: sent.ack === undefined ? 0 : sent.ack + this.engineIss,
      ...(sent.options?.sack && {
        options: {
          ...sent.options,
          sack: sent.options.sack.map(([left, right]) => [left + this.engineIss, right + this.engineIss]),
        },
      }),
    });
  }

  /** The engine gets these segments, in one batch. */
  send(...segments: Sent[]): void {
    this.deliver(...segments.map((segment) => this.packet(segment)));
  }

  /** The engine gets these packets as they are, in one batch. */
  deliver(...packets: Uint8Array[]): void {
    for (const packet of packets)
      this.trace.push(`${this.now.toFixed(3).padStart(12)} > ${this.#describe(packet)}`);
    this.engine.receive(packets, this.now);
    this.flush();
  }

  /** Take what the engine has to send now; to be called after each call of the application. */
  flush(): void {
    for (const octets of this.engine.transmit(this.now)) {
      const packet = parse(octets);
      if (packet.flags.includes("S") && !this.#learned) {
        this.engineIss = packet.seq;
        this.#learned = true;
      }
      const seq = (packet.seq - this.engineIss) | 0;
      const ack = packet.flags.includes("A") ? (packet.ack - this.iss) | 0 : 0;
      this.trace.push(line(this.now, "<", packet, seq, ack));
      this.#waiting.push({ ...packet, seq, ack, at: this.now, octets });
    }
    this.events.push(...this.engine.poll());
  }

  /** Let so many milliseconds pass, firing timers at their time. */
  wait(duration: number): void {
    this.waitUntil(this.now + duration);
  }

  waitUntil(time: number): void {
    for (let stuck = 0; ; stuck++) {
      const next = this.engine.nextDeadline();
      if (next === undefined || next > time) break;
      if (stuck > 100_000) throw new Error(`timers for ever at ${this.now}\n${this.tail()}`);
      this.now = Math.max(next, this.now);
      this.engine.advance(this.now);
      this.flush();
    }
    this.now = time;
    this.engine.advance(time);
    this.flush();
  }

  /** The next segment of the engine, which must be there by now and be as described. */
  expect(expected: Expected = {}): Received {
    this.flush();
    const got = this.#waiting.shift();
    if (got === undefined)
      throw new Error(`expected ${JSON.stringify(expected)}, got silence\n${this.tail()}`);
    return this.#match(got, expected);
  }

  /** The next segment of the engine, for which to wait up to `limit` milliseconds. */
  expectWithin(limit: number, expected: Expected = {}): Received {
    this.flush();
    const end = this.now + limit;
    while (this.#waiting.length === 0) {
      const next = this.engine.nextDeadline() ?? Infinity;
      if (next > end)
        throw new Error(
          `expected ${JSON.stringify(expected)} within ${limit} ms, got silence\n${this.tail()}`,
        );
      this.waitUntil(Math.max(next, this.now));
    }
    return this.expect(expected);
  }

  /** Nothing has been sent that was not expected. */
  silence(): void {
    this.flush();
    if (this.#waiting.length > 0) throw new Error(`expected silence\n${this.tail()}`);
  }

  /** All segments that wait to be looked at. */
  take(): Received[] {
    this.flush();
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  /** Types of the events since the last call. */
  eventTypes(): string[] {
    this.flush();
    return this.events.splice(0).map((event) => event.type);
  }

  /** The peer connects to a listener of the engine's: the established connection. */
  connect(listener: Listener, syn: Sent = {}, window = 65535): Connection {
    this.send({ flags: "S", seq: 0, options: { mss: 1460 }, ...syn });
    const synAck = this.expect({ seq: 0, ack: 1 });
    expect(synAck.flags.replace("E", "")).toBe("SA");
    this.send({ flags: "A", seq: 1, ack: 1, window });
    this.silence();
    const connection = listener.accept();
    if (connection === undefined) throw new Error(`nothing to accept\n${this.tail()}`);
    expect(connection.state).toBe("ESTABLISHED");
    this.eventTypes();
    return connection;
  }

  /** The engine connects to the peer: the established connection. */
  accept(synAck: Sent = {}): Connection {
    const connection = this.engine.connect({ remoteAddress: this.peerAddress, remotePort: this.peerPort });
    this.enginePort = connection.localPort;
    this.expect({ flags: "S" });
    this.send({ flags: "SA", seq: 0, ack: 1, options: { mss: 1460 }, ...synAck });
    this.expect({ flags: "A", seq: 1, ack: 1 });
    this.silence();
    expect(connection.state).toBe("ESTABLISHED");
    this.eventTypes();
    return connection;
  }

  /** The end of the trace. */
  tail(lines = 30): string {
    return this.trace.slice(-lines).join("\n");
  }

  #describe(packet: Uint8Array): string {
    try {
      const read = parse(packet);
      return line(this.now, "", read, (read.seq - this.iss) | 0, (read.ack - this.engineIss) | 0).trim();
    } catch {
      return `${packet.length} odd octets`;
    }
  }

  #match(got: Received, expected: Expected): Received {
    const trace = `\n${this.tail()}`;
    if (expected.flags !== undefined) expect(sorted(got.flags), `flags${trace}`).toBe(sorted(expected.flags));
    for (const name of ["seq", "ack", "window"] as const)
      if (expected[name] !== undefined) expect(got[name], name + trace).toBe(expected[name]);
    if (typeof expected.text === "number")
      expect(got.text.length, `length of text${trace}`).toBe(expected.text);
    else if (expected.text !== undefined)
      expect(Buffer.from(got.text).equals(octets(expected.text)), `text${trace}`).toBe(true);
    if (expected.options !== undefined)
      expect(got.options, `options${trace}`).toMatchObject(expected.options);
    return got;
  }
}

/** "PA" and "AP" are the same flags. */
function sorted(flags: string): string {
  return [...flags].sort().join("");
}
