import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { FREE, loadProbe } from "./probe.ts";
import { octets, vectors } from "./vectors.ts";

const { probe, bytes } = await loadProbe();
const DIGEST = FREE + 4 * 65536;

function md5(data: Uint8Array): string {
  bytes.set(data, FREE);
  probe.probe_md5(DIGEST, FREE, data.length);
  return Buffer.from(bytes.slice(DIGEST, DIGEST + 16)).toString("hex");
}

describe("[RFC 1321] md5", () => {
  test.each(vectors.md5)("$id: $source", ({ ascii, hexData, digest }) => {
    const data = ascii !== undefined ? new TextEncoder().encode(ascii) : octets(hexData!);
    expect(md5(data)).toBe(digest);
  });

  test("pads messages of every length about the block's as OpenSSL does", () => {
    // Messages of falling length: what one leaves behind in the scratch must not reach the next.
    for (let length = 260; length >= 0; length--) {
      const data = Uint8Array.from({ length }, (_, i) => i * 31 + length);
      expect(md5(data), `${length} octets`).toBe(createHash("md5").update(data).digest("hex"));
    }
  });

  test("digests a long message at an odd address", () => {
    const length = 3 * 65536 + 11;
    const data = Uint8Array.from({ length }, (_, i) => (i * 2654435761) >>> 24);
    bytes.set(data, FREE + 3);
    probe.probe_md5(DIGEST + 1, FREE + 3, length);
    expect(Buffer.from(bytes.slice(DIGEST + 1, DIGEST + 17)).toString("hex")).toBe(
      createHash("md5").update(data).digest("hex"),
    );
  });

  test("writes the digest and nothing beside it", () => {
    bytes.fill(0xa5, DIGEST - 16, DIGEST + 32);
    md5(new Uint8Array(100));
    expect(bytes.subarray(DIGEST - 16, DIGEST).every((octet) => octet === 0xa5)).toBe(true);
    expect(bytes.subarray(DIGEST + 16, DIGEST + 32).every((octet) => octet === 0xa5)).toBe(true);
  });

  test("leaves the block it transforms alone", () => {
    const block = Uint8Array.from({ length: 64 }, (_, i) => i);
    bytes.set(block, FREE);
    probe.probe_md5Initial(DIGEST);
    probe.probe_md5Transform(DIGEST, FREE);
    expect(Buffer.compare(bytes.subarray(FREE, FREE + 64), block)).toBe(0);
  });
});
