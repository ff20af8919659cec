// Linux's own TCP over veth pairs, its offloads off and on: both ends in one thread on one processor, as both engines are.
import { execFile, spawn } from "node:child_process";
import os from "node:os";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { cable, compileC, dropNamespaces, finished, makeNamespaces } from "./linux-hosts.mjs";
import { median } from "./statistics.mjs";

const execute = promisify(execFile);
/** Transfers of a sample at least, of which the median counts. */
const LEAST = 3;

export class LinuxBulk {
  #names;
  #process;
  #lines;
  /** Which set of connections there is for an MTU, without and with offloads. */
  #sets = new Map();

  /** Two namespaces, with a pair of devices for each MTU without offloads and one with, and `flows` connections over each. */
  static async start(mtus, flows) {
    const it = new LinuxBulk();
    const program = await compileC("linux-bulk");
    it.#names = ["server", "client"].map((side) => `synwave-${process.pid}-bulk-${side}`);
    try {
      await makeNamespaces(it.#names);
      // A sample may begin long after the one before it.
      for (const name of it.#names)
        await execute("ip", ["netns", "exec", name, "sysctl", "-qw", "net.ipv4.tcp_slow_start_after_idle=0"]);
      const last = os.cpus().length - 1;
      it.#process = spawn(program, [...it.#names, String(last)], { stdio: ["pipe", "pipe", "inherit"] });
      it.#lines = createInterface({ input: it.#process.stdout })[Symbol.asyncIterator]();
      for (const mtu of mtus)
        for (const offloads of [false, true]) await it.#open(program, mtu, offloads, flows);
    } catch (error) {
      await it.stop();
      throw error;
    }
    return it;
  }

  async #open(program, mtu, offloads, flows) {
    const set = this.#sets.size;
    const device = `v${set}`;
    const address = `10.99.${set}.1`;
    await cable(this.#names, device, [address, `10.99.${set}.2`], mtu);
    if (!offloads)
      for (const name of this.#names) await execute("ip", ["netns", "exec", name, program, "plain", device]);
    this.#sets.set(`${mtu} ${offloads}`, set);
    if ((await this.#ask(`open ${set} ${address} ${flows}`)) !== "ready")
      throw new Error("Linux's connections are not there");
  }

  async #ask(line) {
    this.#process.stdin.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("Linux's side of the benchmark has ended");
    return value;
  }

  /**
   * Nanoseconds of the processor's time for each octet moved: the median of the transfers of `octets` each way that fit into
   * `time` ms.
   */
  async move({ mtu, flows, both, offloads, inTurn }, octets, time) {
    const set = this.#sets.get(`${mtu} ${offloads}`);
    const ways = both ? 2 : 1;
    const times = [];
    for (const end = performance.now() + time; times.length < LEAST || performance.now() < end; )
      times.push(Number(await this.#ask(`move ${set} ${flows} ${inTurn} ${ways} ${octets}`)));
    return median(times) / (octets * ways);
  }

  async stop() {
    await finished(this.#process);
    await dropNamespaces(this.#names);
  }
}
