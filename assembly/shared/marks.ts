// What is told of a packet besides its octets: for each a word beside the table of its batch. Read by both compilers.

/** Octets of text of each segment into which the packet is to be cut, or of which it was put together; 0: it is as it is. */
export const MARK_SEGMENTS = 0xffff;
export const MARK_CHECKSUM_SHIFT = 16;

/** The TCP or UDP checksum field holds the sum over the pseudo-header only: whoever puts the packet on a wire completes it. */
export const CHECKSUM_PARTIAL = 1;
/** Somebody has verified it. */
export const CHECKSUM_VERIFIED = 2;
