import { Seq } from "./seq.ts";

/**
 * Whether any octet of a segment lies in the receive window: the four cases of RFC 9293 §3.10.7.4, table 6. `segLen`
 * counts SYN and FIN.
 */
export function acceptable(segSeq: Seq, segLen: u32, rcvNxt: Seq, rcvWnd: u32): bool {
  if (rcvWnd == 0) return segLen == 0 && segSeq == rcvNxt;
  // RCV.NXT =< n < RCV.NXT+RCV.WND is one unsigned comparison of n's distance from RCV.NXT.
  if (segSeq.since(rcvNxt) < rcvWnd) return true;
  return segLen > 0 && segSeq.plus(segLen - 1).since(rcvNxt) < rcvWnd;
}
