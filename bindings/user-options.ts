import { ERR_NO_MEMORY } from "../assembly/shared/results.ts";
import { STREAM_MAX } from "../assembly/shared/sizes.ts";
import * as options from "../assembly/shared/user-options.ts";
import type { Core } from "./core.ts";
import { SynwaveError, show } from "./errors.ts";
import { CONGESTION_CONTROLS, congestionControl } from "./settings.ts";
import type { ConnectionOption } from "./types.ts";
import { requireBoolean, requireInteger } from "./validate.ts";

/** Number of the option, and least and most of its value; `true` for one that is on or off. */
const OPTIONS: {
  [name in Exclude<ConnectionOption, "congestionControl">]:
    | readonly [number, true]
    | readonly [number, number, number];
} = {
  noDelay: [options.OPT_NO_DELAY, true],
  cork: [options.OPT_CORK, true],
  keepAlive: [options.OPT_KEEP_ALIVE, true],
  // Linux's MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT.
  keepAliveIdle: [options.OPT_KEEP_IDLE, 1, 32767],
  keepAliveInterval: [options.OPT_KEEP_INTERVAL, 1, 32767],
  keepAliveCount: [options.OPT_KEEP_COUNT, 1, 127],
  userTimeout: [options.OPT_USER_TIMEOUT, 0, 0x7fffffff],
  userTimeoutOption: [options.OPT_USER_TIMEOUT_OPTION, 0, 32767 * 60],
  linger: [options.OPT_LINGER_RESET, 0, 65535],
  maxSegment: [options.OPT_MAX_SEGMENT, 88, 65535],
  dscp: [options.OPT_DSCP, 0, 63],
  maxPacingRate: [options.OPT_MAX_PACING_RATE, 0, 0xffffffff],
  hopLimit: [options.OPT_HOP_LIMIT, 1, 255],
  receiveBuffer: [options.OPT_RECEIVE_BUFFER, 1024, STREAM_MAX],
  sendBuffer: [options.OPT_SEND_BUFFER, 1024, STREAM_MAX],
  notsentLowat: [options.OPT_NOTSENT_LOWAT, 0, 0xffffffff],
};

/** Those of listeners alone. */
const LISTENER_OPTIONS: Readonly<Record<string, readonly [number, number, number]>> = {
  fastOpen: [options.OPT_FAST_OPEN, 0, 65535],
};

/**
 * Set an option of the connection or listener in a slot.
 * @throws SynwaveError EINVAL as below; ENOMEM for one that takes memory, where there is none
 */
export function setOption(
  core: Core,
  slot: number,
  generation: number,
  name: string,
  value: unknown,
  listener = false,
): void {
  core.check();
  if (core.call.setOption(slot, generation, ...encodeOption(name, value, listener)) === ERR_NO_MEMORY)
    throw new SynwaveError("ENOMEM", `no memory for option ${name}`);
}

/**
 * What the engine takes for an option: its number and value.
 * @throws SynwaveError EINVAL for a name that is unknown or a value that cannot be, which it names
 */
export function encodeOption(name: string, value: unknown, listener = false): [option: number, cell: number] {
  if (name === "congestionControl") {
    const control = congestionControl(value);
    if (control === undefined)
      throw new SynwaveError("EINVAL", `${name} must be ${CONGESTION_CONTROLS}, not ${show(value)}`);
    return [options.OPT_CONGESTION_CONTROL, control];
  }
  const known = listener && Object.hasOwn(LISTENER_OPTIONS, name) ? LISTENER_OPTIONS : OPTIONS;
  if (!Object.hasOwn(known, name)) throw new SynwaveError("EINVAL", `unknown option ${show(name)}`);
  const [option, least, most] = known[name as keyof typeof known]!;
  if (least === true) {
    requireBoolean(name, value);
    return [option, value ? 1 : 0];
  }
  if (name === "linger" && value === undefined) return [option, 0];
  requireInteger(name, value, least, most!);
  // Only zero changes what close does here: nothing blocks, so nobody waits for the rest of a longer time.
  if (name === "linger") return [option, value === 0 ? 1 : 0];
  return [option, value as number];
}
