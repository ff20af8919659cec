import { Tcb } from "../tcb.ts";
import { pipe, Scoreboard } from "./scoreboard.ts";

// Proportional rate reduction, RFC 6937 with the safety rule of its successor: while what is in the network exceeds what
// it should come to, less is sent than is delivered; where it has fallen below, no more than is delivered, and a segment
// more only as long as nothing else is found lost.

/** Recovery begins; cwnd was `recoverFs`. */
export function beginReduction(board: Scoreboard): void {
  board.prrDelivered = 0;
  board.prrOut = 0;
}

/** `delivered` octets have left the network; `safe`: SND.UNA has moved and nothing else is lost. */
export function reduce(tcb: Tcb, board: Scoreboard, delivered: u32, safe: bool): void {
  const mss: u32 = tcb.sndMss;
  const flying = pipe(tcb);
  board.prrDelivered += delivered;
  let send: i64 = 0;
  if (flying > tcb.ssthresh) {
    const from = u64(max(board.recoverFs, 1));
    send = i64((u64(tcb.ssthresh) * board.prrDelivered + from - 1) / from) - board.prrOut;
  } else if (delivered) {
    send = max(i64(board.prrDelivered) - board.prrOut, i64(delivered));
    if (safe) send += mss;
    send = min(send, i64(tcb.ssthresh - flying));
  }
  // The first of what is lost goes at once.
  if (board.prrOut == 0) send = max(send, i64(mss));
  tcb.cwnd = flying + u32(max<i64>(send, 0));
}
