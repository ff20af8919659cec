import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FREE, loadProbe } from "./probe.ts";
import { octets, vectors } from "./vectors.ts";

const { probe, bytes } = await loadProbe();
const TARGET = FREE + 4 * 65536;
/** What untouched memory around a copy holds. */
const GUARD = 0xa5;

/** RFC 1071 by the letter: big-endian words added one at a time, each carry brought around at once. */
function dumbSum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) {
    sum += data[i] * 256 + (data[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** Between the engine's native order and the wire's. */
function turn(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8);
}

function hex(word: number): string {
  return word.toString(16).padStart(4, "0");
}

function vectorData(vector: (typeof vectors.checksum)[number]): Uint8Array {
  if (vector.dataHex !== null) return octets(vector.dataHex);
  if (vector.repeat !== undefined)
    return new Uint8Array(vector.repeat.count).fill(Number.parseInt(vector.repeat.byteHex, 16));
  expect(vector.generator).toBe("byte[i]=(i*7)&255, i<65535");
  return Uint8Array.from({ length: 65535 }, (_, i) => i * 7);
}

/** Lengths about the unrolled loop's 64 octets, a vector's 16 and the tail, and whole segments. */
const anyData = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ minLength: 1400, maxLength: 1500 }),
  // Mostly ones: every addition carries.
  fc.nat(5000).map((length) => new Uint8Array(length).fill(0xff)),
);
const anyOffset = fc.nat(17);

describe("[RFC 1071] sum", () => {
  test.each(vectors.checksum)("$id: $source", (vector) => {
    const data = vectorData(vector);
    bytes.set(data, FREE);
    const sum = probe.probe_sum(FREE, data.length);
    expect(hex(turn(sum))).toBe(vector.sum);
    expect(hex(turn(probe.probe_finish(sum)))).toBe(vector.checksum);
    expect(probe.probe_copySum(TARGET, FREE, data.length)).toBe(sum);
  });

  test("equals word-by-word addition at every length and address", () => {
    fc.assert(
      fc.property(anyData, anyOffset, (data, offset) => {
        bytes.set(data, FREE + offset);
        expect(turn(probe.probe_sum(FREE + offset, data.length))).toBe(dumbSum(data));
      }),
      { numRuns: 500 },
    );
  });

  test("reads nothing outside the piece", () => {
    const data = Uint8Array.from({ length: 300 }, (_, i) => i * 13);
    for (let length = 0; length <= data.length; length++) {
      const sums = [0x00, 0xff].map((around) => {
        bytes.fill(around, FREE, FREE + 512);
        bytes.set(data.subarray(0, length), FREE + 64);
        return probe.probe_sum(FREE + 64, length);
      });
      expect(sums[1]).toBe(sums[0]);
      expect(turn(sums[0])).toBe(dumbSum(data.subarray(0, length)));
    }
  });

  test("loses no carry over a piece longer than any packet", () => {
    const length = 4 * 65536 - 1;
    bytes.fill(0xff, FREE, FREE + length);
    expect(turn(probe.probe_sum(FREE, length))).toBe(dumbSum(bytes.subarray(FREE, FREE + length)));
  });

  test("is 0 for zeros and for nothing else", () => {
    bytes.fill(0, FREE, FREE + 2048);
    expect(probe.probe_sum(FREE, 2048)).toBe(0);
    for (let at = 0; at < 2048; at += 7) {
      bytes[FREE + at] = 0xff;
      expect(probe.probe_sum(FREE, 2048)).not.toBe(0);
      bytes[FREE + at] = 0;
    }
  });
});

describe("[RFC 1071] sums of pieces", () => {
  test("add up to the sum of the whole, swapped where a piece begins at an odd offset", () => {
    fc.assert(
      fc.property(anyData, fc.array(fc.nat(), { maxLength: 5 }), anyOffset, (data, splits, offset) => {
        bytes.set(data, FREE + offset);
        const cuts = [0, ...splits.map((n) => n % (data.length + 1)).sort((a, b) => a - b), data.length];
        let sum = 0;
        for (let i = 1; i < cuts.length; i++) {
          const from = cuts[i - 1];
          const piece = probe.probe_sum(FREE + offset + from, cuts[i] - from);
          sum = probe.probe_add(sum, from & 1 ? probe.probe_swap(piece) : piece);
        }
        expect(sum).toBe(probe.probe_sum(FREE + offset, data.length));
      }),
      { numRuns: 500 },
    );
  });

  test("stay within 16 bits when added", () => {
    const word = fc.nat(0xffff);
    fc.assert(
      fc.property(word, word, (a, b) => {
        const sum = probe.probe_add(a, b);
        expect(sum).toBeLessThanOrEqual(0xffff);
        expect(sum % 0xffff).toBe((a + b) % 0xffff);
      }),
    );
    expect(probe.probe_add(0xffff, 0xffff)).toBe(0xffff);
  });

  test("over a checksum that is right finish as 0", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 1480 }), (data) => {
        data.fill(0, 16, 18);
        bytes.set(data, FREE);
        const view = new DataView(bytes.buffer, FREE);
        view.setUint16(16, probe.probe_finish(probe.probe_sum(FREE, data.length)), true);
        expect(probe.probe_finish(probe.probe_sum(FREE, data.length))).toBe(0);
      }),
    );
  });
});

describe("copySum", () => {
  test("copies exactly, sums as sum does and writes nothing outside", () => {
    fc.assert(
      fc.property(anyData, anyOffset, anyOffset, (data, from, to) => {
        bytes.set(data, FREE + from);
        const area = bytes.subarray(TARGET, TARGET + data.length + 128);
        area.fill(GUARD);
        const expected = area.slice();
        expected.set(data, 32 + to);
        const sum = probe.probe_copySum(TARGET + 32 + to, FREE + from, data.length);
        expect(turn(sum)).toBe(dumbSum(data));
        expect(Buffer.compare(area, expected)).toBe(0);
        expect(Buffer.compare(bytes.subarray(FREE + from, FREE + from + data.length), data)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test("does so at every length up to four vectors past the unrolled loop", () => {
    const data = Uint8Array.from({ length: 192 }, (_, i) => i * 29 + 1);
    bytes.set(data, FREE + 1);
    const area = bytes.subarray(TARGET, TARGET + 256);
    for (let length = 0; length <= data.length; length++) {
      area.fill(GUARD);
      expect(turn(probe.probe_copySum(TARGET + 3, FREE + 1, length))).toBe(dumbSum(data.subarray(0, length)));
      expect(area.subarray(0, 3).every((octet) => octet === GUARD)).toBe(true);
      expect(Buffer.compare(area.subarray(3, 3 + length), data.subarray(0, length))).toBe(0);
      expect(area.subarray(3 + length).every((octet) => octet === GUARD)).toBe(true);
    }
  });
});

describe("[RFC 1624] update", () => {
  test.each(vectors.checksumIncremental)("$id: $source", (vector) => {
    const word = (digits: string) => Number.parseInt(digits, 16);
    const { oldChecksum, oldField, newField, newChecksum } = vector;
    expect(hex(probe.probe_update(word(oldChecksum), word(oldField), word(newField)))).toBe(newChecksum);
  });

  test("equals the full computation", () => {
    const field = fc.nat(0xffff);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 60 }), field, fc.nat(9), (data, next, at) => {
        // A header is never all zeros; for one that is, a sum has two writings and neither is wrong.
        data[18] = 0x45;
        bytes.set(data, FREE);
        const view = new DataView(bytes.buffer, FREE);
        const index = at * 2 === 18 ? 0 : at * 2;
        const before = probe.probe_finish(probe.probe_sum(FREE, data.length));
        const updated = probe.probe_update(before, view.getUint16(index, true), next);
        view.setUint16(index, next, true);
        expect(updated).toBe(probe.probe_finish(probe.probe_sum(FREE, data.length)));
      }),
    );
  });
});
