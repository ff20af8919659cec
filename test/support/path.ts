import type { CongestionControl } from "../../bindings/settings.ts";
import type { Connection, Engine, EngineOptions } from "../../bindings/types.ts";
import { makeEngine } from "./engine.ts";
import { Peer, type Received } from "./peer.ts";
import { randomOctets } from "./random.ts";

export const MSS = 1000;

/** A window so wide that only the congestion window counts. */
const WIDE = { window: 65535, scale: 10 };

const SUPPLY = randomOctets(1 << 20, 7);

export interface PathOptions {
  /** Milliseconds there and back. */
  rtt?: number;
  /** Milliseconds that the narrowest link takes for a segment; 0: none that counts. */
  gap?: number;
  timestamps?: boolean;
  sack?: boolean;
  engine?: EngineOptions;
  /** Congestion control: "cubic", unless one of these says otherwise. */
  control?: CongestionControl;
  byListener?: CongestionControl;
  bySetting?: CongestionControl;
  ecn?: boolean;
  every?: number;
}

/** An ACK that has reached the engine. */
export interface Acked {
  /** Octets it newly acknowledges. */
  octets: number;
  /** Where they end, and where what had been sent by then ended. */
  ack: number;
  sent: number;
  /** Milliseconds since the segment it answers was sent. */
  rtt: number;
}

/**
 * A connection of the engine's over a path of constant delay to a peer without SACK that acknowledges each segment by
 * itself, in virtual time. What the application has to send never ends, unless `supply` says otherwise.
 */
export class Path {
  readonly engine: Engine;
  readonly peer: Peer;
  readonly connection: Connection;
  rtt: number;
  gap: number;
  /** Octets that the application will yet write. */
  supply = Infinity;
  /** Segments that may wait for the narrowest link; those beyond are dropped, and counted. */
  queue = Infinity;
  dropped = 0;
  /** Which segments are lost on the way: asked once for each. */
  lose: (segment: Received) => boolean = () => false;
  /** Segments that an ACK answers, as long as more are on their way. */
  every: number;
  /** The peer echoes congestion. */
  echo = false;
  readonly #timestamps: boolean;
  #arriving: { at: number; segment: Received }[] = [];
  #last = 0;
  #nxt = 1;
  #beyond = new Map<number, number>();
  #acked = 1;
  #sent = 1;

  private constructor(engine: Engine, peer: Peer, connection: Connection, options: PathOptions) {
    this.engine = engine;
    this.peer = peer;
    this.connection = connection;
    this.rtt = options.rtt ?? 100;
    this.gap = options.gap ?? 0;
    this.every = options.every ?? 1;
    this.#timestamps = options.timestamps ?? false;
  }

  static async open(options: PathOptions = {}): Promise<Path> {
    const { rtt = 100, byListener, bySetting, engine: { settings, ...rest } = {} } = options;
    const control = options.control ?? (byListener || bySetting ? undefined : "cubic");
    const engine = await makeEngine({
      memory: 32 * 2 ** 20,
      ...rest,
      settings: {
        tcpWmem: [4096, 16384, 1 << 22],
        tcpEcn: 1,
        ...(bySetting && { tcpCongestionControl: bySetting }),
        ...settings,
      },
    });
    const listener = engine.listen({ port: 80 });
    if (byListener) listener.setOption("congestionControl", byListener);
    const peer = new Peer(engine);
    peer.send({
      flags: options.ecn ? "SEC" : "S",
      options: {
        mss: MSS + (options.timestamps ? 12 : 0),
        ws: WIDE.scale,
        ...(options.sack && { sackPermitted: true }),
        ...(options.timestamps && { ts: [1000, 0] }),
      },
    });
    const synAck = peer.expect({ flags: options.ecn ? "SAE" : "SA" });
    peer.wait(rtt);
    const echo = synAck.options.ts?.[0];
    peer.send({
      seq: 1,
      ack: 1,
      window: WIDE.window,
      ...(echo !== undefined && { options: { ts: [1000 + Math.round(rtt), echo] } }),
    });
    const connection = listener.accept()!;
    if (control) connection.setOption("congestionControl", control);
    return new Path(engine, peer, connection, options);
  }

  get now(): number {
    return this.peer.now;
  }

  get cwnd(): number {
    return this.connection.info().sndCwnd;
  }

  /** Give the engine what the application has, and the path what the engine sends. */
  pump(): void {
    for (;;) {
      const taken =
        this.supply > 0 ? this.connection.write(SUPPLY.subarray(0, Math.min(this.supply, SUPPLY.length))) : 0;
      this.supply -= taken;
      const sent = this.peer.take().filter(({ text }) => text.length > 0);
      for (const segment of sent) {
        this.#sent = Math.max(this.#sent, segment.seq + segment.text.length);
        if (this.lose(segment)) continue;
        const at = Math.max(segment.at + this.rtt, this.#last + this.gap);
        if (at - segment.at - this.rtt > this.queue * this.gap) {
          this.dropped++;
          continue;
        }
        this.#last = at;
        this.#arriving.push({ at: this.#last, segment });
      }
      if (taken === 0 && sent.length === 0) return;
    }
  }

  /** Let time pass until the next ACK; undefined when none comes before `until`. */
  step(until = Infinity): Acked | undefined {
    this.pump();
    // A timer may send something first.
    for (;;) {
      const due = Math.min(this.#arriving[0]?.at ?? Infinity, until);
      const timer = this.engine.nextDeadline() ?? Infinity;
      if (timer >= due) break;
      this.peer.waitUntil(timer);
      this.pump();
    }
    const next = this.#arriving[0];
    if (next === undefined || next.at > until) {
      if (until === Infinity) throw new Error("nothing will ever come");
      this.peer.waitUntil(until);
      return undefined;
    }
    const { segment } = next;
    for (const { segment: arrived } of this.#arriving.splice(0, this.every))
      this.#beyond.set(arrived.seq, arrived.seq + arrived.text.length);
    this.peer.waitUntil(next.at);
    for (let end = this.#beyond.get(this.#nxt); end !== undefined; end = this.#beyond.get(this.#nxt)) {
      this.#beyond.delete(this.#nxt);
      this.#nxt = end;
    }
    const octets = this.#nxt - this.#acked;
    this.#acked = this.#nxt;
    const sent = this.#sent;
    this.peer.send({
      flags: this.echo ? "AE" : "A",
      seq: 1,
      ack: this.#nxt,
      window: WIDE.window,
      ...(this.#timestamps && { options: { ts: [1000 + Math.round(this.now), segment.options.ts![0]] } }),
    });
    this.pump();
    return { octets, ack: this.#nxt, sent, rtt: this.now - segment.at };
  }

  /** Let so many milliseconds pass; `each` sees every ACK. */
  run(duration: number, each?: (acked: Acked) => void): void {
    const end = this.now + duration;
    for (let acked = this.step(end); acked; acked = this.step(end)) each?.(acked);
  }

  /** Let ACKs come until `done`. */
  until(done: () => boolean, limit = 100_000): void {
    for (let i = 0; !done(); i++) {
      if (i > limit) throw new Error(`never came to pass\n${this.peer.tail()}`);
      this.step();
    }
  }
}
