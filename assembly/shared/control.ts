// The control block: the fixed addresses below the static data where both sides find everything else.
//
//    64 ┌ where each area begins (u32 each), written by init()
//   128 ├ seed: 16 octets of ISN secret, 16 octets of hash key
//   192 ├ results of the last call
//   256 ├ settings (i32 each), written once before init()
//  1024 └ counters (u64 each), see counters.ts

export const CTL_RX = 64;
export const CTL_RX_TABLE = 68;
export const CTL_TX = 72;
export const CTL_TX_TABLE = 76;
export const CTL_EVENTS = 80;
export const CTL_TIMERS = 84;
export const CTL_STAGING = 88;
export const CTL_SLOTS = 92;
export const CTL_SLOT_COUNT = 96;
export const CTL_COOKIE_CACHE = 100;
/** A word of marks.ts for each packet. */
export const CTL_RX_MARKS = 104;
export const CTL_TX_MARKS = 108;

export const CTL_SECRET = 128;
export const CTL_HASH_KEY = 144;

/** Octets of the transmit area filled by the last output(). */
export const CTL_TX_USED = 192;
/** Entries of the event area filled by the last call that drains. */
export const CTL_EVENT_COUNT = 196;
/** 1 when more events wait than the area held. */
export const CTL_EVENT_MORE = 200;

export const SET_MTU = 256;
export const SET_ANY_ADDRESS = 260;
export const SET_MAX_SYN_BACKLOG = 264;
export const SET_SYN_RETRIES = 268;
export const SET_SYNACK_RETRIES = 272;
export const SET_RETRIES2 = 276;
export const SET_FIN_TIMEOUT = 280;
export const SET_RMEM_DEFAULT = 284;
export const SET_RMEM_MAX = 288;
export const SET_WMEM_DEFAULT = 292;
export const SET_WMEM_MAX = 296;
export const SET_WINDOW_SCALING = 300;
export const SET_RTO_MIN_US = 304;
export const SET_RTO_MAX_MS = 308;
export const SET_SLOW_START_AFTER_IDLE = 312;
export const SET_DELACK_MS = 316;
export const SET_ABORT_ON_OVERFLOW = 320;
export const SET_CHALLENGE_ACK_LIMIT = 324;

export const SET_KEEPALIVE_TIME = 400;
export const SET_KEEPALIVE_INTVL = 404;
export const SET_KEEPALIVE_PROBES = 408;
export const SET_SYNCOOKIES = 412;
export const SET_RETRIES1 = 480;
export const SET_ORPHAN_RETRIES = 484;
export const SET_DEFAULT_TTL = 488;
export const SET_TIMESTAMPS = 416;
export const SET_TW_REUSE = 420;
export const SET_TW_REUSE_DELAY = 424;
export const SET_RTO_INIT_MS = 428;
/** Bits of user-options.ts, and seconds. */
export const SET_FAST_OPEN = 432;
export const SET_FAST_OPEN_PATH_DISABLE = 436;
/** Keys of Fast Open cookies: how many, and 16 octets each, the current one first. */
export const CTL_FAST_OPEN_KEY_COUNT = 440;
export const CTL_FAST_OPEN_KEYS = 448;
export const SET_MAX_TW_BUCKETS = 492;
export const SET_MAX_ORPHANS = 496;

export const SET_ACCEPT_SOURCE_ROUTE = 328;
export const SET_USER_TIMEOUT_OPTION = 332;
export const SET_RFC1337 = 344;
export const SET_ECN = 348;
export const SET_ECN_FALLBACK = 352;
export const SET_EARLY_RETRANS = 356;
export const SET_CONGESTION_CONTROL = 380;
export const SET_FRTO = 520;
export const SET_MIN_RTT_WLEN = 524;
/** Octets of the largest packet of several segments, and whether checksums are left to the link. */
export const SET_GSO = 528;
export const SET_PARTIAL_CHECKSUMS = 532;
export const SET_SACK = 336;
export const SET_DSACK = 340;

export const SET_MODERATE_RCVBUF = 640;
export const SET_NOTSENT_LOWAT = 644;
export const SET_SYN_LINEAR_TIMEOUTS = 648;
export const SET_DROP_SYNFIN = 652;
export const SET_ICMP_MAY_RST = 656;
export const SET_REXMIT_SLOP = 660;

export const CTL_COUNTERS = 1024;

/** Static data of the module begins here (asconfig.json, memoryBase). */
export const CTL_END = 4096;

// An entry of the event area: 24 octets.
export const EVENT_SIZE = 24;
export const EVENT_SLOT = 0;
export const EVENT_GENERATION = 4;
export const EVENT_FLAGS = 8;
export const EVENT_ERROR = 12;
/** f64, microseconds; valid with EV_DEADLINE. */
export const EVENT_DEADLINE = 16;

export const EV_ESTABLISHED = 1;
export const EV_READABLE = 2;
export const EV_WRITABLE = 4;
export const EV_ACCEPTED = 8;
export const EV_CLOSED = 16;
export const EV_RESET = 32;
export const EV_TIMED_OUT = 64;
/** The slot's earliest deadline moved earlier than the timer armed for it. */
export const EV_DEADLINE = 128;
/** The slot was given back; whatever timer it had is void. */
export const EV_FREED = 256;
/** Retransmissions have reached R1 (RFC 9293 §3.8.3). */
export const EV_RETRYING = 512;
/** Urgent text is announced, or more of it (RFC 9293 §3.8.5). */
export const EV_URGENT = 1024;
/** A datagram waits to be read. */
export const EV_DATAGRAM = 65536;
