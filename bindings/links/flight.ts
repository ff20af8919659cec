import { PacketBatch } from "../packet-batch.ts";
import { markCongestion } from "./ecn.ts";

/** Octets of one outgoing batch; at least one packet of the largest size. */
const OUT = 128 * 1024;

/** Smallest average packet for which the tables have room when the bytes are full. */
const OCTETS_PER_ENTRY = 256;

/**
 * Packets on their way. First they wait in line, in a list by order of entry; then they travel, each with the time it is
 * due, in a binary heap by time and order of departure. Their octets lie in a ring. All memory is taken at creation; no object is made per packet.
 *
 * The bytes live behind the outgoing batch's own, in the same buffer, so that taking a packet out is a `copyWithin`:
 * half the time of a `set` from a view made for it, and no garbage. A whole batch comes in by one `set`, as one extent;
 * the ring's tail moves on when the oldest extent has no packet left.
 */
export class Flight {
  /** The batch packets are taken out into. */
  readonly out: PacketBatch;
  readonly #limit: number;
  /** When a travelling packet is due; since when a waiting one has waited. */
  readonly #time: Float64Array;
  readonly #order: Float64Array;
  readonly #offset: Int32Array;
  readonly #length: Int32Array;
  readonly #flip: Int32Array;
  readonly #marked: Uint8Array;
  readonly #checksum: Uint8Array;
  /** The packet that waits behind. */
  readonly #behind: Int32Array;
  readonly #extent: Int32Array;
  readonly #heap: Int32Array;
  /** Node numbers given back; those from `#fresh` on were never used. */
  readonly #spare: Int32Array;
  readonly #extentStart: Int32Array;
  readonly #extentPackets: Int32Array;
  #spares = 0;
  #fresh = 0;
  #waiting = 0;
  #first = 0;
  #last = 0;
  #travelling = 0;
  #departed = 0;
  /** Extents form a queue in a circular table: `#extents` of them from `#oldest` on. */
  #oldest = 0;
  #extents = 0;
  #head = OUT;

  /** @param capacity octets of packets it holds, alignment included */
  constructor(capacity: number) {
    const entries = Math.max(16, Math.ceil(capacity / OCTETS_PER_ENTRY));
    this.out = new PacketBatch(128, OUT + capacity);
    this.#limit = OUT + capacity;
    this.#time = new Float64Array(entries);
    this.#order = new Float64Array(entries);
    this.#offset = new Int32Array(entries);
    this.#length = new Int32Array(entries);
    this.#flip = new Int32Array(entries);
    this.#marked = new Uint8Array(entries);
    this.#checksum = new Uint8Array(entries);
    this.#behind = new Int32Array(entries);
    this.#extent = new Int32Array(entries);
    this.#heap = new Int32Array(entries);
    this.#spare = new Int32Array(entries);
    this.#extentStart = new Int32Array(entries);
    this.#extentPackets = new Int32Array(entries);
  }

  /** Packets held. */
  get count(): number {
    return this.#waiting + this.#travelling;
  }

  /** Packets that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Of the packet that has waited longest: since when, how long it is, where its octets are in `out.bytes`. */
  get firstSince(): number {
    return this.#time[this.#first];
  }

  get firstLength(): number {
    return this.#length[this.#first];
  }

  get firstAt(): number {
    return this.#offset[this.#first];
  }

  /** When the next packet is due; Infinity when none travels. */
  get due(): number {
    return this.#travelling === 0 ? Number.POSITIVE_INFINITY : this.#time[this.#heap[0]];
  }

  /** Whether one more packet can be entered. */
  get hasRoom(): boolean {
    return this.count < this.#heap.length;
  }

  /**
   * Copy `length` octets at `offset` of `bytes` in as a new extent, whose packets are then entered; `seal` ends it.
   * Returns where they are, or -1 when there is no room.
   */
  store(bytes: Uint8Array, offset: number, length: number): number {
    // At least one step, so that an extent's start is its own.
    const span = Math.max(8, (length + 7) & -8);
    const at = this.#place(span);
    if (at < 0) return -1;
    this.out.bytes.set(bytes.subarray(offset, offset + length), at);
    const extent = (this.#oldest + this.#extents++) % this.#extentStart.length;
    this.#extentStart[extent] = at;
    this.#extentPackets[extent] = 0;
    this.#head = at + span;
    return at;
  }

  #place(span: number): number {
    const table = this.#extentStart;
    if (this.#extents === table.length) return -1;
    if (this.#extents === 0) return OUT + span <= this.#limit ? OUT : -1;
    const head = this.#head;
    const tail = table[this.#oldest];
    // Head never catches up with tail, so that equal means wrapped around to nothing left.
    if (head <= tail) return head + span < tail ? head : -1;
    if (head + span <= this.#limit) return head;
    return OUT + span < tail ? OUT : -1;
  }

  /**
   * Enter a packet of the newest extent, to wait behind the others.
   * @param at where its octets are
   * @param marked whether congestion was experienced
   * @param checksum as in PacketBatch.checksums
   */
  enter(at: number, length: number, now: number, marked: boolean, checksum: number): void {
    const node = this.#spares > 0 ? this.#spare[--this.#spares] : this.#fresh++;
    const extent = (this.#oldest + this.#extents - 1) % this.#extentStart.length;
    this.#extentPackets[extent]++;
    this.#extent[node] = extent;
    this.#offset[node] = at;
    this.#length[node] = length;
    this.#time[node] = now;
    this.#marked[node] = marked ? 1 : 0;
    this.#checksum[node] = checksum;
    if (this.#waiting++ === 0) this.#first = node;
    else this.#behind[this.#last] = node;
    this.#last = node;
  }

  /**
   * Let the packet that has waited longest travel.
   * @param marked whether congestion was experienced since it came
   * @param flip the bit to flip on its way out, counted from the first octet's lowest; -1 for none
   */
  depart(due: number, marked: boolean, flip: number): void {
    const node = this.#next();
    this.#time[node] = due;
    this.#order[node] = this.#departed++;
    this.#flip[node] = flip;
    if (marked) this.#marked[node] = 1;
    this.#up(node);
  }

  /** Forget the packet that has waited longest. */
  discard(): void {
    this.#free(this.#next());
  }

  #next(): number {
    const node = this.#first;
    this.#first = this.#behind[node];
    this.#waiting--;
    return node;
  }

  /** No more packets will be entered from the newest extent. */
  seal(): void {
    const extent = (this.#oldest + this.#extents - 1) % this.#extentStart.length;
    if (this.#extentPackets[extent] > 0) return;
    this.#extents--;
    this.#head = this.#extentStart[extent];
  }

  /** Move packets due by `now` to `out` (cleared first) until it is full; returns how many. */
  take(now: number): number {
    const out = this.out;
    out.clear();
    while (this.#travelling > 0 && out.count < out.capacity) {
      const node = this.#heap[0];
      const length = this.#length[node];
      if (this.#time[node] > now || out.used + length > OUT) break;
      const at = out.used;
      const offset = this.#offset[node];
      out.bytes.copyWithin(at, offset, offset + length);
      if (this.#marked[node] !== 0) markCongestion(out.bytes, at);
      const flip = this.#flip[node];
      if (flip >= 0) out.bytes[at + (flip >> 3)] ^= 1 << (flip & 7);
      out.commit(length, 0, this.#checksum[node]);
      this.#drop();
    }
    return out.count;
  }

  /** Forget all packets. */
  clear(): void {
    this.#waiting = 0;
    this.#travelling = 0;
    this.#spares = 0;
    this.#fresh = 0;
    this.#extents = 0;
    this.#head = OUT;
  }

  /** Remove the first packet of the heap. */
  #drop(): void {
    this.#free(this.#heap[0]);
    const last = this.#heap[--this.#travelling];
    if (this.#travelling > 0) this.#down(last);
  }

  #free(node: number): void {
    this.#spare[this.#spares++] = node;
    const packets = this.#extentPackets;
    packets[this.#extent[node]]--;
    while (this.#extents > 0 && packets[this.#oldest] === 0) {
      this.#oldest = (this.#oldest + 1) % packets.length;
      this.#extents--;
    }
  }

  #before(a: number, b: number): boolean {
    const due = this.#time;
    return due[a] < due[b] || (due[a] === due[b] && this.#order[a] < this.#order[b]);
  }

  #up(node: number): void {
    const heap = this.#heap;
    let at = this.#travelling++;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1];
      if (!this.#before(node, parent)) break;
      heap[at] = parent;
      at = (at - 1) >> 1;
    }
    heap[at] = node;
  }

  #down(node: number): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#travelling) break;
      if (child + 1 < this.#travelling && this.#before(heap[child + 1], heap[child])) child++;
      if (!this.#before(heap[child], node)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = node;
  }
}
