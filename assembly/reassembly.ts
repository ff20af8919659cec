import { giveBlock, takeSpareBlock } from "./pool.ts";
import { Seq } from "./seq.ts";
import { BLOCK_SIZE } from "./shared/sizes.ts";

/** Most runs held: what one block has room for, besides those told of last and the one being inserted. A peer that makes more holes has its newest text dropped. */
export const RUNS_MAX: u32 = BLOCK_SIZE / 8 - 3;

/** Runs whose turn to be told of is known: as many as a SACK option has blocks. They stand at the end of the block. */
const RECENT_MAX: u32 = 4;
const RECENT: usize = BLOCK_SIZE - 4 * RECENT_MAX;

let overlapFrom: Seq = Seq.of(0);

/**
 * The runs of text received beyond RCV.NXT: disjoint, not adjacent, ascending intervals [start, end) in a block that is
 * taken with the first hole and given back with the last. Bounded, found by binary search, moved by memory.copy.
 */
@unmanaged
@final
export class Reassembly {
  private block: u32;
  private held: u32;
  /** How many of the runs that changed last are known. */
  private known: u32;

  get count(): u32 {
    return this.held;
  }

  /** A sequence number within the run that changed last but `turn`. */
  private touched(turn: u32): Seq {
    return Seq.of(load<u32>(usize(this.block) + RECENT + (turn << 2)));
  }

  /** Index of the run that changed last but `turn`, then of those nobody knows that of, each once. */
  recent(base: Seq, turn: u32): u32 {
    let seen: u32 = 0;
    for (let i: u32 = 0; i < this.known; i++) {
      const index = this.find(base, this.touched(i).plus(1));
      if (this.isRepeated(base, i, index)) continue;
      if (seen++ == turn) return index;
    }
    for (let index: u32 = 0; index < this.held; index++) {
      if (this.isRepeated(base, this.known, index)) continue;
      if (seen++ == turn) return index;
    }
    assert(false);
    return 0;
  }

  /** Whether one of the first `turns` that changed is the run `index`: runs merge. */
  private isRepeated(base: Seq, turns: u32, index: u32): bool {
    for (let i: u32 = 0; i < turns; i++) if (this.find(base, this.touched(i).plus(1)) == index) return true;
    return false;
  }

  /** The run that holds `at` has changed, or come again. */
  touch(base: Seq, at: Seq): void {
    const list = usize(this.block) + RECENT;
    const index = this.find(base, at.plus(1));
    // Take out what names the same run, so that four names stand for four runs.
    let kept: u32 = 0;
    for (let i: u32 = 0; i < this.known; i++) {
      const other = this.touched(i);
      if (this.find(base, other.plus(1)) != index) store<u32>(list + (kept++ << 2), other.u32);
    }
    kept = min(kept, RECENT_MAX - 1);
    memory.copy(list + 4, list, kept << 2);
    store<u32>(list, at.u32);
    this.known = kept + 1;
  }

  @inline private run(index: u32): usize {
    return usize(this.block) + (index << 3);
  }

  @inline start(index: u32): Seq {
    return Seq.of(load<u32>(this.run(index)));
  }

  @inline end(index: u32): Seq {
    return Seq.of(load<u32>(this.run(index), 4));
  }

  /** Index of the first run that ends at or after `at`. */
  private find(base: Seq, at: Seq): u32 {
    const key = at.since(base);
    let low: u32 = 0;
    let high = this.held;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.end(middle).since(base) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether `insert` is certain to succeed; asked before text is stored. */
  hasRoom(): bool {
    if (this.block == 0) {
      const block = takeSpareBlock(0);
      if (block == 0) return false;
      this.block = u32(block);
    }
    return this.held < RUNS_MAX;
  }

  /** Enter [start, end), both beyond `base` (RCV.NXT), merging with what it touches. `hasRoom` must have said yes. */
  insert(base: Seq, start: Seq, end: Seq): void {
    assert(this.block != 0 && this.held < RUNS_MAX);
    const first = this.find(base, start);
    let past = first;
    while (past < this.held && this.start(past).since(base) <= end.since(base)) past++;
    if (past > first) {
      if (this.start(first) < start) start = this.start(first);
      if (this.end(past - 1) > end) end = this.end(past - 1);
    }
    const to = first + 1;
    if (to != past) {
      memory.copy(this.run(to), this.run(past), (this.held - past) << 3);
      this.held = this.held + to - past;
    }
    store<u32>(this.run(first), start.u32);
    store<u32>(this.run(first), end.u32, 4);
    this.touch(base, start);
  }

  /** Whether every octet of [start, end) is held already. */
  covers(base: Seq, start: Seq, end: Seq): bool {
    if (this.held == 0) return false;
    const index = this.find(base, start);
    return (
      index < this.held &&
      this.start(index).since(base) <= start.since(base) &&
      this.end(index).since(base) >= end.since(base)
    );
  }

  /** Octets of [start, end) that the first run it meets holds already; they begin at `overlapStart`. */
  overlap(base: Seq, start: Seq, end: Seq): u32 {
    const index = this.find(base, start.plus(1));
    if (index == this.held || this.start(index).since(base) >= end.since(base)) return 0;
    overlapFrom = this.start(index) > start ? this.start(index) : start;
    const to = this.end(index) < end ? this.end(index) : end;
    return to.since(overlapFrom);
  }

  get overlapStart(): Seq {
    return overlapFrom;
  }

  /** RCV.NXT has reached `next`: take out the runs it has met and return where text is contiguous to. */
  take(base: Seq, next: Seq): Seq {
    let met: u32 = 0;
    while (met < this.held && this.start(met).since(base) <= next.since(base)) {
      if (this.end(met).since(base) > next.since(base)) next = this.end(met);
      met++;
    }
    if (met != 0) {
      // What has become contiguous is no run any more.
      const list = usize(this.block) + RECENT;
      let kept: u32 = 0;
      for (let i: u32 = 0; i < this.known; i++) {
        const at = this.touched(i);
        if (this.find(base, at.plus(1)) >= met) store<u32>(list + (kept++ << 2), at.u32);
      }
      this.known = kept;
      this.held -= met;
      memory.copy(this.run(0), this.run(met), this.held << 3);
    }
    if (this.held == 0) this.clear();
    return next;
  }

  clear(): void {
    if (this.block != 0) giveBlock(usize(this.block));
    this.block = 0;
    this.held = 0;
    this.known = 0;
  }
}
