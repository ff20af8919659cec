import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection, EngineOptions } from "../../bindings/types.ts";
import { debugModule, makeEngine, seed } from "../support/engine.ts";
import { random, randomOctets } from "../support/random.ts";
import { type Chances, chance, Wire } from "../support/wire.ts";

interface Plan {
  seed: number;
  chances: Chances;
  up: number;
  down: number;
  mtu?: number;
  settings?: EngineOptions["settings"];
  six?: boolean;
  /** Octets that the applications read and write at once, at most. */
  gulp?: number;
  noDelay?: boolean;
}

/** One side's application: writes all it has, reads until the end, then closes. */
class Application {
  written = 0;
  readonly read: Buffer[] = [];
  length = 0;
  ended = false;
  readonly text: Uint8Array;
  readonly gulp: number;
  readonly next: () => number;
  readonly into = new Uint8Array(65536);

  constructor(text: Uint8Array, gulp: number, chance: number) {
    this.text = text;
    this.gulp = gulp;
    this.next = random(chance);
  }

  act(connection: Connection): void {
    if (connection.state === "SYN-SENT" || connection.state === "SYN-RECEIVED") return;
    if (connection.error) throw connection.error;
    while (this.written < this.text.length) {
      const n = Math.min(1 + Math.floor(this.next() * this.gulp), this.text.length - this.written);
      const taken = connection.write(this.text.subarray(this.written, this.written + n));
      this.written += taken;
      if (this.written === this.text.length) connection.shutdown();
      if (taken < n) break;
    }
    while (!this.ended) {
      const n = connection.read(this.into.subarray(0, 1 + Math.floor(this.next() * this.gulp)));
      if (n === -1) this.ended = true;
      if (n <= 0) break;
      this.read.push(Buffer.from(this.into.slice(0, n)));
      this.length += n;
    }
  }
}

/** Both directions at once between two engines; returns what a test may want to know. */
async function transfer(plan: Plan) {
  const six = plan.six ?? false;
  const wasm = await debugModule();
  const options = (n: number): EngineOptions => ({
    addresses: [six ? `2001:db8::${n}` : `192.0.2.${n}`],
    seed: seed(plan.seed + n),
    ...(plan.mtu && { mtu: plan.mtu }),
    ...(plan.settings && { settings: plan.settings }),
    wasm,
  });
  const [a, b] = await Promise.all([makeEngine(options(1)), makeEngine(options(2))]);
  const wire = new Wire(a, b);
  wire.now = Math.floor(random(plan.seed)() * 1e7);
  // It heals in time: a timeout that has grown beyond the peer's TIME-WAIT finds nobody there any more.
  const bad = chance(plan.seed, plan.chances);
  const healed = wire.now + 25_000;
  wire.rule = (sighting) => (sighting.now < healed ? bad(sighting) : undefined);
  const listener = b.listen({ port: 80 });
  const ours = a.connect({ remoteAddress: six ? "2001:db8::2" : "192.0.2.2", remotePort: 80 });
  if (plan.noDelay) ours.setOption("noDelay", true);
  let theirs: Connection | undefined;
  const gulp = plan.gulp ?? 20_000;
  const client = new Application(randomOctets(plan.up, plan.seed), gulp, plan.seed ^ 1);
  const server = new Application(randomOctets(plan.down, plan.seed + 1), gulp, plan.seed ^ 2);
  if (plan.up === 0) client.written = -1;
  if (plan.down === 0) server.written = -1;
  const act = (application: Application, connection: Connection) => {
    if (
      application.written === -1 &&
      connection.state !== "SYN-SENT" &&
      connection.state !== "SYN-RECEIVED"
    ) {
      application.written = 0;
      connection.shutdown();
    }
    application.act(connection);
  };
  wire.app = () => {
    act(client, ours);
    theirs ??= listener.accept();
    if (theirs) act(server, theirs);
  };
  wire.until(() => client.ended && server.ended, 3_600_000);
  const done = wire.now;
  expect(Buffer.concat(server.read).equals(client.text)).toBe(true);
  expect(Buffer.concat(client.read).equals(server.text)).toBe(true);
  const finished = () =>
    [ours.state, theirs!.state].every((state) => state === "CLOSED" || state === "TIME-WAIT");
  wire.until(finished, 600_000);
  wire.run(130_000);
  expect([ours.state, theirs!.state]).toEqual(["CLOSED", "CLOSED"]);
  expect([ours.error, theirs!.error]).toEqual([undefined, undefined]);
  expect([a.connections(), b.connections()]).toEqual([[], []]);
  expect([a.nextDeadline(), b.nextDeadline()]).toEqual([undefined, undefined]);
  return { wire, a, b, duration: done };
}

describe("transfer between two engines", () => {
  it("arrives exact over a perfect line, with no segment sent twice", async () => {
    const { a, b } = await transfer({ seed: 1, chances: {}, up: 300_000, down: 200_000 });
    expect(a.counters().RetransSegs).toBe(0);
    expect(b.counters().RetransSegs).toBe(0);
  });

  it("arrives exact over IPv6 with loss", async () => {
    await transfer({ seed: 2, chances: { loss: 0.03 }, up: 150_000, down: 150_000, six: true });
  });

  it.each([
    ["loss", { loss: 0.1 }],
    ["duplication", { duplicate: 0.3 }],
    ["reordering", { reorder: 0.3 }],
    ["corruption", { corrupt: 0.1 }],
    ["all at once", { loss: 0.05, duplicate: 0.1, reorder: 0.2, corrupt: 0.05 }],
    ["heavy loss", { loss: 0.3 }],
  ] as const)("arrives exact and both ends close: %s", async (_, chances) => {
    for (let n = 0; n < 4; n++) await transfer({ seed: 100 + n, chances, up: 60_000, down: 40_000 });
  });

  it("arrives exact whatever the network does, the sizes are and the buffers hold", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(0x7fffffff),
          chances: fc.record({
            loss: fc.constantFrom(0, 0.02, 0.1, 0.2),
            duplicate: fc.constantFrom(0, 0.1),
            reorder: fc.constantFrom(0, 0.1, 0.4),
            corrupt: fc.constantFrom(0, 0.05),
            delay: fc.constantFrom(0.1, 5, 150),
          }),
          up: fc.oneof(fc.constantFrom(0, 1, 1460, 1461), fc.nat(40_000)),
          down: fc.oneof(fc.constantFrom(0, 1, 536), fc.nat(40_000)),
          mtu: fc.constantFrom(576, 1280, 1500, 9000, 65535),
          gulp: fc.constantFrom(1000, 3000, 60_000),
          noDelay: fc.boolean(),
          settings: fc.record({
            tcpRmem: fc.constantFrom<[number, number, number]>([4096, 4096, 4096], [4096, 131072, 131072]),
            tcpWmem: fc.constantFrom<[number, number, number]>([4096, 4096, 4096], [4096, 65536, 65536]),
            tcpWindowScaling: fc.constantFrom(0, 1),
          }),
        }),
        async (plan) => {
          await transfer(plan);
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  it("sends text while it still waits for the SYN to be acknowledged to nobody", async () => {
    // Octets written before the handshake is done go with it or right behind it.
    const [a, b] = await Promise.all([
      makeEngine({ addresses: ["192.0.2.1"] }),
      makeEngine({ addresses: ["192.0.2.2"] }),
    ]);
    const wire = new Wire(a, b);
    const listener = b.listen({ port: 80 });
    const ours = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    expect(ours.write(Buffer.from("early"))).toBe(5);
    wire.run(100);
    const theirs = listener.accept()!;
    const into = new Uint8Array(10);
    expect(theirs.read(into)).toBe(5);
    expect(Buffer.from(into.subarray(0, 5)).toString()).toBe("early");
  });

  it("same seed and same inputs give the same packets", async () => {
    const plan: Plan = {
      seed: 7,
      chances: { loss: 0.05, reorder: 0.1, duplicate: 0.05, corrupt: 0.02 },
      up: 30_000,
      down: 30_000,
    };
    const hash = async () => {
      const { wire } = await transfer(plan);
      return wire.seen.map(({ now, octets }) => `${now} ${Buffer.from(octets).toString("hex")}`);
    };
    const first = await hash();
    expect(first.length).toBeGreaterThan(50);
    expect(await hash()).toEqual(first);
  });
});
