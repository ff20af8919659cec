import { Bench } from "tinybench";
import { cpuTime } from "./cpu-time.mjs";
import { runFloor } from "./floor.mjs";
import { median, uncertainty } from "./statistics.mjs";

/**
 * @typedef {object} Benchmark
 * @property {string} name what it measures
 * @property {"shared" | "unshared"} memory kind of linear memory
 * @property {number} count operations in one `run`
 * @property {string} [reference] routine of the C reference it is compared with
 * @property {Beside} [beside] what else it is compared with
 * @property {number} [limit] most it may take, as a multiple of the one or the other
 * @property {(Beside & { limit?: number })[]} [besides] instead: all it is compared with, each in a row of its own
 * @property {() => void} check throws when the result is wrong
 * @property {() => void} run
 * @property {() => void} [prepare] called before each `run`, whose time does not count
 *
 * @typedef {{ name: string, sample: (time: number) => Promise<number> }} Beside nanoseconds of processor time per operation, in
 *   about `time` ms
 *
 * @typedef {object} Plan
 * @property {readonly [number, number]} rounds fewest and most
 * @property {number} seconds of real time after which no round begins that is not one of the fewest
 * @property {number} time ms of processor time of each benchmark in a round
 * @property {number} warmUp most ms of processor time before the first round, of each benchmark
 */

/** Rounds go on until the median ratio of each benchmark is known this well, as a part of it. */
const PRECISION = 0.02;

/** Runs that are compared with as many before them to see whether the compilers are still at work. */
const RUNS = 8;
const STEADY = 0.03;

/** Check every benchmark; throws with its name when a result is wrong. */
function check(benchmarks) {
  for (const { name, memory, check } of benchmarks) {
    try {
      check();
    } catch (cause) {
      throw new Error(`${name} (${memory} memory) gives a wrong result: ${cause.message}`, { cause });
    }
  }
}

/** Run until it gets no faster, `most` milliseconds at most. */
function warmUp({ run, prepare }, most) {
  const end = cpuTime() + most;
  let before = Number.POSITIVE_INFINITY;
  while (cpuTime() < end) {
    const times = Array.from({ length: RUNS }, () => {
      prepare?.();
      const start = cpuTime();
      run();
      return cpuTime() - start;
    });
    const now = median(times);
    if (now > before * (1 - STEADY)) return;
    before = now;
  }
}

/** Nanoseconds per operation: the median of the runs that fit into `time`. */
async function sample({ run, prepare, count }, time) {
  const bench = new Bench({ now: cpuTime, time, iterations: 5, warmup: false, throws: true });
  bench.add("run", run, prepare ? { beforeEach: prepare } : {});
  await bench.run();
  return (bench.tasks[0].result.latency.p50 * 1e6) / count;
}

/** All that a benchmark is compared with: routines in C, or something else that can be timed. */
function besidesOf({ reference, beside, besides, limit }) {
  if (besides) return besides;
  if (beside) return [{ ...beside, limit }];
  return reference ? [{ name: reference, sample: (time) => runFloor(reference, time), limit }] : [];
}

/** Another benchmark, to be compared with: the same in other circumstances. */
export const asReference = (name, benchmark) => ({ name, sample: (time) => sample(benchmark, time) });

/** One benchmark between two runs of each of its references, or by itself: the nanoseconds of each. */
async function sampleBeside(benchmark, time) {
  const besides = besidesOf(benchmark);
  const before = [];
  for (const beside of besides) before.push(await beside.sample(time / 2));
  const ns = await sample(benchmark, time);
  const after = [];
  for (const beside of besides.toReversed()) after.unshift(await beside.sample(time / 2));
  if (besides.length === 0) return [{ ns }];
  return besides.map((_, i) => {
    const referenceNs = (before[i] + after[i]) / 2;
    return { ns, referenceNs, ratio: ns / referenceNs };
  });
}

/** What came of a benchmark beside one of its references, from their samples round by round. */
function row({ name, memory }, beside, samples) {
  const of = (key) => samples.map((each) => each[key]);
  const row = { name, memory, ns: median(of("ns")), samples };
  if (beside === undefined) return row;
  const { limit } = beside;
  const ratio = median(of("ratio"));
  const error = uncertainty(of("ratio"));
  Object.assign(row, { reference: beside.name, referenceNs: median(of("referenceNs")), ratio });
  if (Number.isFinite(error)) row.error = error * ratio;
  return limit === undefined ? row : { ...row, limit, met: ratio <= limit };
}

/**
 * Check every benchmark, then time each beside its C reference in turn, round after round: what slows the machine for a
 * while slows both alike, so a ratio is taken within a round and its median over the rounds. When to stop depends on how
 * well the ratios agree, never on what they are.
 *
 * @param {Benchmark[]} benchmarks
 * @param {Plan} plan
 * @param {(done: number) => void} progress
 */
export async function measure(
  benchmarks,
  { rounds: [fewest, most], seconds, time, warmUp: warmUpTime },
  progress,
) {
  const end = performance.now() + seconds * 1000;
  check(benchmarks);
  for (const benchmark of benchmarks) warmUp(benchmark, warmUpTime);
  // A row for each reference, or for a benchmark without one.
  const rows = benchmarks.map((benchmark) => {
    const besides = besidesOf(benchmark);
    return (besides.length > 0 ? besides : [undefined]).map((beside) => ({ beside, samples: [] }));
  });
  const known = () =>
    rows
      .flat()
      .every(
        ({ beside, samples }) =>
          beside?.limit === undefined || uncertainty(samples.map(({ ratio }) => ratio)) <= PRECISION,
      );
  let rounds = 0;
  while (rounds < fewest || (rounds < most && performance.now() < end && !known())) {
    for (const [index, benchmark] of benchmarks.entries()) {
      const sampled = await sampleBeside(benchmark, time);
      for (const [i, { samples }] of rows[index].entries()) samples.push(sampled[i]);
      progress(Math.min(1, (rounds + (index + 1) / benchmarks.length) / (rounds < fewest ? fewest : most)));
    }
    rounds++;
  }
  const shown = benchmarks.flatMap((benchmark, index) =>
    rows[index].map(({ beside, samples }) => row(benchmark, beside, samples)),
  );
  return { rounds, rows: shown };
}
