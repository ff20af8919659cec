// A host whose TCP is Linux's: a network namespace with one TUN device, of which the other end is ours.
import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** As large as any path here needs; nothing is remembered of the path from one transfer to the next. */
const SETTINGS = {
  "net/ipv4/tcp_rmem": "4096 131072 16777216",
  "net/ipv4/tcp_wmem": "4096 16384 16777216",
  "net/ipv4/tcp_no_metrics_save": "1",
};

export class LinuxHost {
  #agent;
  #device;
  #waiting = new Map();
  #next = 0;

  /** @param {string} program the compiled agent.c */
  static async start(program) {
    const host = new LinuxHost();
    const agent = spawn("chrt", ["--rr", "1", program], { stdio: ["pipe", "pipe", "inherit"] });
    host.#agent = agent;
    agent.on("exit", (code) => {
      for (const { reject } of host.#waiting.values()) reject(new Error(`a host ended with ${code}`));
    });
    createInterface({ input: agent.stdout }).on("line", (line) => {
      const { id, ...answer } = JSON.parse(line);
      const { resolve, reject } = host.#waiting.get(id) ?? {};
      host.#waiting.delete(id);
      if (answer.error === undefined) resolve?.(answer);
      else reject?.(new Error(answer.error));
    });
    await host.#answer("ready");
    for (const [path, value] of Object.entries(SETTINGS)) {
      const written = host.#answer(path);
      agent.stdin.write(`write ${path} ${value}\n`);
      await written;
    }
    return host;
  }

  /** Move a TUN device here and give it an address. */
  async take(device, address) {
    this.#device = device;
    const { pid } = this.#agent;
    const inside = (...words) => run("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", ...words]);
    await run("ip", ["link", "set", "dev", device, "netns", String(pid)]);
    await inside("link", "set", "dev", "lo", "up");
    await inside("link", "set", "dev", device, "mtu", "1500", "txqueuelen", "10000", "up");
    await inside("address", "add", `${address}/24`, "dev", device);
  }

  #answer(id) {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #ask(words, id = `${this.#next++}`) {
    const answer = this.#answer(id);
    this.#agent.stdin.write(`${words.replace("ID", id)}\n`);
    return { id, answer };
  }

  /** Count what one connection to `port` brings; resolves when it may come. */
  async sink(port, seconds) {
    const { id, answer } = this.#ask(`sink ID ${port} ${seconds}`);
    await answer;
    // Wrapped, since a promise would be waited for.
    return { result: this.#answer(id) };
  }

  send(address, port, seconds, congestion) {
    return this.#ask(`send ID ${address} ${port} ${seconds} ${congestion}`).answer;
  }

  async dropped() {
    return (await this.#ask(`dropped ID ${this.#device}`).answer).dropped;
  }

  stop() {
    this.#agent.stdin.end();
  }
}
