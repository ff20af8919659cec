// Very much text through two stacks and a pipe, in real time, by the sockets that programs use.
import { createHash } from "node:crypto";
import { cpuTime } from "./cpu-time.mjs";
import { heap } from "./heap.mjs";

const CHUNK = 64 * 1024;
const SEGMENT = 1460;
const PORT = 9;

/** Write `octets`, no two chunks alike, through one buffer; returns their hash. */
async function pour(writable, octets) {
  const hash = createHash("sha256");
  const chunk = new Uint8Array(CHUNK).map((_, i) => i * 7 + (i >> 8));
  const words = new Uint32Array(chunk.buffer);
  const writer = writable.getWriter();
  for (let at = 0; at < octets; at += CHUNK) {
    // A stamp in every KiB: text that is lost, repeated or exchanged shows.
    for (let i = 0; i < words.length; i += 256) words[i] = at / 4 + i;
    hash.update(chunk);
    await writer.write(chunk);
  }
  await writer.close();
  return hash.digest("hex");
}

async function drink(readable, watch) {
  const hash = createHash("sha256");
  let octets = 0;
  for await (const chunk of readable) {
    hash.update(chunk);
    octets += chunk.length;
    watch?.(octets);
  }
  return { octets, hash: hash.digest("hex") };
}

/**
 * Send `octets`, a multiple of 64 KiB, from one stack to another.
 *
 * @param {{ createStack: Function, pipe: Function }} library
 * @param {number} octets
 * @param {(octets: number) => void} [watch] called with how many have arrived
 */
export async function longTransfer({ createStack, pipe }, octets, watch) {
  const [left, right] = pipe();
  const client = await createStack({ link: left, addresses: ["10.0.0.1"] });
  const server = await createStack({ link: right, addresses: ["10.0.0.2"] });
  try {
    const listener = server.listen({ port: PORT });
    const socket = client.connect({ hostname: "10.0.0.2", port: PORT });
    const { value: peer } = await listener.next();
    await socket.opened;
    const linear = () => [client, server].map(({ engine }) => engine.memory.buffer.byteLength);

    const before = { linear: linear(), heap: await heap() };
    const start = cpuTime();
    const [sent, received] = await Promise.all([pour(socket.writable, octets), drink(peer.readable, watch)]);
    const ns = ((cpuTime() - start) * 1e6) / (octets / SEGMENT);
    const after = { linear: linear(), heap: await heap() };

    if (received.octets !== octets) throw new Error(`${received.octets} octets arrived of ${octets}`);
    if (received.hash !== sent) throw new Error(`SHA-256 of what was sent ${sent}, arrived ${received.hash}`);
    return { ns, before, after, dropped: left.stats.dropped + right.stats.dropped };
  } finally {
    await client.close();
    await server.close();
  }
}
