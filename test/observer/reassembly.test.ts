import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { from, join, type Told, watch } from "./watch.ts";

/** One direction, an array entry for each octet: what a reader should be told, worked out the slow way. */
class Oracle {
  readonly told: Told = [];
  readonly #held: (string | undefined)[] = [];
  #next = 0;
  #acked = 0;
  #high = 0;

  acknowledge(to: number): void {
    this.#acked = Math.max(this.#acked, to);
    this.#read(false);
  }

  receive(at: number, text: string, stated: number): void {
    this.#high = Math.max(this.#high, at + stated);
    if (text === "") return;
    if (at > this.#next && this.#acked >= at) this.#skip(at);
    [...text].forEach((octet, i) => {
      if (at + i >= this.#next) this.#held[at + i] ??= octet;
    });
    this.#read(false);
  }

  finish(): void {
    this.#read(true);
    // One octet more than was sent is the FIN's.
    const end = this.#acked > this.#high + 1 ? this.#acked : this.#high;
    if (end > this.#next) this.#skip(end);
  }

  #skip(to: number): void {
    for (; this.#next < to; this.#next++) join(this.told, this.#held[this.#next] ?? 1);
  }

  #read(all: boolean): void {
    for (;;) {
      while (this.#held[this.#next] !== undefined) join(this.told, this.#held[this.#next++]!);
      let behind = this.#next;
      while (behind < this.#held.length && this.#held[behind] === undefined) behind++;
      if (behind >= this.#held.length || !(all || this.#acked >= behind)) return;
      this.#skip(behind);
    }
  }
}

const SPAN = 300;
const segment = fc.record({
  sender: fc.constantFrom("client" as const, "server" as const),
  at: fc.nat(SPAN),
  length: fc.oneof(fc.nat(6), fc.nat(80)),
  /** Octets of the text that were not captured. */
  lacking: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(20) }),
  ack: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(SPAN + 60) }),
  fill: fc.nat(255),
});
const isn = fc.oneof(
  fc.constantFrom(0, 0x7fffffff, 0x7fffff00, 0x80000000, 0xffffff00, 0xffffffff, 0xfffffffe),
  fc.nat(0xffffffff),
);

describe("reassembly of what was observed", () => {
  it("tells what an array tells: first copies in order, and the holes", async () => {
    await fc.assert(
      fc.asyncProperty(
        isn,
        isn,
        fc.array(segment, { maxLength: 40 }),
        async (clientIsn, serverIsn, segments) => {
          const { observer, of, ended } = await watch();
          observer.observe(from("client", { flags: "S", seq: clientIsn }), 0);
          observer.observe(from("server", { flags: "SA", seq: serverIsn, ack: clientIsn + 1 }), 1);
          const oracles = { client: new Oracle(), server: new Oracle() };
          segments.forEach(({ sender, at, length, lacking, ack, fill }, time) => {
            const [mine, other] = sender === "client" ? [clientIsn, serverIsn] : [serverIsn, clientIsn];
            const text = Uint8Array.from({ length }, (_, i) => fill + i);
            const packet = from(sender, { seq: mine + 1 + at, ack: other + 1 + ack, text });
            const kept = length - Math.min(lacking, length);
            observer.observe(packet.subarray(0, packet.length - (length - kept)), 2 + time);
            oracles[sender === "client" ? "server" : "client"].acknowledge(ack);
            oracles[sender].receive(at, Buffer.from(text.subarray(0, kept)).toString("latin1"), length);
            // As it becomes known, not only at the end.
            for (const side of ["client", "server"] as const) expect(of(0, side)).toEqual(oracles[side].told);
          });
          observer.finish();
          expect(ended).toHaveLength(1);
          for (const side of ["client", "server"] as const) {
            oracles[side].finish();
            const { told } = oracles[side];
            expect(of(0, side)).toEqual(told);
            const texts = told.filter((piece) => typeof piece === "string");
            const holes = told.filter((piece) => typeof piece === "number");
            expect(ended[0]![side].text).toBe(texts.join("").length);
            expect(ended[0]![side].missing).toBe(holes.reduce((sum, hole) => sum + hole, 0));
          }
          observer.close();
        },
      ),
      { numRuns: 200 },
    );
  });

  it("puts shuffled, doubled and overlapping segments in order across the end of the number space", async () => {
    const size = 300_000;
    const text = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
    const segments: { at: number; length: number }[] = [];
    for (let at = 0; at < size; at += 1000) segments.push({ at, length: Math.min(1460, size - at) });
    // Each block of 60 backwards: everything waits for the block's first.
    const order = Array.from({ length: 5 }, (_, i) => segments.slice(i * 60, i * 60 + 60).reverse()).flat();
    const isn = 0xffffffff - 150_000;
    const { observer, of, ended } = await watch();
    observer.observe(from("client", { flags: "S", seq: isn }), 0);
    for (const { at, length } of order)
      observer.observe(from("client", { seq: isn + 1 + at, text: text.subarray(at, at + length) }), at);
    expect(of(0, "client")).toEqual([Buffer.from(text).toString("latin1")]);
    observer.finish();
    const sent = segments.reduce((sum, { length }) => sum + length, 0);
    expect(ended[0]!.client).toMatchObject({ text: size, retransmitted: sent - size, gaps: 0, missing: 0 });
  });

  it("keeps the first copy of an octet, wherever the second comes from", async () => {
    const { observer, of, ended } = await watch();
    const send = (at: number, text: string) => observer.observe(from("client", { seq: 1 + at, text }), at);
    observer.observe(from("client", { flags: "S", seq: 0 }), 0);
    send(4, "efgh");
    send(2, "CDEFGHIJ");
    send(0, "ab!!!");
    send(6, "????????????k");
    observer.finish();
    expect(of(0, "client")).toEqual(["abCDefghIJ????????k"]);
    expect(ended[0]!.client.retransmitted).toBe(4 + 3 + 4);
  });
});
