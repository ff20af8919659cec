import { readFile, writeFile } from "node:fs/promises";
import type { Namespace } from "./namespace.ts";
import { OURS, TUN } from "./network.ts";
import { must, type Program } from "./program.ts";

/** What tshark makes of the packets that one side sent. */
export interface Verdict {
  /** Packets from our addresses. */
  packets: number;
  /** Those whose TCP or IPv4 checksum is wrong or was not checked. */
  badChecksum: number;
  /** Those that a dissector could not make sense of. */
  malformed: number;
}

/** Capture whole packets on the TUN device into a pcap file, until the program is stopped. */
export async function startCapture(space: Namespace, file: string): Promise<Program> {
  const capture = space.start("dumpcap", "-i", TUN, "-P", "-q", "-B", "64", "-w", file);
  await capture.until(file);
  return capture;
}

/** Stop a capture that must have missed nothing. */
export async function stopCapture(capture: Program): Promise<void> {
  // What has just been sent takes a moment to get from the kernel's buffer to the file.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { stderr } = await capture.stop("SIGINT");
  if (!/Packets received\/dropped on interface '[^']*': \d+\/0 /.test(stderr))
    throw new Error(`the capture missed packets:\n${stderr}`);
}

export async function judge(file: string): Promise<Verdict> {
  const filter = `ip.src == ${OURS.v4} || ipv6.src == ${OURS.v6}`;
  const fields = ["ip.version", "ipv6.version", "ip.checksum.status", "tcp.checksum.status", "_ws.malformed"];
  const lines = (
    await must("tshark", [
      ...["-n", "-r", file, "-Y", filter, "-T", "fields", "-E", "separator=,", "-E", "occurrence=a"],
      ...["-E", "aggregator=+", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"],
      ...fields.flatMap((field) => ["-e", field]),
    ])
  )
    .split("\n")
    .filter((line) => line !== "");
  const verdict = { packets: lines.length, badChecksum: 0, malformed: 0 };
  for (const line of lines) {
    const [four, , ip, tcp, malformed] = line.split(",");
    // 1 is "good"; 0 "bad", 2 and 3 "not checked".
    if (tcp !== "1" || (four === "4" && ip !== "1")) verdict.badChecksum++;
    if (malformed !== "") verdict.malformed++;
  }
  return verdict;
}

/** A copy of a capture in which one octet of one packet, the last that is long, is wrong. */
export async function spoil(from: string, to: string, source: Uint8Array): Promise<void> {
  const file = await readFile(from);
  let spoilt = -1;
  for (let at = 24; at < file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const packet = file.subarray(at + 16, at + 16 + length);
    if (length > 500 && packet.indexOf(source) === 12) spoilt = at + 16 + length - 1;
    at += 16 + length;
  }
  if (spoilt < 0) throw new Error(`${from} holds no packet worth spoiling`);
  file[spoilt]! ^= 0x10;
  await writeFile(to, file);
}
