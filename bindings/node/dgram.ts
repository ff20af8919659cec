import type { Stack } from "../stack.ts";
import type { DgramOptions } from "./dgram-arguments.ts";
import { type RemoteInfo, StackDgram } from "./dgram-socket.ts";

export type { BindOptions, DgramOptions, Message, Sent } from "./dgram-arguments.ts";
export type { DgramEvents, RemoteInfo } from "./dgram-socket.ts";
export { StackDgram };

type Listener = (message: Buffer, from: RemoteInfo) => void;

/** `node:dgram` over a stack. */
export interface Dgram {
  readonly Socket: new (options: DgramOptions | DgramOptions["type"], message?: Listener) => StackDgram;
  createSocket(options: DgramOptions | DgramOptions["type"], message?: Listener): StackDgram;
}

/**
 * `node:dgram` over `stack`, without multicast. Errors are SynwaveErrors with Node's codes and fields. A socket that is
 * bound to no address takes its port for both families, whichever of them it hears.
 */
export function createDgram(stack: Stack): Dgram {
  class Socket extends StackDgram {
    constructor(options: DgramOptions | DgramOptions["type"], message?: Listener) {
      super(stack, typeof options === "string" ? { type: options } : options, message);
    }
  }

  return { Socket, createSocket: (options, message) => new Socket(options, message) };
}
