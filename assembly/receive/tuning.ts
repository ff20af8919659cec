import { spareAnnexOf } from "../annex.ts";
import { segment } from "../packet/segment.ts";
import { isPressed } from "../pool.ts";
import { nextSrtt } from "../rtt.ts";
import { Seq } from "../seq.ts";
import { setting } from "../settings.ts";
import { ANNEX_RECEIVE, ANNEX_RECEIVE_BYTES, TUNE_RTT, TUNE_SPACE } from "../shared/annex-layout.ts";
import { SET_MODERATE_RCVBUF, SET_RMEM_MAX } from "../shared/control.ts";
import { Tcb } from "../tcb.ts";
import { Micros, now } from "../time.ts";
import { echoedRtt } from "../timestamps.ts";

// The receive buffer grows with what the user reads: dynamic right-sizing, as in Linux (tcp_moderate_rcvbuf). The peer's
// congestion window cannot be seen from here, but what it came to a round trip ago is what was read within one.

/** Segments read before a buffer is worth tuning, and what the first round is measured against: an initial window of
 * the peer's. */
const BEGIN_SEGMENTS: u32 = 10;
/** More than this a round does not grow by while a peer is in slow start. */
const GROWTH_MAX: f64 = 2;

@unmanaged
@final
class Tuning {
  /** When the round under way began. */
  roundAt: Micros;
  /** When the window was taken note of whose turn is waited for, if the peer has no timestamps. */
  windowAt: Micros;
  /** A round trip as seen from here, microseconds; 0: not known yet. */
  rtt: f64;
  /** What had been read when the round began. */
  roundFrom: Seq;
  /** Most octets read in a round; 0 before the first. */
  space: u32;
  /** Right edge of that window. */
  windowEnd: Seq;
  /** The echo that came last: only the first segment that has it answers at once. */
  echo: u32;

  @inline static of(tcb: Tcb): Tuning {
    return changetype<Tuning>(usize(tcb.annex) + ANNEX_RECEIVE);
  }
}

/** Text has arrived; RCV.NXT stands behind what of it was in order. */
export function textArrived(tcb: Tcb): void {
  if (tcb.annex == 0) return;
  const it = Tuning.of(tcb);
  if (it.space == 0) return;
  if (tcb.tsOk) {
    // A short segment may have waited for its user to have something to say.
    if (segment.tsEcho == it.echo || segment.textLength < tcb.rcvMss) return;
    it.echo = segment.tsEcho;
    const sample = echoedRtt(tcb);
    if (sample) it.rtt = nextSrtt(it.rtt, it.rtt == 0, sample);
    return;
  }
  if (it.windowAt != 0) {
    if (tcb.rcvNxt <= it.windowEnd) return;
    // What lies beyond was sent once the peer had heard of a window offered since: a round trip, or more. The least is
    // nearest to it.
    const took = max(now - it.windowAt, 1);
    it.rtt = it.rtt == 0 ? took : min(it.rtt, took);
  }
  it.windowAt = now;
  it.windowEnd = tcb.rcvAdv;
}

/** The user has read: once in a round trip, see whether the buffer is still large enough. */
export function textRead(tcb: Tcb): void {
  const most: u32 = setting(SET_RMEM_MAX);
  if (tcb.rcvBuf >= most || tcb.isReceiveBufferFixed || !setting(SET_MODERATE_RCVBUF)) return;
  const least = BEGIN_SEGMENTS * tcb.advMss;
  // A connection over which little comes has no use for an annex.
  if (tcb.bytesReceived <= least || spareAnnexOf(tcb) == 0) return;
  const it = Tuning.of(tcb);
  if (it.space != 0) {
    const took = now - it.roundAt;
    if (it.rtt == 0 || took < it.rtt) return;
    // What came at once is read in pieces: the round ends with the last of them, unless the user is always behind.
    if (took < 2 * it.rtt && tcb.rcvRead != tcb.rcvNxt) return;
    const read = tcb.rcvRead.since(it.roundFrom);
    if (read > it.space && !isPressed()) {
      // What comes in two rounds, the second of which may begin before this one is acknowledged; and as much more as
      // it grew since the round before, for a peer that is still finding out what the path takes.
      const growth = min(f64(read) / f64(it.space), GROWTH_MAX);
      const wanted = 2 * f64(read) * growth;
      if (wanted > f64(tcb.rcvBuf)) tcb.rcvBuf = u32(min(wanted, f64(most)));
      it.space = read;
    }
  } else it.space = min(least, tcb.rcvBuf >> 1);
  it.roundAt = now;
  it.roundFrom = tcb.rcvRead;
}

if (offsetof<Tuning>("rtt") != TUNE_RTT) ERROR("layout drift: Tuning.rtt");
if (offsetof<Tuning>("space") != TUNE_SPACE) ERROR("layout drift: Tuning.space");
if (<i32>offsetof<Tuning>() > ANNEX_RECEIVE_BYTES) ERROR("tuning does not fit its part of an annex");
