import { hash4, hash6, sipHash } from "../../assembly/hash.ts";

export function probe_sipHash(key: usize, first: usize, second: usize, length: u32): u64 {
  return sipHash(key, first, second, length);
}

export { hash4 as probe_hash4, hash6 as probe_hash6 };
