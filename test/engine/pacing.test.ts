import { describe, expect, it } from "vitest";
import type { Connection } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { makeEngine } from "../support/engine.ts";
import { type Departure, Line, PACKET, TEXT } from "../support/line.ts";
import { Peer } from "../support/peer.ts";

// Text that leaves at a pace: as fast as BBR, or the user, has it.

const MBIT = 1e6;

/** How many left at each instant, and when. */
function bursts(departures: readonly Departure[]): { at: number; packets: number }[] {
  const list: { at: number; packets: number }[] = [];
  for (const { at } of departures) {
    if (list.at(-1)?.at === at) list.at(-1)!.packets++;
    else list.push({ at, packets: 1 });
  }
  return list;
}

/** A path with much room to queue, some time after BBR has found its rate. */
async function cruising(mbit: number, rtt = 40, tick = 0) {
  const rate = mbit * MBIT;
  const path = await Line.open({ rate, rtt, queue: (4 * rate * rtt) / 8000, tick });
  const connection = path.connect();
  path.run(1000);
  return { path, connection };
}

describe("the pace", () => {
  it.each([
    { mbit: 1, packets: 2 },
    { mbit: 10, packets: 2 },
    { mbit: 100, packets: 8 },
  ])(
    "lets $packets packets go at once at $mbit Mbit/s, a millisecond's worth or two, and then none until they have had their time",
    async ({ mbit, packets }) => {
      const { path, connection } = await cruising(mbit);
      path.departures = [];
      path.run(300);
      const all = bursts(path.departures);
      const pace = connection.info().pacingRate / 1000;
      expect(Math.max(...all.map((burst) => burst.packets))).toBe(packets);
      // UP goes at a quarter more.
      for (const [i, { at }] of all.slice(1).entries())
        expect(at - all[i]!.at).toBeGreaterThan((all[i]!.packets * TEXT) / (1.26 * pace) - 0.002);
    },
  );

  it("is kept by the deadline the engine tells, a whole microsecond, and by no other", async () => {
    const { path } = await cruising(10);
    const { sender } = path;
    for (let i = 0; i < 50; i++) {
      path.departures = [];
      path.until(() => path.departures!.length > 0);
      const due = sender.nextDeadline()!;
      expect(due - path.now).toBeGreaterThan(1.5);
      expect(due - path.now).toBeLessThan(3);
      expect(Math.abs(due * 1000 - Math.round(due * 1000))).toBeLessThan(1e-6);
      // Nothing leaves before.
      sender.advance(due - 0.001);
      expect(sender.transmit(due - 0.001)).toEqual([]);
      path.now = due - 0.001;
    }
  });

  it.each([
    { mbit: 10, most: 450 },
    { mbit: 100, most: 1100 },
  ])("wakes the engine no more often than quanta leave: $mbit Mbit/s", async ({ mbit, most }) => {
    const { path } = await cruising(mbit);
    path.wakes = 0;
    path.run(1000);
    expect(path.wakes).toBeLessThan(most);
    expect(path.wakes).toBeGreaterThan(most / 2);
  });

  it.each([
    { mbit: 100, rtt: 40, tick: 1 },
    { mbit: 100, rtt: 5, tick: 1 },
    { mbit: 100, rtt: 40, tick: 4 },
    { mbit: 50, rtt: 5, tick: 4 },
  ])("is reached with timers of $tick ms: $mbit Mbit/s, $rtt ms", async ({ mbit, rtt, tick }) => {
    const { path, connection } = await cruising(mbit, rtt, tick);
    expect(path.measure(connection, 3000) / ((path.rate * TEXT) / PACKET)).toBeGreaterThan(0.95);
  });

  it("makes up for no time in which there was nothing to send", async () => {
    const rate = 100 * MBIT;
    const path = await Line.open({ rate, rtt: 40, queue: rate });
    const connection = path.connect(20e6);
    path.run(6000);
    expect(path.goodput(connection)).toBe(20e6);
    path.departures = [];
    path.give(connection, 1e6);
    path.run(2);
    const [first, ...rest] = bursts(path.departures);
    expect(first!.packets).toBeLessThan(10);
    expect(rest.length).toBeGreaterThan(0);
  });
});

describe("maxPacingRate", () => {
  const limit = 250_000;

  it("bounds what leaves, retransmissions included, whatever controls congestion, and may be lifted", async () => {
    for (const congestionControl of ["cubic", "bbr", "newreno"] as const) {
      const path = await Line.open({ rate: 100 * MBIT, rtt: 20, queue: 1e6 });
      const connection = path.connect(Infinity, { congestionControl, maxPacingRate: limit });
      path.run(1000);
      path.departures = [];
      path.loss = 0.01;
      path.run(4000);
      path.loss = 0;
      const octets = path.departures.reduce((sum, { octets }) => sum + octets - (PACKET - TEXT), 0);
      expect(octets / 4 / limit, congestionControl).toBeLessThan(1.02);
      expect(octets / 4 / limit, congestionControl).toBeGreaterThan(0.9);
      expect(connection.info().totalRetrans).toBeGreaterThan(2);
      expect(connection.info().pacingRate).toBeLessThanOrEqual(limit);
      connection.setOption("maxPacingRate", 0);
      path.run(1000);
      expect(path.measure(connection, 2000) / 8 / limit, congestionControl).toBeGreaterThan(5);
    }
  });

  it("bounds a peer without SACK too, and what is sent again after a timeout", async () => {
    const path = await Line.open({ rate: 100 * MBIT, rtt: 20, queue: 1e6, sack: false });
    const connection = path.connect(Infinity, { congestionControl: "newreno", maxPacingRate: limit });
    path.run(1000);
    path.cut = true;
    path.run(1000);
    path.cut = false;
    path.departures = [];
    path.run(4000);
    const octets = path.departures.reduce((sum, { octets }) => sum + octets - (PACKET - TEXT), 0);
    expect(octets / 4 / limit).toBeLessThan(1.02);
    expect(path.goodput(connection)).toBeGreaterThan(4 * limit);
  });

  it("of a listener is that of the connections that begin with it", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    listener.setOption("maxPacingRate", 12_345);
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460 } });
    peer.wait(10);
    peer.send({ seq: 1, ack: 1 });
    expect(listener.accept()!.info().pacingRate).toBe(12_345);
    listener.close();
  });

  it.each([-1, 1.5, 2 ** 32, "fast", undefined])("cannot be %s", async (value) => {
    const { connection } = await connected();
    expect(() => connection.setOption("maxPacingRate", value as number)).toThrow(/maxPacingRate must be/);
  });

  it("tells of a lack of memory", async () => {
    const engine = await makeEngine({ memory: 2 * 2 ** 20 });
    const connections: Connection[] = [];
    for (let port = 1; ; port++) {
      try {
        connections.push(engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80, localPort: port }));
      } catch {
        break;
      }
    }
    expect(() => {
      for (const connection of connections) connection.setOption("maxPacingRate", limit);
    }).toThrow(expect.objectContaining({ code: "ENOMEM" }));
  });
});
