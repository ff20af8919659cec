import type { Link } from "../../bindings/links/link.ts";
import { Uncut } from "../../bindings/links/uncut.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import type { Connection, Engine, EngineOptions } from "../../bindings/types.ts";
import { debugModule, makeEngine, seed } from "./engine.ts";

/** A packet that left an engine, with what its batch said of it. */
export interface Marked {
  from: "a" | "b";
  octets: Uint8Array;
  segments: number;
  checksum: number;
}

/** Whether a packet is lost, of which it may change the octets. `index` counts those the line was asked for. */
export type Loses = (packet: Marked, index: number) => boolean;

/** Two engines joined by batches, under a clock that stands still while they talk. */
export class SuperWire {
  now = 1000;
  readonly a: Engine;
  readonly b: Engine;
  readonly seen: Marked[] = [];
  /** Packets as the line carries them. */
  readonly carried: Marked[] = [];
  /** Cut packets of several segments, and complete checksums, on the way. */
  cuts = false;
  loses: Loses = () => false;
  /** Milliseconds one way. */
  delay = 5;
  #asked = 0;
  readonly #batch = new PacketBatch(64, 256 * 1024);

  constructor(a: Engine, b: Engine) {
    this.a = a;
    this.b = b;
  }

  static async make(a: EngineOptions = {}, b: EngineOptions = a, six = false): Promise<SuperWire> {
    const wasm = await debugModule();
    const address = (n: number) => [six ? `2001:db8::${n}` : `192.0.2.${n}`];
    return new SuperWire(
      await makeEngine({ wasm, addresses: address(1), seed: seed(1), ...a }),
      await makeEngine({ wasm, addresses: address(2), seed: seed(2), ...b }),
    );
  }

  open(six = false): { ours: Connection; theirs: Connection } {
    const listener = this.b.listen({ port: 80 });
    const ours = this.a.connect({ remoteAddress: six ? "2001:db8::2" : "192.0.2.2", remotePort: 80 });
    for (let i = 0; i < 3; i++) this.exchange();
    return { ours, theirs: listener.accept()! };
  }

  /** Everything both have to send now, delivered after the delay. */
  exchange(): number {
    const toB = this.#take(this.a, "a");
    const toA = this.#take(this.b, "b");
    this.now += this.delay;
    for (const [engine, batches] of [
      [this.b, toB],
      [this.a, toA],
    ] as const) {
      for (const batch of batches) engine.receiveBatch(batch, this.now);
      engine.advance(this.now);
      engine.poll();
    }
    return toA.length + toB.length;
  }

  /** Exchange until the condition holds; where nothing moves time goes on to the next deadline. */
  until(condition: () => boolean, step: () => void = () => {}): void {
    for (let turn = 0; !condition(); turn++) {
      if (turn > 20_000) throw new Error("it never comes to that");
      step();
      if (this.exchange() > 0) continue;
      const next = Math.min(this.a.nextDeadline() ?? Infinity, this.b.nextDeadline() ?? Infinity);
      if (next < Infinity) this.now = Math.max(this.now, next);
      for (const engine of [this.a, this.b]) engine.advance(this.now);
    }
  }

  /** Write all of `text`, read it at the other end. */
  transfer(from: Connection, to: Connection, text: Uint8Array): Buffer {
    const pieces: Buffer[] = [];
    const into = new Uint8Array(65536);
    let written = 0;
    let read = 0;
    this.until(
      () => read >= text.length,
      () => {
        while (written < text.length) {
          const taken = from.write(text.subarray(written, written + 65536));
          written += taken;
          if (taken === 0) break;
        }
        for (let n = to.read(into); n > 0; n = to.read(into)) {
          pieces.push(Buffer.from(into.slice(0, n)));
          read += n;
        }
      },
    );
    return Buffer.concat(pieces);
  }

  #take(engine: Engine, from: "a" | "b"): PacketBatch[] {
    const taken: PacketBatch[] = [];
    const carry: Link["send"] = (batch) => {
      const copy = new PacketBatch(256, 256 * 1024);
      for (let i = 0; i < batch.count; i++) {
        const packet = marked(batch, i, from);
        this.carried.push(packet);
        if (this.loses(packet, this.#asked++)) continue;
        copy.pushFrom(packet.octets, 0, packet.octets.length, packet.segments, packet.checksum);
      }
      if (copy.count > 0) taken.push(copy);
    };
    const link: Link = {
      mtu: 1500,
      send: carry,
      onReceive: () => {},
      close: () => {},
      closed: new Promise(() => {}),
    };
    const uncut = new Uncut(link);
    while (engine.transmitBatch(this.#batch, this.now) > 0) {
      for (let i = 0; i < this.#batch.count; i++) this.seen.push(marked(this.#batch, i, from));
      if (this.cuts) uncut.send(this.#batch);
      else carry(this.#batch);
    }
    return taken;
  }
}

function marked(batch: PacketBatch, i: number, from: "a" | "b"): Marked {
  return { from, octets: batch.packet(i), segments: batch.segments[i]!, checksum: batch.checksums[i]! };
}
