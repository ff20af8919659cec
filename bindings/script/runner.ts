import { parseAddress } from "../address.ts";
import { createEngine } from "../engine.ts";
import { SynwaveError } from "../errors.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import type { Connection, Engine, EngineOptions, State, TcpInfo } from "../types.ts";
import type { Call, IcmpPacket, PacketAction, Script, ScriptEvent, TcpPacket, UdpPacket } from "./ast.ts";
import { judge } from "./code.ts";
import { understand } from "./commands.ts";
import { type Config, configure, tidyingFrom } from "./config.ts";
import { Expectations } from "./expectations.ts";
import { RST, SYN } from "./flags.ts";
import { Flow } from "./flow.ts";
import { infoName } from "./info-names.ts";
import { inject } from "./inject.ts";
import { Mismatch, Tolerance } from "./mismatch.ts";
import { NotApplicable, outcomeDifference, outcomeText, type Pending, Unsupported } from "./outcome.ts";
import { settingsFor } from "./profile.ts";
import { setDefault } from "./socket-defaults.ts";
import { NOT_WAITING, Sockets } from "./sockets.ts";
import { asFinal, asPassing } from "./soft-errors.ts";
import { Recorder, type TraceEntry } from "./trace.ts";
import { atOurEdge } from "./window-edge.ts";
import { decode, type LivePacket, TCP } from "./wire.ts";

export interface RunOptions {
  /** Tolerate what other stacks than the script's own may do differently. */
  relaxed?: boolean;
  /** Options that prevail over the script's own, by name as in scripts. */
  overrides?: Readonly<Record<string, string>>;
  /** How the engine is made: memory, a compiled module. */
  engine?: Pick<EngineOptions, "wasm" | "memory" | "shared" | "seed">;
}

export type Verdict =
  | { status: "passed" }
  | { status: "failed"; line: number; message: string }
  | { status: "skipped"; reason: string };

export interface Run {
  verdict: Verdict;
  trace: TraceEntry[];
  /** Assertions about what the stack does not tell; each with its line. */
  skippedAssertions: string[];
  /** Kernel settings of the script that the engine does not have. */
  ignoredSettings: string[];
  /** Kernel settings that the script takes for granted, and were made. */
  presumedSettings: string[];
  /** All packets, as a pcapng file. */
  pcapng(): Uint8Array;
}

/** Where the engine's clock stands when the script begins, microseconds: anywhere but at zero. */
const START = 100_000_000;
/** Most wake-ups at one instant; a stack that wants more will never come to rest. */
const RESTLESS = 100_000;
const FIRST_REMOTE_PORT = 33_000;
/** How long a call waits for one that blocks already, and how much too late a call may end, microseconds. */
const QUEUE_WAIT = 1_000_000;
const LATE = 2_000_000;
/** Settings that the sockets of a script have been told of. */
const LASTING = ["tcpRmem", "tcpWmem", "tcpCongestionControl"] as const;
/** What connections without options do without. */
const OFFERED = ["tcpWindowScaling", "tcpTimestamps", "tcpSack"] as const;
const SEED = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) & 255);

/** A packet that left the stack and was not yet asked for. */
export interface Sent {
  time: number;
  live: LivePacket;
  /** A timer had it sent, and nothing that came. */
  byTimer: boolean;
}

interface Blocking {
  call: Call;
  pending: Pending;
  line: number;
  /** When it must return, microseconds. */
  end: number;
  tolerance: number;
}

const oneLine = (text: string) => text.replace(/\\?\s+/g, " ").trim();

/** Run a script against an engine of its own, in virtual time. */
export async function runScript(script: Script, options: RunOptions = {}): Promise<Run> {
  const run = await runOnce(script, options);
  if (!options.relaxed || !script.alternative || run.verdict.status !== "failed") return run;
  const other = await runOnce(script.alternative, options);
  return other.verdict.status === "passed" ? other : run;
}

async function runOnce(script: Script, options: RunOptions): Promise<Run> {
  const recorder = new Recorder();
  const skippedAssertions: string[] = [];
  const finish = (verdict: Verdict, made?: Config): Run => ({
    verdict,
    trace: recorder.finish(),
    skippedAssertions,
    ignoredSettings: made?.ignored ?? [],
    presumedSettings: made?.presumed ?? [],
    pcapng: () => recorder.pcapng(script.name),
  });
  let runner: Runner;
  let config: Config;
  try {
    config = configure(script, options.overrides, options.relaxed);
    const engine = await createEngine({
      seed: SEED,
      ...options.engine,
      addresses: [`${config.localAddress}/${config.prefix}`],
      mtu: config.mtu,
      settings: config.settings,
    });
    runner = new Runner(config, engine, recorder, options.relaxed ?? false, skippedAssertions);
  } catch (error) {
    if (error instanceof NotApplicable) return finish({ status: "skipped", reason: error.message });
    // A network whose packets are too short for any host (RFC 1122 §3.3.3, RFC 8200 §5).
    if (error instanceof SynwaveError && /^(EINVAL: )?mtu must be/.test(error.message))
      return finish({ status: "skipped", reason: `not applicable: ${error.message}` });
    if (error instanceof SynwaveError) return finish({ status: "failed", line: 1, message: error.message });
    throw error;
  }
  try {
    return finish(runner.run(script), config);
  } finally {
    runner.engine.close();
  }
}

/** One run: the clock, the stack, and what came out of it. */
export class Runner {
  readonly config: Config;
  readonly engine: Engine;
  readonly recorder: Recorder;
  readonly relaxed: boolean;
  /** Packets the stack sent, oldest first. */
  readonly sent: Sent[] = [];
  /** The connection that packets without ports belong to. */
  underTest: Flow | undefined;
  /** Microseconds since the script began. */
  now = 0;
  private readonly flows = new Map<string, Flow>();
  private readonly sockets: Sockets;
  private readonly expectations: Expectations;
  /** What BSD does otherwise is taken as its habit. */
  readonly bsdHabits: boolean;
  private readonly skippedAssertions: string[];
  private readonly variables = new Map<string, number | string>();
  private listening = false;
  /** Packets may have been exchanged: settings are fixed. */
  private started = false;
  private nextRemotePort = FIRST_REMOTE_PORT;
  private blocking: Blocking | undefined;
  /** From the event with this number on the script only tidies up. */
  private tidying = Number.POSITIVE_INFINITY;
  private index = 0;
  /** Wake-ups at this instant. */
  private restless = 0;
  /** When the event before this one happened. */
  private before = 0;
  private line = 1;

  constructor(
    config: Config,
    engine: Engine,
    recorder: Recorder,
    relaxed: boolean,
    skippedAssertions: string[],
  ) {
    this.config = config;
    this.engine = engine;
    this.recorder = recorder;
    this.relaxed = relaxed;
    this.bsdHabits = relaxed && config.socketDefaults.dialect === "bsd";
    this.skippedAssertions = skippedAssertions;
    this.expectations = new Expectations(this);
    this.sockets = new Sockets({
      engine,
      remoteAddress: config.remoteAddress,
      port: config.port,
      congestion: config.congestion,
      family: config.family,
      tolerance: config.tolerance,
      bsdHabits: this.bsdHabits,
      files: config.files,
      defaults: () => ({ ...config.socketDefaults }),
      now: () => this.now,
      connecting: (connection) => this.connecting(connection),
      listening: () => {
        this.listening = true;
        this.underTest = undefined;
      },
      datagrams: (ends) => {
        this.listening = false;
        this.underTest = ends && this.makeFlow(ends.localPort, ends.remotePort);
      },
      waiting: (port) => this.waiting(port),
      fastOpen: () => this.config.settings.tcpFastopen ?? DEFAULT_SETTINGS.tcpFastopen,
      flush: () => this.flush(),
    });
  }

  run(script: Script): Verdict {
    // What the engine's clock says at the script's time 0.
    this.engine.advance(this.engineTime);
    if (script.init) this.recorder.add(0, "command", oneLine(script.init.text));
    for (const setting of this.config.presumed) this.recorder.add(0, "note", `presumed: ${setting}`);
    this.tidying = tidyingFrom(script);
    try {
      for (const [index, event] of script.events.entries()) {
        this.index = index;
        this.event(event);
      }
      this.awaitBlocking();
      return { status: "passed" };
    } catch (error) {
      return this.verdictOf(error);
    }
  }

  private verdictOf(error: unknown): Verdict {
    if (error instanceof NotApplicable) return { status: "skipped", reason: error.message };
    if (!(error instanceof Mismatch || error instanceof Unsupported || error instanceof SynwaveError))
      throw error;
    const line = error instanceof Mismatch ? (error.line ?? this.line) : this.line;
    this.recorder.add(this.now, "failure", `line ${line}: ${error.message}`);
    return { status: "failed", line, message: error.message };
  }

  private event(event: ScriptEvent): void {
    this.line = event.line;
    for (const remark of event.remarks) this.recorder.add(this.now, "remark", remark);
    const { time, action } = event;
    const origin = time.kind.startsWith("relative") ? this.now : 0;
    const kind = "side" in action ? "packet" : action.kind === "call" ? "syscall" : action.kind;
    try {
      if ("side" in action && action.side === "out") {
        const from = time.kind === "any" ? undefined : origin + time.at;
        const to = "end" in time ? origin + time.end : from;
        this.expectations.meet(action, from, to, this.toleranceAt(to));
      } else {
        if (time.kind !== "any") this.runTo(origin + time.at);
        this.act(event, origin);
      }
    } catch (error) {
      if (!(error instanceof Mismatch && this.config.nonFatal.has(kind))) throw error;
      this.recorder.add(this.now, "note", `line ${this.line}: ${error.message}`);
    }
    this.before = this.now;
    this.recorder.see(this.stateText());
  }

  private toleranceAt(expected: number | undefined): number {
    const { tolerance, tolerancePercent } = this.config;
    const passed = expected === undefined ? 0 : expected - this.before;
    return Math.max(tolerance, (tolerancePercent / 100) * passed);
  }

  private act(event: ScriptEvent, origin: number): void {
    const { action } = event;
    switch (action.kind) {
      case "call":
        this.call(action, event.end === undefined ? undefined : origin + event.end);
        return;
      case "command":
        this.command(action.text);
        return;
      case "code":
        this.code(action.text);
        return;
      default:
        this.inbound(action);
    }
  }

  // Time and packets.

  /** Milliseconds of the engine's clock. */
  private get engineTime(): number {
    // Divided as the engine does, so that a deadline is not missed by the last bit of a fraction.
    return (START + this.now) / 1000;
  }

  /** When something happens next by itself. */
  nextWake(): number | undefined {
    const deadline = this.engine.nextDeadline();
    const wake = this.blocking?.pending.wake;
    const engine = deadline === undefined ? undefined : Math.ceil(deadline * 1000 - START - 0.001);
    if (engine === undefined || wake === undefined) return engine ?? wake;
    return Math.min(engine, wake);
  }

  /** Let what is due happen, at its time, up to and not including `time`, which it then is. */
  private runTo(time: number): void {
    for (let next = this.nextWake(); next !== undefined && next < time; next = this.nextWake())
      this.step(next);
    if (time > this.now) {
      this.now = time;
      this.checkBlocking();
    }
  }

  /** Go to `time` and let what is due there happen. */
  step(time: number): void {
    this.restless = time > this.now ? 0 : this.restless + 1;
    if (this.restless > RESTLESS) throw new Mismatch("the stack does not come to rest");
    this.now = Math.max(this.now, time);
    this.engine.advance(this.engineTime);
    this.settle(true);
  }

  /** Take what the stack has to send, and see whether the blocking call can go on. */
  private settle(byTimer = false): void {
    if (this.blocking?.pending.writes) this.checkBlocking();
    this.flush(byTimer);
    this.checkBlocking();
  }

  private flush(byTimer = false): void {
    for (const bytes of this.engine.transmit(this.engineTime)) {
      const live = decode(bytes);
      const flow = live.protocol === TCP ? this.flowOf(live) : undefined;
      flow?.sent(this.now, live);
      this.sent.push({ time: this.now, live, byTimer });
      this.recorder.outbound(this.now, bytes, live, flow);
    }
    // The calls of a script look for themselves; events are only thrown away.
    this.engine.poll();
    this.sockets.progress();
  }

  private inbound(packet: PacketAction): void {
    const flow = packet.kind === "tcp" ? this.inboundFlow(packet) : this.peerOf(packet);
    const { family, localAddress, remoteAddress } = this.config;
    const octets = (text: string) => parseAddress(text, "address").octets;
    const put = this.relaxed ? this.portable(packet, flow) : packet;
    const bytes = inject(put, flow, {
      family,
      source: octets(remoteAddress),
      destination: octets(localAddress),
    });
    this.started = true;
    if (packet.kind === "tcp") {
      this.sockets.arriving(flow.localPort, flow.remotePort, packet.length > this.config.mtu);
      flow.received(this.now, packet);
    }
    this.recorder.inbound(this.now, bytes, packet);
    this.engine.receive([bytes], this.engineTime);
    this.settle();
  }

  /** What the script sends, where its stack takes it otherwise: see `relaxations`. */
  private portable(packet: PacketAction, flow: Flow): PacketAction {
    if (packet.kind === "tcp")
      return this.bsdHabits ? atOurEdge(packet, flow.next, this.find(flow), this.config) : packet;
    if (packet.kind !== "icmp") return packet;
    return this.bsdHabits ? asPassing(packet) : asFinal(packet, this.find(flow)?.state);
  }

  // Which connection is meant.

  private flowOf(live: LivePacket): Flow | undefined {
    return this.flows.get(`${live.sourcePort}:${live.destinationPort}`);
  }

  private makeFlow(localPort: number, remotePort: number): Flow {
    const flow = new Flow(localPort, remotePort, !this.config.settings.tcpFastopenKey);
    this.flows.set(`${localPort}:${remotePort}`, flow);
    return flow;
  }

  /** The connection of an inbound packet; one that opens a new connection makes it. */
  private inboundFlow(packet: TcpPacket): Flow {
    const { ports } = packet;
    const known = ports ? this.flows.get(`${ports.destination}:${ports.source}`) : this.underTest;
    if (known) {
      if ((packet.flags & (SYN | RST)) === SYN) known.peerSyn(packet, this.find(known)?.state);
      return known;
    }
    const flow = ports
      ? this.makeFlow(ports.destination, ports.source)
      : this.makeFlow(this.config.port, this.nextRemotePort++);
    flow.named = ports !== undefined;
    // Where nobody listens no connection begins: numbers stay what they are.
    flow.remoteIsn = this.sockets.listens(flow.localPort) ? (packet.seq ?? 0) : 0;
    flow.peerOpened = (packet.flags & SYN) !== 0;
    if (!this.underTest) this.underTest = flow;
    return flow;
  }

  /** Both ports of a packet that is not TCP; the first datagram tells those of the next. */
  private peerOf(packet: IcmpPacket | UdpPacket): Flow {
    if (this.underTest || packet.kind === "icmp") return this.underTest ?? new Flow(this.config.port, 0);
    const { source = this.nextRemotePort++, destination = this.config.port } = packet.ports ?? {};
    this.underTest = this.makeFlow(destination, source);
    return this.underTest;
  }

  /** The connection of an outbound packet. */
  outboundFlow({ ports }: TcpPacket): Flow {
    const flow = ports ? this.flows.get(`${ports.source}:${ports.destination}`) : this.underTest;
    if (!flow) throw new Mismatch("a packet is expected of a connection that there is not");
    return flow;
  }

  private connecting(connection: Connection): void {
    this.listening = false;
    this.started = true;
    this.underTest = this.makeFlow(connection.localPort, connection.remotePort);
  }

  private find(flow: Flow | undefined): TcpInfo | undefined {
    return this.engine
      .connections()
      .find(({ localPort, remotePort }) => flow?.localPort === localPort && flow.remotePort === remotePort)
      ?.info;
  }

  private waiting(port: number): number {
    const ready = this.engine
      .connections()
      .filter(({ localPort, info }) => localPort === port && !NOT_WAITING.has(info.state)).length;
    return ready - this.sockets.held(port);
  }

  private stateText(): State {
    const state = this.find(this.underTest)?.state;
    // What came without a SYN made no connection: the listener is still what the script looks at.
    return state ?? (this.listening && !this.underTest?.peerOpened ? "LISTEN" : "CLOSED");
  }

  // Calls, commands and code.

  private call(call: Call, end: number | undefined): void {
    this.awaitBlocking(this.now + QUEUE_WAIT);
    // The stack hears what time it is before it is called.
    this.flush();
    const pending = this.sockets.begin(call);
    const outcome = pending.attempt();
    if (outcome === undefined) {
      if (end === undefined) throw new Mismatch(`${call.text} would block`);
      this.recorder.add(this.now, "call", `${call.text} …`);
      this.blocking = { call, pending, line: this.line, end, tolerance: this.toleranceAt(end) };
      this.flush();
      return;
    }
    this.recorder.add(this.now, "call", `${call.text} = ${outcomeText(outcome)}`);
    this.flush();
    const difference = outcomeDifference(call, outcome);
    if (difference !== undefined) throw new Mismatch(difference);
    if (end !== undefined) Tolerance.check(call.text, "returned", this.now, end, end, this.toleranceAt(end));
  }

  private checkBlocking(): void {
    const { blocking } = this;
    if (!blocking) return;
    const { call, pending, line, end, tolerance } = blocking;
    const outcome = pending.attempt();
    if (outcome === undefined) {
      if (this.now > end + LATE) throw new Mismatch(`${call.text} has not returned`, line);
      return;
    }
    this.blocking = undefined;
    this.recorder.add(this.now, "call", `… ${call.name}() = ${outcomeText(outcome)}`);
    this.flush();
    const difference = outcomeDifference(call, outcome);
    if (difference !== undefined) throw new Mismatch(difference, line);
    Tolerance.check(call.text, "returned", this.now, end, end, tolerance, line);
  }

  /** Let the call that blocks return, until `limit`. */
  private awaitBlocking(limit?: number): void {
    const { blocking } = this;
    if (!blocking) return;
    const last = limit ?? blocking.end + LATE;
    while (this.blocking === blocking) {
      const next = this.nextWake();
      if (next === undefined || next > last)
        throw new Mismatch(`${blocking.call.text} has not returned`, blocking.line);
      this.step(next);
    }
  }

  private command(text: string): void {
    const { sysctls, files, counts, forgets, unsupported, refused } = understand(text);
    const tidies = this.index >= this.tidying;
    const reason = unsupported ?? (tidies ? undefined : refused);
    if (reason !== undefined) throw new NotApplicable(reason);
    this.recorder.add(this.now, "command", oneLine(text));
    for (const [key, value] of sysctls) setDefault(this.config.socketDefaults, key, value);
    for (const [path, size] of files) this.config.files.set(path, size);
    if (!tidies) {
      const { settings } = settingsFor(sysctls.filter((sysctl) => this.changes(sysctl)));
      const late = LASTING.find((name) => settings[name] !== undefined);
      if (late && this.started)
        throw new NotApplicable(`${late} cannot be changed once packets have been exchanged`);
      for (const name of LASTING) delete settings[name];
      if (this.config.socketDefaults.withoutOptions) for (const name of OFFERED) delete settings[name];
      Object.assign(this.config.settings, settings);
      this.engine.configure(settings);
    }
    if (forgets) this.forget();
    for (const { state, count } of counts) {
      const wanted = state
        .toUpperCase()
        .replace(/^SYN_RCVD$/, "SYN_RECEIVED")
        .replaceAll("_", "-");
      const got =
        wanted === "CLOSED"
          ? this.sockets.closed()
          : this.engine.connections().filter(({ info }) => info.state === wanted).length;
      if (got !== count) throw new Mismatch(`expected ${count} connections in ${state}, got ${got}`);
    }
  }

  /** Have the engine forget what it remembers of servers. */
  private forget(): void {
    const { tcpFastopen = DEFAULT_SETTINGS.tcpFastopen } = this.config.settings;
    this.engine.configure({ tcpFastopen: 0 });
    this.engine.configure({ tcpFastopen });
  }

  /** Whether a kernel setting would make another of what the engine was made with. */
  private changes(sysctl: readonly [string, string]): boolean {
    const before: Readonly<Record<string, unknown>> = { ...DEFAULT_SETTINGS, ...this.config.settings };
    return Object.entries(settingsFor([sysctl]).settings).some(
      ([name, value]) => String(before[name]) !== String(value),
    );
  }

  private code(text: string): void {
    const info = this.find(this.underTest);
    const names = (name: string) =>
      this.underTest?.elapsed(name, this.now) ??
      infoName(name, info, this.stateText(), this.config, this.underTest?.synText ?? 0);
    const { failed, skipped } = judge(text, names, this.variables);
    this.recorder.add(this.now, "code", oneLine(text));
    for (const reason of skipped) {
      this.skippedAssertions.push(`line ${this.line}: ${reason}`);
      this.recorder.add(this.now, "note", `not judged: ${reason}`);
    }
    if (failed !== undefined) throw new Mismatch(`does not hold: ${failed}`);
  }
}
