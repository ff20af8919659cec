import { expect, it } from "vitest";
import { build, parse } from "./packet.ts";
import { packetOf, vectors } from "./vectors.ts";

// What the engine is measured by is measured itself by vectors of other programs' making.

/** IP options, extension headers, trailing octets, reserved bits, a flow label: none of these can be built. */
const beyond = ["tcp-026", "tcp-027", "tcp-038", "tcp6-011", "tcp6-012", "tcp6-016"];
/** Options that no decent host sends stop the strict parser. */
const odd = ["opt-043", "opt-042"];

const plain = vectors.segments.filter(
  ({ id, group, verdict }) =>
    ["tcp", "opt", "tcp6"].includes(group) && verdict === "accept" && ![...beyond, ...odd].includes(id),
);

it.each(plain.map((vector) => [vector.id, vector.name, vector] as const))(
  "rebuilds %s, %s",
  (_, __, vector) => {
    const packet = packetOf(vector);
    const { tcp } = vector.decoded!;
    const start = packet[0]! >> 4 === 4 ? 20 : 40;
    const rawOptions = [...packet.subarray(start + 20, start + 4 * tcp!.dataOffset)];
    const { options: _options, ...fields } = parse(packet);
    expect(Buffer.from(build({ ...fields, rawOptions })).toString("hex")).toBe(vector.hex);
  },
);

it.each(odd)("finds fault with %s", (id) => {
  expect(() => parse(packetOf(vectors.segments.find((vector) => vector.id === id)!))).toThrow("padding");
});
