import {
  CTL_COOKIE_CACHE,
  CTL_EVENTS,
  CTL_RX,
  CTL_RX_MARKS,
  CTL_RX_TABLE,
  CTL_SLOT_COUNT,
  CTL_SLOTS,
  CTL_STAGING,
  CTL_TIMERS,
  CTL_TX,
  CTL_TX_MARKS,
  CTL_TX_TABLE,
  EVENT_SIZE,
} from "./shared/control.ts";
import {
  BLOCK_SIZE,
  COOKIE_CACHE_SETS,
  COOKIE_CACHE_WAYS,
  COOKIE_ENTRY,
  EVENT_ENTRIES,
  REPLIES,
  REPLY_BYTES,
  RX_BYTES,
  RX_PACKETS,
  SLOT_SHIFT,
  SLOT_SIZE,
  STAGING_BYTES,
  STAGING_SLACK,
  TIMER_ENTRIES,
  TX_BYTES,
  TX_PACKETS,
} from "./shared/sizes.ts";
import { TCB_GENERATION, TCB_HASH_NEXT, TCB_SLOT } from "./shared/tcb-layout.ts";

// The memory map above the static data. Slots grow up, blocks grow down, each side keeps what it frees on a list of its
// own (last in, first out, so that what is handed out is still warm), and neither crosses the other.
//
//   __heap_base ┌ receive ring, transmit area, their tables
//               │ events · due timers · staging · replies · cookies of servers
//               │ demux table
//       slots   ├ slot 0, slot 1, …            (SLOT_SIZE each)      grows ↓
//               │
//               ├ … block, block               (BLOCK_SIZE each)     grows ↑
//        end    └

let slots: usize = 0;
let slotsNext: usize = 0;
/** Blocks stay above this line, so that connections can be accepted while buffers are full. */
let slotsReserve: usize = 0;
let blocksFloor: usize = 0;
let freeSlots: usize = 0;
let freeBlocks: usize = 0;
let freeBlockCount: u32 = 0;
let blockTotal: u32 = 0;

export let hashTable: usize = 0;
export let hashMask: u32 = 0;
export let rxArea: usize = 0;
export let rxTable: usize = 0;
export let rxMarks: usize = 0;
export let txArea: usize = 0;
export let txTable: usize = 0;
export let txMarks: usize = 0;
export let eventArea: usize = 0;
export let timerArea: usize = 0;
export let staging: usize = 0;
export let replyRing: usize = 0;
export let cookieCache: usize = 0;

function align(at: usize, to: usize): usize {
  return (at + to - 1) & ~(to - 1);
}

function area(from: usize, octets: usize, address: usize): usize {
  store<u32>(address, u32(from));
  return align(from + octets, 64);
}

/** Lay out `octets` of linear memory and clear what must begin at zero. */
export function layOut(octets: u32): void {
  // Large buffers outside begin a page, or 16 octets into one. AMD's rep movsb, by which libc copies that much, takes
  // twenty times as long when the target lies a few octets beyond the source, modulo a page: so begin far from that.
  let at = align(__heap_base, 4096) + 1024;
  rxArea = at;
  at = area(at, RX_BYTES, CTL_RX);
  rxTable = at;
  at = area(at, RX_PACKETS * 8, CTL_RX_TABLE);
  rxMarks = at;
  at = area(at, RX_PACKETS * 4, CTL_RX_MARKS);
  txArea = at;
  at = area(at, TX_BYTES, CTL_TX);
  txTable = at;
  at = area(at, TX_PACKETS * 8, CTL_TX_TABLE);
  txMarks = at;
  at = area(at, TX_PACKETS * 4, CTL_TX_MARKS);
  eventArea = at;
  at = area(at, EVENT_ENTRIES * EVENT_SIZE, CTL_EVENTS);
  timerArea = at;
  at = area(at, TIMER_ENTRIES * 4, CTL_TIMERS);
  staging = at;
  at = area(at, STAGING_BYTES + STAGING_SLACK, CTL_STAGING);
  replyRing = at;
  at = align(at + REPLIES * REPLY_BYTES, 64);
  cookieCache = at;
  at = area(at, COOKIE_CACHE_SETS * COOKIE_CACHE_WAYS * COOKIE_ENTRY, CTL_COOKIE_CACHE);
  memory.fill(cookieCache, 0, at - cookieCache);

  // One entry for two slots, if the pool were all slots: chains stay short and the table under half a percent.
  let entries: u32 = 256;
  while (entries < octets / (SLOT_SIZE * 2)) entries <<= 1;
  hashTable = at;
  hashMask = entries - 1;
  memory.fill(hashTable, 0, entries * 4);
  at = align(at + entries * 4, SLOT_SIZE);

  slots = at;
  slotsNext = at;
  blocksFloor = octets & ~(BLOCK_SIZE - 1);
  slotsReserve = align(at + (usize(octets) - at) / 16, BLOCK_SIZE);
  blockTotal = u32((blocksFloor - slotsReserve) / BLOCK_SIZE);
  freeSlots = 0;
  freeBlocks = 0;
  freeBlockCount = 0;
  store<u32>(CTL_SLOTS, u32(slots));
  store<u32>(CTL_SLOT_COUNT, u32((blocksFloor - slots) >> SLOT_SHIFT));
}

/** A cleared slot that keeps its index and generation, or 0 when there is none left. */
export function takeSlot(): usize {
  let slot = freeSlots;
  if (slot != 0) {
    freeSlots = load<u32>(slot, TCB_HASH_NEXT);
    const generation = load<u32>(slot, TCB_GENERATION);
    memory.fill(slot, 0, SLOT_SIZE);
    store<u32>(slot, generation, TCB_GENERATION);
  } else {
    slot = slotsNext;
    if (slot + SLOT_SIZE > blocksFloor) return 0;
    slotsNext = slot + SLOT_SIZE;
    // The frontier may have been a block before.
    memory.fill(slot, 0, SLOT_SIZE);
  }
  store<u32>(slot, u32((slot - slots) >> SLOT_SHIFT), TCB_SLOT);
  return slot;
}

/** Give a slot back. Its generation moves on, so that a handle kept somewhere names nothing any more. */
export function giveSlot(slot: usize): void {
  store<u32>(slot, load<u32>(slot, TCB_GENERATION) + 1, TCB_GENERATION);
  store<u32>(slot, u32(freeSlots), TCB_HASH_NEXT);
  freeSlots = slot;
}

/** Address of slot `index`, or 0 when it was never in use. */
export function slotAt(index: u32): usize {
  const slot = slots + (usize(index) << SLOT_SHIFT);
  return index < u32((slotsNext - slots) >> SLOT_SHIFT) ? slot : 0;
}

/** Slots ever in use. */
export function slotsInUse(): u32 {
  return u32((slotsNext - slots) >> SLOT_SHIFT);
}

/** So many slots are in no cache. */
const CROWD: usize = 8192 * SLOT_SIZE;

/** Whether there are more slots than any cache has room for. */
export function isCrowded(): bool {
  return slotsNext - slots > CROWD;
}

/** What was fetched last, kept so that no compiler leaves it out. */
export let fetched: u32 = 0;

/** Ask memory for all lines of a slot together: one by one, as they are wanted, each would be waited for by itself. */
export function fetchSlot(at: usize): void {
  fetched =
    load<u32>(at) ^
    load<u32>(at, 64) ^
    load<u32>(at, 128) ^
    load<u32>(at, 192) ^
    load<u32>(at, 256) ^
    load<u32>(at, 320) ^
    load<u32>(at, 384) ^
    load<u32>(at, 448);
}

/** A block with anything in it, or 0 when memory has ended. */
export function takeBlock(): usize {
  const block = freeBlocks;
  if (block != 0) {
    freeBlocks = load<u32>(block);
    freeBlockCount--;
    return block;
  }
  const limit = slotsNext > slotsReserve ? slotsNext : slotsReserve;
  if (blocksFloor < limit + BLOCK_SIZE) return 0;
  blocksFloor -= BLOCK_SIZE;
  return blocksFloor;
}

/**
 * Blocks that an owner who holds `held` may still take beyond its share. No owner comes to hold more than a quarter of
 * what is left (a dynamic threshold: one alone gets a fifth of the pool), and the last eighth is for shares.
 */
export function spareBlocks(held: u32): u32 {
  const left = blocksLeft();
  const reserve = blockTotal >> 3;
  if (left <= reserve || left <= 4 * held) return 0;
  return min((left - 4 * held) / 5, left - reserve);
}

/** A block beyond the share of an owner who holds `held` already, or 0. */
export function takeSpareBlock(held: u32): usize {
  return spareBlocks(held) ? takeBlock() : 0;
}

/**
 * A block for a stream that holds `held` already, or 0 when it has its share. Whoever holds none gets the very last;
 * a second one, which even a little text can touch, comes out of the last eighth but not of the last sixteenth.
 */
export function takeStreamBlock(held: u32): usize {
  if (held == 0 || (held == 1 && blocksLeft() > blockTotal >> 4)) return takeBlock();
  return takeSpareBlock(held);
}

/** Whether so much is in use that no buffer should grow. */
export function isPressed(): bool {
  return blocksLeft() < blockTotal >> 1;
}

/** Whether so little is left that no new connection should begin: those there are come first. */
export function isExhausted(): bool {
  return blocksLeft() <= blockTotal >> 5;
}

/** Whether there is memory for what a connection can do without, and text still comes and goes. */
export function isPlentiful(): bool {
  return blocksLeft() > 3 * (blockTotal >> 5);
}

let given = false;

/** Whether a block was given back since this was last asked. */
export function takeGiven(): bool {
  const was = given;
  given = false;
  return was;
}

export function giveBlock(block: usize): void {
  given = true;
  store<u32>(block, u32(freeBlocks));
  freeBlocks = block;
  freeBlockCount++;
}

/** Blocks that could be taken now. */
export function blocksLeft(): u32 {
  const limit = slotsNext > slotsReserve ? slotsNext : slotsReserve;
  return freeBlockCount + (blocksFloor > limit ? u32((blocksFloor - limit) / BLOCK_SIZE) : 0);
}

/** Blocks there are when nothing is in use. */
export function blocksTotal(): u32 {
  return blockTotal;
}
