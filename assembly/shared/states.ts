// TCP states, numbered as Linux's tcp_states.h does, so that tcp_info reads the same; 0 is a slot not in use.

export const FREE = 0;
export const ESTABLISHED = 1;
export const SYN_SENT = 2;
export const SYN_RECEIVED = 3;
export const FIN_WAIT_1 = 4;
export const FIN_WAIT_2 = 5;
export const TIME_WAIT = 6;
export const CLOSED = 7;
export const CLOSE_WAIT = 8;
export const LAST_ACK = 9;
export const LISTEN = 10;
export const CLOSING = 11;
/** Not a connection at all: a UDP socket. */
export const DATAGRAMS = 32;
/** TIME-WAIT of which only what it must do is kept (time-wait.ts), the slot where four of these stand, and their timer. */
export const TIME_WAIT_BRIEF = 33;
export const TIME_WAIT_SLOT = 34;
export const TIME_WAIT_KEEPER = 35;
