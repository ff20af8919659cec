// Connections by the thousand between two small engines, in virtual time, ended in every way there is.
import { SERVER, TwoEngines } from "./two-engines.mjs";

const PORT = 9;
/** Open at a time: more than fit beside each other's leavings. */
const WAVE = 500;
/** So small that a slot or a block lost with each connection would soon be missed. */
const MEMORY = 2 * 2 ** 20;
/** Longer than TIME-WAIT and the orphans' FIN-WAIT-2, in milliseconds. */
const LONG = 10 * 60_000;

class Hosts extends TwoEngines {
  static async make(library) {
    // A send buffer larger than the pool: how much it takes tells what is left of the pool.
    const settings = { tcpWmem: [4096, 8 * 2 ** 20, 8 * 2 ** 20], tcpMaxSynBacklog: WAVE };
    const hosts = await TwoEngines.make.call(Hosts, { memory: MEMORY, settings }, library);
    hosts.listener = hosts.server.listen({ port: PORT });
    return hosts;
  }

  /** Packets both ways until there are none. */
  settle() {
    while (this.carry(this.client, this.server) + this.carry(this.server, this.client) > 0) this.now += 1;
    this.client.poll();
    this.server.poll();
  }

  /** What the server has to send reaches the client but for the first packet, so that what arrives lies behind a hole. */
  loseFirst() {
    this.client.receive(this.server.transmit(this.now).slice(1), this.now);
  }

  /** Let `milliseconds` pass, deadline by deadline. */
  pass(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      const next = Math.min(
        this.client.nextDeadline() ?? Number.POSITIVE_INFINITY,
        this.server.nextDeadline() ?? Number.POSITIVE_INFINITY,
      );
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.client.advance(this.now);
      this.server.advance(this.now);
      this.settle();
    }
    this.now = end;
  }

  open() {
    return this.client.connect({ remoteAddress: SERVER, remotePort: PORT });
  }

  /** Octets that a new connection of each engine can queue before memory ends: to a block, how much of it is left. */
  room() {
    return ["client", "server"].map((side) => {
      const opened = this.open();
      this.settle();
      const served = this.listener.accept();
      const connection = side === "client" ? opened : served;
      const chunk = new Uint8Array(65536);
      let room = 0;
      for (let taken = connection.write(chunk); taken > 0; taken = connection.write(chunk)) room += taken;
      connection.abort();
      this.settle();
      this.pass(LONG);
      return room;
    });
  }
}

const text = new Uint8Array(3000).map((_, i) => i * 5);
const into = new Uint8Array(text.length);

/** How a connection ends, from both its ends. */
const ends = [
  (here, there) => [here.close(), there.close()],
  (here, there) => [there.close(), here.close()],
  (here, there) => [here.shutdown(), there.shutdown(), here.close(), there.close()],
  (here, there) => [here.abort(), there.close()],
  (here, there) => [here.close(), there.abort()],
  // Text that nobody will read, on its way when they close.
  (here, there) => [here.write(text), there.write(text), here.close(), there.close()],
];

/** Every kind of end: with all read, with text unread, with a hole in it; at once and a round trip later. */
function wave(hosts, size) {
  const here = Array.from({ length: size }, () => hosts.open());
  hosts.settle();
  // In the order of the queue, which need not be that in which they were opened.
  const byPort = new Map(here.map((connection) => [connection.localPort, connection]));
  for (let i = 0; i < size; i++) {
    const served = hosts.listener.accept();
    if (served === undefined) throw new Error(`connection ${i + 1} of ${size} was not accepted`);
    const opened = byPort.get(served.remotePort);
    if (opened.write(text) !== text.length) throw new Error(`connection ${i + 1}: no room for its text`);
    hosts.settle();
    if (served.read(into) !== text.length) throw new Error(`connection ${i + 1}: its text did not arrive`);
    if (i % 3 === 0) served.write(text);
    if (i % 4 === 0) hosts.settle();
    else if (i % 4 === 1) hosts.loseFirst();
    ends[i % ends.length](opened, served);
    if (i % 2 === 0) hosts.settle();
  }
  hosts.settle();
  hosts.pass(LONG);
}

/**
 * Open and close `connections`, twice. What is left over of each round shows as `open`, connections there still are, and
 * as a difference of `room`, what memory is left for, between the rounds.
 *
 * @param {{ createEngine: Function }} library
 * @param {number} connections
 * @param {() => Promise<{ total: number }>} heap
 * @param {(done: number) => void} [watch] called with the connections closed
 */
export async function manyConnections(library, connections, heap, watch) {
  const hosts = await Hosts.make(library);
  const rounds = [];
  for (let round = 0; round < 2; round++) {
    for (let done = 0; done < connections; done += WAVE) {
      wave(hosts, Math.min(WAVE, connections - done));
      watch?.(round * connections + done + WAVE);
    }
    const open = hosts.client.connections().length + hosts.server.connections().length;
    rounds.push({ open, room: hosts.room(), heap: await heap() });
  }
  const { ActiveOpens } = hosts.client.counters();
  const { PassiveOpens } = hosts.server.counters();
  hosts.client.close();
  hosts.server.close();
  return { rounds, activeOpens: ActiveOpens, passiveOpens: PassiveOpens };
}
