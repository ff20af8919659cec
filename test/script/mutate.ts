import type { Expr, PacketAction, Script, ScriptEvent, TcpPacket } from "../../bindings/script/ast.ts";
import { ACK, FIN, PSH, RST, SYN, URG } from "../../bindings/script/flags.ts";
import { returnsDescriptor } from "../../bindings/script/outcome.ts";

/** A script with one expectation that is no longer true. */
export interface Mutant {
  /** What was corrupted, and where. */
  label: string;
  script: Script;
}

/** Changes the event, which is a copy. */
interface Change {
  what: string;
  apply(event: ScriptEvent): void;
}

const FLAGS = { FIN, SYN, RST, PSH, ACK, URG };

/**
 * Mutants of a script, `most` at most, spread evenly over all there are: flags, numbers, windows, options, lengths and
 * times of outbound packets; values, error codes and results of system calls, and when they return; assertions.
 */
export function mutate(script: Script, most = Number.POSITIVE_INFINITY): Mutant[] {
  const all = script.events.flatMap((event, index) =>
    changes(event).map(({ what, apply }): Mutant & { make(): Script } => ({
      label: `line ${event.line}: ${what}`,
      script,
      make: () => {
        const copy = structuredClone(script);
        apply(copy.events[index]!);
        return copy;
      },
    })),
  );
  const count = Math.min(most, all.length);
  return Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!).map(
    ({ label, make }) => ({ label, script: make() }),
  );
}

function changes(event: ScriptEvent): Change[] {
  const { action } = event;
  if ("side" in action) return action.side === "in" ? [] : [...packetChanges(action), ...timeChanges(event)];
  if (action.kind === "call") return [...callChanges(event), ...endChanges(event)];
  if (action.kind === "code") return assertionChanges(action.text);
  return [];
}

const packetOf = (event: ScriptEvent) => event.action as TcpPacket;

function packetChanges(packet: PacketAction): Change[] {
  if (packet.kind === "icmp")
    return [
      { what: "ICMP type", apply: (event) => Object.assign(event.action, { type: "type_77" }) },
      { what: "ICMP code", apply: (event) => Object.assign(event.action, { code: "code_77" }) },
      { what: "ICMP id", apply: (event) => Object.assign(event.action, { id: (packet.id ?? 0) + 1 }) },
      { what: "ICMP MTU", apply: (event) => Object.assign(event.action, { mtu: (packet.mtu ?? 0) + 1 }) },
    ];
  if (packet.kind === "udp")
    return [{ what: "length", apply: (event) => Object.assign(event.action, { length: packet.length + 1 }) }];
  const found: Change[] = Object.entries(FLAGS).map(([name, bit]) => ({
    what: `flag ${name}`,
    apply: (event) => {
      packetOf(event).flags ^= bit;
    },
  }));
  const shift = (what: string, name: "seq" | "ack" | "window" | "length", by: number): Change => ({
    what: `${what} ${by > 0 ? "+" : ""}${by}`,
    apply: (event) => {
      const changed = packetOf(event);
      changed[name] = ((changed[name] ?? 0) + by) >>> 0;
    },
  });
  // The number of a SYN names the initial sequence number, whatever that is.
  if (packet.seq !== undefined && !(packet.flags & SYN))
    found.push(shift("sequence number", "seq", 1), shift("sequence number", "seq", -1));
  if (packet.flags & ACK) found.push(shift("ack", "ack", 1), shift("ack", "ack", -1));
  if (packet.window !== undefined) found.push(shift("window", "window", packet.window > 0 ? -1 : 1));
  found.push(shift("length", "length", 1));
  if (packet.length > 0) found.push(shift("length", "length", -1));
  packet.options?.forEach((option, index) => {
    found.push({
      what: `without option ${option.kind}`,
      apply: (event) => void packetOf(event).options!.splice(index, 1),
    });
    if ("value" in option && option.kind !== "TS")
      found.push({
        what: `option ${option.kind}`,
        apply: (event) => Object.assign(packetOf(event).options![index]!, { value: option.value! + 1 }),
      });
  });
  if (packet.options)
    found.push({
      what: "an option more",
      apply: (event) => void packetOf(event).options!.push({ kind: "nop" }, { kind: "nop" }),
    });
  return found;
}

/** So late or early that no tolerance, which grows with the time since the event before, can excuse it. */
function timeChanges({ time }: ScriptEvent): Change[] {
  if (time.kind === "any") return [];
  const by = time.at + 1e6;
  const moved = (sign: number, what: string): Change => ({
    what,
    apply: (event) => {
      const changed = event.time as { at: number; end?: number };
      changed.at += sign * by;
      if (changed.end !== undefined) changed.end += sign * by;
    },
  });
  return [moved(1, "later")];
}

function endChanges({ end, time }: ScriptEvent): Change[] {
  if (end === undefined || time.kind === "any") return [];
  const later = (end - time.at) * 2 + 1e6;
  return [
    {
      what: "returns later",
      apply: (event) => {
        event.end! += later;
      },
    },
  ];
}

function callChanges({ action }: ScriptEvent): Change[] {
  if (action.kind !== "call") return [];
  const number = (value: number): Expr => ({ kind: "number", value, text: String(value) });
  const result = (what: string, value: number, errno?: string): Change => ({
    what: `${action.name}() ${what}`,
    apply: ({ action: call }) => {
      if (call.kind !== "call") return;
      call.result = number(value);
      if (errno === undefined) delete call.errno;
      else call.errno = errno;
    },
  });
  const { result: wanted, errno } = action;
  const value = wanted.kind === "number" ? wanted.value : undefined;
  if (value === undefined) return [];
  if (value < 0) {
    const other = errno === "EIO" ? "EPERM" : "EIO";
    return [
      result("succeeds", returnsDescriptor(action.name) ? 99 : 0),
      ...(errno ? [result("errno", -1, other)] : []),
    ];
  }
  const found = [result("fails", -1, "EIO")];
  if (!returnsDescriptor(action.name)) found.push(result("value", value + 1));
  if (action.name === "getsockopt" || action.name === "ioctl") {
    const index = action.name === "ioctl" ? 2 : 3;
    const filled = action.args[index];
    if (filled?.kind === "list" && filled.items[0]?.kind !== "any")
      found.push({
        what: `${action.name}() fills in`,
        apply: ({ action: call }) => {
          if (call.kind === "call") call.args[index] = { kind: "list", items: [number(77777)] };
        },
      });
  }
  return found;
}

/** Every assertion, turned into its contrary. */
function assertionChanges(text: string): Change[] {
  return [...text.matchAll(/\bassert\s+([^,;\n]+)/g)].map((found) => ({
    what: `contrary of ${found[0]}`,
    apply: (event) => {
      if (event.action.kind !== "code") return;
      const end = found.index + found[0].length;
      event.action.text = `${text.slice(0, found.index)}assert not (${found[1]})${text.slice(end)}`;
    },
  }));
}
