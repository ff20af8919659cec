// One engine and very many peers, each with one connection, who answer at once and say nothing by themselves.
import { acknowledge, pushSyn, SERVER_ADDRESS, SERVER_PORT } from "./crafted-peer.mjs";
import { loadLibrary } from "./dist.mjs";

const BATCH = 256;
/** Connections that are ever written to, drawn from all: more than any cache holds, and all that memory has room for. */
const TALKERS = 32768;
/** Connections written to before anything is sent. */
const AT_ONCE = 50;
const ADVANCES = 5000;
const TICK = 0.01;

export class Crowd {
  now = 0;
  /** Every connection, accepted and held. */
  held = [];
  chosen = [];
  next = 0;
  /** Whether what the last `send` sent is still to be acknowledged. */
  unanswered = false;
  seed = 1;
  text = new Uint8Array(64).map((_, i) => i);

  static async make(connections, memory) {
    const { createEngine, PacketBatch } = await loadLibrary();
    const crowd = new Crowd();
    crowd.sent = new PacketBatch(BATCH, BATCH * 160);
    crowd.arriving = new PacketBatch(BATCH, BATCH * 160);
    crowd.engine = await createEngine({
      anyAddress: true,
      addresses: [SERVER_ADDRESS],
      memory,
      seed: new Uint8Array(32).fill(1),
    });
    crowd.listener = crowd.engine.listen({ port: SERVER_PORT });
    // A timer for each of them: two hours of silence.
    crowd.listener.setOption("keepAlive", true);
    crowd.#connect(connections);
    return crowd;
  }

  #connect(count) {
    for (let next = 0; next < count; ) {
      this.now += 1;
      this.arriving.clear();
      while (next < count && pushSyn(this.arriving, next)) next++;
      this.engine.receiveBatch(this.arriving, this.now);
      this.settle();
      for (let served = this.listener.accept(); served; served = this.listener.accept())
        this.held.push(served);
      this.engine.poll();
    }
    const drawn = new Set();
    while (drawn.size < Math.min(TALKERS, count)) drawn.add(this.held[Math.floor(this.#random() * count)]);
    this.talkers = [...drawn];
    const { CurrEstab } = this.engine.counters();
    if (CurrEstab !== count) throw new Error(`${CurrEstab} of ${count} connections are established`);
  }

  /** What the engine has to say, and what the peers say to that, until nobody says anything. */
  settle() {
    this.#catchUp();
    while (this.engine.transmitBatch(this.sent, this.now) > 0) if (this.answer()) this.receive();
    this.engine.poll();
  }

  /** Acknowledge what was sent and not answered. */
  #catchUp() {
    if (this.unanswered && this.answer()) this.receive();
  }

  answer() {
    this.arriving.clear();
    this.unanswered = false;
    return acknowledge(this.sent, this.arriving);
  }

  receive() {
    this.engine.receiveBatch(this.arriving, this.now);
  }

  /** The next of those drawn at random. */
  choose() {
    this.settle();
    this.now += 1;
    this.engine.advance(this.now);
    for (let i = 0; i < AT_ONCE; i++) {
      this.chosen[i] = this.talkers[this.next];
      this.next = (this.next + 1) % this.talkers.length;
    }
  }

  /** The same numbers in every run of the program. */
  #random() {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return this.seed / 2 ** 32;
  }

  write() {
    for (const connection of this.chosen)
      if (connection.write(this.text) !== this.text.length) throw new Error("there is no room to write");
  }

  send() {
    this.#catchUp();
    this.unanswered = true;
    this.engine.transmitBatch(this.sent, this.now);
  }

  /** What is timed, with everything before it in `prepare`. */
  benchmarks() {
    const wrote = () => {
      this.choose();
      this.write();
    };
    const sent = () => {
      wrote();
      this.send();
      if (this.answer() !== AT_ONCE) throw new Error("what was written was not sent");
    };
    const common = { memory: "shared", count: AT_ONCE, check() {} };
    return {
      write: { ...common, prepare: () => this.choose(), run: () => this.write() },
      send: { ...common, prepare: wrote, run: () => this.send() },
      acknowledge: { ...common, prepare: sent, run: () => this.receive() },
      advance: {
        ...common,
        count: ADVANCES,
        // Whatever was armed for what was written has fired.
        prepare: () => {
          this.settle();
          this.now += 1000;
          this.engine.advance(this.now);
        },
        run: () => {
          for (let i = 0; i < ADVANCES; i++) {
            this.now += TICK;
            this.engine.advance(this.now);
          }
        },
      },
    };
  }
}
