/** Add to a counter, given by its address (shared/counters.ts). */
export function count(address: usize, by: u32 = 1): void {
  store<u64>(address, load<u64>(address) + by);
}

export function uncount(address: usize): void {
  store<u64>(address, load<u64>(address) - 1);
}
