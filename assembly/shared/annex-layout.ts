// A TCB's annex: a slot of its own for what idle connections do without. Octets 32 to 63 tell slots apart and link free ones;
// around them each file has its own part, at zero when the annex is taken.

/** What was sent again, and whether it had to be: recovery/spurious.ts. */
export const ANNEX_SPURIOUS = 0;
export const ANNEX_SPURIOUS_BYTES = 32;
export const SPURIOUS_ADAPT = 23;
export const SPURIOUS_FRTO = 24;

/** What the user wants of the send buffer, behind what tells slots apart: octets, 0 for the setting's. Written by
 * send/buffer.ts. */
export const ANNEX_SEND = 48;
export const SEND_BUFFER = 48;
export const SEND_NOTSENT_LOWAT = 52;
export const ANNEX_SEND_BYTES = 8;
/** Source route: source-route.ts. */
export const ANNEX_ROUTE = 64;
/** Where the user's records end: records.ts. */
export const ANNEX_RECORDS = 112;
/** What has been sent and where it stands: recovery/. */
export const ANNEX_RECOVERY = 128;
// Of that, what tcp_info tells; proved in recovery/scoreboard.ts.
export const SB_SACKED_OCTETS = 44;
export const SB_LOST_OCTETS = 48;
export const SB_RESENT_OCTETS = 52;
export const SB_DELIVERED = 72;
export const SB_REORDERING = 104;
export const SB_DSACK_DUPS = 132;
/** Delivery rate: recovery/rate.ts. Of that, what tcp_info tells. */
export const ANNEX_RATE = 272;
export const RATE_DELIVERED = 28;
export const RATE_INTERVAL = 32;
export const RATE_APP_LIMITED = 36;
/** The window of the least round trip: rtt.ts. */
export const ANNEX_MIN_RTT = 312;
/** Congestion control: congestion/. */
export const ANNEX_CONGESTION = 320;
export const ANNEX_CONGESTION_BYTES = 128;

// What a reduction of the window found, from ANNEX_CONGESTION. Written by congestion/undo.ts.
export const UNDO_CWND = 0;
export const UNDO_SSTHRESH = 4;
export const UNDO_END = 8;

// CUBIC, RFC 9438 §4.1.2, from ANNEX_CONGESTION. Written by congestion/cubic.ts.
export const CUBIC_W_MAX = 8;
export const CUBIC_K = 16;
export const CUBIC_EPOCH = 24;
export const CUBIC_W_EST = 32;
export const CUBIC_CWND_PRIOR = 40;
/** The five above, as a reduction found them. */
export const CUBIC_UNDO = 48;
export const CUBIC_STALLED_AT = 88;
export const CUBIC_REST = 96;
export const CUBIC_BEGUN = 100;
export const CUBIC_END = 101;

// HyStart++, RFC 9406 §4.2, from ANNEX_CONGESTION. Written by congestion/hystart.ts.
export const HYSTART_SAMPLES = 101;
export const HYSTART_ROUNDS = 102;
export const HYSTART_LAST_MIN = 104;
export const HYSTART_CURRENT_MIN = 108;
export const HYSTART_BASELINE = 112;
export const HYSTART_WINDOW_END = 116;
export const HYSTART_ROUND_AT = 120;
export const HYSTART_TRAIN_AT = 124;
export const HYSTART_END = 128;

/** Tuning of the receive buffer. Written by receive/tuning.ts. */
export const ANNEX_RECEIVE = 448;
export const ANNEX_RECEIVE_BYTES = 40;
export const TUNE_RTT = 16;
export const TUNE_SPACE = 28;

/** When segments may leave. Written by send/pacing.ts. */
export const ANNEX_PACING = 488;
export const PACING_RATE = 8;
export const PACING_MOST = 16;
