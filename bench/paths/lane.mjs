// One path and the hosts at its ends, in a process of its own, inside a network namespace: runs the transfers it is told of,
// one after another. What is called A sends to B; the bottleneck is on that way.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { loadLibrary, loadNodeLibrary } from "../dist.mjs";
import { LinuxHost } from "./linux-host.mjs";
import { SynwaveHost } from "./synwave-host.mjs";

const { impair, pipe, PacketBatch } = await loadLibrary();
const { openClock, openTun } = await loadNodeLibrary();
/** Compiled once for all stacks of the process: compiling takes long enough to hold up a path. */
const wasm = await WebAssembly.compile(await readFile(new URL("../../dist/release.wasm", import.meta.url)));

const A = "10.88.0.1";
const B = "10.88.0.2";
/** Where Synwave sends from when Linux does from `A`. */
const ALSO = "10.88.0.3";
const MTU = 1500;
/** Octets under way at once, both queue and path. */
const CAPACITY = 16 * 2 ** 20;

/**
 * Go before whatever else the machine does, for a path that stands still for milliseconds is another path; or no longer: what
 * a lane does before and after a transfer takes as much as 80 ms, for which others' paths would stand still.
 */
async function hurry(whether) {
  const words = whether ? ["--all-tasks", "--rr", "--pid", "1"] : ["--all-tasks", "--other", "--pid", "0"];
  await promisify(execFile)("chrt", [...words, String(process.pid)]);
}

/** How late wake-ups come, milliseconds. */
class Lateness {
  #late = [];

  watch(clock) {
    return {
      now: () => clock.now(),
      at: (when, wake) =>
        clock.at(when, () => {
          this.#late.push(clock.now() - when);
          wake();
        }),
      cancel: (entry) => clock.cancel(entry),
    };
  }

  get percentiles() {
    const sorted = Float64Array.from(this.#late).sort();
    const at = (q) => sorted[Math.floor((sorted.length - 1) * q)] ?? 0;
    return { median: at(0.5), p99: at(0.99), most: at(1) };
  }
}

/** A link for one transfer, of a device that stays. */
function borrowed(link) {
  let open = true;
  return {
    mtu: link.mtu,
    checksum: link.checksum,
    gso: 0,
    closed: new Promise(() => {}),
    send: (batch) => open && link.send(batch),
    onReceive: (sink) => link.onReceive(sink),
    close: () => {
      open = false;
    },
  };
}

/** One link for two hosts: which of them a packet is for, its destination's last octet says. */
function fork(links) {
  const batches = links.map(() => new PacketBatch(256, 512 * 1024));
  return {
    ...borrowed(links[0].link),
    send({ bytes, table, count }) {
      links.forEach(({ link, last }, i) => {
        const batch = batches[i];
        batch.clear();
        for (let n = 0; n < count * 2; n += 2)
          if (bytes[table[n] + 19] === last) batch.pushFrom(bytes, table[n], table[n + 1]);
        link.send(batch);
      });
    },
  };
}

class Lane {
  #port = 5000;

  static async open(program) {
    const lane = new Lane();
    lane.clock = await openClock();
    lane.hosts = await Promise.all([LinuxHost.start(program), LinuxHost.start(program)]);
    lane.tuns = [];
    for (const [i, address] of [A, B].entries()) {
      const name = `path${i}`;
      lane.tuns.push(await openTun({ name, mtu: MTU, packets: 256 }));
      await lane.hosts[i].take(name, address);
    }
    return lane;
  }

  /**
   * @param job `from` and `to` are "linux" or "synwave" each, `from` also "both"; `cell` is the path
   */
  async transfer({ from, to, cell, seed, seconds, congestion }) {
    const lateness = new Lateness();
    const clock = lateness.watch(this.clock);
    const port = this.#port++;
    const links = [];
    const synwave = [];
    const attach = async (address) => {
      const [end, near] = pipe({ mtu: MTU });
      synwave.push(await SynwaveHost.start(end, address, clock, congestion, wasm));
      return near;
    };
    const near = (tun) => {
      const link = borrowed(tun);
      links.push(link);
      return link;
    };
    const dropsBefore = await this.#drops();
    const left = from === "synwave" ? await attach(A) : near(this.tuns[0]);
    const also = from === "both" ? await attach(ALSO) : undefined;
    const right = to === "synwave" ? await attach(B) : near(this.tuns[1]);
    const forward = impair(right, {
      clock,
      seed,
      capacity: CAPACITY,
      delay: cell.rtt / 2,
      rate: cell.rate * 1e6,
      queue: cell.octets,
      loss: cell.loss / 100,
      reorder: (cell.reorder ?? 0) / 100,
      reorderDelay: cell.rtt / 4,
    });
    const back = impair(
      also === undefined
        ? left
        : fork([
            { link: left, last: 1 },
            { link: also, last: 3 },
          ]),
      {
        clock,
        seed: seed + 1000,
        capacity: CAPACITY,
        delay: cell.rtt / 2,
        loss: (cell.ackLoss ?? 0) / 100,
      },
    );
    right.onReceive((batch) => back.send(batch));
    for (const link of [left, also]) link?.onReceive((batch) => forward.send(batch));
    const receiver = to === "synwave" ? synwave.at(-1) : this.hosts[1];
    const flow = async (sender, at) => {
      const counting = await receiver.sink(at, seconds);
      const [sent, received] = await Promise.all([sender.send(B, at, seconds, congestion), counting.result]);
      return { ...sent, ...received };
    };
    await hurry(true);
    const flows = [];
    if (from !== "synwave") flows.push(flow(this.hosts[0], port));
    if (from !== "linux") flows.push(flow(synwave[0], this.#port++));
    const results = await Promise.all(flows);
    await hurry(false);
    for (const host of synwave) await host.stop();
    await forward.close();
    await back.close();
    for (const link of links) link.onReceive(undefined);
    const drops = await this.#drops();
    return {
      flows: results.map((result) => ({
        ...result,
        goodput: (result.octets * 8) / result.seconds / 1e6,
        retransmitted: result.bytesSent > 0 ? result.bytesRetrans / result.bytesSent : 0,
      })),
      path: forward.stats,
      late: lateness.percentiles,
      drops: drops - dropsBefore,
    };
  }

  /** Packets that were lost between host and path, where none should be. */
  async #drops() {
    const own = await Promise.all(this.hosts.map((host) => host.dropped()));
    return (
      own.reduce((sum, count) => sum + count, 0) + this.tuns.reduce((sum, { drops }) => sum + drops.busy, 0)
    );
  }
}

const lane = await Lane.open(process.argv[2]);
// V8 compiles what runs often: none of the transfers that count is to be the one during which it does.
const fast = { rate: 50, rtt: 2, loss: 1, octets: 50_000 };
for (const from of ["synwave", "linux"])
  for (const to of ["linux", "synwave"])
    await lane.transfer({ from, to, cell: fast, seed: 0, seconds: 0.7, congestion: "cubic" });
process.on("message", (job) => {
  lane.transfer(job).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: error.stack }),
  );
});
process.on("disconnect", () => process.exit());
process.send({ ready: true });
