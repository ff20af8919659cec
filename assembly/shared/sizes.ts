// Sizes of the fixed areas of linear memory and of the units the rest is cut into. Read by both compilers.

/** Octets of a slot: one TCB or listener. */
export const SLOT_SIZE = 512;
export const SLOT_SHIFT = 9;

/** Octets of a buffer block. Large enough that few segments straddle two, small enough that a request costs little. */
export const BLOCK_SIZE = 8192;
export const BLOCK_SHIFT = 13;

/** The receive ring takes one batch: 64 packets of 1,500 octets, or two of 65,535, with room to align. */
export const RX_BYTES = 131584;
export const RX_PACKETS = 512;
export const TX_BYTES = 131584;
export const TX_PACKETS = 512;

/** What a user call may move in one crossing, and slack to give it the alignment of the user's buffer. */
export const STAGING_BYTES = 65536;
export const STAGING_SLACK = 64;

/** Segments that wait to be sent for no connection, as many as a batch of packets can ask for, and octets of each. */
export const REPLIES = 512;
export const REPLY_BYTES = 120;

/** Entries of the areas by which events leave and due timers enter. */
export const EVENT_ENTRIES = 256;
export const TIMER_ENTRIES = 256;

/** Most addresses an engine answers for. */
export const ADDRESSES_MAX = 64;

/** Largest stream a connection can buffer, memory permitting: what a window can say (RFC 7323 §2.3). */
export const STREAM_MAX = 1073741824;
/** What an observer believes of text ahead of what it has seen. */
export const OBSERVED_MAX = 16777216 - 65536;

/** Smallest linear memory with room for the areas above and a useful pool. */
export const MEMORY_MIN = 2097152;

/** Servers whose Fast Open cookies are remembered: by hash, some to each value, and octets of each. */
export const COOKIE_CACHE_SETS = 64;
export const COOKIE_CACHE_WAYS = 4;
export const COOKIE_ENTRY = 64;
