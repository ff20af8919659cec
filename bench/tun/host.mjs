// A program on Synwave's TCP that does what agent.c does on Linux's: it fills a connection from one buffer, and empties one
// into one buffer.
import { loadLibrary } from "../dist.mjs";

/** As agent.c's. */
const CHUNK = 256 * 1024;
/** As Linux's, which paths/linux-host.mjs sets. */
const SETTINGS = { tcpRmem: [4096, 131072, 16777216], tcpWmem: [4096, 16384, 16777216] };

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export class Host {
  #stack;

  static async start(link, address, congestion) {
    const { createStack } = await loadLibrary();
    const host = new Host();
    host.#stack = await createStack({
      link,
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
    const { value: peer } = await listener.next();
    const start = performance.now();
    let octets = 0;
    const reading = (async () => {
      const reader = peer.readable.getReader({ mode: "byob" });
      let buffer = new ArrayBuffer(CHUNK);
      for (;;) {
        const { value, done } = await reader.read(new Uint8Array(buffer));
        if (done) return;
        octets += value.length;
        buffer = value.buffer;
      }
    })();
    await Promise.race([sleep(seconds), reading.catch(() => {})]);
    return { octets, seconds: (performance.now() - start) / 1000 };
  }

  async send(hostname, port, seconds) {
    const socket = this.#stack.connect({ hostname, port });
    await socket.opened;
    const writer = socket.writable.getWriter();
    const chunk = new Uint8Array(CHUNK);
    let over = false;
    const writing = (async () => {
      while (!over) await writer.write(chunk);
    })();
    writing.catch(() => {});
    await sleep(seconds);
    over = true;
    return socket.info();
  }

  async stop() {
    await this.#stack.close();
  }
}
