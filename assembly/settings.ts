/** A setting or result by its address (shared/control.ts). */
export function setting(address: usize): i32 {
  return load<i32>(address);
}
