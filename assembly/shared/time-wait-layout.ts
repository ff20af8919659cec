// Where each field of a brief TIME-WAIT stands, octets from its beginning: up to the link of the demux table as in a TCB
// (tcb-layout.ts), but for two octets of which it makes other use. assembly/time-wait.ts proves itself against this page.

export const TW_HOPS = 38;
export const TW_RCV_WSCALE = 39;

export const TW_NEXT = 60;
export const TW_UNTIL = 64;
export const TW_TS_AGE = 72;
export const TW_PREVIOUS = 80;
export const TW_SND_NXT = 84;
export const TW_RCV_NXT = 88;
export const TW_RCV_WND = 92;
export const TW_MAX_SND_WND = 96;
export const TW_TS_RECENT = 100;
export const TW_CHALLENGE_AT = 104;
export const TW_CHALLENGES = 108;
export const TW_TS_OK = 110;
export const TW_MAY_FRAGMENT = 111;

export const TW_END = 112;

// The slot they stand in: a header whose state, index and generation are where a TCB's are, then four of them.
//
//     0 ┌ header: which places are taken, links of the list of slots with a place left
//    64 ├ place 0
//   176 ├ place 1
//   288 ├ place 2
//   400 └ place 3

export const TWS_TAKEN = 48;
export const TWS_NEXT = 52;
export const TWS_PREVIOUS = 60;
export const TWS_PLACES = 64;
export const TWS_PER_SLOT = 4;
