import { md5Initial, md5Transform } from "./md5.ts";

/** One MD5 block, and the state it is digested into. */
const BLOCK: usize = memory.data(64, 16);
const STATE: usize = memory.data(16, 16);

/**
 * Initial sequence number, RFC 6528 §3: M + F(local address, local port, remote address, remote port, secret). F is the
 * first four octets of the MD5 of the five in that order, read big-endian, ports in network order; M counts 4 µs.
 *
 * @param family 4 or 6
 * @param local address, 4 or 16 raw octets
 * @param remote address, 4 or 16 raw octets
 * @param secret 16 octets
 * @param micros time, microseconds, not negative
 */
export function isn(
  family: u32,
  local: usize,
  localPort: u32,
  remote: usize,
  remotePort: u32,
  secret: usize,
  micros: f64,
): u32 {
  // 28 or 52 octets: with the 0x80 and the 64-bit length they fit one block.
  let length: usize = 28;
  v128.store(BLOCK, i64x2.splat(0), 32);
  v128.store(BLOCK, i64x2.splat(0), 48);
  if (family == 4) {
    store<u32>(BLOCK, load<u32>(local));
    store<u16>(BLOCK, bswap<u16>(<u16>localPort), 4);
    store<u32>(BLOCK, load<u32>(remote), 6);
    store<u16>(BLOCK, bswap<u16>(<u16>remotePort), 10);
    v128.store(BLOCK, v128.load(secret), 12);
  } else {
    length = 52;
    v128.store(BLOCK, v128.load(local));
    store<u16>(BLOCK, bswap<u16>(<u16>localPort), 16);
    v128.store(BLOCK, v128.load(remote), 18);
    store<u16>(BLOCK, bswap<u16>(<u16>remotePort), 34);
    v128.store(BLOCK, v128.load(secret), 36);
  }
  store<u32>(BLOCK + length, 0x80);
  store<u32>(BLOCK, (<u32>length) << 3, 56);
  md5Initial(STATE);
  md5Transform(STATE, BLOCK);
  return bswap<u32>(load<u32>(STATE)) + <u32>(<u64>micros >> 2);
}
