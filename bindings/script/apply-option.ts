import { SynwaveError } from "../errors.ts";
import type { Connection, Listener } from "../types.ts";
import { Unsupported } from "./outcome.ts";

type SetOption = (name: string, value: unknown) => void;

/** What the engine has no option of that name for, it says. */
const isUnknown = (error: unknown) =>
  error instanceof SynwaveError && error.code === "EINVAL" && error.message.includes("unknown option");

/** Set an option on a connection. The engine's list of options is its own affair. */
export function applyOption(connection: Connection, name: string, value: unknown): void {
  try {
    (connection.setOption as SetOption).call(connection, name, value);
  } catch (error) {
    if (isUnknown(error)) throw new Unsupported(`the engine has no option ${name}`);
    throw error;
  }
}

/** Set an option that a listener's connections are to begin with; what is none of a listener's is applied to those that
 * are accepted. */
export function applyListenerOption(listener: Listener, name: string, value: unknown): void {
  try {
    (listener.setOption as SetOption).call(listener, name, value);
  } catch (error) {
    if (!isUnknown(error)) throw error;
  }
}
