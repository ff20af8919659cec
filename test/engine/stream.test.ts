import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadProbe, type Probe } from "../support/probe.ts";
import { randomOctets } from "../support/random.ts";

const MEMORY = 3 * 2 ** 20;
const STREAMS = 3;

let probe: Probe["call"];
let bytes: Uint8Array;
let source: Uint8Array;
beforeAll(async () => {
  ({ call: probe, bytes } = await loadProbe(MEMORY));
  source = randomOctets(70_000, 1);
});

/** What a stream holds: octets by distance from where its text began. */
interface Model {
  low: number;
  octets: Map<number, number>;
  start: number;
}

const size = fc.oneof(
  fc.constantFrom(1, 1460, 8191, 8192, 8193, 16384, 40_000),
  fc.integer({ min: 0, max: 3000 }),
);

const operation = fc.record({
  op: fc.constantFrom("put" as const, "put" as const, "put" as const, "trim" as const, "clear" as const),
  stream: fc.nat(STREAMS - 1),
  /** How far beyond the stored text the next begins: a hole. */
  gap: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 20_000 })),
  length: size,
  from: fc.nat(20_000),
});

const isn = fc.oneof(fc.constantFrom(0, 8191, 0xffffffff, 0xffff8000, 0x7fffffff), fc.nat(0xffffffff));

describe("stream buffers", () => {
  it("hold what arrays hold, holes, wrap-around, many streams and the end of memory included", () => {
    fc.assert(
      fc.property(
        fc.array(isn, { minLength: STREAMS, maxLength: STREAMS }),
        fc.array(operation, { maxLength: 25 }),
        (starts, operations) => {
          probe.streamInit!(MEMORY);
          const staging = probe.streamStaging!();
          const models: Model[] = starts.map((start) => ({ low: 0, octets: new Map(), start: start >>> 0 }));
          for (const { op, stream, gap, length, from } of operations) {
            const model = models[stream]!;
            const end = Math.max(model.low, ...lastKey(model.octets)) + gap;
            if (op === "put") {
              bytes.set(source.subarray(from, from + length), staging);
              const stored = probe.streamPut!(stream, model.start + model.low, model.start + end, length);
              expect(stored).toBeLessThanOrEqual(length);
              // Text is refused only of a stream that holds a fair share of the pool, or more than it has left.
              if (stored < length)
                expect(probe.streamBlocks!(stream)).toBeGreaterThan(probe.blocksLeft!() / 5);
              for (let i = 0; i < stored; i++) model.octets.set(end + i, source[from + i]!);
            } else if (op === "trim") {
              const to = Math.min(model.low + length, end - gap);
              probe.streamTrim!(stream, model.start + model.low, model.start + to);
              for (let i = model.low; i < to; i++) model.octets.delete(i);
              model.low = to;
            } else {
              probe.streamClear!(stream);
              expect(probe.streamBlocks!(stream)).toBe(0);
              model.low = end - gap;
              model.octets.clear();
            }
          }
          models.forEach((model, stream) => {
            for (const [at, run] of runs(model.octets)) {
              for (let done = 0; done < run.length; done += 60_000) {
                const piece = run.slice(done, done + 60_000);
                probe.streamGet!(stream, model.start + at + done, piece.length);
                expect(
                  Buffer.compare(bytes.subarray(staging, staging + piece.length), Uint8Array.from(piece)),
                ).toBe(0);
              }
            }
            probe.streamClear!(stream);
          });
          expect(probe.blocksLeft!()).toBe(probe.blocksTotal!());
        },
      ),
      { numRuns: 150 },
    );
  });

  it("take no more than a share of the pool each, keep what they hold, and go on when some is given back", () => {
    probe.streamInit!(MEMORY);
    const staging = probe.streamStaging!();
    const total = probe.blocksTotal!();
    bytes.set(source.subarray(0, 60_000), staging);
    const fill = (stream: number, from: number) => {
      let end = from;
      let stored: number;
      do {
        stored = probe.streamPut!(stream, 0, end, 60_000);
        end += stored;
      } while (stored === 60_000);
      return end;
    };
    const end = fill(0, 0);
    const first = probe.streamBlocks!(0);
    expect(first).toBeGreaterThan(total / 8);
    expect(first).toBeLessThan(total / 3);
    const second = fill(1, 0);
    expect(probe.streamBlocks!(1)).toBeGreaterThan(total / 10);
    expect(probe.streamBlocks!(1)).toBeLessThan(first);
    // Whoever comes late has room for what arrives in one go.
    expect(probe.streamPut!(2, 7, 7, 8192)).toBe(8192);
    for (const [stream, length] of [
      [0, end],
      [1, second],
    ] as const)
      for (let at = 0; at < length; at += 60_000) {
        const piece = Math.min(60_000, length - at);
        probe.streamGet!(stream, at, piece);
        expect(Buffer.compare(bytes.subarray(staging, staging + piece), source.subarray(0, piece))).toBe(0);
        bytes.set(source.subarray(0, 60_000), staging);
      }
    probe.streamClear!(1);
    probe.streamTrim!(0, 0, 10 * 8192);
    expect(probe.streamPut!(0, 10 * 8192, end, 30_000)).toBe(30_000);
  });

  it("give back every block behind the text as it is trimmed", () => {
    probe.streamInit!(MEMORY);
    const start = 0xfffe0000;
    let low = 0;
    let end = 0;
    for (let i = 0; i < 400; i++) {
      expect(probe.streamPut!(0, start + low, start + end, 5000)).toBe(5000);
      end += 5000;
      if (end - low > 100_000) {
        probe.streamTrim!(0, start + low, start + low + 5000);
        low += 5000;
      }
      expect(probe.streamBlocks!(0)).toBeLessThanOrEqual(Math.ceil((end - low) / 8192) + 1);
    }
    probe.streamTrim!(0, start + low, start + end);
    // The block in which text goes on, and the map.
    expect(probe.blocksTotal!() - probe.blocksLeft!()).toBeLessThanOrEqual(2);
  });
});

function lastKey(octets: Map<number, number>): number[] {
  let last = -1;
  for (const key of octets.keys()) last = Math.max(last, key);
  return last < 0 ? [] : [last + 1];
}

/** Contiguous stretches. */
function runs(octets: Map<number, number>): [number, number[]][] {
  const found: [number, number[]][] = [];
  for (const [at, octet] of [...octets].sort(([a], [b]) => a - b)) {
    const run = found.at(-1);
    if (run && run[0] + run[1].length === at) run[1].push(octet);
    else found.push([at, [octet]]);
  }
  return found;
}
