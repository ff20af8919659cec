import type { TcpInfo } from "../types.ts";
import type { TcpPacket } from "./ast.ts";
import type { Config } from "./config.ts";
import { RST } from "./flags.ts";
import { wholeSegment } from "./whole-segment.ts";

/** What a window without a scale can say. */
const FIELD = 0xffff;

/**
 * A reset where BSD's window ends: that is its buffer, which is larger than an unscaled field can tell. Ours ends where
 * we said: the reset is moved by the difference, so that it is as far inside or outside as it was written.
 * @param next the script's number of what is expected next
 */
export function atOurEdge(
  packet: TcpPacket,
  next: number,
  info: TcpInfo | undefined,
  { socketDefaults }: Pick<Config, "socketDefaults">,
): TcpPacket {
  if (!(packet.flags & RST) || packet.seq === undefined || packet.absolute || !info || info.rcvWscale > 0)
    return packet;
  const segment = wholeSegment(info);
  const space = Math.ceil(socketDefaults.receiveBuffer / segment) * segment;
  const beyond = (packet.seq - next) >>> 0;
  if (space <= FIELD || beyond < FIELD || beyond > 2 * space) return packet;
  return { ...packet, seq: (packet.seq - (space - FIELD)) >>> 0 };
}
