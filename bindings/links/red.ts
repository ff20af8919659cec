import { requireInteger, requireProbability } from "../validate.ts";
import { type Discipline, DROP, HIT, PASS } from "./discipline.ts";
import type { Prng } from "./prng.ts";

/** Random early detection (Floyd and Jacobson 1993), by packets and gentle: the longer the queue on average, the more of
 * what comes is dropped. */
export interface RedOptions {
  kind: "red";
  /** Octets of average queue below which nothing is dropped. Default: a sixth of `queue`, which must
   * then be given. */
  minThreshold?: number;
  /** Octets of average queue at which `maxProbability` is reached. From there to twice as much it goes up to 1, and no
   * packet is marked any more (RFC 3168 §7). Default: half of `queue`. */
  maxThreshold?: number;
  /** Default 0.1. */
  maxProbability?: number;
  /** What a packet adds to the average of how long it found the queue. Above 0; default 0.002. */
  weight?: number;
}

export class Red implements Discipline {
  readonly #least: number;
  readonly #most: number;
  readonly #probability: number;
  readonly #weight: number;
  readonly #packetTime: number;
  readonly #chance: Prng;
  #average = 0;
  /** Packets at risk that have passed since the last hit. */
  #since = 0;

  /**
   * @param queue octets, what thresholds are by default a part of
   * @param packetTime milliseconds that a packet takes the line: while it idles, the average falls as if so many had come
   */
  constructor(options: RedOptions, queue: number, packetTime: number, chance: Prng) {
    const { minThreshold, maxThreshold, maxProbability = 0.1, weight = 0.002 } = options;
    const most = Number.MAX_SAFE_INTEGER;
    this.#least = requireInteger("minThreshold", minThreshold ?? Math.floor(queue / 6), 0, most);
    this.#most = requireInteger("maxThreshold", maxThreshold ?? Math.floor(queue / 2), this.#least + 1, most);
    this.#probability = requireProbability("maxProbability", maxProbability);
    this.#weight = requireProbability("weight", weight, true);
    this.#packetTime = packetTime;
    this.#chance = chance;
  }

  arrives(backlog: number, idle: number): number {
    if (idle > 0) this.#average *= (1 - this.#weight) ** (idle / this.#packetTime);
    this.#average += this.#weight * (backlog - this.#average);
    const p = this.#risk();
    // Hits come evenly spaced rather than in clusters: the next one is as likely at each of 1 / p packets.
    const left = 1 - this.#since * p;
    if (p === 0 || (left > p && !this.#chance.chance(p / left))) {
      this.#since = p === 0 ? 0 : this.#since + 1;
      return PASS;
    }
    this.#since = 0;
    return this.#average < this.#most ? HIT : DROP;
  }

  #risk(): number {
    const average = this.#average;
    const p = this.#probability;
    const least = this.#least;
    const most = this.#most;
    if (average < least) return 0;
    if (average < most) return (p * (average - least)) / (most - least);
    return Math.min(1, p + ((1 - p) * (average - most)) / most);
  }
}
