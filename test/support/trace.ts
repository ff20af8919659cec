import type { Packet } from "./packet.ts";

/** One line of a trace, as a failing test prints it. */
export function line(at: number, who: string, packet: Packet, seq = packet.seq, ack = packet.ack): string {
  const options = Object.entries(packet.options).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [
    at.toFixed(3).padStart(12),
    who,
    packet.flags.padEnd(3),
    `${seq}:${seq + packet.text.length}(${packet.text.length})`,
    packet.flags.includes("A") ? `ack ${ack}` : "",
    `win ${packet.window}`,
    options.length > 0 ? `<${options.join(", ")}>` : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
}
