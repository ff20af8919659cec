import type { Expr } from "./ast.ts";
import * as c from "./constants.ts";
import { fail, type Outcome, ok, Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import { exprText, field, numberOf, required } from "./values.ts";

const ALWAYS = c.POLLERR | c.POLLHUP;

interface Interest {
  socket: ScriptSocket;
  events: number;
  /** What had happened to the socket when it was last looked at; undefined: not yet. */
  seen: string | undefined;
  /** EPOLLONESHOT, and told of. */
  spent: boolean;
}

/** An epoll instance, by the descriptors it was given. */
export class Epoll {
  private readonly interests = new Map<number, Interest>();

  control(operation: number, fd: number, socket: ScriptSocket, event: Expr | undefined): Outcome {
    const known = this.interests.get(fd);
    if (operation === c.EPOLL_CTL_ADD ? known : !known) return fail(known ? "EEXIST" : "ENOENT");
    if (operation === c.EPOLL_CTL_DEL) this.interests.delete(fd);
    else {
      const events = required(field(event, "events"), "events");
      // Whoever asks anew is told of what there is.
      this.interests.set(fd, { socket, events, seen: undefined, spent: false });
    }
    return ok();
  }

  forget(fd: number): void {
    this.interests.delete(fd);
  }

  /** epoll_wait() for one event, which is compared with `wanted`; undefined while there is none. */
  wait(wanted: Expr | undefined, ready: (socket: ScriptSocket) => number): Outcome | undefined {
    for (const [fd, interest] of this.interests) {
      const { events, seen, socket, spent } = interest;
      const happened = socket.happened;
      if (spent || ((events & c.EPOLLET) !== 0 && seen === happened)) continue;
      interest.seen = happened;
      const got = ready(socket) & (events | ALWAYS);
      if (got === 0) continue;
      interest.spent = (events & c.EPOLLONESHOT) !== 0;
      return ok(1, difference(wanted, { events: got, fd }));
    }
    return undefined;
  }
}

function difference(wanted: Expr | undefined, got: Readonly<Record<string, number>>): string | undefined {
  if (wanted?.kind !== "struct") throw new Unsupported(`no events ${exprText(wanted)}`);
  for (const [name, value] of Object.entries(got)) {
    const expected = numberOf(field(wanted, name));
    if (expected !== undefined && expected !== value) return `${name} is ${value}, expected ${expected}`;
  }
  return undefined;
}
