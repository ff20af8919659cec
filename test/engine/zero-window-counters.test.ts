import { expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { readAll } from "../support/engine.ts";
import { randomOctets } from "../support/random.ts";

it("counts the window advertised shut and open again once each", async () => {
  const { engine, peer, connection } = await connected({
    engine: { settings: { tcpRmem: [4096, 4096, 4096] } },
  });
  peer.send({ seq: 1, ack: 1, text: randomOctets(1460, 1) });
  peer.send({ seq: 1461, ack: 1, text: randomOctets(1460, 2) });
  peer.send({ seq: 2921, ack: 1, text: randomOctets(1176, 3) });
  expect(peer.take().at(-1)).toMatchObject({ ack: 4097, window: 0 });
  expect(engine.counters()).toMatchObject({ TCPToZeroWindowAdv: 1, TCPFromZeroWindowAdv: 0 });
  expect(readAll(connection).length).toBe(4096);
  expect(peer.expect({ ack: 4097 }).window).toBe(4096);
  expect(engine.counters()).toMatchObject({ TCPToZeroWindowAdv: 1, TCPFromZeroWindowAdv: 1 });
});
