// A host whose TCP is Synwave's, at the end of a pipe in the same process.
import { loadLibrary } from "../dist.mjs";

/** As large as any path here needs; Linux's grow to that by themselves. */
const SETTINGS = { tcpRmem: [4096, 8388608, 8388608], tcpWmem: [4096, 8388608, 8388608] };
const CHUNK = new Uint8Array(64 * 1024);

const sleep = (clock, milliseconds) =>
  new Promise((resolve) => clock.at(clock.now() + milliseconds, resolve));

export class SynwaveHost {
  #stack;
  #clock;

  static async start(link, address, clock, congestion, wasm) {
    const { createStack } = await loadLibrary();
    const host = new SynwaveHost();
    host.#clock = clock;
    host.#stack = await createStack({
      link,
      clock,
      wasm,
      addresses: [`${address}/24`],
      memory: 128 * 2 ** 20,
      settings: { ...SETTINGS, tcpCongestionControl: congestion },
    });
    return host;
  }

  /** Count what one connection to `port` brings; resolves when it may come. */
  async sink(port, seconds) {
    const listener = this.#stack.listen({ port });
    return { result: this.#count(listener, seconds) };
  }

  async #count(listener, seconds) {
    const clock = this.#clock;
    for await (const peer of listener) {
      const start = clock.now();
      const marks = new Array(10).fill(0);
      let octets = 0;
      const reading = (async () => {
        for await (const chunk of peer.readable) {
          octets += chunk.length;
          const tenth = Math.floor((clock.now() - start) / (seconds * 100));
          if (tenth < 10) marks[tenth] = octets;
        }
      })();
      reading.catch(() => {});
      await Promise.race([sleep(clock, seconds * 1000), reading.catch(() => {})]);
      return { octets, seconds: (clock.now() - start) / 1000, marks };
    }
  }

  async send(hostname, port, seconds) {
    const socket = this.#stack.connect({ hostname, port });
    await socket.opened;
    const writer = socket.writable.getWriter();
    let over = false;
    const writing = (async () => {
      while (!over) await writer.write(CHUNK);
    })();
    writing.catch(() => {});
    await sleep(this.#clock, seconds * 1000);
    over = true;
    const counters = Object.entries(this.#stack.counters()).filter(([, count]) => count > 0);
    return { ...socket.info(), counters: Object.fromEntries(counters) };
  }

  async stop() {
    await this.#stack.close();
  }
}
