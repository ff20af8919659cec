import { giveSlot, isPlentiful, takeSlot } from "./pool.ts";
import { ANNEX_RECEIVE, ANNEX_RECEIVE_BYTES } from "./shared/annex-layout.ts";
import { SLOT_SIZE } from "./shared/sizes.ts";
import { Tcb } from "./tcb.ts";

/** The annex of `tcb`, taken if it has none yet; 0 when memory has ended. */
export function annexOf(tcb: Tcb): usize {
  if (tcb.annex == 0) tcb.annex = u32(takeSlot());
  return tcb.annex;
}

/**
 * The same for what nobody asked for: 0 when memory is short. Whoever has talked keeps the annex while silent, so that
 * those who are yet to talk must be left some memory.
 */
export function spareAnnexOf(tcb: Tcb): usize {
  return tcb.annex != 0 || isPlentiful() ? annexOf(tcb) : 0;
}

/** `tcb` is being freed, and whatever the parts of its annex hold was given back. */
export function dropAnnex(tcb: Tcb): void {
  giveSlot(usize(tcb.annex));
  tcb.annex = 0;
}

if (ANNEX_RECEIVE + ANNEX_RECEIVE_BYTES > SLOT_SIZE) ERROR("an annex does not fit its slot");
