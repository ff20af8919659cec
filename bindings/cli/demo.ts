import { closeSync, openSync, writeSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { createEngine } from "../engine.ts";
import { SynwaveError } from "../errors.ts";
import { type CaptureLink, capture } from "../links/capture.ts";
import { type ImpairedLink, type ImpairStats, impair } from "../links/impair.ts";
import { pipe } from "../links/pipe.ts";
import { Prng } from "../links/prng.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { DemoHost } from "./demo-host.ts";
import { integer, makeCommand } from "./options.ts";
import { startProgress } from "./progress.ts";

interface DemoChoice {
  seed: number;
  size: number;
  loss: number;
  duplicate: number;
  reorder: number;
  delay: number;
  jitter?: number;
  /** False for `--no-pcapng`. */
  pcapng: string | false;
  json?: boolean;
}

/** What one side has to tell. */
interface Side {
  address: string;
  /** Of what this side sent, and of what the other got. */
  sha256: { sent: string; arrived: string };
  equal: boolean;
  segmentsSent: number;
  segmentsReceived: number;
  retransmissions: number;
  /** From the connection's first packet until the other side had the last octet. */
  virtualSeconds: number;
  /** Megabits per second, of this side's octets; null when no virtual time passed. */
  goodputVirtual: number | null;
  goodputReal: number;
  link: ImpairStats;
}

interface Result {
  seed: number;
  size: number;
  equal: boolean;
  virtualSeconds: number;
  realSeconds: number;
  pcapng: string | null;
  sides: { left: Side; right: Side };
}

const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
const PORT = 9;

/** Octets kept of each packet: every header, and a little of the text. */
const SNAPLEN = 96;

/** Wake-ups between two looks at the progress. */
const SLICE = 2000;

/** Milliseconds of virtual time without one octet arriving after which the transfer is given up. */
const PATIENCE = 30 * 60_000;

/** Milliseconds of virtual time that the two have to close the connection; the data is safe by then. */
const FAREWELL = 120_000;

export function demoCommand(): Command {
  return makeCommand("demo", "two engines exchange data through a bad network, in virtual time", [
    "synwave demo",
    "synwave demo --size 8MiB --loss 5% --seed 7",
    "synwave demo --delay 100 --jitter 30 --pcapng bad-network.pcapng --json",
  ])
    .addOption(
      new Option("--size <octets>", "sent each way at once; also as 64MiB, 10MB, …")
        .argParser(octets)
        .default(64 * 2 ** 20, "64MiB"),
    )
    .option("--seed <number>", "of the data and of all chance", integer(0, Number.MAX_SAFE_INTEGER), 1)
    .option("--loss <probability>", "of a packet to vanish; also as 1%", probability, 0.01)
    .option("--duplicate <probability>", "of a packet to come twice", probability, 0.005)
    .option("--reorder <probability>", "of a packet to be overtaken by later ones", probability, 0.01)
    .option("--delay <ms>", "under way, each way", milliseconds, 20)
    .option("--jitter <ms>", "most by which it differs (default: 5, at most the delay)", milliseconds)
    .option("--pcapng <file>", "where the left side's packets are recorded", path, "synwave-demo.pcapng")
    .option("--no-pcapng", "record nothing")
    .option("--json", "print the summary as JSON")
    .action(async (choice: DemoChoice, command: Command) => {
      const jitter = choice.jitter ?? Math.min(5, choice.delay);
      if (jitter > choice.delay)
        command.error(
          `error: option '--jitter <ms>' argument '${jitter}' is more than the delay of ${choice.delay}`,
        );
      const result = await demo({ ...choice, jitter });
      process.stdout.write(choice.json === true ? `${JSON.stringify(result, null, 2)}\n` : describe(result));
      if (!result.equal) process.exitCode = 1;
    });
}

async function demo(choice: DemoChoice & { jitter: number }): Promise<Result> {
  const chance = new Prng(choice.seed);
  const clock = new VirtualClock();
  const ends = pipe({ clock });
  const { loss, duplicate, reorder, delay, jitter } = choice;
  const paths = ends.map((end) =>
    impair(end, { clock, seed: chance.next(), loss, duplicate, reorder, delay, jitter }),
  );
  const file = choice.pcapng === false ? undefined : openFile(choice.pcapng);
  let recorder: CaptureLink | undefined;
  try {
    const comment = `synwave demo --seed ${choice.seed} --size ${choice.size}`;
    if (file !== undefined) recorder = capture(paths[0], file, { clock, snaplen: SNAPLEN, comment });
    const hosts: DemoHost[] = [];
    for (const [i, address] of ADDRESSES.entries()) {
      const engine = await createEngine({ addresses: [address], mtu: 1500, seed: bytesOf(chance) });
      hosts.push(
        new DemoHost(engine, i === 0 ? (recorder ?? paths[0]) : paths[1], clock, chance.next(), choice.size),
      );
    }
    const [left, right] = hosts;
    const start = performance.now();
    right.engine.listen({ port: PORT });
    left.connect(ADDRESSES[1], PORT);
    await transfer(clock, left, right, choice.size);
    const realSeconds = (performance.now() - start) / 1000;
    const result = summarize(choice, [left, right], paths, realSeconds);
    await recorder?.close();
    left.engine.close();
    right.engine.close();
    return result;
  } finally {
    file?.close();
  }
}

/** Run until both directions have ended and the connection is closed, with a look at the progress now and then. */
async function transfer(clock: VirtualClock, left: DemoHost, right: DemoHost, size: number): Promise<void> {
  const total = 2 * size;
  const progress = startProgress("demo", total);
  let seen = -1;
  let moved = 0;
  try {
    for (;;) {
      let steps = 0;
      const ended = () => left.ended !== undefined && right.ended !== undefined;
      const wound = clock.run(() => ++steps > SLICE || ended());
      const octets = left.octets + right.octets;
      if (octets !== seen) {
        seen = octets;
        moved = clock.now();
      }
      progress.update(
        octets,
        `${(octets / 2 ** 20).toFixed(0)} MiB | ${(clock.now() / 1000).toFixed(1)} s virtual`,
      );
      if (ended()) break;
      if (!wound || clock.now() - moved > PATIENCE)
        throw new SynwaveError("ETIMEDOUT", `nothing moves after ${octets} of ${total} octets`);
      // Signals and the terminal get their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    progress.stop();
  }
  const late = clock.now() + FAREWELL;
  clock.run(() => (left.closed && right.closed) || clock.now() > late);
}

function summarize(
  choice: DemoChoice,
  hosts: readonly [DemoHost, DemoHost],
  paths: readonly ImpairedLink[],
  realSeconds: number,
): Result {
  const digests = hosts.map((host) => host.digests());
  const sides = hosts.map((host, i): Side => {
    const other = hosts[1 - i];
    const sha256 = { sent: digests[i].sent, arrived: digests[1 - i].received };
    const virtualSeconds = (other.ended ?? Number.NaN) / 1000;
    const counters = host.engine.counters();
    const megabits = (other.octets * 8) / 1e6;
    return {
      address: ADDRESSES[i],
      sha256,
      equal: sha256.sent === sha256.arrived && other.octets === choice.size,
      segmentsSent: counters.OutSegs,
      segmentsReceived: counters.InSegs,
      retransmissions: counters.RetransSegs,
      virtualSeconds,
      goodputVirtual: virtualSeconds > 0 ? megabits / virtualSeconds : null,
      goodputReal: megabits / realSeconds,
      link: paths[i].stats,
    };
  });
  return {
    seed: choice.seed,
    size: choice.size,
    equal: sides.every((side) => side.equal),
    virtualSeconds: Math.max(...sides.map((side) => side.virtualSeconds)),
    realSeconds,
    pcapng: choice.pcapng === false ? null : choice.pcapng,
    sides: { left: sides[0], right: sides[1] },
  };
}

function describe(result: Result): string {
  const { left, right } = result.sides;
  const whole = (n: number) => n.toLocaleString("en-US");
  // A path without delay takes no virtual time at all.
  const rate = (n: number | null) => (n !== null ? `${n.toFixed(1)} Mbit/s` : "no time passed");
  const rows: [string, (side: Side) => string][] = [
    ["segments sent", (s) => whole(s.segmentsSent)],
    ["segments received", (s) => whole(s.segmentsReceived)],
    [
      "retransmissions",
      (s) => `${whole(s.retransmissions)} (${((100 * s.retransmissions) / s.segmentsSent).toFixed(1)} %)`,
    ],
    ["lost on the way", (s) => whole(s.link.lost)],
    ["duplicated", (s) => whole(s.link.duplicated)],
    ["reordered", (s) => whole(s.link.reordered)],
    ["goodput, virtual", (s) => rate(s.goodputVirtual)],
    ["goodput, real", (s) => rate(s.goodputReal)],
  ];
  const table = [
    ["", `left ${left.address}`, `right ${right.address}`],
    ...rows.map(([name, of]) => [name, of(left), of(right)]),
  ].map(([name, a, b]) => `${name.padEnd(20)}${a.padStart(20)}${b.padStart(20)}`);
  const direction = (name: string, { sha256, equal }: Side) =>
    equal
      ? `${name}  ${sha256.sent}  equal`
      : `${name}  ${sha256.sent}  sent\n${" ".repeat(name.length)}  ${sha256.arrived}  arrived: DIFFERENT`;
  return [
    `${whole(result.size)} octets each way in ${result.virtualSeconds.toFixed(2)} s of virtual time, ${result.realSeconds.toFixed(2)} s of real time`,
    "",
    ...table.map((line) => line.trimEnd()),
    "",
    "SHA-256",
    direction("left → right", left),
    direction("right → left", right),
    ...(result.pcapng === null ? [] : ["", `Packets, as the left side saw them: ${result.pcapng}`]),
    "",
  ].join("\n");
}

/** A file that is written in large pieces. */
function openFile(path: string): { write(chunk: Uint8Array): void; close(): void } {
  let descriptor: number | undefined = openSync(path, "w");
  const buffer = Buffer.allocUnsafe(2 ** 20);
  let used = 0;
  const writeAll = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor as number, bytes, at);
  };
  const flush = () => {
    writeAll(buffer.subarray(0, used));
    used = 0;
  };
  return {
    write(chunk) {
      if (used + chunk.length > buffer.length) flush();
      if (chunk.length > buffer.length) writeAll(chunk);
      else {
        buffer.set(chunk, used);
        used += chunk.length;
      }
    },
    close() {
      if (descriptor === undefined) return;
      try {
        flush();
      } finally {
        closeSync(descriptor);
        descriptor = undefined;
      }
    },
  };
}

/** A seed for an engine. */
function bytesOf(chance: Prng): Uint8Array {
  return Uint8Array.from({ length: 32 }, () => chance.below(256));
}

const UNITS: Record<string, number> = {
  "": 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  KI: 2 ** 10,
  MI: 2 ** 20,
  GI: 2 ** 30,
};

/** @throws InvalidArgumentError unless `text` is a number of octets from 1 to 16 GiB */
function octets(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*((?:[kmg]i?)?)b?$/i.exec(text) ?? [];
  const number = Math.round(Number(digits) * (UNITS[unit?.toUpperCase() ?? ""] ?? Number.NaN));
  if (!(number >= 1 && number <= 2 ** 34))
    throw new InvalidArgumentError(
      "It must be from 1 to 16GiB, in octets or with KiB, MiB, GiB, kB, MB or GB.",
    );
  return number;
}

/** @throws InvalidArgumentError for an empty name */
function path(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must name a file.");
  return text;
}

/** @throws InvalidArgumentError unless `text` is a probability, or as much in percent */
function probability(text: string): number {
  const [, digits, percent] = /^(\d*\.?\d+)(%?)$/.exec(text) ?? [];
  const number = Number(digits) / (percent === "%" ? 100 : 1);
  if (!(number >= 0 && number <= 1))
    throw new InvalidArgumentError("It must be from 0 to 1, or from 0% to 100%.");
  return number;
}

/** @throws InvalidArgumentError unless `text` is a number of milliseconds, at most a minute */
function milliseconds(text: string): number {
  const number = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || number > 60_000)
    throw new InvalidArgumentError("It must be from 0 to 60000 milliseconds.");
  return number;
}
