export { type CaptureLink, type CaptureOptions, type CaptureStats, capture } from "./capture.ts";
export type { CodelOptions } from "./codel.ts";
export { type ImpairedLink, type ImpairOptions, type ImpairStats, impair } from "./impair.ts";
export type { Link, PacketSink } from "./link.ts";
export type { GilbertElliott } from "./loss.ts";
export type { ByteSink } from "./outlet.ts";
export { type PipeEnd, type PipeOptions, type PipeStats, pipe } from "./pipe.ts";
export type { RedOptions } from "./red.ts";
export {
  type ReplayedPacket,
  type ReplayLink,
  type ReplayOptions,
  type ReplayStats,
  replay,
} from "./replay.ts";
