/*
 * SipHash-1-3 over a connection's addresses and ports. Keyed, so that no peer can choose tuples that share a chain of
 * the demux table; one round a word and three to finish, as Linux and Rust hash their tables.
 */

/** Words of the message being hashed, the last one padded and carrying the length. */
const MESSAGE: usize = memory.data(40, 16);

/** SipHash-1-3 of `words` padded 64-bit words at MESSAGE, folded to 32 bits. */
function digest(key: usize, words: u32): u32 {
  const k0 = load<u64>(key);
  const k1 = load<u64>(key, 8);
  let v0 = k0 ^ (((<u64>0x736f6d65) << 32) | 0x70736575);
  let v1 = k1 ^ (((<u64>0x646f7261) << 32) | 0x6e646f6d);
  let v2 = k0 ^ (((<u64>0x6c796765) << 32) | 0x6e657261);
  let v3 = k1 ^ (((<u64>0x74656462) << 32) | 0x79746573);
  for (let i: u32 = 0; i < words; i++) {
    const word = load<u64>(MESSAGE + ((<usize>i) << 3));
    v3 ^= word;
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = rotl(v1, 17) ^ v2;
    v3 = rotl(v3, 21) ^ v0;
    v2 = rotl(v2, 32);
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let i = 0; i < 3; i++) {
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = rotl(v1, 17) ^ v2;
    v3 = rotl(v3, 21) ^ v0;
    v2 = rotl(v2, 32);
  }
  const hash = v0 ^ v1 ^ v2 ^ v3;
  return <u32>(hash ^ (hash >> 32));
}

/**
 * Hash of an IPv4 tuple: the 12 octets of `remote`, `local` and `ports`, each as it lies in memory, under the 16-octet
 * key at `key`.
 */
export function hash4(key: usize, remote: u32, local: u32, ports: u32): u32 {
  store<u64>(MESSAGE, <u64>remote | ((<u64>local) << 32));
  store<u64>(MESSAGE, <u64>ports | (12 << 56), 8);
  return digest(key, 2);
}

/** Hash of an IPv6 tuple: as `hash4`, with the 16 octets at `remote` and at `local`; 36 in all. */
export function hash6(key: usize, remote: usize, local: usize, ports: u32): u32 {
  v128.store(MESSAGE, v128.load(remote));
  v128.store(MESSAGE, v128.load(local), 16);
  store<u64>(MESSAGE, <u64>ports | (36 << 56), 32);
  return digest(key, 5);
}

/**
 * SipHash-2-4 over the `length` octets at `first` and as many at `second`, 4 or 16 each, under the 16-octet key at `key`.
 * Two rounds a word and four to finish: what is sent to peers must be hard to forge, and is not made for every segment.
 */
export function sipHash(key: usize, first: usize, second: usize, length: u32): u64 {
  const total: u64 = 2 * length;
  memory.copy(MESSAGE, first, length);
  memory.copy(MESSAGE + length, second, length);
  store<u64>(MESSAGE + usize(total), total << 56);
  const words = u32(total >> 3) + 1;
  const k0 = load<u64>(key);
  const k1 = load<u64>(key, 8);
  let v0 = k0 ^ (((<u64>0x736f6d65) << 32) | 0x70736575);
  let v1 = k1 ^ (((<u64>0x646f7261) << 32) | 0x6e646f6d);
  let v2 = k0 ^ (((<u64>0x6c796765) << 32) | 0x6e657261);
  let v3 = k1 ^ (((<u64>0x74656462) << 32) | 0x79746573);
  for (let i: u32 = 0; i < 2 * words + 4; i++) {
    const word: u64 = i < 2 * words ? load<u64>(MESSAGE + ((<usize>(i >> 1)) << 3)) : 0;
    if (i == 2 * words) v2 ^= 0xff;
    if (!(i & 1)) v3 ^= word;
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = rotl(v1, 17) ^ v2;
    v3 = rotl(v3, 21) ^ v0;
    v2 = rotl(v2, 32);
    if (i & 1) v0 ^= word;
  }
  return v0 ^ v1 ^ v2 ^ v3;
}
