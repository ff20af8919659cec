import type { Engine, EngineEvent } from "../../bindings/types.ts";
import { type Packet, parse } from "./packet.ts";
import { random } from "./random.ts";
import { line } from "./trace.ts";

/** What becomes of a packet: nothing, or deliveries after so many milliseconds, each perhaps with other octets. */
export type Fate = { after: number; octets?: Uint8Array }[];

/** A packet on its way, as a rule sees it. */
export interface Sighting {
  /** Which end sent it. */
  from: "a" | "b";
  packet: Packet;
  octets: Uint8Array;
  /** How many this end sent before it. */
  index: number;
  /** How many segments with text or FIN this end sent before it. */
  dataIndex: number;
  now: number;
}

/** undefined = pass. */
export type Rule = (sighting: Sighting) => Fate | undefined;

export const drop: Fate = [];

export interface Chances {
  loss?: number;
  duplicate?: number;
  /** Delayed by up to `jitter` more, so that later ones overtake it. */
  reorder?: number;
  corrupt?: number;
  /** Milliseconds. */
  delay?: number;
  jitter?: number;
}

/** Faults by chance, the same for the same seed. */
export function chance(seed: number, chances: Chances): Rule {
  const next = random(seed);
  const delay = chances.delay ?? 10;
  const jitter = chances.jitter ?? 3 * delay;
  return ({ octets }) => {
    if (next() < (chances.loss ?? 0)) return drop;
    const fate: Fate = [{ after: delay }];
    if (next() < (chances.reorder ?? 0)) fate[0]!.after += next() * jitter;
    if (next() < (chances.duplicate ?? 0)) fate.push({ after: delay + next() * jitter });
    if (next() < (chances.corrupt ?? 0)) {
      const damaged = octets.slice();
      damaged[Math.floor(next() * damaged.length)]! ^= 1 << Math.floor(next() * 8);
      fate[0]!.octets = damaged;
    }
    return fate;
  };
}

interface Flight {
  at: number;
  order: number;
  to: "a" | "b";
  octets: Uint8Array;
}

/** Two engines, a line between them and a virtual clock. */
export class Wire {
  now = 0;
  /** Milliseconds one way, for packets that pass. */
  delay = 10;
  rule: Rule = () => undefined;
  /** Runs after everything that happens; reads and writes of the tests' applications go here. */
  app: () => void = () => {};
  readonly a: Engine;
  readonly b: Engine;
  readonly events: { a: EngineEvent[]; b: EngineEvent[] } = { a: [], b: [] };
  /** All packets sent, whatever became of them. */
  readonly seen: Sighting[] = [];
  readonly trace: string[] = [];
  /** Keep `seen` and `trace`; long transfers need neither. */
  record = true;

  #flights: Flight[] = [];
  #order = 0;
  readonly #counts = { a: 0, b: 0 };
  readonly #dataCounts = { a: 0, b: 0 };
  #idle = 0;

  constructor(a: Engine, b: Engine) {
    this.a = a;
    this.b = b;
  }

  /** Let the applications act and put on the line what the engines have to send. */
  flush(): void {
    for (let busy = true; busy; ) {
      this.#poll();
      this.app();
      const sent = this.#collect("a") + this.#collect("b");
      busy = this.#poll() || sent > 0;
    }
  }

  /** Let time pass until the condition holds. Throws when nothing is left to happen, or time is up. */
  until(condition: () => boolean, limit = 600_000): void {
    const end = this.now + limit;
    this.flush();
    while (!condition()) {
      const next = this.#next();
      if (next === Infinity) throw new Error(`nothing more happens at ${this.now} ms\n${this.tail()}`);
      if (next > end) throw new Error(`not within ${limit} ms\n${this.tail()}`);
      this.#step(next);
    }
  }

  /** Let so many milliseconds pass. */
  run(duration: number): void {
    const end = this.now + duration;
    this.flush();
    for (let next = this.#next(); next <= end; next = this.#next()) this.#step(next);
    this.now = end;
  }

  /** The end of the trace. */
  tail(lines = 40): string {
    return this.trace.slice(-lines).join("\n");
  }

  #next(): number {
    let next = this.#flights[0]?.at ?? Infinity;
    for (const engine of [this.a, this.b]) next = Math.min(next, engine.nextDeadline() ?? Infinity);
    return Math.max(next, this.now);
  }

  #step(next: number): void {
    this.#idle = next === this.now ? this.#idle + 1 : 0;
    if (this.#idle > 10_000) throw new Error(`time stands still at ${this.now} ms\n${this.tail()}`);
    this.now = next;
    for (const end of ["a", "b"] as const) {
      const arrived = this.#flights.filter((flight) => flight.to === end && flight.at <= next);
      if (arrived.length > 0)
        this[end].receive(
          arrived.map((flight) => flight.octets),
          next,
        );
      this[end].advance(next);
    }
    this.#flights = this.#flights.filter((flight) => flight.at > next);
    this.flush();
  }

  /** Whether there was news. */
  #poll(): boolean {
    let news = false;
    for (const end of ["a", "b"] as const)
      for (const event of this[end].poll()) {
        this.events[end].push(event);
        news = true;
      }
    return news;
  }

  #collect(from: "a" | "b"): number {
    const packets = this[from].transmit(this.now);
    for (const octets of packets) {
      const packet = parse(octets);
      const sighting: Sighting = {
        from,
        packet,
        octets,
        index: this.#counts[from]++,
        dataIndex: this.#dataCounts[from],
        now: this.now,
      };
      if (packet.text.length > 0 || packet.flags.includes("F")) this.#dataCounts[from]++;
      const fate = this.rule(sighting) ?? [{ after: this.delay }];
      if (this.record) {
        this.seen.push(sighting);
        const became = fate
          .map(({ after, octets }) => `${octets ? "damaged " : ""}+${after.toFixed(1)}`)
          .join(", ");
        this.trace.push(`${line(this.now, from, packet)} ${became || "dropped"}`);
      }
      for (const { after, octets: changed } of fate)
        this.#flights.push({
          at: this.now + after,
          order: this.#order++,
          to: from === "a" ? "b" : "a",
          octets: changed ?? octets,
        });
    }
    if (packets.length > 0) this.#flights.sort((x, y) => x.at - y.at || x.order - y.order);
    return packets.length;
  }
}
