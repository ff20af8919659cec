import { expect, it } from "vitest";
import { debugModule, makeEngine, seed } from "../support/engine.ts";
import { Wire } from "../support/wire.ts";

/** More than have room for what talking takes besides: 512 octets for each that ever talked. */
const CONNECTIONS = 1500;

it("connections that have talked and are silent leave the others memory to talk", async () => {
  const wasm = await debugModule();
  const [a, b] = await Promise.all([
    makeEngine({ addresses: ["192.0.2.1"], seed: seed(1), memory: 2 * 2 ** 20, wasm }),
    makeEngine({ addresses: ["192.0.2.2"], seed: seed(2), memory: 32 * 2 ** 20, wasm }),
  ]);
  const wire = new Wire(a, b);
  wire.record = false;
  b.listen({ port: 80 });
  const connections = Array.from({ length: CONNECTIONS }, () => {
    const connection = a.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    wire.run(1);
    return connection;
  });
  wire.run(1000);
  const text = new Uint8Array(100);
  for (const connection of connections) {
    expect(connection.state).toBe("ESTABLISHED");
    expect(connection.write(text)).toBe(text.length);
    wire.run(1);
  }
  wire.run(1000);
  expect(connections.every(({ unacked }) => unacked === 0)).toBe(true);
});
