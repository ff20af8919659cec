/*
 * MD5 (RFC 1321): for initial sequence numbers (RFC 6528) and the TCP MD5 option (RFC 2385), where the RFCs name it. Not
 * for anything new.
 */

/** The four kinds of step of §3.4, each `b + ((a + f(b, c, d) + word + constant) <<< shift)`. */
class Step {
  @inline
  static f(a: u32, b: u32, c: u32, d: u32, word: u32, shift: u32, constant: u32): u32 {
    return b + rotl(a + word + constant + (d ^ (b & (c ^ d))), shift);
  }

  // The two halves share no bit, so they may be added; added one at a time, only one waits for `b`, the step before.
  @inline
  static g(a: u32, b: u32, c: u32, d: u32, word: u32, shift: u32, constant: u32): u32 {
    return b + rotl(a + word + constant + (c & ~d) + (b & d), shift);
  }

  @inline
  static h(a: u32, b: u32, c: u32, d: u32, word: u32, shift: u32, constant: u32): u32 {
    return b + rotl(a + word + constant + (b ^ (c ^ d)), shift);
  }

  @inline
  static i(a: u32, b: u32, c: u32, d: u32, word: u32, shift: u32, constant: u32): u32 {
    return b + rotl(a + word + constant + (c ^ (b | ~d)), shift);
  }
}

/** The digest of nothing yet (§3.3), 16 octets at `state`. */
export function md5Initial(state: usize): void {
  store<u32>(state, 0x67452301);
  store<u32>(state, 0xefcdab89, 4);
  store<u32>(state, 0x98badcfe, 8);
  store<u32>(state, 0x10325476, 12);
}

/** Take the 64 octets at `block` into the 16 at `state` (§3.4). */
export function md5Transform(state: usize, block: usize): void {
  let a = load<u32>(state);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  const x0 = load<u32>(block);
  const x1 = load<u32>(block, 4);
  const x2 = load<u32>(block, 8);
  const x3 = load<u32>(block, 12);
  const x4 = load<u32>(block, 16);
  const x5 = load<u32>(block, 20);
  const x6 = load<u32>(block, 24);
  const x7 = load<u32>(block, 28);
  const x8 = load<u32>(block, 32);
  const x9 = load<u32>(block, 36);
  const x10 = load<u32>(block, 40);
  const x11 = load<u32>(block, 44);
  const x12 = load<u32>(block, 48);
  const x13 = load<u32>(block, 52);
  const x14 = load<u32>(block, 56);
  const x15 = load<u32>(block, 60);

  a = Step.f(a, b, c, d, x0, 7, 0xd76aa478);
  d = Step.f(d, a, b, c, x1, 12, 0xe8c7b756);
  c = Step.f(c, d, a, b, x2, 17, 0x242070db);
  b = Step.f(b, c, d, a, x3, 22, 0xc1bdceee);
  a = Step.f(a, b, c, d, x4, 7, 0xf57c0faf);
  d = Step.f(d, a, b, c, x5, 12, 0x4787c62a);
  c = Step.f(c, d, a, b, x6, 17, 0xa8304613);
  b = Step.f(b, c, d, a, x7, 22, 0xfd469501);
  a = Step.f(a, b, c, d, x8, 7, 0x698098d8);
  d = Step.f(d, a, b, c, x9, 12, 0x8b44f7af);
  c = Step.f(c, d, a, b, x10, 17, 0xffff5bb1);
  b = Step.f(b, c, d, a, x11, 22, 0x895cd7be);
  a = Step.f(a, b, c, d, x12, 7, 0x6b901122);
  d = Step.f(d, a, b, c, x13, 12, 0xfd987193);
  c = Step.f(c, d, a, b, x14, 17, 0xa679438e);
  b = Step.f(b, c, d, a, x15, 22, 0x49b40821);

  a = Step.g(a, b, c, d, x1, 5, 0xf61e2562);
  d = Step.g(d, a, b, c, x6, 9, 0xc040b340);
  c = Step.g(c, d, a, b, x11, 14, 0x265e5a51);
  b = Step.g(b, c, d, a, x0, 20, 0xe9b6c7aa);
  a = Step.g(a, b, c, d, x5, 5, 0xd62f105d);
  d = Step.g(d, a, b, c, x10, 9, 0x02441453);
  c = Step.g(c, d, a, b, x15, 14, 0xd8a1e681);
  b = Step.g(b, c, d, a, x4, 20, 0xe7d3fbc8);
  a = Step.g(a, b, c, d, x9, 5, 0x21e1cde6);
  d = Step.g(d, a, b, c, x14, 9, 0xc33707d6);
  c = Step.g(c, d, a, b, x3, 14, 0xf4d50d87);
  b = Step.g(b, c, d, a, x8, 20, 0x455a14ed);
  a = Step.g(a, b, c, d, x13, 5, 0xa9e3e905);
  d = Step.g(d, a, b, c, x2, 9, 0xfcefa3f8);
  c = Step.g(c, d, a, b, x7, 14, 0x676f02d9);
  b = Step.g(b, c, d, a, x12, 20, 0x8d2a4c8a);

  a = Step.h(a, b, c, d, x5, 4, 0xfffa3942);
  d = Step.h(d, a, b, c, x8, 11, 0x8771f681);
  c = Step.h(c, d, a, b, x11, 16, 0x6d9d6122);
  b = Step.h(b, c, d, a, x14, 23, 0xfde5380c);
  a = Step.h(a, b, c, d, x1, 4, 0xa4beea44);
  d = Step.h(d, a, b, c, x4, 11, 0x4bdecfa9);
  c = Step.h(c, d, a, b, x7, 16, 0xf6bb4b60);
  b = Step.h(b, c, d, a, x10, 23, 0xbebfbc70);
  a = Step.h(a, b, c, d, x13, 4, 0x289b7ec6);
  d = Step.h(d, a, b, c, x0, 11, 0xeaa127fa);
  c = Step.h(c, d, a, b, x3, 16, 0xd4ef3085);
  b = Step.h(b, c, d, a, x6, 23, 0x04881d05);
  a = Step.h(a, b, c, d, x9, 4, 0xd9d4d039);
  d = Step.h(d, a, b, c, x12, 11, 0xe6db99e5);
  c = Step.h(c, d, a, b, x15, 16, 0x1fa27cf8);
  b = Step.h(b, c, d, a, x2, 23, 0xc4ac5665);

  a = Step.i(a, b, c, d, x0, 6, 0xf4292244);
  d = Step.i(d, a, b, c, x7, 10, 0x432aff97);
  c = Step.i(c, d, a, b, x14, 15, 0xab9423a7);
  b = Step.i(b, c, d, a, x5, 21, 0xfc93a039);
  a = Step.i(a, b, c, d, x12, 6, 0x655b59c3);
  d = Step.i(d, a, b, c, x3, 10, 0x8f0ccc92);
  c = Step.i(c, d, a, b, x10, 15, 0xffeff47d);
  b = Step.i(b, c, d, a, x1, 21, 0x85845dd1);
  a = Step.i(a, b, c, d, x8, 6, 0x6fa87e4f);
  d = Step.i(d, a, b, c, x15, 10, 0xfe2ce6e0);
  c = Step.i(c, d, a, b, x6, 15, 0xa3014314);
  b = Step.i(b, c, d, a, x13, 21, 0x4e0811a1);
  a = Step.i(a, b, c, d, x4, 6, 0xf7537e82);
  d = Step.i(d, a, b, c, x11, 10, 0xbd3af235);
  c = Step.i(c, d, a, b, x2, 15, 0x2ad7d2bb);
  b = Step.i(b, c, d, a, x9, 21, 0xeb86d391);

  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
}

/** The padded end of a message: what is left of it, 0x80, zeros and its length (§3.1, §3.2). */
const TAIL: usize = memory.data(128, 16);

/** The 16-octet digest of the `length` octets at `from`, to `to`; the two must not overlap. */
export function md5(to: usize, from: usize, length: u32): void {
  md5Initial(to);
  let left = length;
  while (left >= 64) {
    md5Transform(to, from);
    from += 64;
    left -= 64;
  }
  const end: usize = left < 56 ? 64 : 128;
  memory.fill(TAIL, 0, end);
  memory.copy(TAIL, from, left);
  store<u8>(TAIL + left, 0x80);
  store<u64>(TAIL + end - 8, (<u64>length) << 3);
  md5Transform(to, TAIL);
  if (end == 128) md5Transform(to, TAIL + 64);
}
