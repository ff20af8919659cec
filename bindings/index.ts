export type { Clock, ClockEntry } from "./clock.ts";
export { systemClock } from "./clock.ts";
export { createEngine } from "./engine.ts";
export { type ErrorCode, SynwaveError } from "./errors.ts";
export * from "./links/index.ts";
export type { Link, PacketSink } from "./links/link.ts";
export {
  createObserver,
  type ObservedConversation,
  type ObservedDirection,
  type Observer,
  type ObserverCounters,
  type ObserverOptions,
  type Sender,
} from "./observer.ts";
export { PacketBatch } from "./packet-batch.ts";
export type { CongestionControl, Settings } from "./settings.ts";
export type { DatagramOptions, DatagramSocket, DatagramTarget } from "./sockets/datagrams.ts";
export type { SocketListener, SocketListenOptions } from "./sockets/listener.ts";
export type { SocketInfo } from "./sockets/session.ts";
export type { Socket, SocketOptions } from "./sockets/socket.ts";
export { type CloseOptions, createStack, type Stack, type StackOptions } from "./stack.ts";
export type * from "./types.ts";
export { VirtualClock } from "./virtual-clock.ts";
