import type { ObservedConversation, ObservedDirection, ObserverCounters } from "../observer.ts";

const HEADINGS = [
  "#",
  "client",
  "server",
  "packets →",
  "← packets",
  "octets →",
  "← octets",
  "start s",
  "duration s",
  "end",
  "gaps",
];

const ENDS: Record<ObservedConversation["ended"], string> = {
  fin: "closed",
  "client-fin": "half closed by client",
  "server-fin": "half closed by server",
  "client-reset": "reset by client",
  "server-reset": "reset by server",
  open: "open",
};

/** Columns of words, which begin where their heading does; the others end there. */
const WORDS = new Set([1, 2, 9]);

/** A line per conversation, times in seconds from the first one's start. */
export function conversationTable(conversations: readonly ObservedConversation[]): string {
  if (conversations.length === 0) return "no TCP conversation\n";
  const origin = conversations.reduce((least, { firstTime }) => Math.min(least, firstTime), Infinity);
  const rows = [HEADINGS, ...conversations.map((conversation) => row(conversation, origin))];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, column) =>
          WORDS.has(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function row(conversation: ObservedConversation, origin: number): string[] {
  const { number, client, server, firstTime, lastTime, began, ended } = conversation;
  return [
    String(number),
    endpoint(client),
    endpoint(server),
    String(client.packets),
    String(server.packets),
    String(client.text),
    String(server.text),
    ((firstTime - origin) / 1000).toFixed(3),
    ((lastTime - firstTime) / 1000).toFixed(3),
    began === "syn" ? ENDS[ended] : `${ENDS[ended]}, begun before the capture`,
    gaps(client, server),
  ];
}

function endpoint({ address, port }: ObservedDirection): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function gaps(...directions: ObservedDirection[]): string {
  const count = directions.reduce((sum, direction) => sum + direction.gaps, 0);
  const missing = directions.reduce((sum, direction) => sum + direction.missing, 0);
  return count === 0 ? "-" : `${count} (${missing} octets)`;
}

const REASONS: Record<Exclude<keyof ObserverCounters, "packets" | "taken">, string> = {
  notTcp: "not TCP",
  fragments: "fragments",
  cut: "cut off in their headers",
  malformed: "malformed",
  refused: "refused",
  wrongChecksum: "with a wrong checksum, as offloading leaves them",
};

/** A line for every reason why packets are not, or may not be, what they should be. */
export function passedOver(packets: ObserverCounters): string {
  return Object.entries(REASONS)
    .map(([name, reason]) => [packets[name as keyof ObserverCounters], reason] as const)
    .filter(([count]) => count > 0)
    .map(([count, reason]) => `${count} of ${packets.packets} packets: ${reason}\n`)
    .join("");
}
