import { add, copySum, swap } from "./checksum.ts";
import { giveBlock, takeSpareBlock, takeStreamBlock } from "./pool.ts";
import { Seq } from "./seq.ts";
import { BLOCK_SHIFT, BLOCK_SIZE } from "./shared/sizes.ts";

/** Entries of a block map: a block full of addresses. */
const MAP_SHIFT: u32 = BLOCK_SHIFT - 2;
const MAP_ENTRIES: u32 = 1 << MAP_SHIFT;
const INLINE_ENTRIES: u32 = 4;
/** Block numbers are sequence numbers shifted right: they wrap here. */
const NUMBER_MASK: u32 = 0xffffffff >> BLOCK_SHIFT;
/** Maps that all block numbers there are fill: entries of a directory, which is a block, too. */
const DIRECTORY_ENTRIES: u32 = 1 << (32 - BLOCK_SHIFT - MAP_SHIFT);
/** Set in `map` when it is a directory; blocks stand at multiples of their size. */
const DIRECTORY: u32 = 1;

/**
 * Text of one direction, addressed by sequence number and stored in blocks of the pool. The block that holds sequence
 * number s is entry (s >> BLOCK_SHIFT) modulo the table's length, so a hole costs nothing and nothing is ever moved.
 * The table is four entries in the TCB and becomes a block of its own, a map, when the live text spans more; when it
 * spans more than a map has entries, it becomes a directory of maps, of which those are there that text stands in.
 *
 * The stream does not know which octets are live: the owner says where live text begins with each call.
 */
@unmanaged
@final
export class Stream {
  private inline0: u32;
  private inline1: u32;
  private inline2: u32;
  private inline3: u32;
  /** Address of the block map, or of the directory and DIRECTORY; 0 while the four entries above serve. */
  private map: u32;
  /** Blocks held, maps not counted. */
  private held: u32;

  /** Where the address of the block for `at` stands; 0 when the map that would have it is not there. */
  @inline private entry(at: Seq): usize {
    const number = at.u32 >>> BLOCK_SHIFT;
    let map = usize(this.map);
    if (!map) return changetype<usize>(this) + ((number & (INLINE_ENTRIES - 1)) << 2);
    if (map & DIRECTORY) {
      map = usize(load<u32>(this.mapOf(number)));
      if (!map) return 0;
    }
    return map + ((number & (MAP_ENTRIES - 1)) << 2);
  }

  /** Where the directory has the map for block `number`. */
  @inline private mapOf(number: u32): usize {
    return usize(this.map - DIRECTORY) + ((number >>> MAP_SHIFT) << 2);
  }

  get blocks(): u32 {
    return this.held;
  }

  /** Address of the octet at `at`, which must be stored. */
  @inline address(at: Seq): usize {
    return usize(load<u32>(this.entry(at))) + (at.u32 & (BLOCK_SIZE - 1));
  }

  /**
   * Where something of fixed size that divides a block is to stand at `at`, with anything in it; 0 when memory has ended.
   * What `put` does, without a copy.
   */
  place(low: Seq, at: Seq): usize {
    return this.reaches(low, at) ? this.octet(at) : 0;
  }

  /** Whether the table has, or comes to have, entries for text from `low` up to and including `last`. */
  @inline private reaches(low: Seq, last: Seq): bool {
    const blocks = Stream.span(low, last);
    if (blocks <= INLINE_ENTRIES) return true;
    if (!this.map && !this.widen(low)) return false;
    return blocks <= MAP_ENTRIES || (this.map & DIRECTORY) != 0 || this.deepen(low);
  }

  /** Address of the octet at `at`, in a block that is taken if need be; 0 when memory has ended. */
  @inline private octet(at: Seq): usize {
    let entry = this.entry(at);
    if (entry == 0) {
      if (!this.enter(at)) return 0;
      entry = this.entry(at);
    }
    let block = usize(load<u32>(entry));
    if (block == 0) {
      block = takeStreamBlock(this.held);
      if (block == 0) return 0;
      store<u32>(entry, u32(block));
      this.held++;
    }
    return block + (at.u32 & (BLOCK_SIZE - 1));
  }

  /** Octets from `at` to the end of its block. */
  @inline static contiguous(at: Seq): u32 {
    return BLOCK_SIZE - (at.u32 & (BLOCK_SIZE - 1));
  }

  /** Blocks touched by text from `low` up to and including `last`. */
  @inline private static span(low: Seq, last: Seq): u32 {
    return (((last.u32 >>> BLOCK_SHIFT) - (low.u32 >>> BLOCK_SHIFT)) & NUMBER_MASK) + 1;
  }

  private widen(low: Seq): bool {
    const map = takeSpareBlock(this.held);
    if (map == 0) return false;
    memory.fill(map, 0, BLOCK_SIZE);
    const first = low.u32 >>> BLOCK_SHIFT;
    for (let i: u32 = 0; i < INLINE_ENTRIES; i++) {
      const from = changetype<usize>(this) + (((first + i) & (INLINE_ENTRIES - 1)) << 2);
      store<u32>(map + (((first + i) & (MAP_ENTRIES - 1)) << 2), load<u32>(from));
      store<u32>(from, 0);
    }
    this.map = u32(map);
    return true;
  }

  /** The map becomes the first of a directory; what has gone round to its beginning goes on in the second. */
  private deepen(low: Seq): bool {
    const directory = takeSpareBlock(this.held);
    if (directory == 0) return false;
    memory.fill(directory, 0, BLOCK_SIZE);
    const map = usize(this.map);
    const first = low.u32 >>> BLOCK_SHIFT;
    const begins = (first & (MAP_ENTRIES - 1)) << 2;
    this.map = u32(directory) | DIRECTORY;
    store<u32>(this.mapOf(first), u32(map));
    if (begins == 0) return true;
    const second = takeSpareBlock(this.held);
    if (second == 0) {
      this.map = u32(map);
      giveBlock(directory);
      return false;
    }
    memory.copy(second, map, begins);
    memory.fill(map, 0, begins);
    memory.fill(second + begins, 0, BLOCK_SIZE - begins);
    store<u32>(this.mapOf((first + MAP_ENTRIES) & NUMBER_MASK), u32(second));
    return true;
  }

  /** Take the map for `at` into the directory. */
  private enter(at: Seq): bool {
    const map = takeSpareBlock(this.held);
    if (map == 0) return false;
    memory.fill(map, 0, BLOCK_SIZE);
    store<u32>(this.mapOf(at.u32 >>> BLOCK_SHIFT), u32(map));
    return true;
  }

  /** Give back the map in the directory at `place`, if no block is in it. */
  private leave(place: usize): void {
    const map = usize(load<u32>(place));
    if (map == 0) return;
    for (let at = map; at < map + BLOCK_SIZE; at += 8) if (load<u64>(at) != 0) return;
    store<u32>(place, 0);
    giveBlock(map);
  }

  /**
   * Store `length` octets from `from` at `at`, where `low` is the lowest live sequence number.
   * Returns how many were stored: fewer when the pool ends.
   */
  put(low: Seq, at: Seq, from: usize, length: u32): u32 {
    if (length == 0) return 0;
    if (!this.reaches(low, at.plus(length - 1))) {
      // What the table there is has entries for.
      const reach: u32 = (this.map ? MAP_ENTRIES : INLINE_ENTRIES) << BLOCK_SHIFT;
      const end = low.u32 - (low.u32 & (BLOCK_SIZE - 1)) + reach;
      const room = end - at.u32;
      if (room > reach) return 0;
      length = min(length, room);
    }
    let done: u32 = 0;
    while (done < length) {
      const position = at.plus(done);
      const to = this.octet(position);
      if (to == 0) break;
      const piece = min(length - done, Stream.contiguous(position));
      memory.copy(to, from + done, piece);
      done += piece;
    }
    return done;
  }

  /**
   * Store as `put` does, all of it, and return the sum over it (checksum.ts); -1 where memory ends before that: then
   * some of it may stand there, which nobody was told of.
   */
  putSum(low: Seq, at: Seq, from: usize, length: u32): i32 {
    if (!this.reaches(low, at.plus(length - 1))) return -1;
    let total: u32 = 0;
    let done: u32 = 0;
    while (done < length) {
      const position = at.plus(done);
      const to = this.octet(position);
      if (to == 0) return -1;
      const piece = min(length - done, Stream.contiguous(position));
      const part = copySum(to, from + done, piece);
      total = add(total, done & 1 ? swap(part) : part);
      done += piece;
    }
    return total;
  }

  /** Copy `length` stored octets at `at` to `to`. */
  get(at: Seq, to: usize, length: u32): void {
    let done: u32 = 0;
    while (done < length) {
      const position = at.plus(done);
      const piece = min(length - done, Stream.contiguous(position));
      memory.copy(to + done, this.address(position), piece);
      done += piece;
    }
  }

  private drop(entry: usize): void {
    const block = load<u32>(entry);
    if (block != 0) {
      store<u32>(entry, 0);
      giveBlock(block);
      this.held--;
    }
  }

  private dropAll(table: usize, entries: u32): void {
    for (let i: u32 = 0; i < entries && this.held; i++) this.drop(table + (i << 2));
  }

  /** Live text began at `from` and begins at `to` now: give back the blocks that lie wholly before it. */
  trim(from: Seq, to: Seq): void {
    let blocks = Stream.span(from, to) - 1;
    let at = from;
    while (blocks-- && (this.held || this.map & DIRECTORY)) {
      const entry = this.entry(at);
      if (entry != 0) this.drop(entry);
      const number = at.u32 >>> BLOCK_SHIFT;
      if ((number & (MAP_ENTRIES - 1)) == MAP_ENTRIES - 1 && this.map & DIRECTORY)
        this.leave(this.mapOf(number));
      at = at.plus(BLOCK_SIZE);
    }
  }

  /** What was live from `from` to `to` is not any more, and nothing else is: give back everything. */
  finish(from: Seq, to: Seq): void {
    this.trim(from, to);
    // One is left at most, where it ends: the whole table need not be looked through for it.
    if (this.held) {
      const entry = this.entry(to);
      if (entry != 0) this.drop(entry);
    }
    this.clear();
  }

  /** Nothing is live any more: give back everything. */
  clear(): void {
    const map = this.map;
    if (map & DIRECTORY) {
      const directory = usize(map - DIRECTORY);
      for (let i: u32 = 0; i < DIRECTORY_ENTRIES; i++) {
        const one = usize(load<u32>(directory + (i << 2)));
        if (one == 0) continue;
        this.dropAll(one, MAP_ENTRIES);
        giveBlock(one);
      }
      giveBlock(directory);
    } else if (map) {
      this.dropAll(usize(map), MAP_ENTRIES);
      giveBlock(usize(map));
    } else this.dropAll(changetype<usize>(this), INLINE_ENTRIES);
    this.map = 0;
  }
}

if (32 - 2 * BLOCK_SHIFT + 4 > BLOCK_SHIFT) ERROR("a directory does not fit a block");
