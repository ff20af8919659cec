export type { CapturedPacket, Direction } from "./format.ts";
export { readCapture } from "./read.ts";
export { PcapngWriter } from "./write.ts";
