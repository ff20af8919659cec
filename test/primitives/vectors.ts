import { readFileSync } from "node:fs";

/** The groups of test/spec/vectors.json that these suites read. */
interface Vectors {
  checksum: {
    id: string;
    source: string;
    dataHex: string | null;
    repeat?: { byteHex: string; count: number };
    generator?: string;
    sum: string;
    checksum: string;
  }[];
  checksumIncremental: {
    id: string;
    source: string;
    oldChecksum: string;
    oldField: string;
    newField: string;
    newChecksum: string;
  }[];
  md5: { id: string; source: string; ascii?: string; hexData?: string; digest: string }[];
  isn: {
    id: string;
    local: string;
    localPort: number;
    remote: string;
    remotePort: number;
    secretHex: string;
    clockMicroseconds: number;
    md5InputHex: string;
    isn_bigEndian: number;
  }[];
  seqCompare: { id: string; a: number; b: number; lt: boolean; undefined: boolean }[];
  acceptability: {
    id: string;
    segSeq: number;
    segLen: number;
    rcvNxt: number;
    rcvWnd: number;
    acceptable: boolean;
  }[];
}

export const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../spec/vectors.json", import.meta.url), "utf8"),
);

/** The octets that hexadecimal digits stand for. */
export function octets(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}
