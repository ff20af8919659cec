import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FREE, loadProbe } from "./probe.ts";
import { octets, vectors } from "./vectors.ts";

const { probe, bytes } = await loadProbe();
const LOCAL = FREE;
const REMOTE = FREE + 16;
const SECRET = FREE + 32;

interface Tuple {
  local: Uint8Array;
  localPort: number;
  remote: Uint8Array;
  remotePort: number;
  secret: Uint8Array;
}

function isn({ local, localPort, remote, remotePort, secret }: Tuple, micros: number): number {
  bytes.set(local, LOCAL);
  bytes.set(remote, REMOTE);
  bytes.set(secret, SECRET);
  const family = local.length === 4 ? 4 : 6;
  return probe.probe_isn(family, LOCAL, localPort, REMOTE, remotePort, SECRET, micros) >>> 0;
}

/** RFC 6528 §3 with Node's MD5. */
function dumbIsn({ local, localPort, remote, remotePort, secret }: Tuple, micros: number): number {
  const port = (n: number) => [n >> 8, n & 0xff];
  const input = [...local, ...port(localPort), ...remote, ...port(remotePort), ...secret];
  const digest = createHash("md5").update(Uint8Array.from(input)).digest();
  const m = Math.floor(micros / 4) % 2 ** 32;
  return (digest.readUInt32BE(0) + m) % 2 ** 32;
}

const port = fc.nat(0xffff);
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyTuple = fc.constantFrom(4, 16).chain((length) =>
  fc.record({
    local: exactly(length),
    localPort: port,
    remote: exactly(length),
    remotePort: port,
    secret: exactly(16),
  }),
);

describe("[RFC 6528] isn", () => {
  test.each(vectors.isn)("$id: $local $localPort $remote $remotePort at $clockMicroseconds µs", (vector) => {
    // The vector's own MD5 input holds the raw addresses; where they lie follows from the family.
    const input = octets(vector.md5InputHex);
    const size = isIPv4(vector.local) ? 4 : 16;
    expect(input.length).toBe(2 * size + 20);
    const tuple = {
      local: input.slice(0, size),
      localPort: vector.localPort,
      remote: input.slice(size + 2, 2 * size + 2),
      remotePort: vector.remotePort,
      secret: octets(vector.secretHex),
    };
    expect(isn(tuple, vector.clockMicroseconds)).toBe(vector.isn_bigEndian);
  });

  test("equals the formula for any tuple and time", () => {
    fc.assert(
      fc.property(anyTuple, fc.maxSafeNat(), (tuple, micros) => {
        expect(isn(tuple, micros)).toBe(dumbIsn(tuple, micros));
      }),
      { numRuns: 500 },
    );
  });

  test("ticks once in 4 µs, fractions dropped, and wraps", () => {
    const tuple = {
      local: octets("c0000201"),
      localPort: 1,
      remote: octets("c0000202"),
      remotePort: 2,
      secret: new Uint8Array(16),
    };
    const start = isn(tuple, 0);
    expect([3, 3.999, 4, 7.5, 8].map((micros) => (isn(tuple, micros) - start) >>> 0)).toEqual([
      0, 0, 1, 1, 2,
    ]);
    expect(isn(tuple, 4 * 2 ** 32)).toBe(start);
    expect(isn(tuple, 4 * (2 ** 32 - 1))).toBe((start - 1) >>> 0);
  });

  test("an IPv4 tuple after an IPv6 one finds no rest of it", () => {
    const four = { local: octets("c0000201"), localPort: 1, remote: octets("c0000202"), remotePort: 2 };
    const six = { ...four, local: new Uint8Array(16).fill(0xff), remote: new Uint8Array(16).fill(0xee) };
    const secret = new Uint8Array(16).fill(9);
    const before = isn({ ...four, secret }, 0);
    isn({ ...six, secret }, 0);
    expect(isn({ ...four, secret }, 0)).toBe(before);
  });
});
