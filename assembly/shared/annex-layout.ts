// A TCB's annex: a slot of its own for what idle connections do without. The first octets tell slots apart; behind them
// each file has its own part, at zero when the annex is taken.

/** Source route: source-route.ts. */
export const ANNEX_ROUTE = 64;
/** What has been sent and where it stands: recovery/. */
export const ANNEX_RECOVERY = 128;
/** State of the congestion control: congestion/, one at a time. */
export const ANNEX_CONGESTION = 320;
export const ANNEX_CONGESTION_BYTES = 128;
/** Tuning of the receive buffer. */
export const ANNEX_RECEIVE = 448;
