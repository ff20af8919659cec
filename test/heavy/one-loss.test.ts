import { expect, test } from "vitest";
import { createEngine } from "../../bindings/engine.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import type { Engine } from "../../bindings/types.ts";
import { random } from "../support/random.ts";

const MIB = 2 ** 20;
const OCTETS = 1024 * MIB;
const PORT = 9;
/** Virtual milliseconds from one exchange of packets to the next, and one way along the path. */
const TICK = 1;
const DELAY = 5;
/** Not a divisor of anything: text that is lost, repeated or exchanged shows. */
const PERIOD = 1_000_003;

/** One way of a path: what enters at a time leaves `DELAY` later. Batches are used again. */
class Line {
  #spare: PacketBatch[] = [];
  #under: { at: number; batch: PacketBatch }[] = [];

  /** Everything `from` has to send; `lose` says of each packet, in turn, whether it vanishes. */
  enter(from: Engine, now: number, lose?: (batch: PacketBatch, index: number) => boolean): number {
    let packets = 0;
    for (;;) {
      const batch = this.#spare.pop() ?? new PacketBatch(64, 128 * 1024);
      const count = from.transmitBatch(batch, now);
      if (count === 0) {
        this.#spare.push(batch);
        return packets;
      }
      packets += count;
      const kept = lose && this.#without(batch, lose);
      this.#under.push({ at: now + DELAY, batch: kept ?? batch });
    }
  }

  leave(to: Engine, now: number): void {
    while (this.#under.length > 0 && this.#under[0]!.at <= now) {
      const { batch } = this.#under.shift()!;
      to.receiveBatch(batch, now);
      this.#spare.push(batch);
    }
  }

  get nextAt(): number {
    return this.#under[0]?.at ?? Infinity;
  }

  /** The batch without what is lost; undefined when nothing is. */
  #without(batch: PacketBatch, lose: (batch: PacketBatch, index: number) => boolean) {
    const lost = Array.from({ length: batch.count }, (_, index) => lose(batch, index));
    if (!lost.includes(true)) return undefined;
    const kept = new PacketBatch(64, 128 * 1024);
    for (let index = 0; index < batch.count; index++) if (!lost[index]) kept.push(batch.packet(index));
    return kept;
  }
}

test("one lost segment in a transfer of 1 GiB costs exactly one retransmission", async () => {
  const settings = {
    tcpRmem: [4096, 4 * MIB, 4 * MIB] as const,
    tcpWmem: [4096, 4 * MIB, 4 * MIB] as const,
  };
  const engine = (address: string, n: number) =>
    createEngine({ addresses: [address], seed: new Uint8Array(32).fill(n), settings });
  const [client, server] = [await engine("10.0.0.1", 1), await engine("10.0.0.2", 2)];
  const [there, back] = [new Line(), new Line()];
  const next = random(11);
  const pattern = new Uint8Array(2 * PERIOD);
  for (let i = 0; i < PERIOD; i++) pattern[i] = pattern[i + PERIOD] = next() * 256;

  let now = 0;
  let segments = 0;
  let lost = 0;
  const lose = (batch: PacketBatch, index: number) => {
    if (batch.table[2 * index + 1]! < 1000) return false;
    // In the middle, when the window is wide open.
    if (++segments !== 300_000) return false;
    lost++;
    return true;
  };
  const exchange = () => {
    const deadlines = [client.nextDeadline(), server.nextDeadline(), there.nextAt, back.nextAt];
    const soonest = Math.min(...deadlines.map((at) => at ?? Infinity));
    now = Math.max(now + TICK, Number.isFinite(soonest) ? soonest : now);
    there.leave(server, now);
    back.leave(client, now);
    client.advance(now);
    server.advance(now);
    client.poll();
    server.poll();
  };

  const listener = server.listen({ port: PORT });
  const sender = client.connect({ remoteAddress: "10.0.0.2", remotePort: PORT });
  const into = new Uint8Array(65536);
  let receiver: ReturnType<typeof listener.accept>;
  let [sent, received, idle] = [0, 0, 0];
  while (received < OCTETS) {
    while (sent < OCTETS && sender.state === "ESTABLISHED" && sender.writable > 0) {
      const at = sent % PERIOD;
      sent += sender.write(pattern.subarray(at, at + Math.min(262_144, OCTETS - sent)));
    }
    there.enter(client, now, lose);
    back.enter(server, now);
    receiver ??= listener.accept();
    let count = receiver?.read(into) ?? 0;
    idle = count > 0 ? 0 : idle + 1;
    expect(idle, `${received} octets have arrived`).toBeLessThan(1000);
    for (; count > 0; count = receiver!.read(into)) {
      const at = received % PERIOD;
      if (!Buffer.from(into.buffer, 0, count).equals(pattern.subarray(at, at + count)))
        throw new Error(`not what was sent, from octet ${received} on`);
      received += count;
    }
    exchange();
  }

  expect(lost).toBe(1);
  expect(client.counters()).toMatchObject({ RetransSegs: 1, TCPTimeouts: 0, TCPLossProbes: 0 });
  expect(sender.info()).toMatchObject({ totalRetrans: 1, caState: 0 });
});
