import { describe, expect, it, test } from "vitest";
import { capture } from "../../bindings/links/capture.ts";
import { impair } from "../../bindings/links/impair.ts";
import type { Link } from "../../bindings/links/link.ts";
import { type PipeOptions, pipe } from "../../bindings/links/pipe.ts";
import { replay } from "../../bindings/links/replay.ts";
import { bridge } from "../../bindings/node/bridge.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { readCapture } from "../../bindings/pcap/read.ts";
import { createStack } from "../../bindings/stack.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { CLIENT, drain, noise, pour, SERVER, sha256 } from "../sockets/stacks.ts";
import { build, parse } from "../support/packet.ts";

const PARTIAL = 1;
const OFFLOAD: PipeOptions = { gso: 65535, checksum: "none" };

/** What arrives at a link: length, segments, checksum of each packet. */
function listen(link: Link): [number, number, number][] {
  const got: [number, number, number][] = [];
  link.onReceive((batch) => {
    for (let i = 0; i < batch.count; i++)
      got.push([batch.table[i * 2 + 1]!, batch.segments[i]!, batch.checksums[i]!]);
  });
  return got;
}

function batchOf(...packets: [length: number, segments?: number, checksum?: number][]): PacketBatch {
  const batch = new PacketBatch(64, 1 << 18);
  for (const [length, segments, checksum] of packets)
    batch.pushFrom(new Uint8Array(length), 0, length, segments, checksum);
  return batch;
}

describe("a pipe", () => {
  it("carries what is told of packets, and those of several segments up to its gso", () => {
    const [left, right] = pipe({ gso: 20_000, checksum: "none", manual: true });
    expect([left.gso, left.checksum, right.gso]).toEqual([20_000, "none", 20_000]);
    const got = listen(right);
    left.send(batchOf([100], [20_000, 1448, 1], [1500, 0, 2]));
    left.send(batchOf([20_001, 1448, 1], [101, 0, 1], [1501]));
    right.deliver();
    expect(got).toEqual([
      [100, 0, 0],
      [20_000, 1448, 1],
      [1500, 0, 2],
      [101, 0, 1],
    ]);
    expect(left.stats).toMatchObject({ sent: 6, dropped: 2 });
    // What was told of packets before is not told of those that come now.
    left.send(batchOf([1], [2]));
    right.deliver();
    expect(got.slice(4)).toEqual([
      [1, 0, 0],
      [2, 0, 0],
    ]);
  });

  it("takes none unless it was asked to", () => {
    const [left, right] = pipe({ manual: true });
    expect([left.gso, left.checksum]).toEqual([0, "full"]);
    const got = listen(right);
    left.send(batchOf([3000, 1448, 1], [10]));
    right.deliver();
    expect(got).toEqual([[10, 0, 0]]);
  });

  test.each([-1, 65536, 1.5])("of gso %s is refused", (gso) => {
    expect(() => pipe({ gso })).toThrow(expect.objectContaining({ code: "EINVAL" }));
  });
});

/** 4 MiB each way between two stacks, whole; returns the packets one of them sent and segments it counted. */
async function transfer(left: Link, right: Link) {
  const client = await createStack({ link: left, addresses: [CLIENT] });
  const server = await createStack({ link: right, addresses: [SERVER] });
  const listener = server.listen({ port: 7 });
  const socket = client.connect(`${SERVER}:7`, { allowHalfOpen: true });
  const { value: peer } = await listener.next();
  const echoing = peer!.readable.pipeTo(peer!.writable);
  const sent = noise(4 * 2 ** 20);
  const [, received] = await Promise.all([pour(socket.writable, sent), drain(socket.readable)]);
  expect(sha256(received)).toBe(sha256(sent));
  await echoing;
  const counters = client.counters();
  await client.close();
  await server.close();
  return counters as { OutSegs: number; OutRequests: number; InCsumErrors: number };
}

describe("a stack", () => {
  it("sends packets of several segments over a link that takes them", { timeout: 30_000 }, async () => {
    const [left, right] = pipe(OFFLOAD);
    const { OutSegs, OutRequests } = await transfer(left, right);
    expect(OutSegs).toBeGreaterThan(2900);
    expect(OutRequests).toBeLessThan(OutSegs / 3);
  });

  it("does without over one that does not", { timeout: 30_000 }, async () => {
    const [left, right] = pipe();
    const { OutSegs, OutRequests } = await transfer(left, right);
    expect(OutRequests).toBe(OutSegs);
  });

  test.each([{ gso: 1 }, { checksum: "none" }] as const)(
    "refuses %o where the link does less",
    async (more) => {
      const [link] = pipe();
      await expect(createStack({ link, addresses: [CLIENT], ...more })).rejects.toMatchObject({
        code: "EINVAL",
      });
    },
  );

  it("may ask less of a link than it does", async () => {
    const [link, other] = pipe(OFFLOAD);
    const got = listen(other);
    const stack = await createStack({ link, addresses: [CLIENT], gso: 0, checksum: "full" });
    stack.connect(`${SERVER}:7`).opened.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(got).toEqual([[60, 0, 0]]);
    await stack.close();
  });
});

describe("impair", () => {
  it("takes no packets of several segments, and carries what is told of checksums", () => {
    const clock = new VirtualClock();
    const [left, right] = pipe({ ...OFFLOAD, clock });
    const link = impair(left, { clock, delay: 5 });
    expect([link.gso, link.checksum]).toEqual([0, "none"]);
    expect(impair(left, { clock, corrupt: 0.1 }).checksum).toBe("full");
    const got = listen(right);
    link.send(batchOf([100, 0, PARTIAL], [101], [102, 0, 2]));
    clock.run();
    expect(got).toEqual([
      [100, 0, 1],
      [101, 0, 0],
      [102, 0, 2],
    ]);
  });

  it("loses and damages packets between stacks on a link with offload", { timeout: 60_000 }, async () => {
    const [left, right] = pipe(OFFLOAD);
    const { OutSegs, OutRequests } = await transfer(
      impair(left, { seed: 1, loss: 0.01, corrupt: 0.01 }),
      impair(right, { seed: 2, loss: 0.01, delay: 1 }),
    );
    expect(OutRequests).toBe(OutSegs);
  });
});

/** Two segments' worth of text in one packet, its checksum left to the link. */
function large(six: boolean): Uint8Array {
  const [src, dst] = six ? ["2001:db8::1", "2001:db8::2"] : ["10.0.0.1", "10.0.0.2"];
  const text = Uint8Array.from({ length: 2500 }, (_, i) => i * 7);
  const packet = build({
    src,
    dst,
    srcPort: 1,
    dstPort: 2,
    seq: 0xfffffe00,
    flags: "PAFC",
    id: 0xffff,
    text,
  });
  const start = six ? 40 : 20;
  const total = packet.length - start;
  let sum = 6 + total;
  for (let i = six ? 8 : 12; i < start; i += 2) sum += (packet[i]! << 8) | packet[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  packet[start + 16] = sum >> 8;
  packet[start + 17] = sum;
  return packet;
}

describe("capture", () => {
  test.each([false, true])("completes checksums in the file and nowhere else (IPv6: %s)", async (six) => {
    const chunks: Uint8Array[] = [];
    const [left, right] = pipe({ ...OFFLOAD, manual: true });
    const link = capture(left, { write: (chunk) => void chunks.push(chunk), close: () => {} });
    expect([link.gso, link.checksum]).toEqual([65535, "none"]);
    const packet = large(six);
    const batch = new PacketBatch();
    batch.pushFrom(packet, 0, packet.length, 1400, PARTIAL);
    const got: Uint8Array[] = [];
    right.onReceive((arrived) => void got.push(arrived.packet(0)));
    link.send(batch);
    right.deliver();
    expect(got).toEqual([packet]);
    await link.close();
    const [recorded] = [...readCapture(Buffer.concat(chunks))];
    // Which looks at its checksum.
    expect(parse(recorded!.data).text.length).toBe(2500);
  });
});

describe("a bridge", () => {
  test.each([false, true])("cuts for a link that does not, and completes (IPv6: %s)", (six) => {
    const [far, left] = pipe({ ...OFFLOAD, manual: true });
    const [right, other] = pipe({ manual: true });
    bridge(left, right);
    const got: ReturnType<typeof parse>[] = [];
    other.onReceive((batch) => {
      for (let i = 0; i < batch.count; i++) {
        expect([batch.segments[i], batch.checksums[i]]).toEqual([0, 0]);
        got.push(parse(batch.packet(i)));
      }
    });
    const packet = large(six);
    const batch = new PacketBatch();
    batch.pushFrom(packet, 0, packet.length, 1400, PARTIAL);
    const small = build({
      src: "10.0.0.1",
      dst: "10.0.0.2",
      srcPort: 1,
      dstPort: 2,
      flags: "A",
      text: "whole",
    });
    batch.push(small);
    far.send(batch);
    left.deliver();
    other.deliver();
    expect(got.map(({ seq, flags, text, id }) => [seq, [...flags].sort().join(""), text.length, id])).toEqual(
      [
        [0xfffffe00, "AC", 1400, six ? 0 : 0xffff],
        [0xfffffe00 + 1400 - 2 ** 32, "AFP", 1100, 0],
        [0, "A", 5, 0],
      ],
    );
    expect([...got[0]!.text, ...got[1]!.text]).toEqual(Array.from({ length: 2500 }, (_, i) => (i * 7) & 255));
  });

  it("leaves packets as they are for a link that does", () => {
    const [far, left] = pipe({ ...OFFLOAD, manual: true });
    const [right, other] = pipe({ ...OFFLOAD, manual: true });
    bridge(left, right);
    const got = listen(other);
    far.send(batchOf([3000, 1448, 1], [20, 0, 1]));
    left.deliver();
    other.deliver();
    expect(got).toEqual([
      [3000, 1448, 1],
      [20, 0, 1],
    ]);
  });
});

test("replay says of packets that need no checksum that they were verified", () => {
  const clock = new VirtualClock();
  const link = replay([{ time: 0, data: new Uint8Array(30) }], { clock, checksum: "none" });
  const got = listen(link);
  clock.run();
  expect(got).toEqual([[30, 0, 2]]);
});
