import { requireProbability } from "../validate.ts";
import type { Prng } from "./prng.ts";

/** Loss in bursts (Gilbert 1960, Elliott 1963): a good and a bad state, of which every packet may begin the other. Bad
 * times last for 1 / `badToGood` packets on average, and are `goodToBad` / (`goodToBad` + `badToGood`) of all. */
export interface GilbertElliott {
  /** Probability that a packet begins a bad time. */
  goodToBad: number;
  /** Probability that a packet ends one. */
  badToGood: number;
  /** Probability that a packet vanishes in good times. Default 0. */
  lossGood?: number;
  /** Probability that a packet vanishes in bad times. Default 1. */
  lossBad?: number;
}

export class Loss {
  readonly #chance: Prng;
  readonly #loss: readonly [good: number, bad: number];
  readonly #change: readonly [good: number, bad: number];
  #state = 0;

  constructor(loss: number | GilbertElliott, chance: Prng) {
    this.#chance = chance;
    if (typeof loss === "object" && loss !== null) {
      this.#loss = [
        requireProbability("lossGood", loss.lossGood ?? 0),
        requireProbability("lossBad", loss.lossBad ?? 1),
      ];
      this.#change = [
        requireProbability("goodToBad", loss.goodToBad),
        requireProbability("badToGood", loss.badToGood),
      ];
    } else {
      this.#loss = [requireProbability("loss", loss), 0];
      this.#change = [0, 0];
    }
  }

  /** Whether the next packet vanishes. */
  hits(): boolean {
    if (this.#chance.chance(this.#change[this.#state])) this.#state ^= 1;
    return this.#chance.chance(this.#loss[this.#state]);
  }
}
