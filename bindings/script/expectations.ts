import type { IcmpPacket, PacketAction, TcpPacket, UdpPacket } from "./ast.ts";
import { differences, type Leniency } from "./compare.ts";
import { ACK, CWR, ECE, FIN, PSH, RST, SYN } from "./flags.ts";
import type { Flow } from "./flow.ts";
import { icmpCode, icmpType } from "./icmp-names.ts";
import { PATCHED } from "./inject.ts";
import { Mismatch, Tolerance } from "./mismatch.ts";
import { NotApplicable } from "./outcome.ts";
import { packetText } from "./packet-text.ts";
import type { Runner, Sent } from "./runner.ts";
import { optionText } from "./tcp-options.ts";
import { liveText } from "./trace.ts";
import { ICMP, ICMP_6, type LivePacket, TCP, UDP } from "./wire.ts";

/** How long past its time a packet is waited for, to say when it came instead; microseconds. */
const PATIENCE = 2_000_000;
/** How long a packet without a time is waited for: a stack with keepalive has always something to wake up for. */
const WHOLE_LIFE = 1e6 * 1e6;
/** RFC 9293 MUST-40: an ACK may be delayed by less than this. */
const DELAYED_ACK = 500_000;
const MAY_DIFFER = FIN | PSH | CWR;
/** How much later Linux's timers may be than ours: what is left of a tick of four milliseconds, and two that RACK's has more. */
const TICKS = 12_000;

/** Packets the script expects, against those the stack sends. */
export class Expectations {
  private readonly runner: Runner;
  private readonly leniency: Leniency;
  /** Of the last segment expected and seen. */
  private readonly lastAck = new Map<Flow, number>();
  /** Sequence number of the FIN expected and seen, in the script's terms. */
  private readonly finSeen = new Map<Flow, number | undefined>();

  constructor(runner: Runner) {
    const { config, relaxed } = runner;
    this.runner = runner;
    this.leniency = {
      relaxed,
      timestampTick: config.timestampTick,
      tolerance: config.tolerance,
      echoes: config.checkEchoes,
    };
  }

  /**
   * The next packet the stack sends is `packet`, between `from` and `to` (microseconds; undefined: at any time).
   * @throws Mismatch
   */
  meet(packet: PacketAction, from: number | undefined, to: number | undefined, tolerance: number): void {
    if (packet.patched) throw new NotApplicable(PATCHED);
    if (packet.kind === "tcp") this.meetTcp(packet, from, to, tolerance);
    else {
      const sent = this.next((live) => this.isLike(packet, live), packet, to);
      if (packet.kind === "icmp") this.compareIcmp(packet, sent.live);
      else if (sent.live.length !== packet.length)
        throw this.wrong(packet, liveText(sent.live, undefined), []);
      if (from !== undefined)
        Tolerance.check(`> ${packetText(packet)}`, "sent", sent.time, from, to!, tolerance);
    }
  }

  private meetTcp(
    packet: TcpPacket,
    from: number | undefined,
    to: number | undefined,
    tolerance: number,
  ): void {
    if (packet.udp) throw new NotApplicable("not applicable: TCP in UDP");
    const flow = this.runner.outboundFlow(packet);
    for (;;) {
      const first = this.next((live) => live.protocol === TCP && flow.owns(live), packet, to);
      flow.learn(packet, first.live);
      const whole = this.gather(packet, flow, this.cut(packet, flow, first), to);
      const wanted = this.leniency.relaxed ? this.portable(packet, whole.live, flow) : packet;
      const found = differences(wanted, whole.live, flow, this.leniency);
      const stands = found.length > 0 && this.standsForFin(packet, whole.live, flow);
      if (found.length > 0 && !stands) {
        if (this.isSpareAck(packet, whole.live, flow)) continue;
        throw this.wrong(packet, liveText(whole.live, flow), found);
      }
      if (whole.live.flags & ACK) this.lastAck.set(flow, whole.live.ack);
      if (packet.flags & SYN) flow.synSeen = true;
      if (packet.flags & FIN) this.finSeen.set(flow, packet.seq);
      if (packet.length > 0 && packet.seq !== undefined)
        flow.sentTo = Math.max(flow.sentTo, packet.seq + packet.length);
      if (from === undefined) return;
      const shown = `> ${packetText(packet)}`;
      // Whether an ACK is delayed is every stack's own affair, within the bound.
      const free = this.leniency.relaxed && isPureAck(packet.flags, packet.length);
      const [earliest, latest] = free
        ? [Math.min(from, first.time), to! + DELAYED_ACK]
        : [from - this.ticks(first), to!];
      Tolerance.check(shown, "sent", first.time, earliest, latest, tolerance);
      Tolerance.check(shown, "sent", whole.time, earliest, latest, tolerance);
      return;
    }
  }

  /** How much sooner than by its own kernel's clock a packet may come. */
  private ticks({ byTimer }: Sent): number {
    const { relaxed, config } = this.runner;
    return relaxed && byTimer && config.socketDefaults.dialect === "linux" ? TICKS : 0;
  }

  /** What is expected less what RFCs have otherwise: see `relaxations`. */
  private portable(packet: TcpPacket, live: LivePacket, flow: Flow): TcpPacket {
    const { flags, options, seq, length } = packet;
    // RFC 9293 SHLD-5: a SYN says the MSS, whatever else it is to leave out.
    const mss = live.options.find(({ kind }) => kind === "mss");
    if (this.runner.config.socketDefaults.withoutOptions && flags & SYN && options && mss)
      return { ...packet, options: [...options, mss] };
    // RFC 9293 §3.6.1 has text that nobody will read answered by a reset, and does not say which.
    if (flow.isResetOfText(packet, live)) return { ...packet, seq: flow.toScript(live).seq! };
    // RFC 7323 §2.2, §3.2: a SYN,ACK answers the options of a SYN.
    if (flags & SYN && flags & ACK && options)
      return { ...packet, options: options.filter(({ kind }) => !OFFERS.has(kind) || offers(flow, kind)) };
    // RFC 3168 §6.1.1.1: a SYN may be repeated without.
    if (this.runner.bsdHabits && (flags & (SYN | ACK)) === SYN && flow.synSeen)
      return { ...packet, flags: (flags & ~(ECE | CWR)) | (live.flags & (ECE | CWR)) };
    // RFC 3168 §6.1.2: CWR is for new text.
    if (this.runner.bsdHabits && flags & CWR && length > 0 && seq !== undefined && seq < flow.sentTo)
      return { ...packet, flags: flags & ~CWR };
    return packet;
  }

  /** Whether a segment acknowledges what a repeated FIN would: in CLOSING some stacks send the FIN again. */
  private standsForFin(packet: TcpPacket, live: LivePacket, flow: Flow): boolean {
    if (!this.leniency.relaxed || packet.flags !== (FIN | ACK) || packet.length > 0) return false;
    if (packet.seq === undefined || this.finSeen.get(flow) !== packet.seq) return false;
    const acknowledgment = { ...packet, flags: ACK, seq: (packet.seq + 1) >>> 0 };
    return differences(acknowledgment, live, flow, this.leniency).length === 0;
  }

  private wrong(packet: PacketAction, got: string, found: readonly string[]): Mismatch {
    const why = found.length > 0 ? ` (${found.join("; ")})` : "";
    return new Mismatch(`expected > ${packetText(packet)}, got > ${got}${why}`);
  }

  /** Take the next packet that `matches`; wait for it until some time after `to`. */
  private next(matches: (live: LivePacket) => boolean, packet: PacketAction, to: number | undefined): Sent {
    const { runner } = this;
    for (;;) {
      const index = runner.sent.findIndex(({ live }) => matches(live));
      if (index >= 0) return runner.sent.splice(index, 1)[0]!;
      const wake = runner.nextWake();
      const limit = to === undefined ? WHOLE_LIFE : to + PATIENCE;
      if (wake === undefined || wake > limit) {
        const when = to === undefined ? "" : ` at ${(to / 1e6).toFixed(6)} s`;
        throw new Mismatch(`expected > ${packetText(packet)}${when}, got nothing`);
      }
      runner.step(wake);
    }
  }

  /** Several segments for a longer one that the script has: what they are together. */
  private gather(packet: TcpPacket, flow: Flow, first: Sent, to: number | undefined): Sent {
    if (this.runner.config.strictSegments || packet.length <= first.live.length || first.live.length === 0)
      return first;
    const live = { ...first.live };
    const { byTimer } = first;
    let { time } = first;
    const unit = first.live.length;
    let lastLength = unit;
    while (live.length < packet.length) {
      const follows = ({ protocol, seq, length }: LivePacket) =>
        protocol === TCP && length > 0 && seq === (live.seq + live.length) >>> 0;
      const { sent } = this.runner;
      const queued = sent.find(({ live: other }) => flow.owns(other));
      if (queued && !(follows(queued.live) && lastLength === unit && alike(live, queued.live))) break;
      const more = this.next((other) => flow.owns(other), packet, to);
      if (!(follows(more.live) && lastLength === unit && alike(live, more.live))) break;
      live.length += more.live.length;
      live.flags = (live.flags & ~(FIN | PSH)) | (more.live.flags & (FIN | PSH));
      live.flaws = [...live.flaws, ...more.live.flaws];
      lastLength = more.live.length;
      time = more.time;
    }
    return { time, live, byTimer };
  }

  /** A segment longer than the script's, which other stacks cut in several: the rest waits for the next one. */
  private cut(packet: TcpPacket, flow: Flow, sent: Sent): Sent {
    const { live } = sent;
    if (!this.leniency.relaxed || packet.length === 0 || live.length <= packet.length) return sent;
    const rest: LivePacket = {
      ...live,
      seq: (live.seq + packet.length) >>> 0,
      length: live.length - packet.length,
    };
    const { sent: queue } = this.runner;
    const at = queue.findIndex((other) => flow.owns(other.live));
    queue.splice(at < 0 ? queue.length : at, 0, { ...sent, live: rest });
    return { ...sent, live: { ...live, length: packet.length, flags: live.flags & ~(FIN | PSH) } };
  }

  /** An ACK that the script's stack would not have sent: a duplicate, or one it would have put into a later one. */
  private isSpareAck(packet: TcpPacket, live: LivePacket, flow: Flow): boolean {
    const last = this.lastAck.get(flow);
    if (!this.leniency.relaxed || !isPureAck(live.flags, live.length) || last === undefined) return false;
    const { ack } = flow.toScript(live);
    const beyond = (live.ack - last) >>> 0;
    const missing = packet.flags & ACK ? ((packet.ack ?? 0) - ack!) | 0 : -1;
    const rides = missing === 0 && (packet.length > 0 || (packet.flags & FIN) !== 0);
    // One that is delayed never goes once the connection is reset.
    const late = (packet.flags & (RST | ACK)) === RST;
    return beyond === 0 || (beyond < 2 ** 31 && (missing > 0 || rides || late));
  }

  private isLike(
    packet: IcmpPacket | UdpPacket,
    { protocol, sourcePort, destinationPort }: LivePacket,
  ): boolean {
    if (packet.kind === "icmp") return protocol === ICMP || protocol === ICMP_6;
    const { source = sourcePort, destination = destinationPort } = packet.ports ?? {};
    return protocol === UDP && source === sourcePort && destination === destinationPort;
  }

  private compareIcmp(packet: IcmpPacket, live: LivePacket): void {
    const { family } = live;
    const type = icmpType(family, packet.type);
    const code = packet.code === undefined ? 0 : icmpCode(family, packet.type, packet.code);
    const found = [...live.flaws];
    const differ = (what: string, wanted: unknown, got: unknown) => {
      if (wanted !== got) found.push(`${what} ${got} instead of ${wanted}`);
    };
    differ("type", type, live.icmpType);
    differ("code", code, live.icmpCode);
    if (packet.mtu !== undefined) differ("mtu", packet.mtu, live.icmpRest);
    if (packet.id !== undefined) differ("id", packet.id, live.icmpRest >>> 16);
    if (found.length > 0) throw this.wrong(packet, liveText(live, undefined), found);
  }
}

const isPureAck = (flags: number, length: number) => (flags & ~ECE) === ACK && length === 0;

const OFFERS: ReadonlySet<string> = new Set(["wscale", "sackOK", "TS"]);
const offers = ({ offered }: Flow, wanted: string) => offered.some(({ kind }) => kind === wanted);

/** Whether two segments may be pieces of one. */
function alike(a: LivePacket, b: LivePacket): boolean {
  const header = ({ flags, ack, window, options, tos, ttl }: LivePacket) =>
    [flags & ~MAY_DIFFER, ack, window, tos, ttl, ...options.map(optionText)].join();
  return header(a) === header(b);
}
