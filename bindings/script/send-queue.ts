import { STREAM_MAX } from "../../assembly/shared/sizes.ts";

// SO_SNDBUF where it is Linux's: it bounds not octets of text but the records Linux keeps of them, each with what its own
// fields take, and as long as segmentation offload could cut up. A record is begun as long as the bound is not reached, and
// the last one may be filled up whatever the bound.

/** Octets of a record besides its text. */
const RECORD = 896;
/** The least that SO_SNDBUF can be made. */
const LEAST = 4608;
/** What segmentation offload takes at a time, without headers. */
const LONGEST = 65536 - 321;
const DEFAULT_MSS = 536;
/** What a segment takes besides its text, before that is rounded up. */
const HEADERS = 640;

/** What a connection has done with what was written; octets, `cwnd` in segments. */
export interface Progress {
  written: number;
  acknowledged: number;
  /** Octets that have left. */
  left: number;
  mss: number;
  cwnd: number;
  window: number;
  /** The largest window the peer has offered. */
  maxWindow: number;
  /** Octets that may wait to be sent before no record is begun. */
  notsentLowat: number;
}

/** What getsockopt() says of a buffer that was asked for. */
export const sendBufferInUse = (asked: number) => Math.max(2 * asked, LEAST);

export class SendQueue {
  /** Octets that the program asked for; undefined: it grows with the window. */
  asked: number | undefined;
  private limit: number;
  /** Where records end, octets written. */
  private ends: number[] = [];

  /** Octets that it can grow to. */
  private readonly largest: number;

  /** @param initial octets, where the program has asked for none */
  constructor(asked: number | undefined, initial = 0, largest = 0) {
    this.asked = asked;
    this.largest = largest;
    this.limit = asked === undefined ? initial : sendBufferInUse(asked);
  }

  /** Octets that can ever be in it. */
  get most(): number {
    return Math.min(Math.max(this.limit, this.largest) + 2 * LONGEST, STREAM_MAX);
  }

  /** Room for two windows, unless the program has asked for other. */
  grow(cwnd: number, mss: number): void {
    if (this.asked !== undefined) return;
    const segment = 2 ** Math.ceil(Math.log2(mss + HEADERS)) + 256;
    this.limit = Math.max(this.limit, Math.min(2 * Math.max(cwnd, 10) * segment, this.largest));
  }

  /** Whether so much is free that a program that waits is told: half of what is in use. */
  welcomes(written: number, acknowledged: number): boolean {
    const used = this.used(written, acknowledged);
    return this.limit - used >= Math.floor(used / 2);
  }

  private used(written: number, acknowledged: number): number {
    this.ends = this.ends.filter((end) => end > acknowledged);
    return written - acknowledged + RECORD * this.ends.length;
  }

  /** How many of `length` octets are taken now, which are entered. */
  take(length: number, at: Progress): number {
    const { acknowledged, mss, written } = at;
    const goal = recordLength(at);
    let end = written;
    const open = Math.floor(Math.min(at.cwnd * mss, at.window) / mss) * mss;
    let left = Math.max(at.left, Math.min(end, acknowledged + open));
    while (end - written < length) {
      let room = left < end ? goal - (end - this.lastFrom(left)) : 0;
      if (room <= 0) {
        if (this.used(end, acknowledged) >= this.limit || end - left >= at.notsentLowat) break;
        this.ends.push(end);
        room = goal;
      }
      const octets = Math.min(room, length - (end - written));
      end += octets;
      this.ends[this.ends.length - 1] = end;
      if (octets === room) left = this.push(left, end, at);
    }
    return end - written;
  }

  /** Where what has not left of the last record begins. */
  private lastFrom(left: number): number {
    return Math.max(left, this.ends.at(-2) ?? 0);
  }

  /** A record that is full leaves at once, or half a window of it, if nothing waits before it. What is left of it is the next one. */
  private push(left: number, end: number, { acknowledged, cwnd, mss, window }: Progress): number {
    if (this.lastFrom(left) > left) return left;
    const segments = Math.min(Math.max(cwnd >> 1, 1), cwnd - Math.ceil((left - acknowledged) / mss));
    const room = Math.floor((acknowledged + window - left) / mss);
    const until = Math.min(end, left + Math.max(0, Math.min(segments, room)) * mss);
    if (until > left && until < end) this.ends.splice(-1, 0, until);
    return until;
  }
}

/** Whole segments, no more than half of the largest window. */
function recordLength({ maxWindow, mss }: Progress): number {
  const half = maxWindow > DEFAULT_MSS ? maxWindow >> 1 : maxWindow;
  const most = half > 0 ? Math.min(LONGEST, half) : LONGEST;
  return Math.max(1, Math.floor(most / mss)) * mss;
}
