import * as control from "../assembly/shared/control.ts";
import * as counter from "../assembly/shared/counters.ts";
import * as layout from "../assembly/shared/observer-layout.ts";
import * as tcb from "../assembly/shared/tcb-layout.ts";
import { formatAddress } from "./address.ts";
import { type Core, createCore } from "./core.ts";
import { SynwaveError, show } from "./errors.ts";
import { requireBoolean, requireKnown } from "./validate.ts";

/** Whose text: the client is who sent the SYN, or has the higher port where no SYN was seen. */
export type Sender = "client" | "server";

export interface ObservedDirection {
  address: string;
  port: number;
  packets: number;
  /** Octets handed to `onText`. */
  text: number;
  /** Octets that came again, or came for a gap already reported. */
  retransmitted: number;
  /** Holes in the text that were given up, and the octets they lack. */
  gaps: number;
  missing: number;
}

export interface ObservedConversation {
  /** Counted from 0 in the order in which the conversations first appeared. */
  number: number;
  client: ObservedDirection;
  server: ObservedDirection;
  /** When the first and the last packet was seen, in the unit of `observe`: milliseconds. */
  firstTime: number;
  lastTime: number;
  /** What was seen first: the SYN, the answer to it, or neither. */
  began: "syn" | "syn-ack" | "midstream";
  /** FIN from both, from one, RST (and from whom), or nothing of the kind. */
  ended: "fin" | "client-fin" | "server-fin" | "client-reset" | "server-reset" | "open";
  /** Milliseconds from the SYN to the ACK of its answer; undefined when one of them is missing or came twice. */
  handshakeRtt: number | undefined;
}

/** What became of the packets observed; `packets` is the sum of those behind it but `wrongChecksum`. */
export interface ObserverCounters {
  packets: number;
  /** Those that belong to a conversation. */
  taken: number;
  notTcp: number;
  /** IP fragments are not put together. */
  fragments: number;
  /** Cut off before the end of the headers. */
  cut: number;
  malformed: number;
  /** Passed over for `verifyChecksums`. */
  refused: number;
  /** Wrong IPv4 and TCP checksums, as offloading leaves them in packets captured where they were sent. */
  wrongChecksum: number;
}

export interface ObserverOptions {
  /** Octets of linear memory, fixed for life. Default 64 MiB; at least 2 MiB. What lies beyond holes must fit. */
  memory?: number;
  /** Linear memory as a SharedArrayBuffer. Default: wherever the platform allows it. */
  shared?: boolean;
  /** A compiled module, its bytes, or where to fetch it, in place of the built-in copy. */
  wasm?: WebAssembly.Module | BufferSource | URL | string;
  /** Pass over packets with a wrong checksum, where it can be told. Default false. */
  verifyChecksums?: boolean;
  /** The next octets of one side's text, which the taker owns; `time` is that of the packet that made them readable. */
  onText?: (conversation: number, sender: Sender, bytes: Uint8Array, time: number) => void;
  /** So many octets are missing here: the other side acknowledged text beyond them, or nothing more can come. */
  onGap?: (conversation: number, sender: Sender, length: number, time: number) => void;
  /** The last of a conversation: at `finish`, when another takes its tuple, or when memory is needed for a newer one. */
  onEnd?: (conversation: ObservedConversation) => void;
}

/**
 * Puts conversations together from the packets of both sides, as a wire between them saw them: out of order, doubled,
 * overlapping, with some missing. Of octets that came twice the first copy counts. Callbacks run within `observe` and
 * `finish`, and may not call them.
 */
export interface Observer {
  /**
   * An IP packet, seen at `time` in milliseconds. Whatever is wrong with it is counted, not thrown.
   * @param originalLength octets it had on the wire, where that is more than was captured. Default: its header says
   * @throws SynwaveError EINVAL for arguments of the wrong kind, EBUSY from within a callback, ERR_ENGINE_CLOSED
   */
  observe(packet: Uint8Array, time: number, originalLength?: number): void;
  /** No more packets: report all that is left. Observing may begin anew. */
  finish(): void;
  /** Conversations not yet given to `onEnd`, by number. */
  conversations(): ObservedConversation[];
  counters(): ObserverCounters;
  /** Drop everything without a word. */
  close(): void;
}

interface Crossings {
  observe(length: number, original: number, verify: number, time: number): number;
  reading(): number;
  conclude(): void;
}

const MEMORY_DEFAULT = 64 * 2 ** 20;
/** Octets of a packet that are looked at: no IP header states more. */
const PACKET_MAX = 65575;
const KNOWN = new Set(["memory", "shared", "wasm", "verifyChecksums", "onText", "onGap", "onEnd"]);
const CALLBACKS = ["onText", "onGap", "onEnd"] as const;
const BEGAN = ["midstream", "syn", "syn-ack"] as const;
const ENDED = ["open", "client-fin", "server-fin", "fin", "client-reset", "server-reset"] as const;
const SIDES = ["client", "server"] as const;

/**
 * Make an observer.
 * @throws SynwaveError EINVAL for an option that is unknown or cannot be, which it names
 */
export async function createObserver(options: ObserverOptions = {}): Promise<Observer> {
  requireKnown(options, KNOWN);
  const { memory = MEMORY_DEFAULT, verifyChecksums = false } = options;
  requireBoolean("verifyChecksums", verifyChecksums);
  for (const name of CALLBACKS)
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw new SynwaveError("EINVAL", `${name} must be a function, not ${show(options[name])}`);
  // A key that nobody knows, so that no capture is made of tuples that collide. Nothing that is told depends on it.
  const key = crypto.getRandomValues(new Uint8Array(16));
  const core = await createCore({ wasm: options.wasm, shared: options.shared, memory }, (_, bytes) =>
    bytes.set(key, control.CTL_HASH_KEY),
  );
  return new WireObserver(core, verifyChecksums, options);
}

class WireObserver implements Observer {
  private readonly core: Core;
  private readonly call: Crossings;
  private readonly verify: number;
  private readonly callbacks: Pick<ObserverOptions, (typeof CALLBACKS)[number]>;
  private readonly ring: number;
  private readonly area: number;
  private reading = false;
  private time = 0;

  constructor(core: Core, verify: boolean, callbacks: ObserverOptions) {
    this.core = core;
    this.call = core.call as unknown as Crossings;
    this.verify = verify ? 1 : 0;
    this.callbacks = callbacks;
    this.ring = core.words[control.CTL_RX >> 2]! >>> 0;
    this.area = core.words[control.CTL_EVENTS >> 2]! >>> 0;
  }

  observe(packet: Uint8Array, time: number, originalLength?: number): void {
    if (!(packet instanceof Uint8Array))
      throw new SynwaveError("EINVAL", `packet must be a Uint8Array, not ${show(packet)}`);
    if (typeof time !== "number" || !Number.isFinite(time))
      throw new SynwaveError("EINVAL", `time must be a number of milliseconds, not ${show(time)}`);
    const original = originalLength ?? 0;
    if (originalLength !== undefined && !(Number.isInteger(original) && original >= packet.length))
      throw new SynwaveError(
        "EINVAL",
        `originalLength must be an integer of at least the ${packet.length} octets captured, not ${show(originalLength)}`,
      );
    // What a callback that threw has left.
    this.drain();
    this.time = time;
    const length = Math.min(packet.length, PACKET_MAX);
    this.core.bytes.set(length < packet.length ? packet.subarray(0, length) : packet, this.ring);
    this.call.observe(length, Math.min(original, 0x7fffffff), this.verify, time);
    this.drain();
  }

  finish(): void {
    this.drain();
    this.call.conclude();
    this.drain();
  }

  conversations(): ObservedConversation[] {
    this.core.check();
    const { core } = this;
    const list: ObservedConversation[] = [];
    const end = core.call.slotsUsed();
    for (let index = 0; index < end; index++) {
      const slot = core.slot(index);
      if (core.bytes[slot + tcb.TCB_FAMILY] !== 0) list.push(this.describe(slot));
    }
    return list.sort((a, b) => a.number - b.number);
  }

  counters(): ObserverCounters {
    this.core.check();
    const read = (at: number) =>
      (this.core.words[at >> 2]! >>> 0) + (this.core.words[(at >> 2) + 1]! >>> 0) * 2 ** 32;
    const counters = {
      packets: read(counter.CNT_IN_RECEIVES),
      taken: read(counter.CNT_IN_DELIVERS),
      notTcp: read(counter.CNT_IN_UNKNOWN_PROTOS),
      fragments: read(counter.CNT_REASM_FAILS),
      cut: read(counter.CNT_IN_TRUNCATED_PKTS),
      malformed: 0,
      refused: read(counter.CNT_IN_DISCARDS),
      wrongChecksum: read(counter.CNT_IN_CSUM_ERRORS),
    };
    const { packets, taken, notTcp, fragments, cut, refused } = counters;
    counters.malformed = packets - taken - notTcp - fragments - cut - refused;
    return counters;
  }

  close(): void {
    this.core.close();
  }

  private drain(): void {
    this.core.check();
    if (this.reading) throw new SynwaveError("EBUSY", "the observer is reading: a callback may not call it");
    this.reading = true;
    try {
      for (let found = this.call.reading(); found !== layout.READ_NOTHING; found = this.call.reading())
        this.tell(found);
    } finally {
      this.reading = false;
    }
  }

  private tell(found: number): void {
    const { core, area, callbacks, time } = this;
    const word = (field: number) => core.words[(area + field) >> 2]! >>> 0;
    const slot = core.slot(word(layout.READING_SLOT));
    const number = core.words[(slot + layout.OBS_NUMBER) >> 2]! >>> 0;
    if (found === layout.READ_END) {
      callbacks.onEnd?.(this.describe(slot));
      return;
    }
    const sender = SIDES[word(layout.READING_SIDE)]!;
    const length = word(layout.READING_LENGTH);
    if (found === layout.READ_GAP) callbacks.onGap?.(number, sender, length, time);
    else if (callbacks.onText) {
      const at = word(layout.READING_ADDRESS);
      callbacks.onText(number, sender, core.bytes.slice(at, at + length), time);
    }
  }

  private describe(slot: number): ObservedConversation {
    const { core } = this;
    const double = (field: number) => core.doubles[(slot + field) >> 3]!;
    const rtt = double(layout.OBS_RTT);
    return {
      number: core.words[(slot + layout.OBS_NUMBER) >> 2]! >>> 0,
      client: this.direction(slot, 0, tcb.TCB_REMOTE_ADDRESS, tcb.TCB_REMOTE_PORT),
      server: this.direction(slot, 1, tcb.TCB_LOCAL_ADDRESS, tcb.TCB_LOCAL_PORT),
      firstTime: double(layout.OBS_FIRST_TIME),
      lastTime: double(layout.OBS_LAST_TIME),
      began: BEGAN[core.bytes[slot + layout.OBS_BEGAN]!]!,
      ended: ENDED[core.bytes[slot + layout.OBS_ENDED]!]!,
      handshakeRtt: rtt < 0 ? undefined : rtt,
    };
  }

  private direction(slot: number, side: number, address: number, port: number): ObservedDirection {
    const { bytes, doubles } = this.core;
    const at = slot + layout.OBS_DIRECTION + side * layout.OBS_DIRECTION_SIZE;
    const double = (field: number) => doubles[(at + field) >> 3]!;
    return {
      address: formatAddress(bytes, slot + address, bytes[slot + tcb.TCB_FAMILY]!),
      port: bytes[slot + port]! | (bytes[slot + port + 1]! << 8),
      packets: double(layout.DIR_PACKETS),
      text: double(layout.DIR_TEXT),
      retransmitted: double(layout.DIR_RETRANSMITTED),
      gaps: double(layout.DIR_GAPS),
      missing: double(layout.DIR_MISSING),
    };
  }
}
