import { createObserver, type ObservedConversation, type ObserverOptions } from "../../bindings/observer.ts";
import { debugModule } from "../support/engine.ts";
import { build, type Fields } from "../support/packet.ts";

export const CLIENT = { address: "192.0.2.7", port: 40000 };
export const SERVER = { address: "198.51.100.9", port: 80 };

/** A packet from one end of a conversation to the other. */
export function from(
  sender: "client" | "server",
  fields: Partial<Fields>,
  client = CLIENT,
  server = SERVER,
): Uint8Array {
  const [source, destination] = sender === "client" ? [client, server] : [server, client];
  return build({
    src: source.address,
    dst: destination.address,
    srcPort: source.port,
    dstPort: destination.port,
    ...fields,
  });
}

/** What was told of one direction: text, and gaps by their length; neighbours of a kind are joined. */
export type Told = (string | number)[];

export function join(told: Told, next: string | number): void {
  const last = told.at(-1);
  if (typeof last === "string" && typeof next === "string") told[told.length - 1] = last + next;
  else if (typeof last === "number" && typeof next === "number") told[told.length - 1] = last + next;
  else told.push(next);
}

/** An observer with assertions that keeps all it is told; text as Latin-1, which has a character for every octet. */
export async function watch(options: ObserverOptions = {}) {
  const told = new Map<string, Told>();
  const ended: ObservedConversation[] = [];
  const of = (conversation: number, sender: string): Told => {
    const key = `${conversation} ${sender}`;
    if (!told.has(key)) told.set(key, []);
    return told.get(key)!;
  };
  const observer = await createObserver({
    memory: 2 * 2 ** 20,
    wasm: await debugModule(),
    onText: (conversation, sender, bytes) =>
      join(of(conversation, sender), Buffer.from(bytes).toString("latin1")),
    onGap: (conversation, sender, length) => join(of(conversation, sender), length),
    onEnd: (conversation) => ended.push(conversation),
    ...options,
  });
  return { observer, of, ended };
}
