import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { errorCode, makeEngine } from "../support/engine.ts";
import { Peer } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

const six = { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" };

describe("maximum segment size", () => {
  it.each([
    ["IPv4 without the option", {}, undefined, 1500, 536],
    ["IPv6 without the option", six, undefined, 1500, 1220],
    ["700", {}, 700, 1500, 700],
    ["more than the MTU allows", {}, 9000, 1500, 1460],
    ["more than the MTU allows, IPv6", six, 9000, 1500, 1440],
    ["a small MTU", {}, 1460, 576, 536],
    ["large packets", {}, 8960, 9000, 8960],
    ["zero", {}, 0, 1500, 536],
  ] as const)("[9293-MUST-14] [9293-MUST-15] [9293-MUST-16] %s", async (_, addresses, mss, mtu, expected) => {
    const { peer, connection } = await connected({
      engine: { mtu, ...(mtu < 1280 && { addresses: ["192.0.2.1/24"] }) },
      peer: addresses,
      syn: { options: mss === undefined ? {} : { mss } },
    });
    expect(connection.info().sndMss).toBe(expected);
    connection.write(randomOctets(20_000, 1));
    const sizes = peer.take().map(({ text }) => text.length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBe(expected);
  });

  it("a peer that asks for one octet a segment does not get them", async () => {
    const { peer, connection } = await connected({ syn: { options: { mss: 1 } } });
    connection.write(randomOctets(1000, 1));
    const first = peer.take();
    expect(first[0]!.text.length).toBeGreaterThanOrEqual(48);
  });

  it.each([
    [1500, 1460, 1440],
    [9000, 8960, 8940],
    [1280, 1240, 1220],
    [65535, 65495, 65475],
  ])("[9293-MUST-67] follows from an MTU of %i", async (mtu, four, sixth) => {
    const engine = await makeEngine({ mtu });
    engine.listen({ port: 80 });
    for (const [addresses, mss] of [
      [{}, four],
      [six, sixth],
    ] as const) {
      const peer = new Peer(engine, addresses);
      peer.send({ flags: "S" });
      peer.expect({ flags: "SA", options: { mss } });
    }
  });

  it("[seed-20] [9293-MUST-64] [9293-MUST-4] is read behind EOL, NOP and others where it stands", async () => {
    const { connection } = await connected({ syn: { rawOptions: [1, 1, 200, 3, 9, 2, 4, 2, 188, 0] } });
    expect(connection.info().sndMss).toBe(700);
    expect(connection.info().advmss).toBe(1460);
  });

  it("is taken from a SYN,ACK as well", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = peer.accept({ options: { mss: 1000 } });
    expect(connection.info().sndMss).toBe(1000);
  });
});

describe("window scale", () => {
  it("[7323-3] is answered when offered, and absent otherwise", async () => {
    const engine = await makeEngine();
    engine.listen({ port: 80 });
    const plain = new Peer(engine);
    plain.send({ flags: "S", options: { mss: 1460 } });
    expect(plain.expect({ flags: "SA" }).options.ws).toBeUndefined();
    const scaled = new Peer(engine, { peerPort: 40001 });
    scaled.send({ flags: "S", options: { mss: 1460, ws: 0 } });
    expect(scaled.expect({ flags: "SA" }).options.ws).toBeGreaterThanOrEqual(0);
  });

  it("is not offered nor answered when switched off", async () => {
    const engine = await makeEngine({ settings: { tcpWindowScaling: 0 } });
    engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", options: { mss: 1460, ws: 7 } });
    expect(peer.expect({ flags: "SA" }).kinds).not.toContain(3);
    const other = new Peer(engine, { peerPort: 40001 });
    engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40001 });
    expect(other.expect({ flags: "S" }).kinds).not.toContain(3);
  });

  it("[7323-2] [7323-4] counts from the segment after the SYN", async () => {
    const engine = await makeEngine();
    const listener = engine.listen({ port: 80 });
    const peer = new Peer(engine);
    peer.send({ flags: "S", window: 1000, options: { mss: 1460, ws: 7 } });
    peer.expect({ flags: "SA" });
    peer.send({ flags: "PA", seq: 1, ack: 1, window: 512, text: "x" });
    const connection = listener.accept()!;
    expect(connection.info().sndWnd).toBe(65_536);
    expect(connection.info().sndWscale).toBe(7);
  });

  it("[7323-4] scales the window it offers, and takes as much", async () => {
    const { peer, connection } = await connected({
      engine: { settings: { tcpRmem: [4096, 300_000, 6_000_000] }, memory: 16 * 2 ** 20 },
      syn: { options: { mss: 1460, ws: 2 } },
    });
    const scale = connection.info().rcvWscale;
    // The least shift with which the field can say 6,000,000.
    expect(scale).toBe(7);
    peer.send({ seq: 0, ack: 1 });
    const { window } = peer.expect({ flags: "A" });
    expect(window * 2 ** scale).toBeGreaterThan(250_000);
    expect(window * 2 ** scale).toBeLessThanOrEqual(300_000);
    let seq = 1;
    while (seq - 1 + 1460 <= window * 2 ** scale) {
      peer.send({ seq, ack: 1, text: randomOctets(1460, 1) });
      seq += 1460;
    }
    expect(connection.readable).toBe(seq - 1);
  });

  it.each([14, 15, 255])("[7323-5] a shift of %i counts as 14 at most", async (ws) => {
    const { connection } = await connected({ syn: { options: { mss: 1460, ws } }, window: 1 });
    expect(connection.info()).toMatchObject({ sndWscale: 14, sndWnd: 16_384 });
  });

  it("[7323-1] [7323-2] on anything but a SYN means nothing", async () => {
    const { peer, connection } = await connected({ window: 1000 });
    peer.send({ seq: 1, ack: 1, window: 900, options: { ws: 9, mss: 100 } });
    expect(connection.info()).toMatchObject({ sndWnd: 900, sndWscale: 0, sndMss: 1460 });
    expect(errorCode(connection)).toBeUndefined();
  });

  it("[9293-REC-1] a window of a gigabyte overflows nothing", async () => {
    const { peer, connection } = await connected({
      syn: { options: { mss: 1460, ws: 14 } },
      window: 65_535,
    });
    expect(connection.info().sndWnd).toBe(65_535 * 2 ** 14);
    connection.write(randomOctets(5000, 1));
    expect(peer.take().length).toBe(4);
  });

  it("[7323-4] the window of its own SYN is not scaled", async () => {
    const engine = await makeEngine();
    const peer = new Peer(engine);
    const connection = engine.connect({ remoteAddress: "192.0.2.2", remotePort: 40000 });
    peer.enginePort = connection.localPort;
    const { window, options } = peer.expect({ flags: "S" });
    expect(options.ws).toBeGreaterThanOrEqual(0);
    expect(window).toBeGreaterThan(30_000);
    peer.send({ flags: "SA", seq: 0, ack: 1, window: 777, options: { mss: 1460, ws: 3 } });
    peer.expect({ flags: "A" });
    expect(connection.info().sndWnd).toBe(777);
  });
});
