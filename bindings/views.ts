/** A power of two. */
const KEPT = 64;

/**
 * Octets of text that a user call moves in one crossing: what was copied to staging is still in the first cache when it is copied
 * on from there.
 */
export const PIECE = 16384;

/**
 * Views of parts of one buffer, the latest of each of some lengths kept: batches are mostly as long as others were, and a
 * new view for each would be all the garbage that a transfer makes.
 */
export class Views {
  private readonly bytes: Uint8Array;
  private readonly kept: (Uint8Array | undefined)[] = new Array(KEPT).fill(undefined);

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** What stands from `begin` to `end`, not to be kept. */
  of(begin: number, end: number): Uint8Array {
    const place = (((end - begin) >> 3) + begin / PIECE) & (KEPT - 1);
    const kept = this.kept[place];
    if (kept && kept.length === end - begin && kept.byteOffset === this.bytes.byteOffset + begin) return kept;
    const view = this.bytes.subarray(begin, end);
    this.kept[place] = view;
    return view;
  }
}
