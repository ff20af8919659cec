// Where each field of an observed conversation stands, octets from its slot, and what the observer tells of one step.
// assembly/observer/conversation.ts proves itself against this page. What a connection's slot has too stands where
// tcb-layout.ts puts it, so that pool and demux table serve both.

export const OBS_BEGAN = 37;
export const OBS_ENDED = 38;
export const OBS_NUMBER = 48;
export const OBS_FIRST_TIME = 72;
export const OBS_LAST_TIME = 80;
/** Negative when it is not known, or time ran backwards. */
export const OBS_RTT = 96;

/** The two directions: the client's text, then the server's. */
export const OBS_DIRECTION = 128;
export const OBS_DIRECTION_SIZE = 128;

// Fields of a direction, from its own beginning.
export const DIR_FLAGS = 24;
export const DIR_PACKETS = 80;
export const DIR_TEXT = 88;
export const DIR_MISSING = 96;
export const DIR_GAPS = 104;
export const DIR_RETRANSMITTED = 112;

export const BEGAN_MIDSTREAM = 0;
export const BEGAN_SYN = 1;
export const BEGAN_SYN_ACK = 2;

export const ENDED_OPEN = 0;
/** One side has sent FIN: 1 the client, 2 the server, 3 both. */
export const ENDED_CLIENT_FIN = 1;
export const ENDED_SERVER_FIN = 2;
export const ENDED_BOTH_FIN = 3;
export const ENDED_CLIENT_RESET = 4;
export const ENDED_SERVER_RESET = 5;

// What reading() says it found.
export const READ_NOTHING = 0;
export const READ_TEXT = 1;
export const READ_GAP = 2;
/** The conversation is let go: its slot holds the final figures until the next call. */
export const READ_END = 3;

// Details of it, u32 each, from the beginning of the event area.
export const READING_SLOT = 0;
export const READING_SIDE = 4;
export const READING_ADDRESS = 8;
export const READING_LENGTH = 12;
