import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CTL_RX, CTL_STAGING, CTL_TX } from "../../assembly/shared/control.ts";
import { copyFor } from "../../bindings/copy.ts";
import { createEngine } from "../../bindings/engine.ts";

const PAGE = 65536;
const make = (shared: boolean) => new WebAssembly.Memory({ initial: 1, maximum: 1, shared });

afterEach(() => vi.unstubAllGlobals());

describe.each([
  ["shared", true],
  ["unshared", false],
] as const)("copies to and from %s memory", (_, shared) => {
  const memory = make(shared);
  const linear = new Uint8Array(memory.buffer);
  const ordinary = new Uint8Array(PAGE);
  const copy = copyFor(memory);

  test.each([
    ["in", linear, ordinary],
    ["out", ordinary, linear],
  ] as const)("%s: all of it, where it belongs, and nothing beside it", (_, to, from) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4096 }),
        fc.nat(64),
        fc.nat(PAGE - 4096),
        fc.nat(255),
        (length, begin, at, salt) => {
          for (let i = 0; i < length; i++) from[begin + i] = i * 7 + salt;
          to.fill(salt ^ 0x55);
          const expected = Uint8Array.from(to);
          expected.set(from.subarray(begin, begin + length), at);
          copy(to, from.subarray(begin, begin + length), at);
          expect(Buffer.compare(to, expected)).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each([10, 2000])("%i octets beyond the end throw and write nothing", (length) => {
    linear.fill(1);
    expect(() => copy(linear, new Uint8Array(length), PAGE - length + 1)).toThrow(RangeError);
    expect(linear.every((octet) => octet === 1)).toBe(true);
  });
});

test("a Buffer that is not Node's own is left alone", () => {
  const fill = vi.fn();
  vi.stubGlobal("Buffer", { prototype: { fill } });
  const memory = make(true);
  const bytes = new Uint8Array(memory.buffer);
  vi.stubGlobal("process", { versions: {} });
  copyFor(memory)(bytes, new Uint8Array(2000).fill(3), 5);
  expect(fill).not.toHaveBeenCalled();
  expect(bytes.indexOf(3)).toBe(5);
  expect(bytes.lastIndexOf(3)).toBe(2004);
});

test("what is copied in and out lies far from where large buffers begin in their page", async () => {
  const { memory } = await createEngine({ memory: 2 * 2 ** 20 });
  const words = new Int32Array(memory.buffer);
  for (const cell of [CTL_RX, CTL_TX, CTL_STAGING]) {
    const offset = words[cell >> 2]! % 4096;
    expect(offset).toBeGreaterThanOrEqual(512);
    expect(offset).toBeLessThanOrEqual(3584);
  }
});
