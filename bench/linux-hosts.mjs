// Two hosts whose TCP is Linux's, with a cable between them: network namespaces and a veth pair, for as long as it takes.
import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { root } from "../scripts/files.mjs";

const execute = promisify(execFile);
const SERVER = "10.99.0.1";
const CLIENT = "10.99.0.2";
const PORT = 5000;
/** So many that the ports of connections in TIME-WAIT run out at none of them. */
const PORTS = 64;
const MOST_SECONDS = 60;

/** Why there can be none here; undefined when there can. */
export function whyNoHosts() {
  if (process.platform !== "linux") return "not on Linux";
  if (process.getuid() !== 0) return "not root, who may make network namespaces";
  try {
    execFileSync("ip", ["-V"], { stdio: "ignore" });
  } catch {
    return "no iproute2";
  }
  return undefined;
}

/** Make namespaces of these names. */
export async function makeNamespaces(names) {
  for (const name of names) await execute("ip", ["netns", "add", name]);
}

export async function dropNamespaces(names) {
  for (const name of names) await execute("ip", ["netns", "del", name]).catch(() => {});
}

/** Tell a program by the end of its input that it is over, and wait until it is; one that never began is. */
export async function finished(child) {
  if (!child || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end();
  await ended;
}

/** Join two namespaces by a pair of devices of one name, each with its address. */
export async function cable(names, device, addresses, mtu = 1500) {
  const ip = (...words) => execute("ip", words.map(String));
  const [one, other] = names;
  await ip("link", "add", device, "netns", one, "type", "veth", "peer", "name", device, "netns", other);
  for (const [side, name] of names.entries()) {
    await ip("-n", name, "link", "set", "lo", "up");
    await ip("-n", name, "link", "set", device, "mtu", mtu);
    await ip("-n", name, "address", "add", `${addresses[side]}/24`, "dev", device);
    await ip("-n", name, "link", "set", device, "up");
  }
}

/** Compile `bench/NAME.c`; returns the program. */
export async function compileC(name) {
  mkdirSync(join(root, "build"), { recursive: true });
  const program = join(root, "build", name);
  await execute("gcc", ["-O2", "-Wall", "-Wextra", "-o", program, `bench/${name}.c`], { cwd: root });
  return program;
}

export class LinuxHosts {
  #program;
  #names;
  #server;
  #lines;

  static async start() {
    const hosts = new LinuxHosts();
    hosts.#program = await compileC("linux-pair");
    hosts.#names = ["server", "client"].map((side) => `synwave-${process.pid}-${side}`);
    try {
      await makeNamespaces(hosts.#names);
      await cable(hosts.#names, "v0", [SERVER, CLIENT]);
      await hosts.#serve();
    } catch (error) {
      await hosts.stop();
      throw error;
    }
    return hosts;
  }

  #spawn(side, words) {
    return ["ip", ["netns", "exec", this.#names[side], this.#program, ...words.map(String)]];
  }

  async #serve() {
    const server = spawn(...this.#spawn(0, ["serve", PORT, PORTS]), { stdio: ["pipe", "pipe", "inherit"] });
    this.#server = server;
    this.#lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
    const { value } = await this.#lines.next();
    if (value !== "ready") throw new Error("Linux's server does not listen");
  }

  /** Nanoseconds of processor time the server has used. */
  async #used() {
    this.#server.stdin.write("\n");
    return Number((await this.#lines.next()).value);
  }

  async #client(...words) {
    const before = await this.#used();
    const { stdout } = await execute(...this.#spawn(1, words), {
      timeout: MOST_SECONDS * 1000,
      maxBuffer: 2 ** 26,
    });
    const [own, ...times] = stdout.trim().split(" ").map(Number);
    return { ns: own + (await this.#used()) - before, times };
  }

  /** Nanoseconds of processor time, both ends together, for each of `count` connections, `atOnce` at a time. */
  async connect(count, atOnce) {
    return (await this.#client("connect", SERVER, PORT, PORTS, count, atOnce)).ns / count;
  }

  /** One octet there and back: nanoseconds of processor time each, and of real time in ascending order. */
  async ping(count) {
    const { ns, times } = await this.#client("ping", SERVER, PORT, count);
    return { ns: ns / count, times };
  }

  async stop() {
    await finished(this.#server);
    await dropNamespaces(this.#names);
  }
}
