import type { Expr } from "./ast.ts";
import * as c from "./constants.ts";
import { Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import { exprText, field, numberOf } from "./values.ts";

/** In which way the control messages of recvmsg() are not those expected. */
export function controlMismatch(control: Expr | undefined, socket: ScriptSocket): string | undefined {
  if (control?.kind !== "list") return undefined;
  for (const message of control.items) {
    const [level, type] = ["cmsg_level", "cmsg_type"].map((name) => numberOf(field(message, name)));
    if (level !== c.SOL_TCP || type !== c.TCP_CM_INQ)
      throw new Unsupported(`no control message ${exprText(message)}`);
    const wanted = numberOf(field(message, "cmsg_data"));
    const got = socket.tellsUnread ? socket.unread : undefined;
    if (wanted !== got) return `the control message says ${got ?? "nothing"}, expected ${wanted}`;
  }
  return undefined;
}
