import { giveBlock, takeSpareBlock } from "./pool.ts";
import { Seq } from "./seq.ts";
import { BLOCK_SIZE } from "./shared/sizes.ts";

/** Most runs held: what one block has room for. A peer that makes more holes has its newest text dropped. */
export const RUNS_MAX: u32 = BLOCK_SIZE / 8 - 1;

/**
 * The runs of text received beyond RCV.NXT: disjoint, not adjacent, ascending intervals [start, end) in a block that is
 * taken with the first hole and given back with the last. Bounded, found by binary search, moved by memory.copy.
 */
@unmanaged
@final
export class Reassembly {
  private block: u32;
  private held: u32;
  /** Where the run that changed last starts (RFC 2018 §4: it goes first). */
  private newest: Seq;

  get count(): u32 {
    return this.held;
  }

  get latest(): Seq {
    return this.newest;
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
    this.newest = start;
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

  /** RCV.NXT has reached `next`: take out the runs it has met and return where text is contiguous to. */
  take(base: Seq, next: Seq): Seq {
    let met: u32 = 0;
    while (met < this.held && this.start(met).since(base) <= next.since(base)) {
      if (this.end(met).since(base) > next.since(base)) next = this.end(met);
      met++;
    }
    if (met != 0) {
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
  }
}
