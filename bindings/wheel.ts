import { SynwaveError } from "./errors.ts";
import { requireInteger } from "./validate.ts";

const DIGIT = 6;
const WIDTH = 1 << DIGIT;
const LEVELS = 6;
/** One bucket past the levels holds whatever lies beyond them: deadlines in another span of 2^36 ticks. */
const BEYOND = LEVELS * WIDTH;
/** Ticks are split into a part that fits 32-bit operators, the five lower digits, and the rest. */
const LOW_SPAN = 2 ** (DIGIT * (LEVELS - 1));

// An entry is a record of 32 octets, half a line of the cache: with a million entries each line that is looked at has to
// come from memory. When it is due, f64; then i32 each: next and previous of its bucket, and its bucket plus one.
const RECORD = 32;
const NEXT = 2;
const PREVIOUS = 3;
const BUCKET = 4;
/** Shifts from a slot to its record, in either view. */
const DOUBLES = 2;
const INTS = 3;

/**
 * A hierarchical timer wheel over typed arrays: one entry per slot, no object per timer, nothing allocated after
 * construction. Ticks are milliseconds; entries keep their exact, fractional times.
 *
 * A tick is read as six digits of base 64. An entry lies on the level of the highest digit in which its tick differs
 * from the wheel's own, in the bucket of its value there:
 *
 *     level 5   4   3   2   1   0
 *     tick  .   .   .   5   0   9     the wheel
 *           .   .   .   5   0  12     level 0, bucket 12: one tick a bucket
 *           .   .   .   5   2   7     level 1, bucket 2:  64 ticks a bucket
 *
 * so everything on a lower level precedes everything on a higher one, buckets of a level ascend in time, and the
 * earliest entry is in the lowest bucket of the lowest level that is not empty. When the wheel's tick reaches a bucket
 * above level 0, its entries move down: at most six times in an entry's life.
 *
 * Entries of equal time leave in the order in which they were last armed.
 */
export class Wheel {
  /** Slots are 0 … capacity - 1. */
  readonly capacity: number;

  /** The records, at zero until they are first armed: memory that nobody has touched is none yet. */
  readonly #doubles: Float64Array;
  readonly #ints: Int32Array;

  readonly #head = new Int32Array(BEYOND + 1).fill(-1);
  readonly #tail = new Int32Array(BEYOND + 1).fill(-1);
  /** Earliest slot of each bucket; -1 when it was removed and nobody has asked since. */
  readonly #first = new Int32Array(BEYOND + 1).fill(-1);
  /** Which buckets hold something: two words a level. */
  readonly #occupied = new Int32Array(LEVELS * 2);
  /** Runs of 2^i entries in the making, for the sort of a bucket. */
  readonly #runs = new Int32Array(32);

  #high: number;
  #low: number;
  #tick: number;
  /** The bucket of the wheel's own tick is in order of time. */
  #ordered = false;
  #size = 0;
  #inspected = 0;

  /**
   * @param capacity slots, at least 1
   * @param now milliseconds; where the wheel begins
   * @throws SynwaveError EINVAL
   */
  constructor(capacity: number, now = 0) {
    requireInteger("capacity", capacity, 1, 0x7fffffff);
    if (!Number.isFinite(now)) throw new SynwaveError("EINVAL", `now must be a finite number, not ${now}`);
    this.capacity = capacity;
    const records = new ArrayBuffer(capacity * RECORD);
    this.#doubles = new Float64Array(records);
    this.#ints = new Int32Array(records);
    this.#tick = Math.floor(now);
    this.#high = Math.floor(this.#tick / LOW_SPAN);
    this.#low = this.#tick - this.#high * LOW_SPAN;
  }

  /** Entries armed. */
  get size(): number {
    return this.#size;
  }

  /** Entries looked at so far to find minima, to move down and to put in order: the wheel's own measure of its work. */
  get inspected(): number {
    return this.#inspected;
  }

  /**
   * Arm `slot` for `when` milliseconds, or move it there. A time that has passed is due at the next `advance`.
   * @throws SynwaveError EINVAL for a slot out of range, NaN or +Infinity
   */
  arm(slot: number, when: number): void {
    this.#check(slot);
    if (!(when < Infinity))
      throw new SynwaveError("EINVAL", `when must be a time in milliseconds, not ${when}`);
    if (this.#isLinked(slot)) this.#unlink(slot);
    else this.#size++;
    this.#doubles[slot << DOUBLES] = when;
    this.#link(slot, when);
  }

  /** Disarm `slot`; nothing happens when it is not armed. */
  cancel(slot: number): void {
    this.#check(slot);
    if (this.#isLinked(slot)) this.#remove(slot);
  }

  isArmed(slot: number): boolean {
    this.#check(slot);
    return this.#isLinked(slot);
  }

  /** Milliseconds; Infinity when `slot` is not armed. */
  when(slot: number): number {
    this.#check(slot);
    return this.#isLinked(slot) ? this.#whenOf(slot) : Infinity;
  }

  /** The slot that is due next, -1 when none is armed. */
  peek(): number {
    const bucket = this.#earliestBucket();
    return bucket < 0 ? -1 : this.#firstOf(bucket);
  }

  /** The time at which the next slot is due, in milliseconds; Infinity when none is armed. */
  earliest(): number {
    const slot = this.peek();
    return slot < 0 ? Infinity : this.#whenOf(slot);
  }

  /**
   * Disarm entries whose time is `now` or earlier and write their slots to `due` in order of time, as many as it holds.
   * @returns how many; call again until it returns 0
   * @throws SynwaveError EINVAL when `now` is not finite or `due` is empty
   */
  advance(now: number, due: Int32Array): number {
    if (!Number.isFinite(now)) throw new SynwaveError("EINVAL", `now must be a finite number, not ${now}`);
    if (due.length === 0) throw new SynwaveError("EINVAL", "due must hold at least one slot, not 0");
    const target = Math.max(Math.floor(now), this.#tick);
    let count = 0;
    while (true) {
      count = this.#drain(now, due, count);
      // What is left in the bucket of this tick is later than `now`, or has to wait for the next call.
      if (this.#tick === target || count === due.length) return count;
      const bucket = this.#earliestBucket();
      const start = bucket < 0 ? Infinity : this.#startOf(bucket);
      // An empty stretch is jumped over: every bucket begins after `target`, so no entry changes its level.
      if (start > target) {
        const sameSpan = bucket !== BEYOND || spanOf(target) === spanOf(this.#tick);
        this.#moveTo(target);
        if (!sameSpan) this.#cascade(BEYOND);
        return count;
      }
      this.#moveTo(start);
      if (bucket >= WIDTH) this.#cascade(bucket);
    }
  }

  #isLinked(slot: number): boolean {
    return this.#ints[(slot << INTS) + BUCKET] !== 0;
  }

  #whenOf(slot: number): number {
    return this.#doubles[slot << DOUBLES]!;
  }

  #nextOf(slot: number): number {
    return this.#ints[(slot << INTS) + NEXT]!;
  }

  #setNext(slot: number, next: number): void {
    this.#ints[(slot << INTS) + NEXT] = next;
  }

  #setPrevious(slot: number, previous: number): void {
    this.#ints[(slot << INTS) + PREVIOUS] = previous;
  }

  #check(slot: number): void {
    requireInteger("slot", slot, 0, this.capacity - 1);
  }

  #moveTo(tick: number): void {
    if (tick === this.#tick) return;
    this.#tick = tick;
    this.#high = Math.floor(tick / LOW_SPAN);
    this.#low = tick - this.#high * LOW_SPAN;
    this.#ordered = false;
  }

  #link(slot: number, when: number): void {
    let tick = Math.floor(when);
    if (tick < this.#tick) tick = this.#tick;
    const high = Math.floor(tick / LOW_SPAN);
    let bucket: number;
    if (high === this.#high) {
      const low = tick - high * LOW_SPAN;
      const differ = low ^ this.#low;
      const level = differ === 0 ? 0 : ((31 - Math.clz32(differ)) / DIGIT) | 0;
      bucket = level * WIDTH + ((low >>> (level * DIGIT)) & (WIDTH - 1));
    } else if (Math.floor(high / WIDTH) === Math.floor(this.#high / WIDTH)) {
      bucket = BEYOND - WIDTH + (high & (WIDTH - 1));
    } else {
      bucket = BEYOND;
    }

    const tail = this.#tail[bucket]!;
    this.#ints[(slot << INTS) + BUCKET] = bucket + 1;
    this.#setPrevious(slot, tail);
    this.#setNext(slot, -1);
    this.#tail[bucket] = slot;
    if (tail < 0) {
      this.#head[bucket] = slot;
      this.#first[bucket] = slot;
      if (bucket !== BEYOND) this.#occupied[bucket >> 5]! |= 1 << (bucket & 31);
      return;
    }
    this.#setNext(tail, slot);
    const first = this.#first[bucket]!;
    if (first >= 0 && when < this.#whenOf(first)) this.#first[bucket] = slot;
    if (when < this.#whenOf(tail) && bucket === (this.#low & (WIDTH - 1))) this.#ordered = false;
  }

  #unlink(slot: number): void {
    const at = slot << INTS;
    const bucket = this.#ints[at + BUCKET]! - 1;
    const next = this.#ints[at + NEXT]!;
    const previous = this.#ints[at + PREVIOUS]!;
    if (previous < 0) this.#head[bucket] = next;
    else this.#setNext(previous, next);
    if (next < 0) this.#tail[bucket] = previous;
    else this.#setPrevious(next, previous);
    if (this.#first[bucket] === slot) this.#first[bucket] = -1;
    if (this.#head[bucket]! < 0) this.#emptied(bucket);
  }

  #emptied(bucket: number): void {
    this.#first[bucket] = -1;
    if (bucket !== BEYOND) this.#occupied[bucket >> 5]! &= ~(1 << (bucket & 31));
  }

  #remove(slot: number): void {
    this.#unlink(slot);
    this.#ints[(slot << INTS) + BUCKET] = 0;
    this.#size--;
  }

  #earliestBucket(): number {
    if (this.#size === 0) return -1;
    for (let word = 0; word < LEVELS * 2; word++) {
      const bits = this.#occupied[word]!;
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
    }
    return BEYOND;
  }

  #firstOf(bucket: number): number {
    let first = this.#first[bucket]!;
    if (first >= 0) return first;
    first = this.#head[bucket]!;
    this.#inspected++;
    for (let slot = this.#nextOf(first); slot >= 0; slot = this.#nextOf(slot)) {
      this.#inspected++;
      if (this.#whenOf(slot) < this.#whenOf(first)) first = slot;
    }
    this.#first[bucket] = first;
    return first;
  }

  /** The first tick of a bucket. */
  #startOf(bucket: number): number {
    // Nothing precedes the entries beyond the levels, so the wheel may go straight to the first of them.
    if (bucket === BEYOND) return Math.floor(this.#whenOf(this.#firstOf(BEYOND)));
    const level = bucket >> DIGIT;
    const digit = bucket & (WIDTH - 1);
    if (level === LEVELS - 1) return (Math.floor(this.#high / WIDTH) * WIDTH + digit) * LOW_SPAN;
    const shift = level * DIGIT;
    const above = (this.#low >>> (shift + DIGIT)) << (shift + DIGIT);
    return this.#high * LOW_SPAN + above + (digit << shift);
  }

  /** Deal the entries of a bucket out anew, in their order, from where the wheel stands now. */
  #cascade(bucket: number): void {
    let slot = this.#head[bucket]!;
    this.#head[bucket] = -1;
    this.#tail[bucket] = -1;
    this.#emptied(bucket);
    while (slot >= 0) {
      const next = this.#nextOf(slot);
      this.#inspected++;
      this.#link(slot, this.#whenOf(slot));
      slot = next;
    }
  }

  /** Take what is due from the bucket of the wheel's own tick; returns the new count. */
  #drain(now: number, due: Int32Array, count: number): number {
    const bucket = this.#low & (WIDTH - 1);
    if (this.#head[bucket]! < 0) return count;
    if (!this.#ordered) {
      if (this.#whenOf(this.#firstOf(bucket)) > now) return count;
      this.#sort(bucket);
    }
    let slot = this.#head[bucket]!;
    while (slot >= 0 && count < due.length && this.#whenOf(slot) <= now) {
      const next = this.#nextOf(slot);
      due[count++] = slot;
      this.#remove(slot);
      slot = next;
    }
    if (slot >= 0) this.#first[bucket] = slot;
    return count;
  }

  /** Order a bucket by time: a stable merge sort of its list, linear when it is in order already. */
  #sort(bucket: number): void {
    const runs = this.#runs.fill(-1);
    let slot = this.#head[bucket]!;
    while (slot >= 0) {
      let run = slot;
      let end = slot;
      this.#inspected++;
      slot = this.#nextOf(end);
      while (slot >= 0 && this.#whenOf(slot) >= this.#whenOf(end)) {
        end = slot;
        slot = this.#nextOf(end);
        this.#inspected++;
      }
      this.#setNext(end, -1);
      let i = 0;
      for (; runs[i]! >= 0; i++) {
        run = this.#merge(runs[i]!, run);
        runs[i] = -1;
      }
      runs[i] = run;
    }
    let sorted = -1;
    for (let i = 0; i < runs.length; i++) if (runs[i]! >= 0) sorted = this.#merge(runs[i]!, sorted);

    this.#head[bucket] = sorted;
    this.#first[bucket] = sorted;
    let previous = -1;
    for (let at = sorted; at >= 0; at = this.#nextOf(at)) {
      this.#setPrevious(at, previous);
      previous = at;
    }
    this.#tail[bucket] = previous;
    this.#ordered = true;
  }

  /** Merge two lists that end in -1; of equal times, `a`'s come first. Returns the head. */
  #merge(a: number, b: number): number {
    let head = -1;
    let tail = -1;
    while (a >= 0 && b >= 0) {
      this.#inspected++;
      let taken: number;
      if (this.#whenOf(b) < this.#whenOf(a)) {
        taken = b;
        b = this.#nextOf(b);
      } else {
        taken = a;
        a = this.#nextOf(a);
      }
      if (tail < 0) head = taken;
      else this.#setNext(tail, taken);
      tail = taken;
    }
    const rest = a >= 0 ? a : b;
    if (tail < 0) return rest;
    this.#setNext(tail, rest);
    return head;
  }
}

/** Number of the span of 2^36 ticks in which a tick lies. */
function spanOf(tick: number): number {
  return Math.floor(tick / (LOW_SPAN * WIDTH));
}
