import { readFileSync } from "node:fs";

/** An IP packet of test/spec/vectors.json, and what an independent decoder read in it. */
export interface SegmentVector {
  id: string;
  group: "tcp" | "opt" | "badopt" | "bad" | "martian" | "frag" | "tcp6" | "udp" | "icmp";
  name: string;
  hex: string;
  verdict: "accept" | "drop" | "hold" | "no-crash" | "emit";
  expect: string;
  decoded?: {
    ip?: { version: 4 | 6; src: string; dst: string; ecn: number; dscp: number };
    tcp?: {
      sport: number;
      dport: number;
      seq: number;
      ack: number;
      dataOffset: number;
      flags: string[];
      window: number;
      urgent: number;
      options: { kind: number; name?: string; value?: number; [more: string]: unknown }[];
      payload: string;
    };
  };
}

export interface RtoVector {
  id: string;
  steps: { sampleS: number; srtt: number; rttvar: number; rtoUnclamped: number; rtoMin1s: number }[];
}

export interface Vectors {
  meta: { hosts: { client4: string; server4: string; client6: string; server6: string } };
  segments: SegmentVector[];
  rto: RtoVector[];
  cubic: {
    id: string;
    wMax?: number;
    cwndEpoch?: number;
    K?: number;
    W?: { t: number; w: number }[];
    alpha?: number;
    cwnd?: number;
    wMaxBefore?: number;
    wMaxAfter?: number;
  }[];
  initialWindow: { id: string; smss: number; iw6928: number }[];
}

export const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../spec/vectors.json", import.meta.url), "utf8"),
);

export function packetOf(vector: { hex: string }): Uint8Array {
  return Uint8Array.from(Buffer.from(vector.hex, "hex"));
}
