import { describe, expect, it } from "vitest";
import type { Connection, EngineEvent } from "../../bindings/types.ts";
import { debugModule, makeEngine, seed } from "../support/engine.ts";
import { randomOctets } from "../support/random.ts";
import { type Chances, chance, Wire } from "../support/wire.ts";

interface Crowd {
  connections: number;
  /** Octets each way on each connection. */
  length: number;
  memory: number;
  chances: Chances;
}

/** The application of one end of one connection, driven by events alone: a wake-up that does not come is a stall. */
class End {
  written = 0;
  readonly pieces: Buffer[] = [];
  ended = false;
  readonly connection: Connection;
  readonly text: Uint8Array;
  readonly into = new Uint8Array(8192);

  constructor(connection: Connection, text: Uint8Array) {
    this.connection = connection;
    this.text = text;
    connection.context = this;
  }

  onWritable(): void {
    if (this.written === this.text.length) return;
    this.written += this.connection.write(this.text.subarray(this.written));
    if (this.written === this.text.length) this.connection.shutdown();
  }

  onReadable(): void {
    for (let n = 1; n > 0 && !this.ended; ) {
      n = this.connection.read(this.into);
      if (n === -1) this.ended = true;
      else if (n > 0) this.pieces.push(Buffer.from(this.into.slice(0, n)));
    }
  }
}

async function crowd({ connections, length, memory, chances }: Crowd) {
  const wasm = await debugModule();
  const [a, b] = await Promise.all([
    makeEngine({ addresses: ["192.0.2.1"], seed: seed(1), memory, wasm }),
    makeEngine({ addresses: ["192.0.2.2"], seed: seed(2), memory, wasm }),
  ]);
  const wire = new Wire(a, b);
  wire.record = false;
  wire.rule = chance(3, chances);
  const listener = b.listen({ port: 80 });
  const up = randomOctets(length, 1);
  const down = randomOctets(length, 2);
  const ends: End[] = [];
  for (let i = 0; i < connections; i++)
    ends.push(new End(a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 }), up));
  const handle = (event: EngineEvent) => {
    if (event.type === "accepted") {
      for (let accepted = listener.accept(); accepted; accepted = listener.accept()) {
        const end = new End(accepted, down);
        ends.push(end);
        end.onWritable();
        end.onReadable();
      }
      return;
    }
    if (event.type === "datagram") return;
    const end = event.connection.context as End | undefined;
    if (event.type === "reset" || event.type === "timedOut") throw event.connection.error;
    if (event.type === "established" || event.type === "writable") end?.onWritable();
    if (event.type === "readable") end?.onReadable();
  };
  wire.app = () => {
    for (const side of ["a", "b"] as const) for (const event of wire.events[side].splice(0)) handle(event);
  };
  wire.until(() => ends.length === 2 * connections && ends.every(({ ended }) => ended), 3_600_000);
  for (const { text, pieces } of ends) {
    const expected = text === up ? down : up;
    expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  }
  wire.run(130_000);
  expect([a.connections(), b.connections()]).toEqual([[], []]);
  return { a, b };
}

describe("many connections at once", () => {
  it("each arrives exact, both ways, woken by events alone", async () => {
    await crowd({ connections: 20, length: 100_000, memory: 16 * 2 ** 20, chances: {} });
  });

  it("over a bad line", async () => {
    await crowd({
      connections: 20,
      length: 30_000,
      memory: 16 * 2 ** 20,
      chances: { loss: 0.05, reorder: 0.1, duplicate: 0.05, corrupt: 0.02 },
    });
  });

  it("in memory that holds a fraction of what they would like to buffer", async () => {
    await crowd({ connections: 60, length: 60_000, memory: 2 * 2 ** 20, chances: { loss: 0.01 } });
  });

  it("more connections than there are blocks of memory for", async () => {
    await crowd({ connections: 250, length: 9000, memory: 2 * 2 ** 20, chances: { reorder: 0.05 } });
  });

  it("connections that are aborted while their writers wait for memory leave nothing behind", async () => {
    const [a, b] = await Promise.all([
      makeEngine({ addresses: ["192.0.2.1"], memory: 2 * 2 ** 20, wasm: await debugModule() }),
      makeEngine({ addresses: ["192.0.2.2"], memory: 16 * 2 ** 20, seed: seed(2) }),
    ]);
    const wire = new Wire(a, b);
    wire.record = false;
    const listener = b.listen({ port: 80 });
    const text = randomOctets(200_000, 1);
    for (let round = 0; round < 3; round++) {
      const held = Array.from({ length: 400 }, () =>
        a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 }),
      );
      wire.run(100);
      // Nobody reads: windows and memory fill up, and most writers are refused.
      const refusals = held.filter((connection) => connection.write(text) === 0).length;
      expect(refusals).toBeGreaterThan(0);
      wire.run(1000);
      held.forEach((connection, i) => {
        if (i % 3 === 0) connection.close();
        else connection.abort();
      });
      wire.run(1000);
      while (listener.accept());
      for (const { info } of b.connections()) expect(info.state).not.toBe("SYN-RECEIVED");
      wire.run(200_000);
    }
    expect(a.connections().filter(({ info }) => info.state === "ESTABLISHED")).toEqual([]);
    const last = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    wire.run(100);
    expect(last.write(text)).toBeGreaterThan(10_000);
  });
});
