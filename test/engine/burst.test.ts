import { expect, it } from "vitest";
import { makeEngine } from "../support/engine.ts";
import { octets } from "../support/packet.ts";
import { Peer, type Received } from "../support/peer.ts";
import { randomOctets } from "../support/random.ts";

// What follows a segment of new text in one breath takes its header from there (send/burst.ts). Peer reads packets strictly:
// a checksum or length that is wrong is an error.

const TEXT = randomOctets(20 * 1460, 3);

interface Setting {
  family: 4 | 6;
  stamps: boolean;
  ecn: boolean;
}

/** Everything of a packet but what each has of its own. */
function common({
  at: _at,
  octets: _octets,
  seq: _seq,
  text: _text,
  length: _length,
  id: _id,
  flags,
  ...rest
}: Received) {
  return { ...rest, flags: flags.replace("P", "") };
}

async function burst({ family, stamps, ecn }: Setting, write = TEXT): Promise<Received[]> {
  const engine = await makeEngine({ settings: { tcpEcn: 1, tcpWmem: [4096, 1 << 20, 1 << 20] } });
  const listener = engine.listen({ port: 80 });
  const addresses = family === 6 ? { engineAddress: "2001:db8::1", peerAddress: "2001:db8::2" } : {};
  const peer = new Peer(engine, addresses);
  peer.send({ flags: ecn ? "SEC" : "S", options: { mss: 1460, ...(stamps && { ts: [1000, 0] }) } });
  const echo = peer.expect({}).options.ts?.[0] ?? 0;
  peer.send({ seq: 1, ack: 1, window: 65535, ...(stamps && { options: { ts: [1001, echo] } }) });
  const connection = listener.accept()!;
  expect(connection.write(write)).toBe(write.length);
  return peer.take();
}

for (const family of [4, 6] as const)
  for (const stamps of [false, true])
    for (const ecn of [false, true])
      it(`segments of a burst differ in numbers, PSH and checksums only (${JSON.stringify({ family, stamps, ecn })})`, async () => {
        const sent = await burst({ family, stamps, ecn });
        const size = 1500 - (family === 4 ? 20 : 40) - (stamps ? 32 : 20);
        expect(sent).toHaveLength(10);
        for (const [i, packet] of sent.entries()) {
          expect(packet.seq).toBe(1 + i * size);
          expect(packet.length).toBe(1500);
          expect(Buffer.from(packet.text).equals(TEXT.subarray(i * size, (i + 1) * size))).toBe(true);
          expect(packet.flags).toBe(i === 9 ? "PA" : "A");
          expect(common(packet)).toEqual(common(sent[0]!));
          if (family === 4) expect(packet.id).toBe((sent[0]!.id + i) & 0xffff);
        }
      });

it("a short segment ends a burst, with the length and the sum of its own", async () => {
  const sent = await burst({ family: 4, stamps: true, ecn: false }, TEXT.subarray(0, 3 * 1448 + 7));
  expect(sent.map(({ text, flags }) => [text.length, flags])).toEqual([
    [1448, "A"],
    [1448, "A"],
    [1448, "A"],
    [7, "PA"],
  ]);
  expect(Buffer.concat(sent.map(({ text }) => text)).equals(octets(TEXT.subarray(0, 3 * 1448 + 7)))).toBe(
    true,
  );
  expect(sent[3]!.length).toBe(59);
});
