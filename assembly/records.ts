import { annexOf } from "./annex.ts";
import { giveBlock, takeBlock } from "./pool.ts";
import { Seq } from "./seq.ts";
import { ANNEX_RECORDS, ANNEX_RECOVERY } from "./shared/annex-layout.ts";
import { BLOCK_SIZE } from "./shared/sizes.ts";
import { RECORDS, Tcb } from "./tcb.ts";

// Where the user's records end (Linux's MSG_EOR): no segment holds the end of one and the beginning of the next. A ring of
// sequence numbers in a block, taken when the first record is marked and given back when the last is acknowledged.

const ENDS: u32 = BLOCK_SIZE >> 2;

/** The part of an annex that tells of the ring. */
@unmanaged
@final
class Records {
  block: u32;
  first: u32;
  ends: u32;

  @inline static of(tcb: Tcb): Records {
    return changetype<Records>(usize(tcb.annex) + ANNEX_RECORDS);
  }

  @inline end(index: u32): Seq {
    return Seq.of(load<u32>(usize(this.block) + (((this.first + index) % ENDS) << 2)));
  }
}

/** Whether there is room to remember the end of one more record. */
export function canMark(tcb: Tcb): bool {
  if (annexOf(tcb) == 0) return false;
  const records = Records.of(tcb);
  if (records.block == 0) {
    records.block = u32(takeBlock());
    records.first = 0;
  }
  return records.block != 0 && records.ends < ENDS;
}

/** A record ends where the queue ends now; `canMark` has said that it may. */
export function markRecord(tcb: Tcb): void {
  const records = Records.of(tcb);
  const ends = records.ends;
  if (tcb.sndEnd == tcb.sndTextStart || (ends && records.end(ends - 1) == tcb.sndEnd)) return;
  store<u32>(usize(records.block) + (((records.first + ends) % ENDS) << 2), tcb.sndEnd.u32);
  records.ends = ends + 1;
  tcb.choices |= RECORDS;
}

/** Octets from `seq` to where its record ends; as good as no limit for text that is in none. */
export function recordLeft(tcb: Tcb, seq: Seq): u32 {
  const records = Records.of(tcb);
  let low: u32 = 0;
  let high = records.ends;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (records.end(middle) > seq) high = middle;
    else low = middle + 1;
  }
  return low < records.ends ? records.end(low).since(seq) : 0xffffffff;
}

/** SND.UNA has moved. */
export function recordsAcknowledged(tcb: Tcb): void {
  const records = Records.of(tcb);
  while (records.ends && records.end(0) <= tcb.sndUna) {
    records.first = (records.first + 1) % ENDS;
    records.ends--;
  }
  if (records.ends == 0) forgetRecords(tcb);
}

export function forgetRecords(tcb: Tcb): void {
  if (tcb.annex == 0) return;
  const records = Records.of(tcb);
  if (records.block) giveBlock(usize(records.block));
  records.block = 0;
  records.ends = 0;
  tcb.choices &= ~RECORDS;
}

if (ANNEX_RECORDS + offsetof<Records>() > ANNEX_RECOVERY) ERROR("records do not fit their part of an annex");
