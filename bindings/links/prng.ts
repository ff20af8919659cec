import { requireInteger } from "../validate.ts";

/** xoshiro128** 1.1 (Blackman and Vigna), its state spread from a number by the finalizer of MurmurHash3. */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /**
   * @param seed integer from 0 to 2^53 - 1
   * @throws SynwaveError EINVAL for any other
   */
  constructor(seed: number) {
    requireInteger("seed", seed, 0, Number.MAX_SAFE_INTEGER);
    const high = Math.floor(seed / 2 ** 32);
    let state = (seed | 0) ^ Math.imul(high, 0x85ebca6b);
    const word = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = state ^ (state >>> 16);
      z = Math.imul(z, 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return z ^ (z >>> 16);
    };
    this.#a = word();
    this.#b = word() ^ high;
    this.#c = word();
    // An all-zero state would stay zero.
    this.#d = word() | 1;
  }

  /** Uniform over 0 … 2^32 - 1. */
  next(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** Uniform over [0, 1), in steps of 2^-32. */
  fraction(): number {
    return this.next() * 2 ** -32;
  }

  /** True with probability `p`; draws nothing when the answer is certain to be false. */
  chance(p: number): boolean {
    return p > 0 && this.fraction() < p;
  }

  /** Uniform over 0 … `n` - 1. */
  below(n: number): number {
    return Math.floor(this.fraction() * n);
  }
}
