import type { Connection, ConnectionOptions, Engine, EngineOptions } from "../../bindings/types.ts";
import { makeEngine, seed } from "./engine.ts";
import { random } from "./random.ts";

/** Octets of the packets of bulk text: what rates and queues count. */
export const PACKET = 1500;
/** Octets of text in such a packet. */
export const TEXT = 1448;

export interface LineOptions {
  /** Bits a second. */
  rate: number;
  /** Milliseconds there and back, without a queue. */
  rtt: number;
  /** Octets that may wait for the line, the packet on it included. */
  queue?: number;
  /** Probability that a packet with text is lost before the queue. */
  loss?: number;
  /** Milliseconds by which ACKs come later by chance, at most; none overtakes another. Without it the same place of a full
   * queue may meet the same segment again and again. */
  jitter?: number;
  /** Milliseconds between the times at which the sender's timers are looked at; 0: whenever they are due. */
  tick?: number;
  seed?: number;
  /** Of the sender; those of both ends make room for any window. */
  engine?: EngineOptions;
  sack?: boolean;
}

interface Flying {
  at: number;
  octets: Uint8Array;
}

/** A packet with text that has left the sender. */
export interface Departure {
  at: number;
  octets: number;
}

const CHUNK = new Uint8Array(65536).fill(0x5a);
const WINDOWS = { tcpWmem: [4096, 16384, 16_000_000], tcpRmem: [4096, 16_000_000, 16_000_000] } as const;

/** Set CE on a packet that can carry it. */
function meetCongestion(octets: Uint8Array): void {
  const ecn = octets[1]! & 3;
  if (ecn === 0 || ecn === 3) return;
  octets[1]! |= 3;
  octets.fill(0, 10, 12);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += (octets[i]! << 8) | octets[i + 1]!;
  sum = (sum & 0xffff) + (sum >>> 16);
  octets[10] = ~sum >> 8;
  octets[11] = ~sum;
}

/** A sending engine, a line of some rate with a queue before it, some delay, and a receiving engine, in virtual time. */
export class Line {
  now = 0;
  rate: number;
  rtt: number;
  queue: number;
  loss: number;
  jitter: number;
  tick: number;
  /** Octets in the queue beyond which a packet is told that it met congestion. */
  mark = Infinity;
  /** Nothing gets through. */
  cut = false;
  /** Packets that found the queue full, and those lost by chance. */
  dropped = 0;
  lost = 0;
  /** Most octets that waited since this was last set. */
  deepest = 0;
  /** Packets with text, as they left; kept where there is a list. */
  departures: Departure[] | undefined;
  /** Times at which the sender was woken by a timer. */
  wakes = 0;
  readonly sender: Engine;
  readonly receiver: Engine;
  /** Octets that each connection's application has yet to write. */
  readonly supply = new Map<Connection, number>();
  /** By the sender's port. */
  readonly received = new Map<number, number>();
  readonly #chance: () => number;
  readonly #served: Connection[] = [];
  readonly #into = new Uint8Array(1 << 18);
  #there: Flying[] = [];
  #back: Flying[] = [];
  #free = 0;
  #lastAck = 0;

  private constructor(sender: Engine, receiver: Engine, options: LineOptions) {
    this.sender = sender;
    this.receiver = receiver;
    this.rate = options.rate;
    this.rtt = options.rtt;
    this.queue = options.queue ?? Infinity;
    this.loss = options.loss ?? 0;
    this.jitter = options.jitter ?? 0;
    this.tick = options.tick ?? 0;
    this.#chance = random(options.seed ?? 1);
  }

  static async open(options: LineOptions): Promise<Line> {
    const { settings, ...rest } = options.engine ?? {};
    const sender = await makeEngine({
      memory: 128 * 2 ** 20,
      addresses: ["192.0.2.1/24"],
      ...rest,
      settings: { ...WINDOWS, tcpCongestionControl: "bbr", ...settings },
    });
    const receiver = await makeEngine({
      memory: 128 * 2 ** 20,
      addresses: ["192.0.2.2/24"],
      seed: seed(2),
      settings: { ...WINDOWS, tcpSack: options.sack === false ? 0 : 1, tcpEcn: settings?.tcpEcn ?? 2 },
    });
    const path = new Line(sender, receiver, options);
    receiver.listen({ port: 80 });
    return path;
  }

  /** One more connection, established, whose application has `supply` octets to send. */
  connect(supply = Infinity, set: Partial<ConnectionOptions> = {}): Connection {
    const connection = this.sender.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    for (const [name, value] of Object.entries(set))
      connection.setOption(name as "noDelay", value as boolean);
    this.supply.set(connection, 0);
    this.#settle();
    while (connection.state !== "ESTABLISHED") this.#step(Infinity);
    this.supply.set(connection, supply);
    this.#settle();
    return connection;
  }

  /** Octets that have arrived in order. */
  goodput(connection: Connection): number {
    return this.received.get(connection.localPort) ?? 0;
  }

  /** Octets that wait for the line. */
  get waiting(): number {
    return Math.max(0, ((this.#free - this.now) * this.rate) / 8000);
  }

  /** The path's product of rate and delay, octets. */
  get bdp(): number {
    return (this.rate * this.rtt) / 8000;
  }

  /** Let so many milliseconds pass; `each` is called after all that happens. */
  run(duration: number, each?: () => void): void {
    const end = this.now + duration;
    while (this.#step(end)) each?.();
  }

  /** Let time pass until `done`. */
  until(done: () => boolean, limit = 60_000): void {
    const end = this.now + limit;
    while (!done()) if (!this.#step(end)) throw new Error(`not within ${limit} ms`);
  }

  /** Give a connection's application more to send. */
  give(connection: Connection, octets: number): void {
    this.supply.set(connection, (this.supply.get(connection) ?? 0) + octets);
    this.#settle();
  }

  /** Bits a second that arrive of this connection while `duration` milliseconds pass. */
  measure(connection: Connection, duration: number, each?: () => void): number {
    const before = this.goodput(connection);
    this.run(duration, each);
    return ((this.goodput(connection) - before) * 8000) / duration;
  }

  #step(end: number): boolean {
    const timer = this.sender.nextDeadline() ?? Infinity;
    const due = this.tick > 0 && timer < Infinity ? Math.ceil(timer / this.tick) * this.tick : timer;
    const next = Math.max(
      this.now,
      Math.min(
        this.#there[0]?.at ?? Infinity,
        this.#back[0]?.at ?? Infinity,
        due,
        this.receiver.nextDeadline() ?? Infinity,
      ),
    );
    if (next > end) {
      this.now = end;
      return false;
    }
    if (next === Infinity) throw new Error("nothing will ever happen");
    this.now = next;
    const arrived = this.#take(this.#there);
    if (arrived.length > 0) this.receiver.receive(arrived, next);
    const answered = this.#take(this.#back);
    if (answered.length > 0) this.sender.receive(answered, next);
    if (due <= next) {
      this.wakes++;
      this.sender.advance(next);
    }
    this.receiver.advance(next);
    this.#settle();
    return true;
  }

  #take(from: Flying[]): Uint8Array[] {
    const octets: Uint8Array[] = [];
    while (from.length > 0 && from[0]!.at <= this.now) octets.push(from.shift()!.octets);
    return octets;
  }

  #settle(): void {
    for (const event of this.receiver.poll()) {
      if (event.type === "accepted") this.#served.push(event.listener.accept()!);
      else if (event.type === "readable") this.#read(event.connection);
    }
    for (const served of this.#served) if (served.readable > 0) this.#read(served);
    this.sender.poll();
    for (const [connection, left] of this.supply) {
      let supply = left;
      while (supply > 0) {
        const taken = connection.write(CHUNK.subarray(0, Math.min(supply, CHUNK.length)));
        supply -= taken;
        if (taken < CHUNK.length) break;
      }
      if (supply !== left) this.supply.set(connection, supply);
    }
    for (const octets of this.sender.transmit(this.now)) this.#enter(octets);
    for (const octets of this.receiver.transmit(this.now))
      this.#back.push({ at: this.#ackArrives(), octets });
  }

  #ackArrives(): number {
    const at = this.now + this.rtt / 2 + (this.jitter > 0 ? this.#chance() * this.jitter : 0);
    this.#lastAck = Math.max(this.#lastAck, at);
    return this.#lastAck;
  }

  #read(connection: Connection): void {
    for (let n = connection.read(this.#into); n > 0; n = connection.read(this.#into))
      this.received.set(connection.remotePort, (this.received.get(connection.remotePort) ?? 0) + n);
  }

  #enter(octets: Uint8Array): void {
    const length = octets.length;
    const bulk = length > 200;
    if (bulk) this.departures?.push({ at: this.now, octets: length });
    if (bulk && this.loss > 0 && this.#chance() < this.loss) {
      this.lost++;
      return;
    }
    if (this.cut) return;
    if (this.waiting > this.mark) meetCongestion(octets);
    if (this.waiting + length > this.queue) {
      this.dropped++;
      return;
    }
    this.#free = Math.max(this.now, this.#free) + (length * 8000) / this.rate;
    this.deepest = Math.max(this.deepest, this.waiting);
    this.#there.push({ at: this.#free + this.rtt / 2, octets });
  }
}
