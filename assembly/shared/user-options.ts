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
