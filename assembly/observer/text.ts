import { eventArea, staging } from "../pool.ts";
import { RUNS_MAX } from "../reassembly.ts";
import { Seq } from "../seq.ts";
import {
  READ_GAP,
  READ_NOTHING,
  READ_TEXT,
  READING_ADDRESS,
  READING_LENGTH,
} from "../shared/observer-layout.ts";
import { OBSERVED_MAX, STAGING_BYTES } from "../shared/sizes.ts";
import { enterHolders, leaveHolders, oldestHolder } from "./ages.ts";
import { ACKED, Direction, FIN_SEEN, SYNCED } from "./conversation.ts";

// Text in order out of segments that are not. Each function takes one step and says what it has found to tell, so that
// memory has to hold nothing but what lies beyond a hole.

/** The captured text of the segment under way. */
let segmentSeq: Seq = Seq.of(0);
let segmentText: usize = 0;
let segmentLength: u32 = 0;
/** Octets of text it had on the wire. */
let segmentStated: u32 = 0;
/** Octets of it that were not there before. */
let fresh: u32 = 0;

export function takeText(seq: Seq, text: usize, length: u32, stated: u32): void {
  segmentSeq = seq;
  segmentText = text;
  segmentLength = length;
  segmentStated = stated;
  fresh = 0;
  unread = true;
}

function advance(d: Direction, octets: u32): void {
  const from = d.next;
  d.next = from.plus(octets);
  d.stream.trim(from, d.next);
  if (d.ready < d.next) d.ready = d.runs.count ? d.runs.take(from, d.next) : d.next;
}

function tellText(d: Direction, address: usize, length: u32): u32 {
  store<u32>(eventArea, u32(address), READING_ADDRESS);
  store<u32>(eventArea, length, READING_LENGTH);
  d.text += f64(length);
  advance(d, length);
  return READ_TEXT;
}

function tellGap(d: Direction, to: Seq): u32 {
  const length = to.since(d.next);
  store<u32>(eventArea, length, READING_LENGTH);
  d.gaps += 1;
  d.missing += f64(length);
  advance(d, length);
  return READ_GAP;
}

/**
 * What can be told of the text held: what has become contiguous, and holes the other side has acknowledged text
 * beyond, for they will not be filled; all holes when `all`.
 */
export function readHeld(d: Direction, all: bool): u32 {
  if (d.ready != d.next) {
    const length = min<u32>(d.ready.since(d.next), STAGING_BYTES);
    // A copy, for the blocks it lay in may serve somebody else before it is read.
    d.stream.get(d.next, staging, length);
    return tellText(d, staging, length);
  }
  if (d.runs.count == 0) {
    d.runs.clear();
    d.stream.clear();
    leaveHolders(d);
    return READ_NOTHING;
  }
  const end = d.runs.start(0);
  return all || (d.has(ACKED) && d.acked >= end) ? tellGap(d, end) : READ_NOTHING;
}

/** The hole at the end, once no more can come: what was sent or acknowledged and never seen. */
export function readEnd(d: Direction): u32 {
  if (!d.has(SYNCED)) return READ_NOTHING;
  let end = d.high;
  // An acknowledgment one beyond the last text is of a FIN, seen or not.
  if (d.has(ACKED) && d.acked > end.plus(1)) end = d.acked;
  if (d.has(FIN_SEEN) && d.finAt < end) end = d.finAt;
  return end > d.next ? tellGap(d, end) : READ_NOTHING;
}

/** Index of the first run that ends beyond `at`. */
function runBeyond(d: Direction, at: Seq): u32 {
  const runs = d.runs;
  let low: u32 = 0;
  let high = runs.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (runs.end(middle) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Store what is not held yet of the segment's text, which lies beyond a hole. False when room ended. */
function hold(d: Direction): bool {
  const runs = d.runs;
  const end = segmentSeq.plus(segmentLength);
  let at = segmentSeq;
  while (at < end) {
    const index = runBeyond(d, at);
    let to = end;
    if (index < runs.count) {
      const start = runs.start(index);
      if (start <= at) {
        at = runs.end(index);
        continue;
      }
      if (start < end) to = start;
    }
    if (!runs.hasRoom()) return false;
    const stored = d.stream.put(d.next, at, segmentText + at.since(segmentSeq), to.since(at));
    if (stored) {
      runs.insert(d.next, at, at.plus(stored));
      enterHolders(d);
      fresh += stored;
    } else if (runs.count == 0) runs.clear();
    at = at.plus(stored);
    if (at != to) return false;
  }
  return true;
}

/** The direction whose holes to give up, so that there is room for `d`. */
function victim(d: Direction): usize {
  // Whoever holds much has had its share; whoever holds little gets the place of the longest-standing hole.
  if (d.runs.count == RUNS_MAX || d.stream.blocks > 1) return d.address;
  return oldestHolder();
}

/** Set by `readSegment` when it stopped for want of room: read all that this direction holds first. */
export let crowded: usize = 0;
/** Cleared by `readSegment` when there is no more to the segment. */
export let unread: bool = false;

function done(d: Direction): u32 {
  // With nothing new in what was captured of it, the whole segment came again.
  d.retransmitted += f64(fresh ? segmentLength - fresh : segmentStated);
  unread = false;
  return READ_NOTHING;
}

/** One step through the text of the segment under way, behind what `readHeld` had to tell. */
export function readSegment(d: Direction): u32 {
  crowded = 0;
  const end = segmentSeq.plus(segmentLength);
  if (end <= d.next) return done(d);
  if (segmentSeq <= d.next) {
    let length = end.since(d.next);
    if (d.runs.count) length = min(length, d.runs.start(0).since(d.next));
    fresh += length;
    return tellText(d, segmentText + d.next.since(segmentSeq), length);
  }
  if (d.has(ACKED) && d.acked >= segmentSeq) return tellGap(d, segmentSeq);
  if (end.since(d.next) > u32(OBSERVED_MAX)) return leap(d, end);
  if (hold(d)) return done(d);
  crowded = victim(d);
  return crowded == 0 ? tellGap(d, segmentSeq) : READ_NOTHING;
}

/** The segment is farther ahead than can be held: acknowledgments tell whether so much was lost or it is a stray. */
function leap(d: Direction, end: Seq): u32 {
  let to = segmentSeq;
  if (d.has(ACKED)) {
    to = d.acked;
    if (!(to > d.next) || end.since(to) > u32(OBSERVED_MAX)) {
      fresh = segmentLength;
      return done(d);
    }
  }
  if (d.runs.count) {
    crowded = d.address;
    return READ_NOTHING;
  }
  // Not noted on arrival, when it might have been a stray.
  const stated = segmentSeq.plus(segmentStated);
  if (d.high < stated) d.high = stated;
  return tellGap(d, to);
}
