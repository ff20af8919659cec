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
 * @property {{ name: string, sample: (time: number) => Promise<number> }} [beside] what else it is compared with:
 *   nanoseconds of processor time per operation, in about `time` ms
 * @property {number} [limit] most it may take, as a multiple of the reference
 * @property {() => void} check throws when the result is wrong
 * @property {() => void} run
 * @property {() => void} [prepare] called before each `run`, whose time does not count
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

/** What a benchmark is compared with: a routine in C, or something else that can be timed. */
function besideOf({ reference, beside }) {
  if (beside) return beside;
  return reference && { name: reference, sample: (time) => runFloor(reference, time) };
}

/** Another benchmark, to be compared with: the same in other circumstances. */
export const asReference = (name, benchmark) => ({ name, sample: (time) => sample(benchmark, time) });

/** One benchmark between two runs of its reference: the nanoseconds of each. */
async function sampleBeside(benchmark, time) {
  const beside = besideOf(benchmark);
  if (beside === undefined) return { ns: await sample(benchmark, time) };
  const before = await beside.sample(time / 2);
  const ns = await sample(benchmark, time);
  const after = await beside.sample(time / 2);
  const referenceNs = (before + after) / 2;
  return { ns, referenceNs, ratio: ns / referenceNs };
}

function row({ limit, ...benchmark }, samples) {
  const { name, memory } = benchmark;
  const reference = besideOf(benchmark)?.name;
  const of = (key) => samples.map((each) => each[key]);
  const row = { name, memory, ns: median(of("ns")), samples };
  if (reference === undefined) return row;
  const ratio = median(of("ratio"));
  const error = uncertainty(of("ratio"));
  Object.assign(row, { reference, referenceNs: median(of("referenceNs")), ratio });
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
  const samples = benchmarks.map(() => []);
  const known = () =>
    benchmarks.every(
      ({ limit }, index) =>
        limit === undefined || uncertainty(samples[index].map(({ ratio }) => ratio)) <= PRECISION,
    );
  let rounds = 0;
  while (rounds < fewest || (rounds < most && performance.now() < end && !known())) {
    for (const [index, benchmark] of benchmarks.entries()) {
      samples[index].push(await sampleBeside(benchmark, time));
      progress(Math.min(1, (rounds + (index + 1) / benchmarks.length) / (rounds < fewest ? fewest : most)));
    }
    rounds++;
  }
  return { rounds, rows: benchmarks.map((benchmark, index) => row(benchmark, samples[index])) };
}
