import { SynwaveError } from "../errors.ts";
import type { Connection, Engine, State } from "../types.ts";
import type { Call, Expr } from "./ast.ts";
import * as c from "./constants.ts";
import { controlMismatch } from "./control-message.ts";
import { bindDatagrams, connectDatagrams, receiveDatagram, sendDatagram } from "./datagrams.ts";
import { getSocketOption } from "./option-values.ts";
import { errnoOf, fail, NotApplicable, type Outcome, ok, type Pending, Unsupported } from "./outcome.ts";
import { PlainFiles } from "./plain-files.ts";
import { Readiness } from "./readiness.ts";
import { ScriptSocket } from "./script-socket.ts";
import type { SocketDefaults } from "./socket-defaults.ts";
import { setSocketOption } from "./socket-options.ts";
import { afterMark, atMark, markEnd, receiveUrgent } from "./urgent.ts";
import { exprText, field, isNull, numberOf, required, vectorLength } from "./values.ts";

/** What system calls need to know of the world, and what it must know of them. */
export interface World {
  readonly engine: Engine;
  readonly remoteAddress: string;
  readonly port: number;
  readonly congestion: string;
  readonly family: 4 | 6;
  /** Microseconds by which a time may differ. */
  readonly tolerance: number;
  /** Close without a reset although text is unread, and tell prohibitions as BSD does. */
  readonly bsdHabits: boolean;
  /** Octets of the files there are, by path. */
  readonly files: ReadonlyMap<string, number>;
  /** What a socket made now begins with: its own to keep. */
  defaults(): SocketDefaults;
  /** Microseconds since the script began. */
  now(): number;
  connecting(connection: Connection): void;
  listening(): void;
  /** A UDP socket is bound, or connected to a peer, and is what the script is about now. */
  datagrams(ends: { localPort: number; remotePort: number } | undefined): void;
  /** Connections of a listener's port that wait to be accepted. */
  waiting(port: number): number;
  /** Bits of tcp_fastopen. */
  fastOpen(): number;
  /** Have the stack send what it has to send. */
  flush(): void;
}

/** System calls of programs that are not about TCP. */
const ELSEWHERE = /^(epoll_\w+|psp_\w+|sctp_\w+|timerfd_\w+|select)$/;
const CHUNK = 65536;

/** States in which no connection can be accepted. */
export const NOT_WAITING: ReadonlySet<State> = new Set(["SYN-SENT", "SYN-RECEIVED", "CLOSED", "TIME-WAIT"]);

/** Nothing to wait for. */
const at = (attempt: () => Outcome | undefined): Pending => ({ attempt });

/** The socket calls of a program, over the engine. */
export class Sockets {
  private readonly world: World;
  private readonly table = new Map<number, ScriptSocket>();
  private readonly readiness: Readiness;
  private readonly plain: PlainFiles;
  private readonly accepted: Connection[] = [];
  private readonly zeros = new Uint8Array(CHUNK);
  private readonly into = new Uint8Array(CHUNK);

  constructor(world: World) {
    this.world = world;
    this.plain = new PlainFiles(world.files);
    this.readiness = new Readiness(world, (fd) => this.find(fd));
  }

  /**
   * Begin a call.
   * @throws Unsupported, NotApplicable, SynwaveError EINVAL for arguments that make no sense
   */
  begin(call: Call): Pending {
    const { name, args } = call;
    switch (name) {
      case "socket":
        return this.socket(call);
      case "bind":
        return this.bind(args);
      case "listen":
        return this.listen(args);
      case "accept":
      case "accept4":
        return this.accept(call);
      case "connect":
        return this.connect(args);
      case "read":
        return this.receive(args, required(args[2], "a length"), 0);
      case "recv":
      case "recvfrom":
        return this.receive(args, required(args[2], "a length"), required(args[3], "flags"));
      case "readv":
        return this.receive(args, vectorLength(args[1]), 0);
      case "recvmsg":
        return this.receive(args, vectorLength(args[1]), required(args[2], "flags"));
      case "write":
        return this.send(args, required(args[2], "a length"), 0);
      case "send":
      case "sendto":
        return this.send(args, required(args[2], "a length"), required(args[3], "flags"));
      case "writev":
        return this.send(args, vectorLength(args[1]), 0);
      case "sendmsg":
        return this.send(args, vectorLength(args[1]), required(args[2], "flags"));
      case "close":
        return this.close(args);
      case "shutdown":
        return this.shutdown(args);
      case "fcntl":
        return this.fcntl(args);
      case "setsockopt":
        return this.once(args, (socket) => setSocketOption(socket, args, this.mayOpenFast()));
      case "getsockopt":
        return this.once(args, (socket) => getSocketOption(socket, args, this.world.bsdHabits));
      case "ioctl":
        return this.once(args, (socket) => this.ioctl(socket, args));
      case "poll":
        return this.readiness.poll(args);
      case "open":
        return at(() => this.plain.open(args[0], call.result));
      case "pipe":
      case "pipe2":
        return at(() => this.plain.pipe(args[0]));
      case "sendfile":
        return this.sendFile(args);
      case "splice":
        return this.splice(args);
      case "epoll_create":
        return at(() => this.readiness.createEpoll(call.result));
      case "epoll_ctl":
        return at(() => this.readiness.controlEpoll(args));
      case "epoll_wait":
        return this.readiness.waitEpoll(args);
    }
    if (ELSEWHERE.test(name)) throw new NotApplicable(`not applicable: ${name}()`);
    throw new Unsupported(`no such system call: ${name}()`);
  }

  /** Connections accepted at a port that are not over. */
  held(port: number): number {
    return this.accepted.filter(({ localPort, state }) => localPort === port && !NOT_WAITING.has(state))
      .length;
  }

  /** Sockets that are no connection, or no longer one. */
  closed(): number {
    return [...this.table.values()].filter(
      ({ datagrams, listener, state }) => !datagrams && !listener && state === "CLOSED",
    ).length;
  }

  /**
   * Something arrives for a connection: what waited for more may go, if the engine sends it.
   * @param long its text is longer than a packet of the network's
   */
  arriving(localPort: number, remotePort: number, long: boolean): void {
    for (const socket of this.table.values()) {
      const { connection } = socket;
      if (connection?.localPort !== localPort || connection.remotePort !== remotePort) continue;
      socket.holdBack(false);
      if (long) socket.takeLongRecord();
    }
  }

  /** The stack has done something: what concerned the opening of connections may be over. */
  progress(): void {
    for (const socket of this.table.values()) socket.progress(this.world.now());
  }

  private find(expr: Expr | undefined): ScriptSocket | undefined {
    return this.table.get(required(expr, "a file descriptor"));
  }

  /** A call on one socket that never blocks. */
  private once(args: readonly Expr[], run: (socket: ScriptSocket) => Outcome): Pending {
    const socket = this.find(args[0]);
    return at(() => (socket ? run(socket) : fail("EBADF")));
  }

  private enter(result: Expr, socket: ScriptSocket): Outcome {
    const fd = required(result, "a file descriptor");
    // Expected to fail: what came instead is told apart by its sign.
    if (fd >= 0) {
      // One that is given again names the new socket from now on; the old one stays open.
      this.table.set(fd, socket);
    }
    return ok(Math.max(fd, 3));
  }

  private socket({ args, result }: Call): Pending {
    const type = required(args[1], "a socket type");
    const protocol = numberOf(args[2]) ?? 0;
    const streams = (type & 15) === c.SOCK_STREAM;
    if (streams && protocol === c.SOL_UDP) return at(() => fail("EPROTONOSUPPORT"));
    const datagrams = (type & 15) === c.SOCK_DGRAM && (protocol === 0 || protocol === c.SOL_UDP);
    if (!datagrams && !(streams && (protocol === 0 || protocol === c.SOL_TCP)))
      throw new Unsupported(`no socket of type ${exprText(args[1])}, ${exprText(args[2])}`);
    const { congestion } = this.world;
    const nonblocking = (type & c.SOCK_NONBLOCK) !== 0;
    return at(() =>
      this.enter(result, new ScriptSocket(nonblocking, congestion, this.world.defaults(), datagrams)),
    );
  }

  private bind(args: readonly Expr[]): Pending {
    return this.once(args, (socket) => {
      if (socket.port !== undefined || socket.connection) return fail("EINVAL");
      const given = field(args[1], "sin_port") ?? field(args[1], "sin6_port");
      socket.port = numberOf(given) ?? this.world.port;
      return socket.datagrams ? bindDatagrams(socket, this.world) : ok();
    });
  }

  private listen(args: readonly Expr[]): Pending {
    return this.once(args, (socket) => {
      const backlog = required(args[1], "a backlog");
      if (socket.connection) return fail("EINVAL");
      if (socket.listener) return ok();
      try {
        const most = 0x7fffffff;
        const options = { port: socket.port ?? 0, backlog: backlog < 0 ? most : backlog };
        socket.listen(this.world.engine.listen(options));
      } catch (error) {
        return fail(errnoOf(error));
      }
      this.world.listening();
      return ok();
    });
  }

  private accept({ name, args, result }: Call): Pending {
    const socket = this.find(args[0]);
    const flags = name === "accept4" ? required(args[3], "flags") : 0;
    return at(() => {
      if (!socket) return fail("EBADF");
      if (!socket.listener) return fail("EINVAL");
      const connection = socket.listener.accept();
      if (!connection) return socket.nonblocking ? fail("EAGAIN") : undefined;
      const nonblocking = (flags & c.SOCK_NONBLOCK) !== 0;
      const accepted = new ScriptSocket(nonblocking, socket.congestion, socket.defaults);
      accepted.inherit(socket);
      accepted.adopt(connection);
      this.accepted.push(connection);
      return this.enter(result, accepted);
    });
  }

  private connect(args: readonly Expr[]): Pending {
    const socket = this.find(args[0]);
    const target = args[1];
    const family = numberOf(field(target, "sa_family"));
    const unspecified = family === c.AF_UNSPEC || (target?.kind === "word" && target.name === "AF_UNSPEC");
    let begun = false;
    return at(() => {
      if (!socket) return fail("EBADF");
      if (socket.datagrams) return connectDatagrams(socket, this.world, this.portOf(target));
      if (unspecified) return this.disconnect(socket);
      if (socket.listener) return fail("EISCONN");
      if (!socket.connection) {
        begun = true;
        const fast = socket.fastOpenConnect;
        if (fast && !this.mayOpenFast()) return fail("EOPNOTSUPP");
        const refused = this.open(socket, target, fast);
        if (refused) return refused;
        if (socket.waitsForText) {
          socket.connecting = false;
          return ok();
        }
        if (socket.nonblocking) return fail("EINPROGRESS");
      }
      return this.connected(socket, begun);
    });
  }

  listens(port: number): boolean {
    return [...this.table.values()].some(({ listener }) => listener?.port === port);
  }

  /** The port of an address, where one is written. */
  private portOf(target: Expr | undefined): number {
    return numberOf(field(target, "sin_port") ?? field(target, "sin6_port")) ?? this.world.port;
  }

  private mayOpenFast(): boolean {
    return (this.world.fastOpen() & 1) !== 0;
  }

  private open(socket: ScriptSocket, target: Expr | undefined, fastOpen: boolean): Outcome | undefined {
    try {
      const connection = this.dial(socket, this.portOf(target), fastOpen);
      this.world.connecting(connection);
      socket.open(connection);
      this.world.flush();
      return undefined;
    } catch (error) {
      return fail(errnoOf(error));
    }
  }

  /** Connect from the socket's port, from one of the range it was given, or from one of the engine's choice. */
  private dial({ port, portRange }: ScriptSocket, remotePort: number, fastOpen: boolean): Connection {
    const { engine, remoteAddress } = this.world;
    const from = (local: { localPort?: number; localPortRange?: readonly [number, number] }) =>
      engine.connect({ remoteAddress, remotePort, fastOpen, ...local });
    if (port !== undefined) return from({ localPort: port });
    return from(portRange ? { localPortRange: portRange } : {});
  }

  /** How far a connection that was asked for has come. */
  private connected(socket: ScriptSocket, begun: boolean): Outcome | undefined {
    const errno = socket.takeError();
    if (errno !== undefined) {
      socket.forget();
      return fail(errno);
    }
    // One whose SYN waits for text has told the program that it is connected.
    if (!begun && socket.waitsForText) return fail("EISCONN");
    if (socket.state === "SYN-SENT" || (socket.state === "SYN-RECEIVED" && socket.connecting)) {
      if (begun || !socket.nonblocking) return undefined;
      return fail("EALREADY");
    }
    if (!socket.connecting) return fail("EISCONN");
    socket.connecting = false;
    return ok();
  }

  private disconnect(socket: ScriptSocket): Outcome {
    socket.listener?.close();
    socket.connection?.abort();
    socket.forget();
    return ok();
  }

  private receive(args: readonly Expr[], length: number, flags: number): Pending {
    const socket = this.find(args[0]);
    if (flags & c.MSG_ERRQUEUE) return this.receiveError(socket, args[1]);
    if (socket?.datagrams) return receiveDatagram(socket, this.world, length, flags);
    const message = args[1];
    let done = 0;
    return at(() => {
      if (!socket) return fail("EBADF");
      if (!socket.connection) return fail("ENOTCONN");
      if (flags & c.MSG_OOB) return receiveUrgent(socket, flags);
      const waits = !socket.nonblocking && !(flags & c.MSG_DONTWAIT);
      const enough = Math.min(length, flags & c.MSG_WAITALL ? length : socket.lowWater);
      afterMark(socket);
      const readable = markEnd(socket, socket.connection.readable);
      if (isNull(message) && length > 0 && readable > 0) return fail("EFAULT");
      if (flags & c.MSG_PEEK && readable > 0) return ok(Math.min(readable, length));
      if (length === 0) return ok();
      if (waits && done + readable < enough && !socket.atEnd && !socket.connection.error) return undefined;
      const taken = this.take(socket, markEnd(socket, length - done));
      if (typeof taken !== "number") return done > 0 ? ok(done) : taken;
      done += taken;
      if (taken === 0 && !socket.atEnd && done === 0) return waits ? undefined : fail("EAGAIN");
      return ok(done, controlMismatch(field(message, "msg_control"), socket));
    });
  }

  private receiveError(socket: ScriptSocket | undefined, message: Expr | undefined): Pending {
    if (message?.kind !== "struct") throw new Unsupported("an error queue is read by recvmsg()");
    return at(() => (socket ? socket.errorQueue.receive(message, this.world) : fail("EBADF")));
  }

  /** Read up to `length` octets; what is wrong instead. */
  private take(socket: ScriptSocket, length: number): number | Outcome {
    const connection = socket.connection!;
    let done = 0;
    try {
      while (done < length) {
        const got = connection.read(this.into.subarray(0, Math.min(CHUNK, length - done)));
        if (got <= 0) break;
        done += got;
        socket.taken += got;
      }
    } catch (error) {
      // The error is for the next one.
      if (done > 0) return done;
      const errno = socket.takeError();
      if (errno !== undefined) return fail(errno);
      // Told before: since then the stream just ends.
      return error instanceof SynwaveError && connection.error ? ok(0) : fail(errnoOf(error));
    }
    return done;
  }

  private send(args: readonly Expr[], length: number, flags: number): Pending {
    const socket = this.find(args[0]);
    if (socket?.datagrams) {
      // sendto() names the peer in its fifth argument.
      const to = args[4] === undefined ? undefined : this.portOf(args[4]);
      return at(() => sendDatagram(socket, this.world, length, to));
    }
    let done = 0;
    /** What was taken went on a SYN that is not acknowledged. */
    let opening = false;
    /** It has found no room before. */
    let waited = false;
    const attempt = () => {
      if (!socket) return fail("EBADF");
      const waits = !socket.nonblocking && !(flags & c.MSG_DONTWAIT);
      const begun = this.openToSend(socket, args, flags, waits && !opening);
      if (begun) return begun;
      const connection = socket.connection;
      const errno = socket.takeError();
      if (errno !== undefined) return done > 0 && !opening ? ok(done) : fail(errno);
      const tell = () =>
        socket.errorQueue.sent(socket.written, (flags & c.MSG_ZEROCOPY) !== 0 && socket.zeroCopy);
      if (isNull(args[1]) && length > 0 && connection && !connection.error) return fail("EFAULT");
      if (!connection || connection.error || socket.writeShut) return fail("EPIPE");
      if (socket.waitsForText) {
        done = connection.write(this.zeros.subarray(0, Math.min(CHUNK, length)));
        socket.written += done;
        opening = true;
        if (!waits) tell();
        this.world.flush();
        if (!waits) return length === 0 ? fail("EINPROGRESS") : ok(done);
      }
      // BSD keeps for later what it is given while a connection opens.
      const keeps = socket.defaults.dialect === "bsd" && socket.fastOpen !== 0;
      if (connection.state === "SYN-SENT" && !keeps) return waits ? undefined : fail("EAGAIN");
      opening = false;
      if (flags & c.MSG_MORE) socket.holdBack(true);
      try {
        const most = done + socket.mayWrite(length - done, done > 0 || waited);
        waited = true;
        while (done < most) {
          const chunk = this.zeros.subarray(0, Math.min(CHUNK, most - done));
          const taken = connection.write(chunk, {
            urgent: (flags & c.MSG_OOB) !== 0,
            endOfRecord: (flags & c.MSG_EOR) !== 0 && chunk.length === length - done,
          });
          if (taken === 0) break;
          done += taken;
          socket.written += taken;
        }
      } catch (error) {
        return done > 0 ? ok(done) : fail(errnoOf(error));
      }
      if (done > 0 && (done === length || !waits)) tell();
      if (!(flags & c.MSG_MORE)) socket.holdBack(false);
      if (done === length) return ok(done);
      socket.noSpace = true;
      if (waits) return undefined;
      return done > 0 ? ok(done) : fail("EAGAIN");
    };
    return { attempt, writes: true };
  }

  private sendFile(args: readonly Expr[]): Pending {
    const count = this.plain.read(args[1], args[2], required(args[3], "a count"));
    return count === undefined ? at(() => fail("EBADF")) : this.send(args.slice(0, 1), count, 0);
  }

  /** From a socket to a pipe, or from a pipe to a socket. */
  private splice(args: readonly Expr[]): Pending {
    const length = required(args[4], "a length");
    const waits = !((numberOf(args[5]) ?? 0) & c.SPLICE_F_NONBLOCK);
    const from = this.plain.pipeOf(args[0]);
    const to = this.plain.pipeOf(args[2]);
    if (!from === !to) return at(() => fail("EINVAL"));
    if (from) {
      const sending = this.send(args.slice(2, 3), Math.min(length, from.held), 0);
      const attempt = () => {
        if (from.held === 0) return waits ? undefined : fail("EAGAIN");
        const outcome = sending.attempt();
        from.held -= Math.max(outcome?.value ?? 0, 0);
        return outcome;
      };
      return { ...sending, attempt };
    }
    const socket = this.find(args[0]);
    return at(() => {
      const connection = socket?.connection;
      if (!connection) return fail(socket ? "ENOTCONN" : "EBADF");
      const { readable } = connection;
      const room = this.plain.room(to!, length);
      if (room === 0 && length > 0) return waits ? undefined : fail("EAGAIN");
      const most = Math.min(room, markEnd(socket, readable));
      // An urgent octet, which nobody has asked for, ends it again and again.
      if (most === 0 && readable > 0) return ok(0);
      const taken = this.take(socket, most);
      if (typeof taken !== "number") return taken;
      if (taken === 0 && !socket.atEnd) return waits && !socket.nonblocking ? undefined : fail("EAGAIN");
      to!.held += taken;
      return ok(taken);
    });
  }

  /** A send that opens the connection as well: why it goes no further now, if it does not. */
  private openToSend(
    socket: ScriptSocket,
    args: readonly Expr[],
    flags: number,
    waits: boolean,
  ): Outcome | undefined {
    const implied = socket.defaults.dialect === "bsd" && socket.fastOpen !== 0 && !socket.listener;
    if (!(flags & c.MSG_FASTOPEN || implied)) return undefined;
    if (socket.connection) {
      const early = flags & c.MSG_FASTOPEN && socket.state === "SYN-SENT" && !socket.waitsForText;
      return early && !socket.sendsFast ? fail("EALREADY") : undefined;
    }
    const unspecified = args[4]?.kind === "word" && args[4].name === "AF_UNSPEC";
    if (!this.mayOpenFast() || unspecified) return fail("EOPNOTSUPP");
    const refused = this.open(socket, args[4], true);
    if (refused || implied) return refused;
    socket.sendsFast = waits;
    return waits || socket.waitsForText ? undefined : fail("EINPROGRESS");
  }

  private close(args: readonly Expr[]): Pending {
    const fd = required(args[0], "a file descriptor");
    const socket = this.table.get(fd);
    this.table.delete(fd);
    this.readiness.forget(fd);
    if (!socket)
      return at(() => (this.readiness.closeEpoll(fd) || this.plain.close(fd) ? ok() : fail("EBADF")));
    socket.listener?.close();
    socket.udp?.close();
    const { connection, linger } = socket;
    if (!connection) return at(() => ok());
    if (this.world.bsdHabits && connection.readable > 0) this.take(socket, connection.readable);
    if (linger === 0) connection.abort();
    else connection.close();
    if (linger === undefined || linger === 0 || socket.nonblocking) return at(() => ok());
    const wake = this.world.now() + linger * 1e6;
    const over = () => this.world.now() >= wake || /^(FIN-WAIT-2|TIME-WAIT|CLOSED)$/.test(connection.state);
    return { attempt: () => (over() ? ok() : undefined), wake };
  }

  private shutdown(args: readonly Expr[]): Pending {
    const how = required(args[1], "which half");
    return this.once(args, (socket) => {
      if (how > c.SHUT_RDWR) return fail("EINVAL");
      const { state } = socket;
      if (socket.listener) {
        if (how === c.SHUT_WR) return ok();
        return this.disconnect(socket);
      }
      if (!socket.connection || state === "CLOSED" || state === "TIME-WAIT") return fail("ENOTCONN");
      if (state === "SYN-SENT") return this.disconnect(socket);
      if (how !== c.SHUT_WR) socket.readShut = true;
      if (how !== c.SHUT_RD) {
        socket.writeShut = true;
        socket.connection.shutdown();
      }
      return ok();
    });
  }

  private fcntl(args: readonly Expr[]): Pending {
    return this.once(args, (socket) => {
      const command = required(args[1], "a command");
      if (command === c.F_GETFL) return ok(c.O_RDWR | (socket.nonblocking ? c.O_NONBLOCK : 0));
      if (command !== c.F_SETFL) throw new Unsupported(`no fcntl() ${exprText(args[1])}`);
      socket.nonblocking = (required(args[2], "flags") & c.O_NONBLOCK) !== 0;
      return ok();
    });
  }

  private ioctl(socket: ScriptSocket, args: readonly Expr[]): Outcome {
    const request = required(args[1], "a request");
    if (!socket.connection) return fail("EINVAL");
    const values: Readonly<Record<number, () => number>> = {
      [c.SIOCINQ]: () => socket.connection!.readable,
      [c.SIOCOUTQ]: () => socket.connection!.unacked,
      [c.SIOCOUTQNSD]: () => socket.connection!.info().notsentBytes,
      [c.SIOCATMARK]: () => (atMark(socket) ? 1 : 0),
    };
    const value = values[request]?.();
    if (value === undefined) throw new Unsupported(`no ioctl() ${exprText(args[1])}`);
    const wanted = numberOf(args[2]);
    const same = wanted === undefined || wanted === value;
    return ok(0, same ? undefined : `the value is ${value}, expected ${wanted}`);
  }
}
