import { Bench } from "tinybench";
import { runFloor } from "./floor.mjs";

/**
 * @typedef {object} Benchmark
 * @property {string} name what it measures
 * @property {"shared" | "unshared"} memory kind of linear memory
 * @property {number} count operations in one `run`
 * @property {string} [reference] routine of the C reference it is compared with
 * @property {number} [limit] most it may take, as a multiple of the reference
 * @property {() => void} check throws when the result is wrong
 * @property {() => void} run
 */

const REPETITIONS = 5;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length & 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Check every benchmark, then time all of them and the C reference in turn, `rounds` times: what slows the machine for
 * a while slows a benchmark and its reference alike, so a ratio is taken within a round and its median over rounds.
 *
 * @param {Benchmark[]} benchmarks
 * @param {{ rounds: number, time: number, progress: (done: number) => void }} options `time` in ms, of each in a round
 */
export async function measure(benchmarks, { rounds, time, progress }) {
  for (const { name, memory, check } of benchmarks) {
    try {
      check();
    } catch (cause) {
      throw new Error(`${name} (${memory} memory) gives a wrong result: ${cause.message}`, { cause });
    }
  }
  const floors = [];
  const samples = benchmarks.map(() => []);
  for (let round = 0; round < rounds; round++) {
    progress(round / rounds);
    const before = await runFloor(REPETITIONS);
    // The first round meets cold code.
    const bench = new Bench({ time, iterations: 5, warmupTime: round === 0 ? time : time / 5, throws: true });
    for (const [index, { run }] of benchmarks.entries()) bench.add(String(index), run);
    await bench.run();
    const after = await runFloor(REPETITIONS);
    floors.push(Object.fromEntries(Object.keys(before).map((key) => [key, (before[key] + after[key]) / 2])));
    for (const [index, { result }] of bench.tasks.entries())
      samples[index].push((result.latency.p50 * 1e6) / benchmarks[index].count);
  }
  const floor = Object.fromEntries(
    Object.keys(floors[0]).map((key) => [key, median(floors.map((each) => each[key]))]),
  );
  const rows = benchmarks.map(({ name, memory, reference, limit }, index) => {
    const row = { name, memory, ns: median(samples[index]), samples: samples[index] };
    if (reference === undefined) return row;
    const ratio = median(samples[index].map((ns, round) => ns / floors[round][reference]));
    Object.assign(row, { reference, referenceNs: floor[reference], ratio });
    return limit === undefined ? row : { ...row, limit, met: ratio <= limit };
  });
  return { floor, floors, rows };
}
