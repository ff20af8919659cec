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
  /** How far beyond the stored text the next begins: a hole, at times of more blocks than a map has entries for. */
  gap: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 20_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(16_760_000, 16_777_216, 40_000_000, 250_000_000) },
  ),
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
          for (const { op, stream, gap: wanted, length, from } of operations) {
            const model = models[stream]!;
            const last = Math.max(model.low, ...lastKey(model.octets));
            // No stream spans more than a window can say.
            const gap = last + wanted - model.low < 2 ** 30 ? wanted : 0;
            const end = last + gap;
            if (op === "put") {
              bytes.set(source.subarray(from, from + length), staging);
              const stored = probe.streamPut!(stream, model.start + model.low, model.start + end, length);
              expect(stored).toBeLessThanOrEqual(length);
              // Text is refused only of a stream that holds a fair share of the pool, or more than it has left.
              if (stored < length)
                expect(probe.streamBlocks!(stream)).toBeGreaterThan(probe.blocksLeft!() / 5);
              for (let i = 0; i < stored; i++) model.octets.set(end + i, source[from + i]!);
            } else if (op === "trim") {
              const to = Math.min(model.low + length + gap, last);
              probe.streamTrim!(stream, model.start + model.low, model.start + to);
              for (const at of [...model.octets.keys()]) if (at < to) model.octets.delete(at);
              model.low = to;
            } else {
              probe.streamClear!(stream);
              expect(probe.streamBlocks!(stream)).toBe(0);
              model.low = last;
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

describe("streams longer than a map has entries for", () => {
  const MIB = 2 ** 20;
  /** The stored text repeats after this, which divides no block. */
  const PERIOD = 65_521;
  let large: Probe;
  beforeAll(async () => {
    large = await loadProbe(192 * MIB);
  });

  it("[9293-REC-1] hold and give back all that a share of the pool has room for, across the end of sequence numbers", () => {
    const { call, bytes: memory } = large;
    call.streamInit!(192 * MIB);
    const staging = call.streamStaging!();
    const start = 0xff000000;
    const piece = source.subarray(0, PERIOD);
    let end = 0;
    for (let stored = PERIOD; stored === PERIOD; end += stored) {
      memory.set(piece, staging);
      stored = call.streamPut!(0, start, start + end, PERIOD);
    }
    // A fifth of the pool, less directory and maps.
    expect(end).toBeGreaterThan(34 * MIB);
    expect(end).toBeLessThan(38 * MIB);
    const used = () => call.blocksTotal!() - call.blocksLeft!();
    for (let at = 0; at < end; ) {
      const length = Math.min(PERIOD, end - at);
      call.streamGet!(0, start + at, length);
      expect(Buffer.compare(memory.subarray(staging, staging + length), piece.subarray(0, length))).toBe(0);
      call.streamTrim!(0, start + at, start + at + length);
      at += length;
      // What is left, the directory, and the maps that it needs.
      expect(used()).toBeLessThanOrEqual(Math.ceil((end - at) / 8192) + 1 + 1 + 4);
    }
    expect(used()).toBeLessThanOrEqual(3);
    call.streamClear!(0);
    expect(used()).toBe(0);
  });

  it("keep what stands before text that is given up across a map's end", () => {
    const { call, bytes: memory } = large;
    call.streamInit!(192 * MIB);
    const staging = call.streamStaging!();
    memory.set(source.subarray(0, 7), staging);
    for (const at of [0, 20 * MIB]) expect(call.streamPut!(0, 0, at, 7)).toBe(7);
    call.streamTrim!(0, 8192, 21 * MIB);
    expect(call.streamBlocks!(0)).toBe(1);
    memory.fill(0, staging, staging + 7);
    call.streamGet!(0, 0, 7);
    expect(Buffer.compare(memory.subarray(staging, staging + 7), source.subarray(0, 7))).toBe(0);
    call.streamClear!(0);
    expect(call.blocksLeft!()).toBe(call.blocksTotal!());
  });

  it("go on for longer than there are sequence numbers without taking more", () => {
    const { call } = large;
    call.streamInit!(192 * MIB);
    const staging = call.streamStaging!();
    const step = 17 * MIB;
    // Seven octets now and then, each farther from the last than a map reaches.
    let low = 0;
    for (let at = 0; at < 2 ** 33; at += step) {
      large.bytes.set(source.subarray(0, 7), staging);
      expect(call.streamPut!(0, low >>> 0, at >>> 0, 7)).toBe(7);
      call.streamTrim!(0, low >>> 0, at >>> 0);
      low = at;
      call.streamGet!(0, at >>> 0, 7);
      expect(Buffer.compare(large.bytes.subarray(staging, staging + 7), source.subarray(0, 7))).toBe(0);
      expect(call.blocksTotal!() - call.blocksLeft!()).toBeLessThanOrEqual(4);
    }
    call.streamClear!(0);
    expect(call.blocksLeft!()).toBe(call.blocksTotal!());
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
