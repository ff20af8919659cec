import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { type CaptureOptions, capture } from "../../bindings/links/capture.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import { readCapture } from "../../bindings/pcap/index.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { suiteRequirement } from "../support/requirements.ts";

function gather() {
  const chunks: Uint8Array[] = [];
  let closed = 0;
  return {
    chunks,
    write: (chunk: Uint8Array) => {
      chunks.push(chunk);
    },
    close: () => {
      closed++;
    },
    get closed() {
      return closed;
    },
    get bytes() {
      return new Uint8Array(Buffer.concat(chunks));
    },
  };
}

function batchOf(packets: Uint8Array[]): PacketBatch {
  const batch = new PacketBatch(Math.max(1, packets.length), 128 * 1024);
  for (const packet of packets) batch.push(packet);
  return batch;
}

const packet = (length: number, fill: number) => new Uint8Array(length).fill(fill);

function captured(options: CaptureOptions = {}) {
  const clock = new VirtualClock();
  const [left, right] = pipe({ manual: true });
  const sink = gather();
  const link = capture(left, sink, { clock, ...options });
  return { clock, left, right, sink, link };
}

describe("capture", () => {
  test("what it writes reads back: packets, times, directions", async () => {
    const step = fc.record({
      wait: fc.nat(2 ** 22),
      inbound: fc.boolean(),
      packets: fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 5 }),
    });
    const epochs = fc.constantFrom(0, 1700000000000);
    await fc.assert(
      fc.asyncProperty(
        epochs,
        fc.constantFrom(0, 1, 64),
        fc.array(step, { maxLength: 8 }),
        async (epoch, snaplen, steps) => {
          const { clock, link, left, right, sink } = captured({ epoch, snaplen });
          link.onReceive(() => {});
          const wanted: unknown[] = [];
          for (const { wait, inbound, packets } of steps) {
            clock.run(clock.now() + wait / 1000);
            if (inbound) {
              right.send(batchOf(packets));
              left.deliver();
            } else link.send(batchOf(packets));
            for (const bytes of packets)
              wanted.push({
                time: Math.round((clock.now() + epoch) * 1000) / 1000,
                data: bytes.slice(0, snaplen || undefined),
                linkType: 101,
                originalLength: bytes.length,
                direction: inbound ? "inbound" : "outbound",
              });
          }
          await link.close();
          expect([...readCapture(sink.bytes)]).toEqual(wanted);
          // A chunk for the header, one for each batch, one for the statistics.
          expect(sink.chunks.length).toBe(steps.length + 2);
          expect(sink.closed).toBe(1);
          expect(link.stats).toEqual({ packets: wanted.length, missing: 0, octets: sink.bytes.length });
        },
      ),
      { numRuns: 60 },
    );
  });

  test("packets pass as they are, and what has passed stays recorded", async () => {
    const { link, left, right, sink } = captured();
    const got: number[] = [];
    const note = (batch: PacketBatch) => {
      for (let i = 0; i < batch.count; i++) got.push(batch.packet(i)[0]);
    };
    link.onReceive(note);
    right.onReceive(note);
    const batch = batchOf([packet(20, 1), packet(30, 2)]);
    link.send(batch);
    right.send(batchOf([packet(20, 3)]));
    right.deliver();
    left.deliver();
    batch.bytes.fill(0xff);
    link.send(batchOf([packet(1500, 4)]));
    expect(got).toEqual([1, 2, 3]);
    link.onReceive(undefined);
    right.send(batchOf([packet(20, 5)]));
    left.deliver();
    await link.close();
    await link.close();
    await left.closed;
    expect([...readCapture(sink.bytes)].map((p) => p.data[0])).toEqual([1, 2, 3, 4]);
    expect([link.mtu, link.checksum, link.gso]).toEqual([left.mtu, left.checksum, left.gso]);
  });

  test("writes to a WritableStream, waiting for it, in order", async () => {
    const chunks: Uint8Array[] = [];
    let active = 0;
    let ended = false;
    const stream = new WritableStream<Uint8Array>({
      async write(chunk) {
        expect(++active).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        chunks.push(chunk);
        active--;
      },
      close() {
        ended = true;
      },
    });
    const [left] = pipe();
    const link = capture(left, stream);
    const before = Date.now();
    for (let i = 0; i < 10; i++) link.send(batchOf([packet(40 + i, i)]));
    await link.close();
    expect(ended).toBe(true);
    const packets = [...readCapture(new Uint8Array(Buffer.concat(chunks)))];
    expect(packets.map((p) => p.data.length)).toEqual([40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
    expect(Math.abs(packets[0].time - before)).toBeLessThan(1000);
  });

  test("a slow sink loses packets of the file, not of the link", async () => {
    const chunks: Uint8Array[] = [];
    const waiting: (() => void)[] = [];
    const sink = {
      write(chunk: Uint8Array) {
        chunks.push(chunk);
        return new Promise<void>((resolve) => waiting.push(resolve));
      },
    };
    const [left] = pipe({ manual: true });
    const link = capture(left, sink, { buffer: 4000 });
    for (let i = 0; i < 10; i++) link.send(batchOf([packet(1000, i)]));
    expect(chunks.length).toBe(1);
    expect(link.stats).toMatchObject({ packets: 10, missing: 7 });
    expect(left.stats.sent).toBe(10);
    const closing = link.close();
    let done = false;
    void closing.then(() => {
      done = true;
    });
    while (!done) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([...readCapture(new Uint8Array(Buffer.concat(chunks)))].map((p) => p.data[0])).toEqual([0, 1, 2]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("disk full");
      },
    ],
    ["rejects", () => Promise.reject(new Error("disk full"))],
  ])("a sink that %s ends the recording and shows at the end", async (_, write) => {
    const [left] = pipe({ manual: true });
    const link = capture(left, { write });
    await Promise.resolve();
    await Promise.resolve();
    expect(link.failure?.message).toBe("disk full");
    link.send(batchOf([packet(40, 1)]));
    expect(left.stats.sent).toBe(1);
    expect(link.stats).toMatchObject({ packets: 1, missing: 1 });
    await expect(link.close()).rejects.toThrow("disk full");
    await left.closed;
  });

  test.each<[CaptureOptions, string]>([
    [{ snaplen: -1 }, "-1"],
    [{ snaplen: 1.5 }, "1.5"],
    [{ buffer: Number.NaN }, "NaN"],
    [{ epoch: -5 }, "-5"],
    [{ comment: "x".repeat(70000) }, "70000"],
  ])("refuses an option out of range, naming the value", (options, named) => {
    const [left] = pipe();
    expect(() => capture(left, gather(), options)).toThrow(SynwaveError);
    expect(() => capture(left, gather(), options)).toThrow(named);
  });
});

const missing = suiteRequirement(
  "captures opened by Wireshark's tools",
  () => {
    try {
      execFileSync("tshark", ["--version"], { stdio: "ignore" });
      execFileSync("capinfos", ["--version"], { stdio: "ignore" });
      return undefined;
    } catch {
      return "tshark and capinfos are not installed";
    }
  },
  "apt-get install tshark",
);

describe.skipIf(missing !== undefined)("Wireshark's tools", () => {
  test("open a capture without complaint and show what is in it", async () => {
    const reference = readFileSync(new URL("../spec/segments.pcap", import.meta.url));
    const packets = [...readCapture(new Uint8Array(reference))].map((p) => p.data).slice(0, 12);
    const { clock, link, left, right, sink } = captured({
      epoch: 1700000000000,
      comment: "Zwölf packets",
      name: "left",
    });
    link.onReceive(() => {});
    clock.run(250.5);
    link.send(batchOf(packets));
    clock.run(251);
    right.send(batchOf(packets.slice(0, 1)));
    left.deliver();
    await link.close();
    const folder = mkdtempSync(join(tmpdir(), "synwave-capture-"));
    try {
      const file = join(folder, "capture.pcapng");
      writeFileSync(file, sink.bytes);
      const run = (tool: string, ...args: string[]) =>
        execFileSync(tool, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
      const about = run("capinfos", "-M", file);
      expect(about).toMatch(/File type:.*pcapng/);
      expect(about).toMatch(/Number of packets:\s+13\b/);
      expect(about).toMatch(/Strict time order:\s+True/);
      expect(about).toContain("Zwölf packets");
      expect(about).toMatch(/Encapsulation = Raw IP/);
      expect(about).toMatch(/Time precision = microseconds/);
      expect(about).toMatch(/Name = left/);
      const fields = ["frame.time_epoch", "frame.len", "frame.packet_flags_direction", "_ws.malformed"];
      const lines = run("tshark", "-r", file, "-T", "fields", ...fields.flatMap((f) => ["-e", f]))
        .trimEnd()
        .split("\n")
        .map((line) => line.split("\t"));
      expect(lines.length).toBe(13);
      expect(lines.map((l) => Number(l[0]))).toEqual([
        ...new Array(12).fill(1700000000.2505),
        1700000000.251,
      ]);
      expect(lines.map((l) => Number(l[1]))).toEqual([...packets, packets[0]].map((p) => p.length));
      expect(lines.map((l) => Number(l[2]))).toEqual([...new Array(12).fill(2), 1]);
      expect(lines.map((l) => l[3] ?? "")).toEqual(new Array(13).fill(""));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
