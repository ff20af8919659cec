import type { State } from "../types.ts";
import type { TcpOption, TcpPacket } from "./ast.ts";
import { ACK, FIN, RST, SYN, URG } from "./flags.ts";
import { encodeOption } from "./tcp-options.ts";
import type { LivePacket, TcpFields } from "./wire.ts";

const plus = (a: number, b: number) => (a + b) >>> 0;

/** One connection, and how the numbers of the script stand for those of the stack. */
export class Flow {
  localPort: number;
  remotePort: number;
  /** The script tells it from others by its ports. */
  named = false;
  /** The peer's initial sequence number, which the script chooses. */
  remoteIsn = 0;
  /** Its SYN has come. */
  peerOpened = false;
  /** Octets of text on the stack's SYN. */
  synText = 0;
  /** Options of its last SYN. */
  offered: readonly TcpOption[] = [];
  /** A SYN of the stack's was expected and seen. */
  synSeen = false;
  /** Up to where the stack's text has been expected and seen, in the script's numbers. */
  sentTo = 0;
  /** The script's name for the stack's initial sequence number. */
  private localScript = 0;
  /** The stack's initial sequence number, once its SYN was expected and came. */
  localLive: number | undefined;
  /** Live minus script timestamp, from the first pair. */
  private timestampOffset: number | undefined;
  private readonly timestamps = new Map<number, number>();
  private readonly cookies = new Map<string, string>();

  /** When something last came or went, microseconds, by its name in tcp_info. */
  private readonly last = new Map<string, number>();

  /** The acknowledgment that came with the last text, if that was the last to come. */
  private ackOfText: number | undefined;
  /** The next number the stack has not sent, as far as it has said so. */
  private liveNext: number | undefined;

  /** What the stack expects next, in the script's numbers, as far as it has said so. */
  next = 0;

  /** The script does not tell under what key cookies are made, and has names of its own for those the stack makes. */
  private readonly namesCookies: boolean;

  constructor(localPort: number, remotePort: number, namesCookies = false) {
    this.localPort = localPort;
    this.remotePort = remotePort;
    this.namesCookies = namesCookies;
  }

  /** A packet comes in. */
  received(now: number, { ack, flags, length, options = [] }: TcpPacket): void {
    if (flags & SYN) this.offered = options;
    this.ackOfText = flags & ACK && length > 0 ? ack : undefined;
    if (length > 0) this.last.set("tcpi_last_data_recv", now);
    if (flags & ACK) this.last.set("tcpi_last_ack_recv", now);
  }

  sent(now: number, live: LivePacket): void {
    if ((live.flags & (SYN | ACK)) === SYN && live.length > 0) this.synText = live.length;
    if (live.length > 0) this.last.set("tcpi_last_data_sent", now);
    const end = plus(live.seq, live.length + (live.flags & (SYN | FIN) ? 1 : 0));
    if (!(live.flags & RST) && ((end - (this.liveNext ?? live.seq)) | 0) >= 0) this.liveNext = end;
    if (live.flags & ACK) this.next = plus(live.ack, -this.remoteIsn);
  }

  /** Milliseconds since what a field of tcp_info is about; undefined for other fields. */
  elapsed(name: string, now: number): number | undefined {
    const time = this.last.get(name);
    return time === undefined ? undefined : Math.floor((now - time) / 1000);
  }

  /**
   * A SYN of the peer's comes in. The first one names its numbers, one that is answered by ours even when others came
   * before it; without a connection it begins another one between the same ports.
   * @param state the connection's, undefined when there is none
   */
  peerSyn({ flags, seq = 0 }: TcpPacket, state: State | undefined): void {
    const anew = !(flags & ACK) && this.localLive !== undefined && state === undefined;
    if (this.peerOpened && !anew && state !== "SYN-SENT") return;
    this.remoteIsn = seq;
    this.peerOpened = true;
    if (!anew) return;
    this.localLive = undefined;
    this.synSeen = false;
    this.timestampOffset = undefined;
    this.timestamps.clear();
  }

  /** Whether text that came draws this reset, which stands where the next text would and not where that acknowledged. */
  isResetOfText({ seq, flags }: TcpPacket, live: LivePacket): boolean {
    return flags === RST && live.flags === RST && seq === this.ackOfText && live.seq === this.liveNext;
  }

  owns(live: LivePacket): boolean {
    return live.sourcePort === this.localPort && live.destinationPort === this.remotePort;
  }

  private localOffset(flags: number): number {
    const live = this.localLive ?? 0;
    return flags & SYN ? plus(live, -this.localScript) : live;
  }

  private remoteOffset(flags: number): number {
    return flags & SYN ? 0 : this.remoteIsn;
  }

  /** A packet of the script's as the stack is to see it. */
  toLive(packet: TcpPacket, flags: number): TcpFields {
    const seq = packet.seq ?? 0;
    const ours = this.localOffset(flags);
    const options = (packet.options ?? []).map((option) => this.optionToLive(option, flags, ours));
    return {
      sourcePort: packet.ports?.source ?? this.remotePort,
      destinationPort: packet.ports?.destination ?? this.localPort,
      seq: packet.absolute ? seq : plus(seq, this.remoteOffset(flags)),
      ack: flags & ACK ? plus(packet.ack ?? 0, ours) : 0,
      flags,
      window: packet.window ?? 0,
      urgent: packet.urgent ?? 0,
      options: options.flatMap(encodeOption),
      length: packet.length,
    };
  }

  private optionToLive(option: TcpOption, flags: number, ours: number): TcpOption {
    if (option.kind === "sack")
      return {
        kind: "sack",
        blocks: option.blocks.map(([left, right]) => [plus(left, ours), plus(right, ours)]),
      };
    if (option.kind === "TS" && flags & ACK && !option.liveEcho)
      return { ...option, echo: this.liveTimestamp(option.echo) };
    if (option.kind === "FO" || option.kind === "FOEXP")
      return { ...option, cookie: this.cookies.get(option.cookie) ?? option.cookie };
    return option;
  }

  private liveTimestamp(echo: number): number {
    return this.timestamps.get(echo) ?? plus(echo, this.timestampOffset ?? 0);
  }

  /**
   * Learn from a packet of the stack's, which the script wrote as `packet`: what its numbers stand for. To be called
   * before the two are compared.
   */
  learn(packet: TcpPacket, live: LivePacket): void {
    if (live.flags & SYN && packet.flags & SYN && this.localLive === undefined) {
      this.localLive = live.seq;
      this.localScript = packet.seq ?? 0;
    }
    for (const option of packet.options ?? []) {
      const real = live.options.find(({ kind }) => kind === option.kind);
      if (option.kind === "TS" && real?.kind === "TS" && option.value !== undefined) {
        this.timestampOffset ??= plus(real.value!, -option.value);
        this.timestamps.set(option.value, real.value!);
      }
      const ours = this.namesCookies && (live.flags & ACK) !== 0;
      const cookie = ours && (option.kind === "FO" || option.kind === "FOEXP") ? option.cookie : "";
      if (cookie !== "" && real?.kind === option.kind && !this.cookies.has(cookie))
        this.cookies.set(cookie, (real as typeof option & { cookie: string }).cookie);
    }
  }

  /** A packet of the stack's in the script's numbers. */
  toScript(live: LivePacket): TcpPacket {
    const { flags } = live;
    const theirs = this.remoteOffset(flags);
    return {
      kind: "tcp",
      side: "out",
      ip: {},
      flags,
      seq: plus(live.seq, -this.localOffset(flags)),
      length: live.length,
      ...(flags & ACK && { ack: plus(live.ack, -theirs) }),
      window: live.window,
      ...(flags & URG && { urgent: live.urgent }),
      options: live.options.map((option) => this.optionToScript(option, theirs)),
    };
  }

  private optionToScript(option: TcpOption, theirs: number): TcpOption {
    if (option.kind === "sack")
      return {
        kind: "sack",
        blocks: option.blocks.map(([left, right]) => [plus(left, -theirs), plus(right, -theirs)]),
      };
    if (option.kind === "TS") return { ...option, value: plus(option.value!, -(this.timestampOffset ?? 0)) };
    if (option.kind === "FO" || option.kind === "FOEXP")
      for (const [script, live] of this.cookies)
        if (live === option.cookie) return { ...option, cookie: script };
    return option;
  }
}
