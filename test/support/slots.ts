import { CTL_SLOT_COUNT, CTL_SLOTS } from "../../assembly/shared/control.ts";
import { SLOT_SIZE } from "../../assembly/shared/sizes.ts";
import { FREE } from "../../assembly/shared/states.ts";
import { TCB_SLOT, TCB_STATE } from "../../assembly/shared/tcb-layout.ts";
import type { Engine } from "../../bindings/types.ts";

/** Slots of linear memory in use, whatever stands in them. */
export function slotsTaken(engine: Engine): number {
  const bytes = new Uint8Array(engine.memory.buffer);
  const words = new Int32Array(engine.memory.buffer);
  const first = words[CTL_SLOTS >> 2]! >>> 0;
  let taken = 0;
  for (let i = 0; i < words[CTL_SLOT_COUNT >> 2]!; i++) {
    const at = first + i * SLOT_SIZE;
    // Beyond the slots there are blocks, which have no state; their octets are no slot's index.
    if (words[(at + TCB_SLOT) >> 2] === i && bytes[at + TCB_STATE] !== FREE) taken++;
  }
  return taken;
}
