// What setOption() sets, by number.

export const OPT_NO_DELAY = 1;
export const OPT_CORK = 2;
export const OPT_KEEP_ALIVE = 3;
/** Seconds; 0 is the setting's. */
export const OPT_KEEP_IDLE = 4;
export const OPT_KEEP_INTERVAL = 5;
export const OPT_KEEP_COUNT = 6;
/** Milliseconds; 0 for none. */
export const OPT_USER_TIMEOUT = 7;
/** 1: close resets. */
export const OPT_LINGER_RESET = 8;
/** Octets; 0 for none. */
export const OPT_MAX_SEGMENT = 9;
/** Seconds to advertise (RFC 5482); 0 for none. */
export const OPT_USER_TIMEOUT_OPTION = 12;
export const OPT_DSCP = 10;
/** 0 is the setting's. */
export const OPT_HOP_LIMIT = 11;
/** One of those below; 0 is the setting's. */
export const OPT_CONGESTION_CONTROL = 13;
/** Octets a second; 0 for no bound. */
export const OPT_MAX_PACING_RATE = 14;

/** Octets. */
export const OPT_RECEIVE_BUFFER = 20;
export const OPT_SEND_BUFFER = 21;
/** Octets; 0 is the setting's. */
export const OPT_NOTSENT_LOWAT = 22;

export const CONTROL_NEWRENO = 1;
export const CONTROL_CUBIC = 2;
export const CONTROL_BBR = 3;

/** Of a listener: connections that may be open before their peer has proved its address (RFC 7413 §5.1); 0 for none. */
export const OPT_FAST_OPEN = 30;
/** Of a listener: how many keys of Fast Open cookies stand in staging. */
export const OPT_FAST_OPEN_KEY = 31;

// Bits of tcp_fastopen, as in Linux.
export const FAST_OPEN_CLIENT = 1;
export const FAST_OPEN_SERVER = 2;
export const FAST_OPEN_WITHOUT_COOKIE = 4;
export const FAST_OPEN_COOKIE_NOT_REQUIRED = 0x200;
export const FAST_OPEN_WITHOUT_OPTION = 0x400;

// What open() takes beside the addresses.
export const OPEN_GIVEN_PORT = 1;
export const OPEN_FAST = 2;
