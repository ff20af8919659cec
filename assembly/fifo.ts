import { giveBlock, takeStreamBlock } from "./pool.ts";
import { BLOCK_SIZE } from "./shared/sizes.ts";

/** A block begins with the address of the next one; records stand on 8-octet boundaries behind it. */
const START: u32 = 8;
const ROOM: u32 = BLOCK_SIZE - START;

/**
 * Records of octets, first in, first out, in a chain of blocks of the pool: datagrams that wait to be sent or read. A
 * record may straddle blocks; its first eight octets never do, for every record takes up a multiple of eight.
 */
@unmanaged
@final
export class Fifo {
  private head: u32;
  private tail: u32;
  /** Where in the head block the next record is read, and in the tail block the next one is written. */
  private from: u32;
  private to: u32;
  private held: u32;
  /** Octets of all records, padding included. */
  octets: u32;

  @inline static at(address: usize): Fifo {
    return changetype<Fifo>(address);
  }

  /** Make sure that a record of `length` octets can be put. False, and nothing changed, when memory has ended. */
  reserve(length: u32): bool {
    let last = usize(this.tail);
    let room: u32 = last ? BLOCK_SIZE - this.to : 0;
    // Blocks that the last record was given and did not come to use.
    while (last && load<u32>(last)) {
      last = usize(load<u32>(last));
      room += ROOM;
    }
    const before = last;
    while (room < length + 7) {
      const block = takeStreamBlock(this.held);
      if (block == 0) {
        this.shorten(before);
        return false;
      }
      store<u32>(block, 0);
      if (last) store<u32>(last, u32(block));
      else this.begin(u32(block));
      last = block;
      this.held++;
      room += ROOM;
    }
    return true;
  }

  private begin(block: u32): void {
    this.head = block;
    this.tail = block;
    this.from = START;
    this.to = START;
  }

  /** Give back the blocks behind `last`; all of them when there was none. */
  private shorten(last: usize): void {
    let block = usize(last ? load<u32>(last) : this.head);
    if (last) store<u32>(last, 0);
    else {
      this.head = 0;
      this.tail = 0;
    }
    while (block) {
      const next = usize(load<u32>(block));
      giveBlock(block);
      this.held--;
      block = next;
    }
  }

  /** Write `length` octets of the record room was reserved for. */
  put(from: usize, length: u32): void {
    this.octets += length;
    while (length) {
      if (this.to == BLOCK_SIZE) {
        this.tail = load<u32>(usize(this.tail));
        this.to = START;
      }
      const piece = min(length, BLOCK_SIZE - this.to);
      memory.copy(usize(this.tail) + this.to, from, piece);
      this.to += piece;
      from += piece;
      length -= piece;
    }
  }

  /** The record written is complete. */
  end(): void {
    const padding = (8 - (this.to & 7)) & 7;
    this.to += padding;
    this.octets += padding;
  }

  /** Where the first eight octets of the next record stand; there must be one. */
  next(): usize {
    if (this.from == BLOCK_SIZE) this.leaveBlock();
    return usize(this.head) + this.from;
  }

  private leaveBlock(): void {
    const block = usize(this.head);
    this.head = load<u32>(block);
    this.from = START;
    this.held--;
    giveBlock(block);
  }

  /** Read `length` octets on: to `to`, or past them when that is 0. */
  take(to: usize, length: u32): void {
    this.octets -= length;
    while (length) {
      if (this.from == BLOCK_SIZE) this.leaveBlock();
      const piece = min(length, BLOCK_SIZE - this.from);
      if (to) {
        memory.copy(to, usize(this.head) + this.from, piece);
        to += piece;
      }
      this.from += piece;
      length -= piece;
    }
  }

  /** The record read is done with. */
  done(): void {
    const padding = (8 - (this.from & 7)) & 7;
    this.from += padding;
    this.octets -= padding;
    if (this.octets == 0) this.clear();
  }

  clear(): void {
    this.octets = 0;
    this.shorten(0);
  }
}
