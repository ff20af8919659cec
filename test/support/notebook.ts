import type { Link } from "../../bindings/links/link.ts";
import { PacketBatch } from "../../bindings/packet-batch.ts";
import type { VirtualClock } from "../../bindings/virtual-clock.ts";

export interface Arrival {
  time: number;
  number: number;
  length: number;
  bytes: Uint8Array;
}

/** A link that notes what is sent through it and when. */
export function notebook(clock: VirtualClock, mtu = 1500): Link & { arrivals: Arrival[] } {
  const arrivals: Arrival[] = [];
  return {
    arrivals,
    mtu,
    checksum: "none",
    gso: 0,
    closed: new Promise(() => {}),
    send(batch) {
      for (let i = 0; i < batch.count; i++) {
        const bytes = batch.packet(i);
        arrivals.push({ time: clock.now(), number: numberOf(bytes), length: bytes.length, bytes });
      }
    },
    onReceive: () => {},
    close: () => {},
  };
}

/** Packets that carry their number in the first four octets and a pattern of it in the others. */
export function numbered(length: number, number: number): Uint8Array {
  const packet = new Uint8Array(length).fill(number * 7);
  new DataView(packet.buffer).setUint32(0, number);
  return packet;
}

const batch = new PacketBatch(64, 128 * 1024);

export function send(link: Link, from: number, lengths: number[]): void {
  batch.clear();
  lengths.forEach((length, i) => {
    if (!batch.push(numbered(length, from + i))) throw new Error("batch full");
  });
  link.send(batch);
}

export function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer).getUint32(0);
}
