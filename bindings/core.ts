import * as control from "../assembly/shared/control.ts";
import { MEMORY_MIN, SLOT_SHIFT } from "../assembly/shared/sizes.ts";
import { type Copy, copyFor } from "./copy.ts";
import { SynwaveError } from "./errors.ts";
import { requireInteger } from "./validate.ts";
import { Views } from "./views.ts";
import { instantiate, type WasmOptions } from "./wasm.ts";

/** The crossings, as assembly/index.ts has them. `now` in microseconds; negative results as in shared/results.ts. */
interface Exports {
  init(octets: number): void;
  address(prefix: number): number;
  input(packets: number, now: number, marked: number, base: number, octets: number): number;
  discard(packets: number): void;
  output(packets: number, octets: number, now: number): number;
  timers(slots: number, now: number): void;
  events(): void;
  open(family: number, localPort: number, remotePort: number, hops: number, flags: number): number;
  portHash(remotePort: number): number;
  listen(family: number, port: number, backlog: number): number;
  listenerInUse(family: number, port: number): number;
  accept(slot: number, generation: number): number;
  send(slot: number, generation: number, skip: number, length: number): number;
  receive(slot: number, generation: number, skip: number, length: number, more: number): number;
  readable(slot: number, generation: number): number;
  endRecord(slot: number, generation: number, mark: number): number;
  urge(slot: number, generation: number): number;
  writable(slot: number, generation: number): number;
  shutdown(slot: number, generation: number): number;
  close(slot: number, generation: number): number;
  abort(slot: number, generation: number): number;
  forget(slot: number, generation: number): number;
  slotsUsed(): number;
  timeWait(slot: number, generation: number, family: number, ports: number): number;
  abortTimeWait(slot: number, generation: number, family: number, ports: number): void;
  udpBind(family: number, port: number): number;
  udpInUse(family: number, port: number): number;
  udpSend(slot: number, generation: number, remotePort: number, length: number): number;
  udpReceive(slot: number, generation: number): number;
  udpClose(slot: number, generation: number): number;
  setOption(slot: number, generation: number, option: number, value: number): number;
  rearm(slot: number): number;
}

/** As many as any export takes: the guard below hands on no more. */
type Crossing = (a?: number, b?: number, c?: number, d?: number, e?: number) => number;

/** One instance of the segment engine, with the views of its memory: made once, for the memory never grows. */
export interface Core {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly views: Views;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly call: Exports;
  /** Between linear memory and ordinary buffers, either way. */
  readonly copy: Copy;
  /** Address of a slot. */
  slot(index: number): number;
  /** Slots there are room for at most. */
  readonly slots: number;
  readonly staging: number;
  /** Whether the engine is closed or broken. No getter: of the second object made with one V8 makes a dictionary. */
  isOver(): boolean;
  /** Throw if it is. */
  check(): void;
  close(): void;
}

export async function createCore(
  options: WasmOptions,
  prepare: (words: Int32Array, bytes: Uint8Array) => void,
): Promise<Core> {
  requireInteger("memory", options.memory, MEMORY_MIN, 2 ** 32);
  const { exports, memory } = await instantiate<Record<string, Crossing>>(options);
  const bytes = new Uint8Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const doubles = new Float64Array(memory.buffer);

  let ended: SynwaveError | undefined;
  // A trap is a bug of ours: this engine is beyond use, and says so at every call; others are not concerned.
  const guard =
    (crossing: Crossing): Crossing =>
    (a, b, c, d, e) => {
      if (ended) throw ended;
      try {
        return crossing(a, b, c, d, e);
      } catch (cause) {
        ended = new SynwaveError("ERR_ENGINE_POISONED", `the engine broke an invariant: ${cause}`, { cause });
        throw ended;
      }
    };
  const call = Object.fromEntries(
    Object.entries(exports)
      .filter(([, value]) => typeof value === "function")
      .map(([name, value]) => [name, guard(value)]),
  ) as unknown as Exports;

  prepare(words, bytes);
  // One octet short of 4 GiB is still a 32-bit number; the last block is not missed.
  call.init(Math.min(bytes.length, 2 ** 32 - 65536));
  const slots = words[control.CTL_SLOTS >> 2]! >>> 0;
  return {
    memory,
    bytes,
    views: new Views(bytes),
    words,
    doubles,
    call,
    copy: copyFor(memory),
    slot: (index) => slots + index * 2 ** SLOT_SHIFT,
    slots: words[control.CTL_SLOT_COUNT >> 2]!,
    staging: words[control.CTL_STAGING >> 2]!,
    isOver: () => ended !== undefined,
    check() {
      if (ended) throw ended;
    },
    close() {
      ended ??= new SynwaveError("ERR_ENGINE_CLOSED", "the engine is closed");
    },
  };
}
