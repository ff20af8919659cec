// Runs transfers in lanes beside each other, as many as do not get in each other's way.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const LANE = fileURLToPath(new URL("lane.mjs", import.meta.url));

/** Lanes, and Mbit/s of all of them together, for each processor. */
const LANES = 6;
const LOAD = 56;
/** What a transfer weighs besides its packets. */
const LEAST = 3;
/** Milliseconds that the worst hundredth of wake-ups may come late: beyond, the path was another than it says. */
const LATE = 1;
/** How often such a transfer is repeated. */
const REPEATS = 3;

class LaneProcess {
  #child;
  #settle;

  static async start(program) {
    const lane = new LaneProcess();
    const words = ["--net", process.execPath, LANE, program];
    lane.#child = spawn("unshare", words, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    lane.#child.on("message", (message) => lane.#settle(message));
    lane.#child.on("error", ({ message }) => lane.#settle({ error: message }));
    lane.#child.on("exit", (code) => lane.#settle({ error: `a lane ended with ${code}` }));
    const { error } = await lane.#next();
    if (error !== undefined) throw new Error(error);
    return lane;
  }

  #next() {
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async run(job) {
    const answer = this.#next();
    this.#child.send(job);
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${job.cell.name} from ${job.from} to ${job.to}: ${error}`);
    return result;
  }

  /** Whether a transfer counts depends on how late the emulator was, never on what came of it. */
  async runInTime(job) {
    let best = await this.run(job);
    let repeats = 0;
    for (; best.late.p99 > LATE && repeats < REPEATS; repeats++) {
      const next = await this.run(job);
      if (next.late.p99 < best.late.p99) best = next;
    }
    return { ...best, repeats };
  }

  stop() {
    if (this.#child.connected) this.#child.disconnect();
  }
}

/**
 * Run every job, those that weigh most first, and call `done` with each and its result.
 * @param jobs with a `load` in Mbit/s and `seconds`
 */
export async function schedule(jobs, program, processors, done) {
  const weigh = (job) => LEAST + job.load;
  const waiting = [...jobs].sort((a, b) => b.load * b.seconds - a.load * a.seconds);
  const lanes = [];
  // One after another: while one warms up the others would.
  for (let i = 0; i < Math.min(LANES * processors, jobs.length); i++)
    lanes.push(await LaneProcess.start(program));
  const budget = Math.max(LOAD * processors, weigh(waiting[0]));
  const idle = [...lanes];
  let load = 0;
  try {
    await new Promise((resolve, reject) => {
      let running = 0;
      const next = () => {
        if (waiting.length === 0 && running === 0) resolve();
        while (idle.length > 0) {
          const at = waiting.findIndex((job) => load + weigh(job) <= budget);
          if (at < 0) return;
          const [job] = waiting.splice(at, 1);
          const lane = idle.pop();
          load += weigh(job);
          running++;
          lane.runInTime(job).then((result) => {
            load -= weigh(job);
            running--;
            idle.push(lane);
            done(job, result);
            next();
          }, reject);
        }
      };
      next();
    });
  } finally {
    for (const lane of lanes) lane.stop();
  }
}
