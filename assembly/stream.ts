import { giveBlock, takeSpareBlock, takeStreamBlock } from "./pool.ts";
import { Seq } from "./seq.ts";
import { BLOCK_SHIFT, BLOCK_SIZE } from "./shared/sizes.ts";

/** Entries of a block map: a block full of addresses. */
const MAP_ENTRIES: u32 = BLOCK_SIZE / 4;
const INLINE_ENTRIES: u32 = 4;
/** Block numbers are sequence numbers shifted right: they wrap here. */
const NUMBER_MASK: u32 = 0xffffffff >> BLOCK_SHIFT;

/**
 * Text of one direction, addressed by sequence number and stored in blocks of the pool. The block that holds sequence
 * number s is entry (s >> BLOCK_SHIFT) modulo the table's length, so a hole costs nothing and nothing is ever moved.
 * The table is four entries in the TCB and becomes a block of its own when the live text spans more.
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
  /** Address of the block map, or 0 while the four entries above serve. */
  private map: u32;
  /** Blocks held, the map not counted. */
  private held: u32;

  @inline private entry(at: Seq): usize {
    const number = at.u32 >>> BLOCK_SHIFT;
    return this.map
      ? usize(this.map) + ((number & (MAP_ENTRIES - 1)) << 2)
      : changetype<usize>(this) + ((number & (INLINE_ENTRIES - 1)) << 2);
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
    if (!this.map && Stream.span(low, at) > INLINE_ENTRIES && !this.widen(low)) return 0;
    if (this.map && Stream.span(low, at) > MAP_ENTRIES) return 0;
    const entry = this.entry(at);
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

  /**
   * Store `length` octets from `from` at `at`, where `low` is the lowest live sequence number.
   * Returns how many were stored: fewer when the pool ends or the span is more than a map holds.
   */
  put(low: Seq, at: Seq, from: usize, length: u32): u32 {
    if (length == 0) return 0;
    if (!this.map && Stream.span(low, at.plus(length - 1)) > INLINE_ENTRIES && !this.widen(low)) {
      const end = low.u32 - (low.u32 & (BLOCK_SIZE - 1)) + INLINE_ENTRIES * BLOCK_SIZE;
      const room = end - at.u32;
      if (room > INLINE_ENTRIES * BLOCK_SIZE) return 0;
      length = min(length, room);
    }
    if (Stream.span(low, at.plus(length - 1)) > MAP_ENTRIES) return 0;
    let done: u32 = 0;
    while (done < length) {
      const position = at.plus(done);
      const entry = this.entry(position);
      let block = usize(load<u32>(entry));
      if (block == 0) {
        block = takeStreamBlock(this.held);
        if (block == 0) break;
        store<u32>(entry, u32(block));
        this.held++;
      }
      const piece = min(length - done, Stream.contiguous(position));
      memory.copy(block + (position.u32 & (BLOCK_SIZE - 1)), from + done, piece);
      done += piece;
    }
    return done;
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

  /** Live text began at `from` and begins at `to` now: give back the blocks that lie wholly before it. */
  trim(from: Seq, to: Seq): void {
    let blocks = Stream.span(from, to) - 1;
    let at = from;
    while (blocks-- && this.held) {
      this.drop(this.entry(at));
      at = at.plus(BLOCK_SIZE);
    }
  }

  /** Nothing is live any more: give back everything. */
  clear(): void {
    const map = usize(this.map);
    const table = map ? map : changetype<usize>(this);
    const entries = map ? MAP_ENTRIES : INLINE_ENTRIES;
    for (let i: u32 = 0; i < entries && this.held; i++) this.drop(table + (i << 2));
    if (map) {
      giveBlock(map);
      this.map = 0;
    }
  }
}
