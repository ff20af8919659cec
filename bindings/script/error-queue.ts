import type { Expr } from "./ast.ts";
import * as c from "./constants.ts";
import { fail, type Outcome, ok, Unsupported } from "./outcome.ts";
import { exprText, field, numberOf } from "./values.ts";

/** What MSG_ERRQUEUE reads: the numbers of zero-copy sends told of together, or when something became of a send. */
type Notice =
  | { kind: "copied"; first: number; last: number }
  | { kind: "time"; what: number; key: number; time: number; flags: number };

interface Send {
  /** Octets written by its end. */
  end: number;
  /** Its number among those with MSG_ZEROCOPY. */
  id?: number;
  /** SO_TIMESTAMPING's flags, once it was sent those that are left. */
  flags: number;
  key: number;
}

export interface Context {
  family: 4 | 6;
  /** Microseconds by which a time may differ. */
  tolerance: number;
}

/** The notices Linux gives of what was written: zero-copy sends, which here were copied as over a tunnel, and times. */
export class ErrorQueue {
  private count = 0;
  /** How often there was something to tell. */
  told = 0;
  private readonly underWay: Send[] = [];
  private readonly notices: Notice[] = [];
  /** SO_TIMESTAMPING. */
  private flags = 0;
  /** The octet that keys count from. */
  private base = 0;

  /** @param base octets acknowledged so far */
  timestamp(flags: number, base: number): void {
    this.flags = flags;
    this.base = base;
  }

  /** A send has been written, up to octet `end`. */
  sent(end: number, zeroCopy: boolean): void {
    const flags = this.flags & (c.TX_SCHED | c.TX_SOFTWARE | c.TX_ACK);
    if (!zeroCopy && flags === 0) return;
    this.underWay.push({ end, flags, key: end - 1 - this.base, ...(zeroCopy && { id: this.count++ }) });
  }

  /** So many octets in all have left, so many have been acknowledged; times in microseconds. */
  progress(left: number, acknowledged: number, time: number): void {
    for (const send of this.underWay) {
      if (send.end > left) break;
      this.tell(send, c.TX_SCHED, c.SCM_TSTAMP_SCHED, time);
      this.tell(send, c.TX_SOFTWARE, c.SCM_TSTAMP_SND, time);
    }
    while (this.underWay.length > 0 && this.underWay[0]!.end <= acknowledged) {
      const send = this.underWay.shift()!;
      this.tell(send, c.TX_ACK, c.SCM_TSTAMP_ACK, time);
      if (send.id !== undefined) this.copied(send.id);
    }
  }

  private tell(send: Send, flag: number, what: number, time: number): void {
    if (send.flags & flag) this.told++;
    if (send.flags & flag) this.notices.push({ kind: "time", what, key: send.key, time, flags: this.flags });
    send.flags &= ~flag;
  }

  private copied(id: number): void {
    this.told++;
    const latest = this.notices.at(-1);
    if (latest?.kind === "copied" && latest.last === id - 1) latest.last = id;
    else this.notices.push({ kind: "copied", first: id, last: id });
  }

  get waits(): boolean {
    return this.notices.length > 0;
  }

  /** recvmsg() with MSG_ERRQUEUE */
  receive(message: Expr | undefined, context: Context): Outcome {
    const notice = this.notices.shift();
    return notice ? ok(0, difference(message, notice, context)) : fail("EAGAIN");
  }
}

type Fields = Readonly<Record<string, number>>;

/** What the extended error says. */
function errorOf(notice: Notice, family: 4 | 6): Fields {
  const level =
    family === 4
      ? { cmsg_level: c.SOL_IP, cmsg_type: c.IP_RECVERR }
      : { cmsg_level: c.SOL_IPV6, cmsg_type: c.IPV6_RECVERR };
  if (notice.kind === "copied")
    return {
      ...level,
      ee_errno: 0,
      ee_origin: c.SO_EE_ORIGIN_ZEROCOPY,
      ee_type: 0,
      ee_code: c.SO_EE_CODE_ZEROCOPY_COPIED,
      ee_info: notice.first,
      ee_data: notice.last,
    };
  return {
    ...level,
    ee_errno: c.ERRNO.ENOMSG!,
    ee_origin: c.SO_EE_ORIGIN_TIMESTAMPING,
    ee_type: 0,
    ee_code: 0,
    ee_info: notice.what,
    ee_data: notice.flags & c.OPT_ID ? notice.key : 0,
  };
}

function difference(
  message: Expr | undefined,
  notice: Notice,
  { family, tolerance }: Context,
): string | undefined {
  const control = field(message, "msg_control");
  if (control?.kind !== "list") throw new Unsupported(`no control messages ${exprText(control)}`);
  const timed = notice.kind === "time";
  if (control.items.length !== (timed ? 2 : 1)) return `other control messages than ${exprText(control)}`;
  // The text that the notice is about is not handed out.
  const short = timed && !(notice.flags & c.OPT_TSONLY) ? c.MSG_TRUNC : 0;
  const wrong =
    unlike(message, { msg_flags: c.MSG_ERRQUEUE | short }) ??
    unlike(control.items.at(-1), errorOf(notice, family)) ??
    unlike(field(control.items.at(-1), "cmsg_data"), errorOf(notice, family));
  if (wrong !== undefined || !timed) return wrong;
  const stamp = field(control.items[0], "cmsg_data");
  const [seconds = 0, nanoseconds = 0] = ["scm_sec", "scm_nsec"].map((name) => numberOf(field(stamp, name)));
  const expected = seconds * 1e6 + nanoseconds / 1000;
  if (Math.abs(notice.time - expected) > tolerance)
    return `the time is ${notice.time / 1e6} s, expected ${expected / 1e6} s`;
  return unlike(control.items[0], { cmsg_level: c.SOL_SOCKET, cmsg_type: c.SCM_TIMESTAMPING });
}

/** The first field of a struct that is not as in `got`. */
function unlike(struct: Expr | undefined, got: Fields): string | undefined {
  if (struct?.kind !== "struct") return undefined;
  for (const { name, value } of struct.fields) {
    const wanted = Object.hasOwn(got, name) ? numberOf(value) : undefined;
    if (wanted !== undefined && wanted !== got[name]) return `${name} is ${got[name]}, expected ${wanted}`;
  }
  return undefined;
}
