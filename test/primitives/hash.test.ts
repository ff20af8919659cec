import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FREE, loadProbe } from "./probe.ts";

const { probe, bytes } = await loadProbe();
const KEY = FREE;
const REMOTE = FREE + 16;
const LOCAL = FREE + 32;

const MASK = (1n << 64n) - 1n;
const rotate = (n: bigint, by: bigint) => ((n << by) | (n >> (64n - by))) & MASK;

function word(data: Uint8Array, at: number): bigint {
  let n = 0n;
  for (let i = 7; i >= 0; i--) n = (n << 8n) | BigInt(data[at + i] ?? 0);
  return n;
}

/** SipHash-c-d after the paper's §2, on whole numbers. */
function sipHash(c: number, d: number, key: Uint8Array, data: Uint8Array): bigint {
  const [k0, k1] = [word(key, 0), word(key, 8)];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & MASK;
      v2 = (v2 + v3) & MASK;
      v1 = rotate(v1, 13n) ^ v0;
      v3 = rotate(v3, 16n) ^ v2;
      v0 = rotate(v0, 32n);
      v2 = (v2 + v1) & MASK;
      v0 = (v0 + v3) & MASK;
      v1 = rotate(v1, 17n) ^ v2;
      v3 = rotate(v3, 21n) ^ v0;
      v2 = rotate(v2, 32n);
    }
  };
  for (let at = 0; at <= data.length; at += 8) {
    let m = word(data, at);
    if (at + 8 > data.length) m |= BigInt(data.length & 0xff) << 56n;
    v3 ^= m;
    rounds(c);
    v0 ^= m;
  }
  v2 ^= 0xffn;
  rounds(d);
  return v0 ^ v1 ^ v2 ^ v3;
}

/** As the engine folds it. */
function fold(hash: bigint): number {
  return Number((hash ^ (hash >> 32n)) & 0xffffffffn);
}

const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.nat(0xffffffff);

describe("SipHash-1-3 of a tuple", () => {
  test("the oracle gives the paper's own SipHash-2-4 value", () => {
    const key = Uint8Array.from({ length: 16 }, (_, i) => i);
    const data = Uint8Array.from({ length: 15 }, (_, i) => i);
    expect(sipHash(2, 4, key, data)).toBe(0xa129ca6149be45e5n);
  });

  test("IPv4: equals the oracle over the tuple's 12 octets", () => {
    fc.assert(
      fc.property(exactly(16), u32, u32, u32, (key, remote, local, ports) => {
        bytes.set(key, KEY);
        const data = new Uint8Array(Uint32Array.of(remote, local, ports).buffer);
        expect(probe.probe_hash4(KEY, remote, local, ports) >>> 0).toBe(fold(sipHash(1, 3, key, data)));
      }),
      { numRuns: 300 },
    );
  });

  test("IPv6: equals the oracle over the tuple's 36 octets", () => {
    fc.assert(
      fc.property(exactly(16), exactly(16), exactly(16), u32, (key, remote, local, ports) => {
        bytes.set(key, KEY);
        bytes.set(remote, REMOTE);
        bytes.set(local, LOCAL);
        const data = Uint8Array.of(...remote, ...local, ...new Uint8Array(Uint32Array.of(ports).buffer));
        expect(probe.probe_hash6(KEY, REMOTE, LOCAL, ports) >>> 0).toBe(fold(sipHash(1, 3, key, data)));
      }),
      { numRuns: 300 },
    );
  });

  test("SipHash-2-4 of two addresses equals the oracle", () => {
    for (const length of [4, 16])
      fc.assert(
        fc.property(exactly(16), exactly(length), exactly(length), (key, remote, local) => {
          bytes.set(key, KEY);
          bytes.set(remote, REMOTE);
          bytes.set(local, LOCAL);
          const hash = BigInt.asUintN(64, probe.probe_sipHash(KEY, REMOTE, LOCAL, length));
          expect(hash).toBe(sipHash(2, 4, key, Uint8Array.of(...remote, ...local)));
        }),
        { numRuns: 300 },
      );
  });

  test("spreads consecutive ports evenly over a table", () => {
    bytes.set(
      Uint8Array.from({ length: 16 }, (_, i) => i * 11),
      KEY,
    );
    const load = new Uint32Array(1024);
    for (let port = 0; port < 65536; port++)
      load[probe.probe_hash4(KEY, 0x0100000a, 0x0200000a, 80 | (port << 16)) & 1023]++;
    // 64 expected in each; six standard deviations of the binomial are 48.
    expect(Math.max(...load)).toBeLessThan(64 + 48);
    expect(Math.min(...load)).toBeGreaterThan(64 - 48);
  });
});
