import { Seq } from "./seq.ts";
import { SLOT_SIZE } from "./shared/sizes.ts";
import {
  TCB_FAMILY,
  TCB_FLOW,
  TCB_GENERATION,
  TCB_HASH_NEXT,
  TCB_HELD,
  TCB_IP_ID,
  TCB_LOCAL_ADDRESS,
  TCB_LOCAL_PORT,
  TCB_ORPHAN,
  TCB_PSEUDO,
  TCB_REMOTE_ADDRESS,
  TCB_REMOTE_PORT,
  TCB_SLOT,
  TCB_STATE,
} from "./shared/tcb-layout.ts";
import {
  TW_CHALLENGE_AT,
  TW_CHALLENGES,
  TW_END,
  TW_HOPS,
  TW_MAX_SND_WND,
  TW_MAY_FRAGMENT,
  TW_NEXT,
  TW_PREVIOUS,
  TW_RCV_NXT,
  TW_RCV_WND,
  TW_RCV_WSCALE,
  TW_SND_NXT,
  TW_TS_AGE,
  TW_TS_OK,
  TW_TS_RECENT,
  TW_UNTIL,
  TWS_PER_SLOT,
  TWS_PLACES,
} from "./shared/time-wait-layout.ts";

/**
 * A brief TIME-WAIT: what is left of a connection that nobody holds once it only waits. Enough to keep its 4-tuple, to
 * judge what still comes for it and to answer as its TCB would have. It begins as a TCB does, so that it stands in the
 * demux table in its TCB's place. Written by time-wait-list.ts and receive/time-wait-arrives.ts.
 */
@unmanaged
@final
export class TimeWait {
  localAddressHigh: u64;
  localAddressLow: u64;
  remoteAddressHigh: u64;
  remoteAddressLow: u64;
  localPort: u16;
  remotePort: u16;
  family: u8;
  state: u8;
  hops: u8;
  rcvWscale: u8;
  /** Of the TCB it was: what a handle that was kept still names. */
  slot: u32;
  generation: u32;
  flow: u32;
  pseudo: u16;
  ipId: u16;
  hashNext: u32;

  // The list by end.
  next: u32;
  until: f64;

  tsAge: f64;
  previous: u32;
  sndNxt: Seq;
  rcvNxt: Seq;
  /** RCV.WND as last advertised: it opens no further, for nobody reads. */
  rcvWnd: u32;
  maxSndWnd: u32;
  tsRecent: u32;
  /** Microseconds modulo 2^32. */
  challengeAt: u32;
  challenges: u16;
  tsOk: u8;
  mayFragment: u8;

  @inline static at(address: usize): TimeWait {
    return changetype<TimeWait>(address);
  }

  /** All that has arrived is acknowledged. */
  @inline get rcvAcked(): Seq {
    return this.rcvNxt;
  }

  /** Only a connection that nobody holds comes to this. */
  @inline get held(): u8 {
    return 0;
  }
}

if (offsetof<TimeWait>("localAddressHigh") != TCB_LOCAL_ADDRESS) ERROR("layout drift: localAddress");
if (offsetof<TimeWait>("remoteAddressHigh") != TCB_REMOTE_ADDRESS) ERROR("layout drift: remoteAddress");
if (offsetof<TimeWait>("localPort") != TCB_LOCAL_PORT) ERROR("layout drift: localPort");
if (offsetof<TimeWait>("remotePort") != TCB_REMOTE_PORT) ERROR("layout drift: remotePort");
if (offsetof<TimeWait>("family") != TCB_FAMILY) ERROR("layout drift: family");
if (offsetof<TimeWait>("state") != TCB_STATE) ERROR("layout drift: state");
if (offsetof<TimeWait>("hops") != TW_HOPS) ERROR("layout drift: hops");
if (offsetof<TimeWait>("rcvWscale") != TW_RCV_WSCALE) ERROR("layout drift: rcvWscale");
if (offsetof<TimeWait>("slot") != TCB_SLOT) ERROR("layout drift: slot");
if (offsetof<TimeWait>("generation") != TCB_GENERATION) ERROR("layout drift: generation");
if (offsetof<TimeWait>("flow") != TCB_FLOW) ERROR("layout drift: flow");
if (offsetof<TimeWait>("pseudo") != TCB_PSEUDO) ERROR("layout drift: pseudo");
if (offsetof<TimeWait>("ipId") != TCB_IP_ID) ERROR("layout drift: ipId");
if (offsetof<TimeWait>("hashNext") != TCB_HASH_NEXT) ERROR("layout drift: hashNext");
if (offsetof<TimeWait>("next") != TW_NEXT) ERROR("layout drift: next");
if (offsetof<TimeWait>("until") != TW_UNTIL) ERROR("layout drift: until");
if (offsetof<TimeWait>("tsAge") != TW_TS_AGE) ERROR("layout drift: tsAge");
if (offsetof<TimeWait>("previous") != TW_PREVIOUS) ERROR("layout drift: previous");
if (offsetof<TimeWait>("sndNxt") != TW_SND_NXT) ERROR("layout drift: sndNxt");
if (offsetof<TimeWait>("rcvNxt") != TW_RCV_NXT) ERROR("layout drift: rcvNxt");
if (offsetof<TimeWait>("rcvWnd") != TW_RCV_WND) ERROR("layout drift: rcvWnd");
if (offsetof<TimeWait>("maxSndWnd") != TW_MAX_SND_WND) ERROR("layout drift: maxSndWnd");
if (offsetof<TimeWait>("tsRecent") != TW_TS_RECENT) ERROR("layout drift: tsRecent");
if (offsetof<TimeWait>("challengeAt") != TW_CHALLENGE_AT) ERROR("layout drift: challengeAt");
if (offsetof<TimeWait>("challenges") != TW_CHALLENGES) ERROR("layout drift: challenges");
if (offsetof<TimeWait>("tsOk") != TW_TS_OK) ERROR("layout drift: tsOk");
if (offsetof<TimeWait>("mayFragment") != TW_MAY_FRAGMENT) ERROR("layout drift: mayFragment");
if (<i32>offsetof<TimeWait>() != TW_END) ERROR("layout drift: end of TimeWait");
if (TW_HOPS != TCB_HELD || TW_RCV_WSCALE != TCB_ORPHAN) ERROR("layout drift: the two octets of other use");
if (TWS_PLACES + TWS_PER_SLOT * TW_END != SLOT_SIZE) ERROR("four do not fill their slot");
