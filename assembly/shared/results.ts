// What a user call inside the engine returns when it cannot return a count or a slot.

/** The handle names a connection that is gone. */
export const ERR_STALE = -1;
/** End of stream. */
export const ERR_EOF = -2;
/** The sending side is shut down. */
export const ERR_PIPE = -3;
export const ERR_NO_MEMORY = -4;
export const ERR_IN_USE = -5;
export const ERR_INVALID = -6;
/** Nothing is waiting. */
export const ERR_AGAIN = -7;
export const ERR_REFUSED = -8;
export const ERR_RESET = -9;
export const ERR_TIMED_OUT = -10;
export const ERR_ABORTED = -11;
export const ERR_UNREACHABLE = -12;
export const ERR_NET_UNREACHABLE = -13;
/** The peer has no such protocol. */
export const ERR_NO_PROTOCOL = -14;
/** Longer than any packet of its kind. */
export const ERR_TOO_LONG = -15;
