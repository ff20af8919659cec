import { writeMss, writeWindowScale } from "../../assembly/packet/options.ts";
import { segment } from "../../assembly/packet/segment.ts";

/** -1 when absent. */
export function probe_optionMss(): i32 {
  return segment.hasMss ? i32(segment.mss) : -1;
}

/** -1 when absent. */
export function probe_optionWindowScale(): i32 {
  return segment.hasWindowScale ? i32(segment.windowScale) : -1;
}

/** MSS, and window scale unless `scale` is negative. */
export function probe_writeSynOptions(to: usize, mss: u32, scale: i32): u32 {
  const length = writeMss(to, mss);
  return scale < 0 ? length : length + writeWindowScale(to + length, scale);
}
