import { createEngine } from "../../bindings/engine.ts";
import { type ImpairOptions, impair } from "../../bindings/links/impair.ts";
import type { Link } from "../../bindings/links/link.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import type { Connection, Engine, EngineOptions } from "../../bindings/types.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";

const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
const PORT = 80;

/** An engine on a link under a virtual clock; what its application does is done whenever anything has happened. */
class Host {
  readonly engine: Engine;
  app: () => void = () => {};
  readonly #link: Link;
  readonly #clock: VirtualClock;
  readonly #batch = new PacketBatch();
  #entry: ReturnType<VirtualClock["at"]> | undefined;

  constructor(engine: Engine, link: Link, clock: VirtualClock) {
    this.engine = engine;
    this.#link = link;
    this.#clock = clock;
    link.onReceive((batch) => {
      engine.receiveBatch(batch, clock.now());
      this.drain();
    });
  }

  drain(): void {
    const now = this.#clock.now();
    this.engine.poll();
    this.app();
    while (this.engine.transmitBatch(this.#batch, now) > 0) this.#link.send(this.#batch);
    const deadline = this.engine.nextDeadline();
    if (this.#entry?.when === deadline) return;
    if (this.#entry) this.#clock.cancel(this.#entry);
    this.#entry = deadline === undefined ? undefined : this.#clock.at(deadline, this.#wake);
  }

  readonly #wake = () => {
    this.#entry = undefined;
    this.engine.advance(this.#clock.now());
    this.drain();
  };
}

/** Who writes without end to one who reads at once, over a path with a bottleneck. */
export interface Bulk {
  clock: VirtualClock;
  sender: Connection;
  receiver: Connection;
  engines: readonly [Engine, Engine];
  /** Octets read so far. */
  readonly octets: number;
  /** Let so many milliseconds pass; returns megabits read for each second of them. */
  run(duration: number): number;
}

export interface Path extends ImpairOptions {
  engines?: readonly [EngineOptions, EngineOptions];
}

/** The connection is established, and writes from now on. */
export async function bulk({ engines: options = [{}, {}], ...path }: Path): Promise<Bulk> {
  const clock = new VirtualClock();
  const ends = pipe({ clock });
  const seed = (n: number) => Uint8Array.from({ length: 32 }, (_, i) => (n * 31 + i * 7) & 255);
  const hosts: Host[] = [];
  for (const [i, link] of ends.entries()) {
    const engine = await createEngine({ addresses: [ADDRESSES[i]!], seed: seed(i + 1), ...options[i] });
    hosts.push(new Host(engine, impair(link, { ...path, clock, seed: i }), clock));
  }
  const [left, right] = hosts as [Host, Host];
  const listener = right.engine.listen({ port: PORT });
  const sender = left.engine.connect({ remoteAddress: ADDRESSES[1], remotePort: PORT });
  let receiver: Connection | undefined;
  const text = new Uint8Array(65536);
  const into = new Uint8Array(1 << 20);
  let octets = 0;
  left.app = () => {
    if (sender.error) throw sender.error;
    if (sender.state === "ESTABLISHED") while (sender.write(text) === text.length);
  };
  right.app = () => {
    receiver ??= listener.accept();
    if (receiver) for (let n = receiver.read(into); n > 0; n = receiver.read(into)) octets += n;
  };
  left.drain();
  clock.run(() => receiver !== undefined);
  return {
    clock,
    sender,
    receiver: receiver!,
    engines: [left.engine, right.engine],
    get octets() {
      return octets;
    },
    run(duration) {
      const before = octets;
      clock.run(clock.now() + duration);
      return ((octets - before) * 8) / 1000 / duration;
    },
  };
}
