import { requireTime } from "../validate.ts";
import type { Discipline } from "./discipline.ts";

/** Controlled delay (RFC 8289): what has waited too long, for too long, makes room ever more often. */
export interface CodelOptions {
  kind: "codel";
  /** Milliseconds a packet may wait, for as long as may be. Above 0; default 5. */
  target?: number;
  /** Milliseconds for which waits must exceed `target` before the first drop: about the longest round trip to be expected.
   * Above 0; default 100. */
  interval?: number;
}

/** Dropping again within so many intervals goes on at the pace that was reached (RFC 8289 §5.5). */
const SOON = 16;

export class Codel implements Discipline {
  readonly #target: number;
  readonly #interval: number;
  readonly #mtu: number;
  /** When waits will have been too long for a whole interval; undefined while they are not. */
  #aboveUntil: number | undefined;
  #dropping = false;
  #next = 0;
  #count = 0;
  /** `#count` when dropping last began. */
  #began = 0;
  /** The last hit has not moved `#next` yet: it does when the packet behind it proves late as well. */
  #due = false;

  /** @param mtu octets: one packet of this size is no queue */
  constructor({ target = 5, interval = 100 }: CodelOptions, mtu: number) {
    this.#target = requireTime("target", target, undefined, true);
    this.#interval = requireTime("interval", interval, undefined, true);
    this.#mtu = mtu;
  }

  /**
   * Whether the packet that is next for the line is to be dropped, or marked.
   * @param waited milliseconds since it came
   * @param backlog octets behind it
   */
  leaves(now: number, waited: number, backlog: number): boolean {
    const late = this.#late(now, waited, backlog);
    if (this.#dropping) {
      this.#dropping = late;
      if (!late) return false;
      if (this.#due) this.#next += this.#interval / Math.sqrt(this.#count);
      this.#due = now >= this.#next;
      if (this.#due) this.#count++;
      return this.#due;
    }
    if (!late) return false;
    const gained = this.#count - this.#began;
    this.#count = gained > 1 && now - this.#next < SOON * this.#interval ? gained : 1;
    this.#began = this.#count;
    this.#next = now + this.#interval / Math.sqrt(this.#count);
    this.#due = false;
    this.#dropping = true;
    return true;
  }

  #late(now: number, waited: number, backlog: number): boolean {
    if (waited < this.#target || backlog <= this.#mtu) {
      this.#aboveUntil = undefined;
      return false;
    }
    this.#aboveUntil ??= now + this.#interval;
    return now >= this.#aboveUntil;
  }
}
