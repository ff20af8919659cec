import { SynwaveError } from "../errors.ts";
import type { Expr } from "./ast.ts";
import * as c from "./constants.ts";
import { Epoll } from "./epoll.ts";
import { fail, type Outcome, ok, type Pending, Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import type { World } from "./sockets.ts";
import { urgentWaits } from "./urgent.ts";
import { exprText, field, numberOf, required } from "./values.ts";

/** What a program may wait for: poll() and epoll, over the sockets of its descriptors. */
export class Readiness {
  private readonly world: World;
  private readonly find: (fd: Expr | undefined) => ScriptSocket | undefined;
  private readonly epolls = new Map<number, Epoll>();

  constructor(world: World, find: (fd: Expr | undefined) => ScriptSocket | undefined) {
    this.world = world;
    this.find = find;
  }

  poll(args: readonly Expr[]): Pending {
    const list = args[0];
    if (list?.kind !== "list") throw new SynwaveError("EINVAL", `expected a list, got ${exprText(list)}`);
    const timeout = required(args[2], "a timeout");
    const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : this.world.now() + timeout * 1000;
    const attempt = () => {
      const results = list.items.map((item) => this.revents(item));
      const count = results.filter(({ got }) => got !== 0).length;
      if (count === 0 && this.world.now() < deadline) return undefined;
      const wrong = results.find(({ got, wanted }) => wanted !== undefined && got !== wanted);
      return ok(
        count,
        wrong && `revents are 0x${wrong.got.toString(16)}, expected 0x${wrong.wanted!.toString(16)}`,
      );
    };
    return Number.isFinite(deadline) ? { attempt, wake: deadline } : { attempt };
  }

  createEpoll(result: Expr): Outcome {
    const fd = required(result, "a file descriptor");
    this.epolls.set(fd, new Epoll());
    return ok(fd);
  }

  controlEpoll(args: readonly Expr[]): Outcome {
    const epoll = this.epolls.get(required(args[0], "a file descriptor"));
    const socket = this.find(args[2]);
    if (!epoll || !socket) return fail("EBADF");
    return epoll.control(
      required(args[1], "an operation"),
      required(args[2], "a file descriptor"),
      socket,
      args[3],
    );
  }

  waitEpoll(args: readonly Expr[]): Pending {
    const epoll = this.epolls.get(required(args[0], "a file descriptor"));
    const timeout = required(args[3], "a timeout");
    const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : this.world.now() + timeout * 1000;
    const attempt = () => {
      if (!epoll) return fail("EBADF");
      const told = epoll.wait(args[1], (socket) => this.ready(socket));
      return told ?? (this.world.now() < deadline ? undefined : ok());
    };
    return Number.isFinite(deadline) ? { attempt, wake: deadline } : { attempt };
  }

  /** A descriptor is closed: no epoll tells of it any more. */
  forget(fd: number): void {
    for (const epoll of this.epolls.values()) epoll.forget(fd);
  }

  /** Close an epoll; whether `fd` was one. */
  closeEpoll(fd: number): boolean {
    return this.epolls.delete(fd);
  }

  private revents(item: Expr): { got: number; wanted: number | undefined } {
    const events = required(field(item, "events"), "events");
    const socket = this.find(field(item, "fd"));
    const always = c.POLLERR | c.POLLHUP;
    if (socket?.datagrams) throw new Unsupported("no poll() on a UDP socket");
    const ready = socket ? this.ready(socket) : 0;
    return { got: ready & (events | always), wanted: numberOf(field(item, "revents")) };
  }

  private ready(socket: ScriptSocket): number {
    const { listener, connection } = socket;
    const input = c.POLLIN | c.POLLRDNORM;
    const output = c.POLLOUT | c.POLLWRNORM;
    if (listener) return this.world.waiting(listener.port) > 0 ? input : 0;
    if (!connection) return output | c.POLLHUP;
    let ready = 0;
    const readShut = socket.readShut || (socket.atEnd && connection.state !== "SYN-SENT");
    const writeShut = socket.writeShut || connection.error !== undefined;
    if (socket.pendingError !== undefined || socket.errorQueue.waits) ready |= c.POLLERR;
    if (connection.readable >= socket.lowWater || readShut || connection.error) ready |= input;
    if (readShut || socket.peerFinished) ready |= c.POLLRDHUP;
    if (connection.state === "CLOSED" || (readShut && writeShut)) ready |= c.POLLHUP;
    if (urgentWaits(socket)) ready |= c.POLLPRI;
    if ((connection.state !== "SYN-SENT" || socket.waitsForText) && (socket.hasRoom || writeShut))
      ready |= output;
    else socket.noSpace = true;
    return ready;
  }
}
