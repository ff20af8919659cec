// From application to application: two engines in one thread, no link between them, virtual time.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { TwoEngines } from "./two-engines.mjs";

const SEGMENT = 1460;
const CHUNK = 64 * 1024;
/** As the C reference's rings. */
const BUFFER = 256 * 1024;
const CHECKED = 16 * 2 ** 20;
/** As the C reference's samples. */
const TIMED = 32 * 2 ** 20;
/** Virtual milliseconds from one exchange of packets to the next. */
const TICK = 0.05;
const PORT = 9;

/** Turns without a packet or an octet after which the engines are taken to have stopped. */
const PATIENCE = 1000;

/** One established connection between two engines. */
class Pair {
  into = new Uint8Array(CHUNK);

  static async make(shared) {
    const settings = { tcpRmem: [4096, BUFFER, BUFFER], tcpWmem: [4096, BUFFER, BUFFER] };
    const pair = new Pair();
    pair.engines = await TwoEngines.make({ mtu: 1500, shared, settings });
    const { near, far } = pair.engines.connect(PORT);
    pair.sender = near;
    pair.receiver = far;
    assert.equal(near.state, "ESTABLISHED");
    assert.equal(far.state, "ESTABLISHED");
    return pair;
  }

  /** One turn of time, packets both ways, events drained as a stack drains them. */
  exchange() {
    const { engines } = this;
    const packets = engines.turn(TICK);
    engines.client.poll();
    engines.server.poll();
    return packets;
  }

  /**
   * Move `length` octets, a multiple of 64 KiB.
   *
   * @param {Uint8Array} chunk what is written, again and again
   * @param {{ written?: (offset: number) => void, read?: (bytes: Uint8Array) => void }} [watch]
   */
  move(length, chunk, { written, read } = {}) {
    let sent = 0;
    let received = 0;
    let idle = 0;
    while (received < length) {
      while (sent < length && this.sender.writable >= CHUNK) {
        written?.(sent);
        const taken = this.sender.write(chunk);
        if (taken !== CHUNK) throw new Error(`write took ${taken} of ${CHUNK} octets that were writable`);
        sent += taken;
      }
      const packets = this.exchange();
      let octets = 0;
      for (;;) {
        const count = this.receiver.read(this.into);
        if (count < 0) throw new Error("the stream ended early");
        if (count === 0) break;
        read?.(this.into.subarray(0, count));
        octets += count;
      }
      received += octets;
      idle = packets === 0 && octets === 0 ? idle + 1 : 0;
      if (idle > PATIENCE) throw new Error(`nothing moves after ${received} octets`);
      if (idle > 0) this.wait(received);
    }
    if (received !== length) throw new Error(`${received} octets arrived of ${length}`);
  }

  /** Nothing moved: on to the next deadline. */
  wait(received) {
    const deadlines = [this.engines.client.nextDeadline(), this.engines.server.nextDeadline()].filter(
      (at) => at !== undefined,
    );
    if (deadlines.length === 0) throw new Error(`the transfer stopped for ever after ${received} octets`);
    this.engines.now = Math.max(this.engines.now, Math.min(...deadlines));
  }

  /** A transfer in which every chunk differs, hashed at both ends. */
  check() {
    const chunk = new Uint8Array(CHUNK);
    const words = new Uint32Array(chunk.buffer);
    const [into, out] = [createHash("sha256"), createHash("sha256")];
    this.move(CHECKED, chunk, {
      written(offset) {
        for (let i = 0; i < words.length; i++) words[i] = Math.imul(offset + i, 2654435761);
        into.update(chunk);
      },
      read: (bytes) => out.update(bytes),
    });
    assert.equal(out.digest("hex"), into.digest("hex"));
    const { RetransSegs } = this.engines.client.counters();
    assert.equal(RetransSegs, 0, `${RetransSegs} segments were sent again though none was lost`);
  }
}

async function transfer(memory) {
  const pair = await Pair.make(memory === "shared");
  const chunk = Uint8Array.from({ length: CHUNK }, (_, i) => i * 7 + (i >> 8));
  return {
    name: "bulk transfer, each 1460 octets",
    memory,
    count: TIMED / SEGMENT,
    reference: "segment",
    limit: memory === "shared" ? 1.8 : 1.5,
    check: () => pair.check(),
    run: () => pair.move(TIMED, chunk),
  };
}

/** @returns {Promise<import("./measure.mjs").Benchmark[]>} */
export async function bulk() {
  return [await transfer("shared"), await transfer("unshared")];
}
