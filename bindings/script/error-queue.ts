import type { Expr } from "./ast.ts";
import * as c from "./constants.ts";
import { fail, type Outcome, ok, Unsupported } from "./outcome.ts";
import { exprText, field, numberOf } from "./values.ts";

/** Numbers of the sends told of together. */
interface Notice {
  first: number;
  last: number;
}

/** MSG_ZEROCOPY: every send is told of once its text is no longer needed; here it was copied, as over a tunnel. */
export class ErrorQueue {
  private sends = 0;
  /** Octets written by the end of each send not yet acknowledged. */
  private readonly underWay: { end: number; id: number }[] = [];
  private readonly notices: Notice[] = [];

  sent(end: number): void {
    this.underWay.push({ end, id: this.sends++ });
  }

  /** So many octets in all have been acknowledged. */
  acknowledged(octets: number): void {
    while (this.underWay.length > 0 && this.underWay[0]!.end <= octets) {
      const { id } = this.underWay.shift()!;
      const latest = this.notices.at(-1);
      if (latest?.last === id - 1) latest.last = id;
      else this.notices.push({ first: id, last: id });
    }
  }

  get waits(): boolean {
    return this.notices.length > 0;
  }

  /** recvmsg() with MSG_ERRQUEUE */
  receive(message: Expr | undefined, family: 4 | 6): Outcome {
    const notice = this.notices.shift();
    return notice ? ok(0, difference(message, notice, family)) : fail("EAGAIN");
  }
}

function difference(message: Expr | undefined, { first, last }: Notice, family: 4 | 6): string | undefined {
  const control = field(message, "msg_control");
  if (control?.kind !== "list" || control.items.length !== 1)
    throw new Unsupported(`no control messages ${exprText(control)}`);
  const got: Readonly<Record<string, number>> = {
    cmsg_level: family === 4 ? c.SOL_IP : c.SOL_IPV6,
    cmsg_type: family === 4 ? c.IP_RECVERR : c.IPV6_RECVERR,
    ee_errno: 0,
    ee_origin: c.SO_EE_ORIGIN_ZEROCOPY,
    ee_type: 0,
    ee_code: c.SO_EE_CODE_ZEROCOPY_COPIED,
    ee_info: first,
    ee_data: last,
    msg_flags: c.MSG_ERRQUEUE,
  };
  const [item] = control.items;
  for (const struct of [message, item, field(item, "cmsg_data")]) {
    if (struct?.kind !== "struct") continue;
    for (const { name, value } of struct.fields) {
      const wanted = Object.hasOwn(got, name) ? numberOf(value) : undefined;
      if (wanted !== undefined && wanted !== got[name]) return `${name} is ${got[name]}, expected ${wanted}`;
    }
  }
  return undefined;
}
