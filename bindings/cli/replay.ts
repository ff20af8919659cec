import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { SynwaveError } from "../errors.ts";
import {
  createObserver,
  type ObservedConversation,
  type ObserverCounters,
  type ObserverOptions,
  type Sender,
} from "../observer.ts";
import { readCapture } from "../pcap/index.ts";
import { hexDump } from "./hex.ts";
import { integer, makeCommand } from "./options.ts";
import { type Progress, startProgress } from "./progress.ts";
import { duration, octets, table } from "./table.ts";

interface ReplayChoice {
  stream?: number;
  direction?: Sender;
  hex?: boolean;
  verifyChecksums?: boolean;
  json?: boolean;
}

/** What a capture came to. */
interface Outcome {
  counters: ObserverCounters;
  conversations: ObservedConversation[];
  /** Of the first packet, in milliseconds; undefined when there was none. */
  start: number | undefined;
  /** Why the rest of the file could not be read. */
  failure: SynwaveError | undefined;
}

/** Packets between two turns for signals, the terminal and standard output. */
const SLICE = 4096;
/** Milliseconds after which a bar shows how far it is. */
const PATIENCE = 1000;

/** Conversations of a capture, or what was said in one of them. */
export function replayCommand(): Command {
  return makeCommand("replay", "put the TCP conversations of a capture together again", [
    "synwave replay synwave-demo.pcapng",
    "synwave replay traffic.pcap --stream 3 --hex",
    "synwave replay traffic.pcap --stream 3 --direction server > answer.bin",
    "tcpdump -i eth0 -c 1000 -w - tcp | synwave replay - --json",
  ])
    .argument("<file>", "a capture, pcap or pcapng; - for standard input")
    .option("--stream <number>", "write the octets of one conversation, in the order of their capture", index)
    .addOption(new Option("--direction <sender>", "only what one side sent").choices(["client", "server"]))
    .option("--hex", "as hexadecimal and ASCII, what the client sent marked >, the server's <")
    .option("--verify-checksums", "pass over packets with a wrong checksum")
    .addOption(new Option("--json", "print everything as JSON").conflicts("stream"))
    .action(async (file: string, choice: ReplayChoice, command: Command) => {
      for (const name of ["direction", "hex"] as const)
        if (choice.stream === undefined && choice[name] !== undefined)
          command.error(`error: option '--${name}' needs --stream <number>`);
      await replay(file, choice);
    });
}

const index = integer(0, 2 ** 32 - 1);

async function replay(file: string, choice: ReplayChoice): Promise<void> {
  const name = file === "-" ? "standard input" : file;
  const bytes = await read(file, name);
  const { stream, verifyChecksums = false } = choice;
  const outcome =
    stream === undefined
      ? await follow(bytes, name, { verifyChecksums })
      : await follow(bytes, name, { verifyChecksums, ...speaker(stream, choice) });
  if (choice.json === true) process.stdout.write(json(file, outcome));
  else if (stream === undefined) process.stdout.write(describe(outcome));
  else requireStream(stream, name, outcome);
  // What could be read is shown first.
  if (outcome.failure) throw outcome.failure;
}

async function read(file: string, name: string): Promise<Uint8Array> {
  if (file !== "-") {
    try {
      return await readFile(file);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Not every message of Node's names the file.
      throw message.includes(file)
        ? error
        : Object.assign(new Error(`${name}: ${message}`, { cause: error }), { code });
    }
  }
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Observe all packets of a capture. */
async function follow(bytes: Uint8Array, name: string, options: ObserverOptions): Promise<Outcome> {
  const conversations: ObservedConversation[] = [];
  const observer = await createObserver({ ...options, onEnd: (ended) => conversations.push(ended) });
  const begun = performance.now();
  let progress: Progress | undefined;
  let start: number | undefined;
  let failure: SynwaveError | undefined;
  let count = 0;
  try {
    for (const { data, time, originalLength } of readCapture(bytes)) {
      start ??= time;
      observer.observe(data, time, originalLength);
      if (++count % SLICE !== 0) continue;
      if (process.stdout.writableNeedDrain) await once(process.stdout, "drain");
      else await new Promise((resolve) => setImmediate(resolve));
      if (performance.now() - begun > PATIENCE) progress ??= startProgress("replay", bytes.length);
      progress?.update(data.byteOffset - bytes.byteOffset, `${count.toLocaleString("en-US")} packets`);
    }
  } catch (error) {
    if (!(error instanceof SynwaveError && error.code === "ERR_CAPTURE_FORMAT")) throw error;
    const what = error.message.slice(error.code.length + 2);
    failure = new SynwaveError(error.code, `${name}: ${what}`, { cause: error });
  } finally {
    progress?.stop();
  }
  observer.finish();
  const counters = observer.counters();
  observer.close();
  conversations.sort((a, b) => a.number - b.number);
  return { counters, conversations, start, failure };
}

/** Callbacks that write one conversation to standard output. */
function speaker(stream: number, choice: ReplayChoice): Pick<ObserverOptions, "onText" | "onGap"> {
  const marks = { client: ">", server: "<" };
  const offsets = { client: 0, server: 0 };
  const heard = (conversation: number, sender: Sender) =>
    conversation === stream && (choice.direction ?? sender) === sender;
  return {
    onText(conversation, sender, bytes) {
      if (!heard(conversation, sender)) return;
      process.stdout.write(choice.hex === true ? hexDump(marks[sender], offsets[sender], bytes) : bytes);
      offsets[sender] += bytes.length;
    },
    onGap(conversation, sender, length) {
      if (!heard(conversation, sender)) return;
      const where = `at ${offsets[sender]} of the ${sender}'s`;
      if (choice.hex === true)
        process.stdout.write(
          `${marks[sender]} ${offsets[sender].toString(16).padStart(8, "0")}  ${length} octets missing\n`,
        );
      else process.stderr.write(`synwave: ${length} octets missing ${where}\n`);
      offsets[sender] += length;
    },
  };
}

function requireStream(stream: number, name: string, { conversations, failure }: Outcome): void {
  if (failure || conversations.some(({ number }) => number === stream)) return;
  const there =
    conversations.length > 0 ? `conversations 0 to ${conversations.length - 1}` : "no conversations";
  throw new SynwaveError("EINVAL", `${name} has ${there}, and no conversation ${stream}`);
}

function json(file: string, { counters, conversations, failure }: Outcome): string {
  const all = {
    file,
    packets: counters,
    conversations: conversations.map((conversation) => ({
      ...conversation,
      handshakeRtt: conversation.handshakeRtt ?? null,
    })),
    failure: failure?.message ?? null,
  };
  return `${JSON.stringify(all, null, 2)}\n`;
}

const COLUMNS = [
  { name: "#", right: true },
  { name: "client" },
  { name: "server" },
  { name: "start", right: true },
  { name: "duration", right: true },
  { name: "rtt", right: true },
  { name: "packets →", right: true },
  { name: "←", right: true },
  { name: "text →", right: true },
  { name: "←", right: true },
  { name: "resent →", right: true },
  { name: "←", right: true },
  { name: "missing →", right: true },
  { name: "←", right: true },
  { name: "began" },
  { name: "ended" },
];

function describe({ counters, conversations, start = 0 }: Outcome): string {
  const none = (shown: string, value: number) => (value === 0 ? "-" : shown);
  const rows = conversations.map((conversation) => {
    const { number, client, server, firstTime, lastTime, handshakeRtt, began, ended } = conversation;
    const both = (of: (side: typeof client) => number) =>
      [client, server].map((side) => none(octets(of(side)), of(side)));
    return [
      String(number),
      end(client.address, client.port),
      end(server.address, server.port),
      duration(Math.max(0, firstTime - start)),
      duration(lastTime - firstTime),
      handshakeRtt === undefined ? "-" : duration(handshakeRtt),
      whole(client.packets),
      whole(server.packets),
      ...both((side) => side.text),
      ...both((side) => side.retransmitted),
      ...both((side) => side.missing),
      began,
      ended,
    ];
  });
  const list = rows.length > 0 ? `${table(COLUMNS, rows)}\n` : "";
  return `${list}${summary(counters, conversations.length)}`;
}

/** An address and its port; a colon would be lost among those of IPv6. */
function end(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function whole(count: number): string {
  return count.toLocaleString("en-US");
}

/** What became of the packets that are in no conversation. */
function summary(counters: ObserverCounters, conversations: number): string {
  const reasons: [keyof ObserverCounters, string][] = [
    ["notTcp", "not TCP"],
    ["fragments", "fragments"],
    ["cut", "cut off in the headers"],
    ["malformed", "malformed"],
    ["refused", "with a wrong checksum"],
  ];
  const skipped = reasons.filter(([name]) => counters[name] > 0);
  const total = skipped.reduce((sum, [name]) => sum + counters[name], 0);
  const lines = [
    `${plural(conversations, "conversation")} in ${plural(counters.taken, "packet")} of ${whole(counters.packets)}`,
  ];
  if (total > 0)
    lines.push(
      `Skipped ${whole(total)}: ${skipped.map(([name, what]) => `${whole(counters[name])} ${what}`).join(", ")}`,
    );
  if (counters.wrongChecksum > counters.refused)
    lines.push(
      `Taken in spite of a wrong checksum, as captures on the sending machine have: ${whole(counters.wrongChecksum - counters.refused)}`,
    );
  return `${lines.join("\n")}\n`;
}

function plural(count: number, noun: string): string {
  return `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
}
