// Between Synwave and Linux's own TCP over a TUN device, beside Linux and Linux over a pair of them with a plain forwarder
// in between.
import { execFileSync, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./statistics.mjs";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

const MODES = ["plain", "offload"];
const TRANSFERS = [
  { from: "linux", name: "TUN, from Linux to Synwave" },
  { from: "synwave", name: "TUN, from Synwave to Linux" },
];
/** Part of the reference that must be reached. */
const LEAST = { offload: 0.6 };
const ROUNDS = 3;
const SECONDS = 1.5;

/** Why it cannot run here, or undefined. */
function missing() {
  if (process.platform !== "linux") return `it needs Linux, not ${process.platform}`;
  if (process.getuid() !== 0) return "it needs root, for network namespaces";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "it needs /dev/net/tun";
  }
  for (const [command, option] of [
    ["ip", "-V"],
    ["unshare", "-V"],
    ["nsenter", "-V"],
  ])
    try {
      execFileSync(command, [option], { stdio: "ignore" });
    } catch {
      return `it needs ${command} (iproute2, util-linux)`;
    }
  return undefined;
}

class Lane {
  #child;

  static async start(...programs) {
    const lane = new Lane();
    const words = ["--net", process.execPath, file("tun/lane.mjs"), ...programs];
    lane.#child = spawn("unshare", words, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    await lane.#answer();
    return lane;
  }

  #answer() {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const end = (code) => reject(new Error(`the lane ended with ${code}`));
      child.once("exit", end);
      child.once("message", ({ error, result }) => {
        child.off("exit", end);
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      });
    });
  }

  /** Gbit/s. */
  async run(job) {
    const answer = this.#answer();
    this.#child.send(job);
    const { octets, seconds } = await answer;
    return (octets * 8) / seconds / 1e9;
  }

  stop() {
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** @param {{ quick: boolean }} plan */
export async function tun({ quick }, progress) {
  const reason = missing();
  if (reason !== undefined) {
    console.log(`Skipped: tun\n  because ${reason}\n`);
    return { rows: [], skipped: reason };
  }
  const rounds = quick ? 1 : ROUNDS;
  const seconds = quick ? 0.5 : SECONDS;
  const folder = mkdtempSync(join(os.tmpdir(), "synwave-tun-"));
  let lane;
  try {
    const [agent, forwarder] = ["paths/agent.c", "tun/forward.c"].map((source, i) => {
      const program = join(folder, `program${i}`);
      execFileSync("gcc", ["-O2", "-pthread", "-o", program, file(source)], { stdio: "inherit" });
      return program;
    });
    lane = await Lane.start(agent, forwarder);
    const rows = MODES.flatMap((mode) =>
      TRANSFERS.map(({ from, name }) => ({ name, memory: mode, from, samples: [] })),
    );
    let done = 0;
    for (let round = 0; round < rounds; round++)
      for (const mode of MODES) {
        // Rates are compared with those of the reference just before and just after them.
        const run = (from) => lane.run({ from, mode, seconds });
        const before = await run("reference");
        const own = rows.filter(({ memory }) => memory === mode);
        const rates = [];
        for (const { from } of own) rates.push(await run(from));
        const referenceRate = (before + (await run("reference"))) / 2;
        own.forEach(({ samples }, i) => {
          samples.push({ rate: rates[i], referenceRate, share: rates[i] / referenceRate });
        });
        progress(++done / (rounds * MODES.length));
      }
    return { rounds, rows: rows.map(finish) };
  } finally {
    lane?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function finish({ name, memory, samples }) {
  const of = (key) => median(samples.map((sample) => sample[key]));
  const row = {
    name,
    memory,
    rate: of("rate"),
    referenceRate: of("referenceRate"),
    share: of("share"),
    samples,
  };
  const least = LEAST[memory];
  return least === undefined ? row : { ...row, least, met: row.share >= least };
}
