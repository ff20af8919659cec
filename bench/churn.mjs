// Connections that come and go: opened, one request, one response, closed, and TIME-WAIT seen to its end.
import assert from "node:assert/strict";
import { LinuxHosts, whyNoHosts } from "./linux-hosts.mjs";
import { SERVER, TwoEngines } from "./two-engines.mjs";

const REQUEST = 64;
const RESPONSE = 512;
const PORTS = 64;
const FIRST_PORT = 5000;
/** As many open at a time as Linux's client has: there too the rest waits for them. */
const AT_ONCE = 64;
/** Connections in one run. */
const COUNT = 1280;
/** Milliseconds of virtual time of each turn: a connection takes four, and TIME-WAIT lasts for 60 s. */
const TICK = 10;
/** Of Linux's, in a sample; it is timed with one at a time and with many, and the faster counts. */
const LINUX_COUNT = 8000;
const LINUX_AT_ONCE = [1, AT_ONCE];

/** Both ends of very many connections in one thread, told what happens by events. */
class Churn {
  done = 0;
  request = new Uint8Array(REQUEST).map((_, i) => i);
  response = new Uint8Array(RESPONSE).map((_, i) => i * 3);
  into = new Uint8Array(4096);

  static async make(memory) {
    const churn = new Churn();
    churn.hosts = await TwoEngines.make({ shared: memory === "shared" });
    for (let port = FIRST_PORT; port < FIRST_PORT + PORTS; port++) churn.hosts.server.listen({ port });
    return churn;
  }

  open() {
    const remotePort = FIRST_PORT + (this.opened++ % PORTS);
    this.hosts.client.connect({ remoteAddress: SERVER, remotePort });
  }

  serve() {
    for (const event of this.hosts.server.poll()) {
      if (event.type === "accepted")
        for (let one = event.listener.accept(); one; one = event.listener.accept()) this.answer(one);
      else if (event.type === "readable") this.answer(event.connection);
    }
  }

  answer(connection) {
    const octets = connection.read(this.into);
    if (octets === REQUEST) connection.write(this.response);
    else if (octets < 0) connection.close();
    else if (octets > 0) throw new Error(`a request of ${octets} octets`);
  }

  ask() {
    for (const { type, connection } of this.hosts.client.poll()) {
      if (type === "established") connection.write(this.request);
      else if (type === "readable") {
        const octets = connection.read(this.into);
        if (octets !== RESPONSE) throw new Error(`a response of ${octets} octets`);
        connection.close();
        this.done++;
        if (this.opened < this.most) this.open();
      } else if (type === "reset" || type === "timedOut") throw new Error(`a connection was ${type}`);
    }
  }

  run(count) {
    this.done = 0;
    this.opened = 0;
    this.most = count;
    while (this.opened < Math.min(AT_ONCE, count)) this.open();
    for (let turns = 0; this.done < count; turns++) {
      if (turns > count) throw new Error(`only ${this.done} of ${count} connections came to their end`);
      this.turn();
    }
  }

  turn() {
    this.hosts.turn(TICK);
    this.serve();
    this.ask();
  }

  check() {
    const waiting = () =>
      this.hosts.client.connections().filter(({ info }) => info.state === "TIME-WAIT").length;
    this.run(COUNT);
    // The last of them are not closed at both ends yet.
    for (let i = 0; i < 4; i++) this.turn();
    assert.equal(waiting(), COUNT);
    this.hosts.turn(59_000);
    assert.ok(waiting() > 0, "TIME-WAIT ended before its time");
    this.hosts.turn(1_100);
    assert.equal(waiting(), 0);
    const { RetransSegs, OutRsts } = this.hosts.client.counters();
    assert.deepEqual({ RetransSegs, OutRsts }, { RetransSegs: 0, OutRsts: 0 });
    assert.equal(this.hosts.server.connections().length, 0);
    // From now on as many leave TIME-WAIT as enter it.
    const begin = this.hosts.now;
    while (this.hosts.now - begin < 60_000) this.run(COUNT);
  }
}

/** @returns {Promise<{ benchmarks: import("./measure.mjs").Benchmark[], note?: string, end: () => Promise<void> }>} */
export async function churn(quick) {
  const why = whyNoHosts();
  const hosts = why === undefined ? await LinuxHosts.start() : undefined;
  const linux = async () => {
    const times = [];
    for (const atOnce of LINUX_AT_ONCE) times.push(await hosts.connect(quick ? 100 : LINUX_COUNT, atOnce));
    return Math.min(...times);
  };
  const benchmarks = [];
  for (const memory of ["shared", "unshared"]) {
    const churn = await Churn.make(memory);
    benchmarks.push({
      name: "connection with request and response, both ends",
      memory,
      count: COUNT,
      ...(hosts && { beside: { name: "Linux over veth", sample: linux }, limit: 1 / 3 }),
      check: () => churn.check(),
      run: () => churn.run(COUNT),
    });
  }
  return {
    benchmarks,
    note: why && `Linux's rate is not measured: ${why}`,
    end: async () => hosts?.stop(),
  };
}
