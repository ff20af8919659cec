import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection, Engine, Listener } from "../../bindings/types.ts";
import { debugModule, makeEngine, seed } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { chance, drop, Wire } from "../support/wire.ts";

const MINUTE = 60_000;

describe("tcpMaxOrphans", () => {
  it("bounds connections that their user has closed: those beyond are reset", async () => {
    const engine = await makeEngine({ settings: { tcpMaxOrphans: 2 } });
    const open = (port: number) => {
      const peer = new Peer(engine, { peerPort: port });
      return { peer, connection: peer.accept() };
    };
    const [first, second, third, fourth] = [1, 2, 3, 4].map(open) as [Open, Open, Open, Open];
    first.connection.close();
    first.peer.expect({ flags: "FA" });
    second.connection.close();
    second.peer.expect({ flags: "FA" });
    third.connection.write(Buffer.from("lost"));
    third.connection.close();
    third.peer.expect({ flags: "RA", seq: 1, ack: 1 });
    third.peer.silence();
    expect(third.connection.state).toBe("CLOSED");
    expect(third.peer.eventTypes()).toEqual(["closed"]);
    expect(engine.counters().TCPAbortOnMemory).toBe(1);
    // Whoever only shuts down, or holds what is over, is no orphan.
    fourth.connection.shutdown();
    fourth.peer.expect({ flags: "FA" });
    // In TIME-WAIT neither; one in FIN-WAIT-2 is.
    first.peer.send({ flags: "FA", seq: 1, ack: 2 });
    first.peer.expect({ flags: "A" });
    second.peer.send({ seq: 1, ack: 2 });
    expect([first.connection.state, second.connection.state]).toEqual(["TIME-WAIT", "FIN-WAIT-2"]);
    const [fifth, sixth] = [5, 6].map(open) as [Open, Open];
    fifth.connection.close();
    fifth.peer.expect({ flags: "FA" });
    sixth.connection.close();
    sixth.peer.expect({ flags: "RA" });
    expect(engine.counters().TCPAbortOnMemory).toBe(2);
  });

  it("counts none in TIME-WAIT, abridged or not yet", async () => {
    const engine = await makeEngine({ settings: { tcpMaxOrphans: 1 } });
    const [first, second] = [1, 2].map((port) => new Peer(engine, { peerPort: port })) as [Peer, Peer];
    const [one, other] = [first.accept(), second.accept()];
    one.close();
    first.expect({ flags: "FA" });
    engine.receive([first.packet({ flags: "FA", seq: 1, ack: 2 })], first.now);
    expect(one.state).toBe("TIME-WAIT");
    other.close();
    expect(engine.counters().TCPAbortOnMemory).toBe(0);
    first.expect({ flags: "A" });
    expect(other.state).toBe("FIN-WAIT-1");
  });

  it("of 0 lets none live, and harms no TIME-WAIT and nothing that is over", async () => {
    const engine = await makeEngine({ settings: { tcpMaxOrphans: 0 } });
    const peer = new Peer(engine, { peerPort: 1 });
    const connection = peer.accept();
    connection.shutdown();
    peer.expect({ flags: "FA" });
    peer.send({ flags: "FA", seq: 1, ack: 2, text: "held" });
    peer.take();
    expect(connection.state).toBe("TIME-WAIT");
    connection.close();
    peer.silence();
    expect(connection.state).toBe("TIME-WAIT");
    const refused = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 2 });
    refused.close();
    const other = new Peer(engine, { peerPort: 3 });
    const gone = other.accept();
    other.send({ flags: "R", seq: 1 });
    gone.close();
    expect(engine.counters().TCPAbortOnMemory).toBe(0);
    const last = new Peer(engine, { peerPort: 4 });
    last.accept().close();
    last.expect({ flags: "RA" });
    expect(engine.counters().TCPAbortOnMemory).toBe(1);
  });

  it("counts none twice and forgets none, whatever becomes of them", async () => {
    const wasm = await debugModule();
    const end = fc.constantFrom("a", "b");
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ does: fc.constant("connect"), end }) },
      {
        weight: 3,
        arbitrary: fc.record({ does: fc.constantFrom("close", "abort", "shutdown", "write", "linger"), end }),
      },
      { weight: 1, arbitrary: fc.record({ does: fc.constantFrom("relisten", "accept"), end }) },
      { weight: 3, arbitrary: fc.constantFrom(1, 15, 300, 30_000) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(0xffff),
        fc.array(step, { minLength: 5, maxLength: 60 }),
        async (luck, steps) => {
          const limit = 3;
          const settings = { tcpMaxOrphans: limit, tcpMaxTwBuckets: 5, tcpMaxSynBacklog: 3 };
          const make = (n: number) =>
            makeEngine({ addresses: [`192.0.2.${n}`], seed: seed(n), memory: 2 * 2 ** 20, settings, wasm });
          const engines = { a: await make(1), b: await make(2) };
          const wire = new Wire(engines.a, engines.b);
          wire.record = false;
          wire.rule = chance(luck, { loss: 0.2, reorder: 0.2, duplicate: 0.1 });
          const listen = (engine: Engine) => engine.listen({ port: 80, backlog: 1 });
          const listeners: Record<string, Listener> = { a: listen(engines.a), b: listen(engines.b) };
          const held: Record<string, Connection[]> = { a: [], b: [] };
          const other = { a: "192.0.2.2", b: "192.0.2.1" } as const;
          let turn = luck;
          const happen = (does: string, end: "a" | "b") => {
            turn = (turn * 31 + 7) % 65_537;
            const one = held[end]![turn % Math.max(1, held[end]!.length)];
            if (does === "connect")
              held[end]!.push(engines[end].connect({ remoteAddress: other[end], remotePort: 80 }));
            else if (does === "accept")
              for (let next = listeners[end]!.accept(); next; next = listeners[end]!.accept())
                held[end]!.push(next);
            else if (does === "relisten") {
              listeners[end]!.close();
              listeners[end] = listen(engines[end]);
            } else if (does === "close") one?.close();
            else if (does === "abort") one?.abort();
            else if (does === "shutdown") one?.shutdown();
            else if (does === "linger" && one?.state === "ESTABLISHED") one.setOption("linger", 0);
            else if (does === "write" && one?.state === "ESTABLISHED" && one.writable)
              one.write(Buffer.from("text"));
          };
          for (const each of steps) {
            if (typeof each === "number") wire.run(each);
            else happen(each.does, each.end as "a" | "b");
          }
          // All is closed, some of it into the void.
          if (luck & 1) wire.rule = () => drop;
          for (const end of ["a", "b"] as const) {
            happen("accept", end);
            for (const one of held[end]!) one.close();
          }
          wire.run(30 * MINUTE);
          happen("accept", "a");
          happen("accept", "b");
          for (const one of [...held.a!, ...held.b!]) one.abort();
          wire.rule = () => undefined;
          for (const end of ["a", "b"] as const) {
            const engine = engines[end];
            const before = engine.counters().TCPAbortOnMemory!;
            const fresh = Array.from({ length: limit + 1 }, () => {
              const one = engine.connect({ remoteAddress: other[end], remotePort: 80 });
              wire.run(100);
              engines[end === "a" ? "b" : "a"].poll();
              while (listeners[end === "a" ? "b" : "a"]!.accept());
              return one;
            });
            const resets = fresh.map((one) => {
              expect(one.state).toBe("ESTABLISHED");
              one.close();
              return engine.counters().TCPAbortOnMemory! - before;
            });
            expect(resets).toEqual([0, 0, 0, 1]);
          }
        },
      ),
      { numRuns: 60, seed: 2525 },
    );
  });
});

interface Open {
  peer: Peer;
  connection: Connection;
}
