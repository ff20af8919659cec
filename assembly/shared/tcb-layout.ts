// Where each field of a TCB stands, octets from its slot. assembly/tcb.ts proves itself against this page.

// Who it is. Written by lifecycle.ts and calls.ts.
export const TCB_LOCAL_ADDRESS = 0;
export const TCB_REMOTE_ADDRESS = 16;
export const TCB_LOCAL_PORT = 32;
export const TCB_REMOTE_PORT = 34;
export const TCB_FAMILY = 36;
export const TCB_STATE = 37;
export const TCB_HELD = 38;
export const TCB_ORPHAN = 39;
export const TCB_SLOT = 40;
export const TCB_GENERATION = 44;
export const TCB_FLOW = 48;
export const TCB_PSEUDO = 52;
export const TCB_IP_ID = 54;

// Links of the lists it stands in. Written by demux.ts, queues.ts, listener.ts.
export const TCB_HASH_NEXT = 56;
export const TCB_OUTPUT_NEXT = 60;
export const TCB_EVENT_NEXT = 64;
export const TCB_ACCEPT_NEXT = 68;
export const TCB_LISTENER = 72;
export const TCB_IN_OUTPUT = 76;
export const TCB_IN_EVENTS = 77;
export const TCB_IN_ACCEPT = 78;
export const TCB_PASSIVE = 79;
export const TCB_EVENTS = 80;
export const TCB_ERROR = 84;

// Deadlines, microseconds; Infinity when unset. Written by timers.ts; armed by queues.ts.
export const TCB_RTX_AT = 88;
export const TCB_ACK_AT = 96;
export const TCB_WAIT_AT = 104;
export const TCB_ARMED = 112;

// Send sequence space. Written by lifecycle.ts, calls.ts, output.ts and acknowledgments.ts.
export const TCB_ISS = 120;
export const TCB_SND_UNA = 124;
export const TCB_SND_NXT = 128;
export const TCB_SND_WND = 132;
export const TCB_SND_WL1 = 136;
export const TCB_SND_WL2 = 140;
export const TCB_MAX_SND_WND = 144;
export const TCB_SND_END = 148;
export const TCB_SND_SML = 152;
export const TCB_FIN_QUEUED = 156;
export const TCB_FIN_SENT = 157;
export const TCB_SYN_PENDING = 158;
export const TCB_NO_DELAY = 159;
export const TCB_SND_WSCALE = 160;
export const TCB_RCV_WSCALE = 161;
export const TCB_WINDOW_SCALING = 162;
export const TCB_BLOCKED = 163;
export const TCB_SND_MSS = 164;
export const TCB_ADV_MSS = 166;
export const TCB_LAST_SENT_AT = 168;
export const TCB_SND_TEXT = 176;

// Receive sequence space. Written by text.ts and window.ts.
export const TCB_IRS = 200;
export const TCB_RCV_NXT = 204;
export const TCB_RCV_ADV = 208;
export const TCB_RCV_READ = 212;
export const TCB_RCV_ACKED = 216;
export const TCB_RCV_BUF = 220;
export const TCB_RCV_MSS = 224;
export const TCB_FIN_RECEIVED = 226;
export const TCB_FIN_HELD = 227;
export const TCB_FIN_AT = 228;
export const TCB_ACK_NOW = 232;
export const TCB_QUICK_ACKS = 233;
export const TCB_ACKS_OWED = 234;
export const TCB_RCV_TEXT = 236;
export const TCB_RCV_RUNS = 260;

// Retransmission timer, RFC 6298. Written by rtt.ts and timers.ts.
export const TCB_SRTT = 272;
export const TCB_RTTVAR = 280;
export const TCB_RTO = 288;
export const TCB_BACKOFF = 292;
export const TCB_RETRANSMITS = 293;
export const TCB_PROBING = 294;
export const TCB_SYN_RETRANSMITTED = 295;
export const TCB_RTT_SEQ = 296;
export const TCB_RCV_UP = 300;
export const TCB_RTT_AT = 304;
export const TCB_RTT_MIN = 312;
export const TCB_DSACK_START = 316;

// Loss recovery. Written by recovery/.
export const TCB_CA_STATE = 320;
export const TCB_REXMIT_ONE = 321;
export const TCB_CWND_LIMITED = 322;
export const TCB_PROBES = 323;
export const TCB_DUP_ACKS = 324;
export const TCB_RECOVER = 328;
export const TCB_REXMIT_NXT = 332;

// Congestion control, RFC 5681. Written by congestion/.
export const TCB_CWND = 336;
export const TCB_SSTHRESH = 340;
export const TCB_BYTES_ACKED_CA = 344;

// Challenge ACKs, RFC 5961 section 7. Written by segment-arrives.ts.
export const TCB_CHALLENGES = 348;
/** SACK, RFC 2018 and 2883. Written by sack.ts. */
export const TCB_SACK_OK = 349;
export const TCB_DSACK_LENGTH = 350;
export const TCB_CHALLENGE_AT = 352;

// tcp_info. Written where the thing counted happens.
export const TCB_BYTES_SENT = 360;
export const TCB_BYTES_ACKED = 368;
export const TCB_BYTES_RECEIVED = 376;
export const TCB_BYTES_RETRANS = 384;
export const TCB_SEGS_OUT = 392;
export const TCB_SEGS_IN = 396;
export const TCB_DATA_SEGS_OUT = 400;
export const TCB_DATA_SEGS_IN = 404;
export const TCB_TOTAL_RETRANS = 408;

// The list of those that wait for memory. Written by queues.ts.
export const TCB_MEMORY_NEXT = 412;
export const TCB_MEMORY_PREVIOUS = 416;
export const TCB_IN_MEMORY = 420;

// What ICMP has told, and the peer's MSS. Written by receive/icmp.ts, path.ts, lifecycle.ts and acknowledgments.ts.
export const TCB_SOFT_ERROR = 421;
export const TCB_PMTU = 422;

// Keepalive (RFC 9293 §3.8.4), user timeout, what the user set. Written by user-options.ts, keepalive.ts and output.ts.
export const TCB_KEEP_AT = 424;
export const TCB_HEARD_AT = 432;
export const TCB_UNACKED_SINCE = 440;
export const TCB_USER_TIMEOUT = 448;
export const TCB_ANNEX = 452;
export const TCB_KEEP_IDLE = 456;
export const TCB_KEEP_INTERVAL = 458;
/** User timeouts as RFC 5482 writes them: what we advertise, and what the peer does; 0 for none. */
export const TCB_ADV_UTO = 460;
export const TCB_REMOTE_UTO = 462;
export const TCB_KEEP_COUNT = 464;
export const TCB_KEEP_ALIVE = 465;
export const TCB_KEEP_PROBES = 466;
export const TCB_KEEP_DUE = 467;
/** Cork, whether close resets, the congestion control, and whether the receive buffer is fixed. */
export const TCB_CHOICES = 468;
export const CHOICE_SYN_DATA = 0x40;
/** What has come of ECN. Written by ecn.ts. */
export const TCB_ECN = 469;
export const ECN_OK = 1;
export const ECN_DEMAND_CWR = 2;
export const ECN_QUEUE_CWR = 4;
export const ECN_SEEN = 8;
export const ECN_HELD = 16;
export const TCB_MAX_SEGMENT = 470;

export const TCB_PEER_MSS = 472;
export const TCB_MAY_FRAGMENT = 474;
export const TCB_HOPS = 475;
export const TCB_PMTU_UNTIL = 476;

// Timestamps, RFC 7323. Written by timestamps.ts.
export const TCB_TS_AGE = 480;
export const TCB_TS_RECENT = 488;
export const TCB_TS_OFFSET = 492;
export const TCB_TS_OK = 496;
/** Whether urgent text is being sent, or received. Written by urgent.ts. */
export const TCB_URGENT = 497;
/** Octets of IP options that each packet carries. Written by source-route.ts. */
/** Tcb.urgent. */
export const URGENT_SENT = 1;
export const URGENT_RECEIVED = 2;
export const TCB_IP_OPTIONS = 498;
/** Whether the user timeout option is in use and owed. Written by user-timeout.ts. */
export const TCB_UTO = 499;

// How much of the congestion window was used. Written by congestion/window.ts.
export const TCB_MOST_IN_FLIGHT = 500;
export const TCB_MEASURED_TO = 504;
export const TCB_SND_UP = 508;

export const TCB_END = 512;
