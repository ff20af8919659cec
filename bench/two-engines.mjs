// Two engines in one thread, joined by hand: what one has to send is what the other receives, in virtual time.
import { loadLibrary } from "./dist.mjs";

export const CLIENT = "10.0.0.1";
export const SERVER = "10.0.0.2";

export class TwoEngines {
  now = 0;

  /**
   * @param {object} [options] of both engines
   * @param {{ createEngine: Function }} [library] default: dist/
   */
  static async make(options = {}, library = undefined) {
    const { createEngine } = library ?? (await loadLibrary());
    const both = new this();
    const engine = (address, seed) =>
      createEngine({ addresses: [address], seed: new Uint8Array(32).fill(seed), ...options });
    both.client = await engine(CLIENT, 1);
    both.server = await engine(SERVER, 2);
    return both;
  }

  #toClient = (batch) => this.client.receiveBatch(batch, this.now);
  #toServer = (batch) => this.server.receiveBatch(batch, this.now);

  /** Everything one engine has to send, to the other; returns the packets. */
  carry(from, to) {
    const send = to === this.client ? this.#toClient : this.#toServer;
    let packets = 0;
    for (;;) {
      const count = from.transmitTo(send, this.now);
      if (count === 0) return packets;
      packets += count;
    }
  }

  /** `milliseconds` later: what is due, and packets both ways, once. */
  turn(milliseconds) {
    this.now += milliseconds;
    this.client.advance(this.now);
    this.server.advance(this.now);
    return this.carry(this.client, this.server) + this.carry(this.server, this.client);
  }

  /** A connection from the one to the other: both its ends. */
  connect(port) {
    const listener = this.server.listen({ port });
    const near = this.client.connect({ remoteAddress: SERVER, remotePort: port });
    for (let turn = 0; turn < 100; turn++) {
      this.turn(1);
      const far = listener.accept();
      if (far === undefined) continue;
      this.client.poll();
      this.server.poll();
      return { near, far };
    }
    throw new Error("two engines do not connect");
  }
}
