import type { Call, Script, ScriptEvent, TcpPacket } from "./ast.ts";
import { SYN } from "./flags.ts";

/** Whose kernel a script is written for: what is default there is taken for granted by its scripts. */
export type Dialect = "linux" | "bsd";

const COMMAND = /\bnet\.inet6?\.|\bkern\.ipc\.|(^|[\s;&|])(sockstat|tcpdrop)\s/;
const OPTION = /^TCP_(KEEPINIT|NOOPT)$/;
/** Names of states, and windows in octets, where Linux counts segments. */
const ASSERTION = /\bTCPI_(?!OPT_)|\btcpi_snd_cwnd\s*==\s*\d{4,}/;
/** SO_RCVBUF of a socket nobody has set it for. */
const RECEIVE_SPACE = 65536;

/** The dialect of a script, by the names it uses and by what it says of things it never set. */
export function dialectOf(script: Script): Dialect {
  const commands = [script.init, script.cleanup];
  const words = [...script.title, ...commands.map((command) => command?.text ?? "")];
  if (words.some((text) => COMMAND.test(text))) return "bsd";
  let sized = false;
  for (const event of script.events) {
    if (tells(event, sized)) return "bsd";
    sized ||= event.action.kind === "call" && event.action.name === "setsockopt" && sizes(event.action);
  }
  return "linux";
}

const sizes = ({ args: [, , option] }: Call) => option?.kind === "word" && /^SO_RCVBUF/.test(option.name);

function tells({ action, remarks }: ScriptEvent, sized: boolean): boolean {
  if (remarks.some((remark) => COMMAND.test(remark))) return true;
  switch (action.kind) {
    case "command":
      return COMMAND.test(action.text);
    case "code":
      return ASSERTION.test(action.text);
    case "tcp":
      return action.side === "out" && (action.flags & SYN) !== 0 && scalesFirst(action);
    case "call":
      break;
    default:
      return false;
  }
  const option = action.args[2];
  if (option?.kind === "word" && OPTION.test(option.name)) return true;
  if (action.name !== "getsockopt" || sized || !sizes(action)) return false;
  const value = action.args[3]?.kind === "list" ? action.args[3].items[0] : undefined;
  return value?.kind === "number" && value.value === RECEIVE_SPACE;
}

/** Linux writes the window scale last. */
function scalesFirst({ options = [] }: TcpPacket): boolean {
  const at = (kind: string) => options.findIndex((option) => option.kind === kind);
  return at("wscale") >= 0 && at("sackOK") > at("wscale");
}
