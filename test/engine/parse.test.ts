import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { addressOctets, addressText } from "../support/addresses.ts";
import { build, type Fields } from "../support/packet.ts";
import { loadProbe, type Probe } from "../support/probe.ts";
import { packetOf, type SegmentVector, vectors } from "../support/vectors.ts";

let probe: Probe["call"];
let bytes: Uint8Array;
/** Where packets are put: far above static data and stack. */
const AT = 1 << 20;
const FLAG_NAMES = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

beforeAll(async () => {
  ({ call: probe, bytes } = await loadProbe());
});

function take(packet: Uint8Array): boolean {
  // What lies around a packet must not matter: poison shows reads past its end.
  bytes.fill(0xa5, AT - 64, AT + packet.length + 64);
  bytes.set(packet, AT);
  return probe.parseIp!(AT, packet.length) === 1 && probe.ipProtocol!() === 6 && probe.parseTcp!() === 1;
}

function address(at: number): string {
  return addressText(bytes.subarray(at, at + (probe.segmentFamily!() === 4 ? 4 : 16)));
}

function read() {
  const text = probe.segmentText!();
  return {
    src: address(probe.segmentSource!()),
    dst: address(probe.segmentDestination!()),
    srcPort: probe.segmentSourcePort!(),
    dstPort: probe.segmentDestinationPort!(),
    seq: probe.segmentSeq!() >>> 0,
    ack: probe.segmentAck!() >>> 0,
    flags: probe.segmentFlags!(),
    window: probe.segmentWindow!(),
    urgent: probe.segmentUrgent!(),
    text: Buffer.from(bytes.subarray(text, text + probe.segmentTextLength!())).toString("hex"),
    mss: probe.optionMss!(),
    ws: probe.optionWindowScale!(),
  };
}

/** The MSS and window scale a host takes from the options a decoder saw: the last of each, on a SYN, up to an EOL. */
function meant(tcp: NonNullable<NonNullable<SegmentVector["decoded"]>["tcp"]>) {
  let mss = -1;
  let ws = -1;
  if (tcp.flags.includes("syn"))
    for (const option of tcp.options as { kind?: number; mss?: number; shift?: number; badLength?: true }[]) {
      if (option.kind === 0) break;
      if (option.badLength) continue;
      if (option.kind === 2) mss = option.mss!;
      if (option.kind === 3) ws = Math.min(option.shift!, 14);
    }
  return { mss, ws };
}

const readable = vectors.segments.filter(({ group, verdict, id }) =>
  ["tcp", "opt", "badopt", "tcp6", "martian", "bad"].includes(group)
    ? verdict !== "drop" || group === "martian"
    : id === "frag-001" || id === "frag-010",
);

describe("parsing", () => {
  it.each(readable.map((vector) => [vector.id, vector.name, vector] as const))(
    "reads %s, %s, as an independent decoder does",
    (_, __, vector) => {
      const { ip, tcp } = vector.decoded!;
      expect(take(packetOf(vector))).toBe(true);
      expect(read()).toEqual({
        src: addressText(addressOctets(ip!.src)),
        dst: addressText(addressOctets(ip!.dst)),
        srcPort: tcp!.sport,
        dstPort: tcp!.dport,
        seq: tcp!.seq,
        ack: tcp!.ack,
        flags: tcp!.flags.reduce((bits, name) => bits | (1 << FLAG_NAMES.indexOf(name)), 0),
        window: tcp!.window,
        urgent: tcp!.urgent,
        text: tcp!.payload,
        ...meant(tcp!),
      });
      expect(probe.ipEcn!()).toBe(ip!.ecn);
    },
  );

  const dropped = vectors.segments.filter(
    ({ group, verdict }) =>
      ["bad", "tcp6", "frag"].includes(group) && (verdict === "drop" || verdict === "hold"),
  );
  it.each(dropped.map((vector) => [vector.id, vector.name, vector] as const))(
    "[9293-MUST-3] refuses %s, %s",
    (_, __, vector) => {
      // A packet with another address fails by its checksum, which covers the pseudo-header.
      expect(take(packetOf(vector))).toBe(false);
    },
  );

  const fields: fc.Arbitrary<Fields> = fc
    .record({
      six: fc.boolean(),
      srcPort: fc.nat(65535),
      dstPort: fc.nat(65535),
      seq: fc.nat(0xffffffff),
      ack: fc.nat(0xffffffff),
      flags: fc.subarray([..."FSRPAUEC"]).map((letters) => letters.join("")),
      window: fc.nat(65535),
      urgent: fc.nat(65535),
      mss: fc.option(fc.nat(65535)),
      ws: fc.option(fc.nat(255)),
      sack: fc.boolean(),
      text: fc.uint8Array({ maxLength: 80 }),
      tos: fc.nat(255),
    })
    .map(({ six, mss, ws, sack, ...rest }) => ({
      ...rest,
      src: six ? "2001:db8::10" : "192.0.2.10",
      dst: six ? "2001:db8:1::20" : "198.51.100.20",
      options: {
        ...(mss !== null && { mss }),
        ...(ws !== null && { ws }),
        ...(sack && { sackPermitted: true as const }),
      },
    }));

  it("returns the fields a packet was built from", () => {
    fc.assert(
      fc.property(fields, (expected) => {
        expect(take(build(expected))).toBe(true);
        const syn = expected.flags!.includes("S");
        expect(read()).toEqual({
          src: expected.src,
          dst: expected.dst,
          srcPort: expected.srcPort,
          dstPort: expected.dstPort,
          seq: expected.seq,
          ack: expected.ack,
          flags: [..."FSRPAUEC"].reduce((bits, f, i) => bits | (expected.flags!.includes(f) ? 1 << i : 0), 0),
          window: expected.window,
          urgent: expected.urgent,
          text: Buffer.from(expected.text as Uint8Array).toString("hex"),
          mss: syn ? (expected.options!.mss ?? -1) : -1,
          ws: syn && expected.options!.ws !== undefined ? Math.min(expected.options!.ws, 14) : -1,
        });
        const counted = Number(syn) + Number(expected.flags!.includes("F"));
        expect(probe.segmentLength!()).toBe((expected.text as Uint8Array).length + counted);
      }),
      { numRuns: 500 },
    );
  });

  it("[9293-MUST-3] refuses every packet with any one bit flipped, but for bits that carry nothing", () => {
    fc.assert(
      fc.property(fields, fc.nat(), (whole, at) => {
        const packet = build(whole);
        const bit = at % (packet.length * 8);
        const octet = bit >> 3;
        packet[octet]! ^= 1 << (bit & 7);
        // IPv6 has no checksum of its own: traffic class, flow label and hop limit change unseen.
        const unseen =
          whole.src.includes(":") &&
          ((octet === 0 && (bit & 7) < 4) || (octet > 0 && octet < 4) || octet === 7);
        expect(take(packet)).toBe(unseen);
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses every packet cut short, and reads none past its end", () => {
    fc.assert(
      fc.property(fields, fc.nat(), (whole, at) => {
        const packet = build(whole);
        expect(take(packet.subarray(0, at % packet.length))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("[9293-MUST-7] comes to an end with any octets for options", () => {
    const optionOctets = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 255), fc.nat(255)), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(optionOctets, (rawOptions) => {
        const base = { src: "192.0.2.10", dst: "198.51.100.20", srcPort: 1, dstPort: 2, flags: "S" };
        expect(take(build({ ...base, rawOptions, text: "text" }))).toBe(true);
        expect(read().text).toBe(Buffer.from("text").toString("hex"));
        expect(probe.optionWindowScale!()).toBeLessThanOrEqual(14);
      }),
      { numRuns: 1000 },
    );
  });

  it("[9293-MUST-68] writes options that it reads back", () => {
    fc.assert(
      fc.property(fc.nat(65535), fc.integer({ min: -1, max: 14 }), (mss, scale) => {
        const length = probe.writeSynOptions!(AT, mss, scale);
        const rawOptions = [...bytes.slice(AT, AT + length)];
        expect(length % 4).toBe(0);
        expect(
          take(
            build({
              src: "192.0.2.10",
              dst: "198.51.100.20",
              srcPort: 1,
              dstPort: 2,
              flags: "S",
              rawOptions,
            }),
          ),
        );
        expect(read()).toMatchObject({ mss, ws: scale });
      }),
    );
  });
});
