import { PacketBatch } from "../packet-batch.ts";
import { PcapngWriter } from "../pcap/write.ts";
import type { PacketAction } from "./ast.ts";
import type { Flow } from "./flow.ts";
import { icmpText } from "./icmp-names.ts";
import { packetText } from "./packet-text.ts";
import { ICMP, ICMP_6, type LivePacket, TCP, UDP } from "./wire.ts";

/** What happened in a run, in the order in which it did. */
export interface TraceEntry {
  /** Microseconds since the script began. */
  time: number;
  kind: "in" | "out" | "call" | "command" | "code" | "remark" | "failure" | "note";
  text: string;
  /** State of the connection under test behind it, where it has changed. */
  state?: string;
}

interface Recorded extends TraceEntry {
  live?: LivePacket;
  flow?: Flow | undefined;
}

/** Keeps what happens; numbers are put into the script's terms at the end, when all of them are known. */
export class Recorder {
  private readonly entries: Recorded[] = [];
  private readonly packets: { time: number; bytes: Uint8Array; side: "in" | "out" }[] = [];
  private state = "CLOSED";

  add(time: number, kind: TraceEntry["kind"], text: string): void {
    this.entries.push({ time, kind, text });
  }

  inbound(time: number, bytes: Uint8Array, packet: PacketAction): void {
    this.entries.push({ time, kind: "in", text: packetText(packet) });
    this.packets.push({ time, bytes, side: "in" });
  }

  outbound(time: number, bytes: Uint8Array, live: LivePacket, flow: Flow | undefined): void {
    this.entries.push({ time, kind: "out", text: "", live, flow });
    this.packets.push({ time, bytes, side: "out" });
  }

  /** The state of the connection under test is now this. */
  see(state: string): void {
    const last = this.entries.findLast(({ kind }) => kind !== "remark");
    if (state === this.state || !last) return;
    last.state = state;
    this.state = state;
  }

  finish(): TraceEntry[] {
    return this.entries.map(({ live, flow, ...entry }) =>
      live ? { ...entry, text: liveText(live, flow) } : entry,
    );
  }

  /** The packets as a pcapng file; the script began at 1970. */
  pcapng(comment: string): Uint8Array {
    const chunks = [PcapngWriter.header({ snaplen: 0, comment, name: "script" })];
    const writer = new PcapngWriter(0);
    const batch = new PacketBatch(1, 65536);
    for (const { time, bytes, side } of this.packets) {
      batch.clear();
      batch.push(bytes.subarray(0, 65535));
      chunks.push(writer.packets(batch, time, side === "in" ? "inbound" : "outbound"));
    }
    const file = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      file.set(chunk, at);
      at += chunk.length;
    }
    return file;
  }
}

/** A packet of the stack's as a script would write it. */
export function liveText(live: LivePacket, flow: Flow | undefined): string {
  const { sourcePort: source, destinationPort: destination, length } = live;
  if (live.protocol === TCP && flow)
    return packetText({ ...flow.toScript(live), ...(flow.named && { ports: { source, destination } }) });
  if (live.protocol === UDP)
    return packetText({ kind: "udp", side: "out", ip: {}, ports: { source, destination }, length });
  if (live.protocol === ICMP || live.protocol === ICMP_6)
    return `icmp ${icmpText(live.family, live.icmpType, live.icmpCode)}`;
  return `protocol ${live.protocol} of ${length} octets`;
}
