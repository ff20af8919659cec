import { Reassembly } from "./reassembly.ts";
import { Seq } from "./seq.ts";
import { SLOT_SIZE } from "./shared/sizes.ts";
import {
  CHOICE_SYN_DATA,
  TCB_ACCEPT_NEXT,
  TCB_ACK_AT,
  TCB_ACK_NOW,
  TCB_ACKS_OWED,
  TCB_ADV_MSS,
  TCB_ADV_UTO,
  TCB_ANNEX,
  TCB_ARMED,
  TCB_BACKOFF,
  TCB_BLOCKED,
  TCB_BYTES_ACKED,
  TCB_BYTES_ACKED_CA,
  TCB_BYTES_RECEIVED,
  TCB_BYTES_RETRANS,
  TCB_BYTES_SENT,
  TCB_CA_STATE,
  TCB_CHALLENGE_AT,
  TCB_CHALLENGES,
  TCB_CHOICES,
  TCB_CWND,
  TCB_CWND_LIMITED,
  TCB_DATA_SEGS_IN,
  TCB_DATA_SEGS_OUT,
  TCB_DSACK_LENGTH,
  TCB_DSACK_START,
  TCB_DUP_ACKS,
  TCB_ECN,
  TCB_END,
  TCB_ERROR,
  TCB_EVENT_NEXT,
  TCB_EVENTS,
  TCB_FAMILY,
  TCB_FIN_AT,
  TCB_FIN_HELD,
  TCB_FIN_QUEUED,
  TCB_FIN_RECEIVED,
  TCB_FIN_SENT,
  TCB_FLOW,
  TCB_GENERATION,
  TCB_HASH_NEXT,
  TCB_HEARD_AT,
  TCB_HELD,
  TCB_HOPS,
  TCB_IN_ACCEPT,
  TCB_IN_EVENTS,
  TCB_IN_MEMORY,
  TCB_IN_OUTPUT,
  TCB_IP_ID,
  TCB_IP_OPTIONS,
  TCB_IRS,
  TCB_ISS,
  TCB_KEEP_ALIVE,
  TCB_KEEP_AT,
  TCB_KEEP_COUNT,
  TCB_KEEP_DUE,
  TCB_KEEP_IDLE,
  TCB_KEEP_INTERVAL,
  TCB_KEEP_PROBES,
  TCB_LAST_SENT_AT,
  TCB_LISTENER,
  TCB_LOCAL_ADDRESS,
  TCB_LOCAL_PORT,
  TCB_MAX_SEGMENT,
  TCB_MAX_SND_WND,
  TCB_MAY_FRAGMENT,
  TCB_MEASURED_TO,
  TCB_MEMORY_NEXT,
  TCB_MEMORY_PREVIOUS,
  TCB_MOST_IN_FLIGHT,
  TCB_NO_DELAY,
  TCB_ORPHAN,
  TCB_OUTPUT_NEXT,
  TCB_PASSIVE,
  TCB_PEER_MSS,
  TCB_PMTU,
  TCB_PMTU_UNTIL,
  TCB_PROBES,
  TCB_PROBING,
  TCB_PSEUDO,
  TCB_QUICK_ACKS,
  TCB_RCV_ACKED,
  TCB_RCV_ADV,
  TCB_RCV_BUF,
  TCB_RCV_MSS,
  TCB_RCV_NXT,
  TCB_RCV_READ,
  TCB_RCV_RUNS,
  TCB_RCV_TEXT,
  TCB_RCV_UP,
  TCB_RCV_WSCALE,
  TCB_RECOVER,
  TCB_REMOTE_ADDRESS,
  TCB_REMOTE_PORT,
  TCB_REMOTE_UTO,
  TCB_RETRANSMITS,
  TCB_REXMIT_NXT,
  TCB_REXMIT_ONE,
  TCB_RTO,
  TCB_RTT_AT,
  TCB_RTT_MIN,
  TCB_RTT_SEQ,
  TCB_RTTVAR,
  TCB_RTX_AT,
  TCB_SACK_OK,
  TCB_SEGS_IN,
  TCB_SEGS_OUT,
  TCB_SLOT,
  TCB_SND_END,
  TCB_SND_MSS,
  TCB_SND_NXT,
  TCB_SND_SML,
  TCB_SND_TEXT,
  TCB_SND_UNA,
  TCB_SND_UP,
  TCB_SND_WL1,
  TCB_SND_WL2,
  TCB_SND_WND,
  TCB_SND_WSCALE,
  TCB_SOFT_ERROR,
  TCB_SRTT,
  TCB_SSTHRESH,
  TCB_STATE,
  TCB_SYN_PENDING,
  TCB_SYN_RETRANSMITTED,
  TCB_TOTAL_RETRANS,
  TCB_TS_AGE,
  TCB_TS_OFFSET,
  TCB_TS_OK,
  TCB_TS_RECENT,
  TCB_UNACKED_SINCE,
  TCB_URGENT,
  TCB_USER_TIMEOUT,
  TCB_UTO,
  TCB_WAIT_AT,
  TCB_WINDOW_SCALING,
} from "./shared/tcb-layout.ts";
import { Stream } from "./stream.ts";

/** Tcb.choices. */
export const CORK: u8 = 1;
export const LINGER_RESET: u8 = 2;
/** Two bits: the congestion control that was asked for, by its number in shared/user-options.ts. */
export const CONTROL_SHIFT: u8 = 2;
export const CONTROL_MASK: u8 = 3 << CONTROL_SHIFT;
/** Fast Open (fast-open/): the handshake is under way; and the text on the SYN was taken by its receiver. */
export const FAST_OPEN: u8 = 0x20;
export const SYN_DATA: u8 = <u8>CHOICE_SYN_DATA;
/** Ends of records are marked in what is queued. Written by records.ts. */
export const RECORDS: u8 = 0x80;
export const RECEIVE_BUFFER_FIXED: u8 = 16;

/** Tcb.synPending: a SYN is owed, with a Fast Open cookie by one option or the other; or it waits for text. */
export const SYN_PLAIN: u8 = 1;
export const SYN_COOKIE: u8 = 2;
export const SYN_COOKIE_EXPERIMENTAL: u8 = 3;
export const SYN_WAITS: u8 = 4;

/**
 * Transmission control block, RFC 9293 §3.3.1: all there is to know of one connection, in one slot. A listener is a
 * TCB in LISTEN that uses the first fields only. Addresses are 16 octets in network order, IPv4 as ::ffff:a.b.c.d;
 * instants are microseconds, Infinity when unset. Each group names the one file that writes it.
 */
@unmanaged
@final
export class Tcb {
  // Who it is. Written by lifecycle.ts and calls.ts.
  localAddressHigh: u64;
  localAddressLow: u64;
  remoteAddressHigh: u64;
  remoteAddressLow: u64;
  localPort: u16;
  remotePort: u16;
  family: u8;
  state: u8;
  held: u8;
  orphan: u8;
  slot: u32;
  generation: u32;
  /** Traffic class and flow label, as in the first word of an IPv6 header. */
  flow: u32;
  pseudo: u16;
  ipId: u16;

  // Links of the lists it stands in. Written by demux.ts, queues.ts, listener.ts.
  hashNext: u32;
  outputNext: u32;
  eventNext: u32;
  acceptNext: u32;
  listener: u32;
  inOutput: u8;
  inEvents: u8;
  inAccept: u8;
  passive: u8;
  events: u32;
  error: i32;

  // Deadlines, microseconds; Infinity when unset. Written by timers.ts; armed by queues.ts.
  rtxAt: f64;
  ackAt: f64;
  waitAt: f64;
  armed: f64;

  // Send sequence space. Written by lifecycle.ts, calls.ts, output.ts and acknowledgments.ts.
  iss: Seq;
  sndUna: Seq;
  sndNxt: Seq;
  sndWnd: u32;
  sndWl1: Seq;
  sndWl2: Seq;
  maxSndWnd: u32;
  sndEnd: Seq;
  sndSml: Seq;
  finQueued: u8;
  finSent: u8;
  synPending: u8;
  noDelay: u8;
  sndWscale: u8;
  rcvWscale: u8;
  windowScaling: u8;
  blocked: u8;
  sndMss: u16;
  advMss: u16;
  lastSentAt: f64;
  sndText0: u32;
  sndText1: u32;
  sndText2: u32;
  sndText3: u32;
  sndText4: u32;
  sndText5: u32;

  // Receive sequence space. Written by text.ts and window.ts.
  irs: Seq;
  rcvNxt: Seq;
  rcvAdv: Seq;
  rcvRead: Seq;
  rcvAcked: Seq;
  rcvBuf: u32;
  rcvMss: u16;
  finReceived: u8;
  finHeld: u8;
  finAt: Seq;
  ackNow: u8;
  quickAcks: u8;
  acksOwed: u16;
  rcvText0: u32;
  rcvText1: u32;
  rcvText2: u32;
  rcvText3: u32;
  rcvText4: u32;
  rcvText5: u32;
  rcvRuns0: u32;
  rcvRuns1: u32;
  rcvRuns2: u32;

  // Retransmission timer, RFC 6298. Written by rtt.ts and timers.ts.
  srtt: f64;
  rttvar: f64;
  rto: u32;
  backoff: u8;
  retransmits: u8;
  probing: u8;
  synRetransmitted: u8;
  rttSeq: Seq;
  /** RCV.UP: end of the urgent text received. Written by urgent.ts. */
  rcvUp: Seq;
  rttAt: f64;
  /** Microseconds. */
  rttMin: u32;
  /** What has come twice and is yet to be told, RFC 2883. Written by sack.ts, as sackOk. */
  dsackStart: Seq;

  // Loss recovery. Written by recovery/.
  caState: u8;
  rexmitOne: u8;
  cwndLimited: u8;
  probes: u8;
  dupAcks: u32;
  recover: Seq;
  rexmitNxt: Seq;

  // Congestion control, RFC 5681. Written by congestion/.
  cwnd: u32;
  ssthresh: u32;
  bytesAckedCa: u32;

  // Challenge ACKs, RFC 5961 section 7. Written by segment-arrives.ts.
  /** At most 255 are counted: a limit beyond that is none. */
  challenges: u8;
  sackOk: u8;
  dsackLength: u16;
  challengeAt: f64;

  // tcp_info. Written where the thing counted happens.
  bytesSent: f64;
  bytesAcked: f64;
  bytesReceived: f64;
  bytesRetrans: f64;
  segsOut: u32;
  segsIn: u32;
  dataSegsOut: u32;
  dataSegsIn: u32;
  totalRetrans: u32;

  // The list of those that wait for memory. Written by queues.ts.
  memoryNext: u32;
  memoryPrevious: u32;
  inMemory: u8;

  // What ICMP has told. Written by receive/icmp.ts, path.ts and acknowledgments.ts.
  softError: i8;
  pmtu: u16;

  // Keepalive (RFC 9293 §3.8.4), user timeout, what the user set. Written by user-options.ts, keepalive.ts and output.ts.
  keepAt: f64;
  heardAt: f64;
  unackedSince: f64;
  /** Milliseconds; 0 for none. */
  userTimeout: u32;
  /** A slot with what idle connections do without, or 0. Written by annex.ts. */
  annex: u32;
  keepIdle: u16;
  keepInterval: u16;
  // User timeout option, RFC 5482, as it stands on the wire. Written by user-timeout.ts.
  advUto: u16;
  remoteUto: u16;
  keepCount: u8;
  keepAlive: u8;
  keepProbes: u8;
  keepDue: u8;
  choices: u8;
  ecn: u8;
  maxSegment: u16;

  // Segments as peer and path take them. Written by lifecycle.ts and path.ts.
  peerMss: u16;
  mayFragment: u8;
  /** Hop limit; 0 is the setting's. Written by user-options.ts. */
  hops: u8;
  pmtuUntil: u32;

  // Timestamps, RFC 7323. Written by timestamps.ts.
  tsAge: f64;
  tsRecent: u32;
  tsOffset: u32;
  tsOk: u8;
  urgent: u8;
  ipOptions: u8;
  uto: u8;

  // How much of the congestion window was used. Written by congestion/window.ts.
  mostInFlight: u32;
  measuredTo: Seq;

  /** SND.UP: end of the urgent text sent. Written by urgent.ts. */
  sndUp: Seq;

  @inline static at(slot: usize): Tcb {
    return changetype<Tcb>(slot);
  }

  /** Text queued, in flight or not, from SND.UNA to sndEnd. */
  @inline get sndStream(): Stream {
    return changetype<Stream>(changetype<usize>(this) + TCB_SND_TEXT);
  }

  /** Text received, from rcvRead to RCV.NXT without holes and with holes beyond. */
  @inline get rcvStream(): Stream {
    return changetype<Stream>(changetype<usize>(this) + TCB_RCV_TEXT);
  }

  @inline get runs(): Reassembly {
    return changetype<Reassembly>(changetype<usize>(this) + TCB_RCV_RUNS);
  }

  /** Small segments are held back. */
  @inline get cork(): bool {
    return (this.choices & CORK) != 0;
  }

  /** CLOSE resets. */
  @inline get lingerReset(): bool {
    return (this.choices & LINGER_RESET) != 0;
  }

  /** The user has set rcvBuf. */
  @inline get isReceiveBufferFixed(): bool {
    return (this.choices & RECEIVE_BUFFER_FIXED) != 0;
  }

  /** The user has it although its SYN,ACK is still to be acknowledged (RFC 7413 §4.2.2). */
  @inline get openedFast(): bool {
    return (this.choices & FAST_OPEN) != 0 && this.passive != 0;
  }

  /** Number of the congestion control that was asked for; 0 is the setting's. */
  @inline get control(): u32 {
    return u32(this.choices & CONTROL_MASK) >> CONTROL_SHIFT;
  }

  /** RFC 5681 §2: octets sent and not yet cumulatively acknowledged. */
  @inline get flightSize(): u32 {
    return this.sndNxt.since(this.sndUna);
  }

  /** RCV.WND: octets between RCV.NXT and the right edge last advertised. */
  @inline get rcvWnd(): u32 {
    return this.rcvAdv.since(this.rcvNxt);
  }

  /** Whether our SYN is still to be acknowledged. SND.UNA alone cannot tell: after 4 GiB of text it is at ISS again. */
  @inline get synUnacked(): bool {
    return this.sndUna == this.iss && this.bytesAcked == 0;
  }

  /** First text octet not yet acknowledged: SND.UNA, past a SYN still unacknowledged. */
  @inline get sndTextStart(): Seq {
    return this.synUnacked ? this.iss.plus(1) : this.sndUna;
  }
}

if (offsetof<Tcb>("localAddressHigh") != TCB_LOCAL_ADDRESS) ERROR("layout drift: localAddress");
if (offsetof<Tcb>("remoteAddressHigh") != TCB_REMOTE_ADDRESS) ERROR("layout drift: remoteAddress");
if (offsetof<Tcb>("localPort") != TCB_LOCAL_PORT) ERROR("layout drift: localPort");
if (offsetof<Tcb>("remotePort") != TCB_REMOTE_PORT) ERROR("layout drift: remotePort");
if (offsetof<Tcb>("family") != TCB_FAMILY) ERROR("layout drift: family");
if (offsetof<Tcb>("state") != TCB_STATE) ERROR("layout drift: state");
if (offsetof<Tcb>("held") != TCB_HELD) ERROR("layout drift: held");
if (offsetof<Tcb>("orphan") != TCB_ORPHAN) ERROR("layout drift: orphan");
if (offsetof<Tcb>("slot") != TCB_SLOT) ERROR("layout drift: slot");
if (offsetof<Tcb>("generation") != TCB_GENERATION) ERROR("layout drift: generation");
if (offsetof<Tcb>("flow") != TCB_FLOW) ERROR("layout drift: flow");
if (offsetof<Tcb>("pseudo") != TCB_PSEUDO) ERROR("layout drift: pseudo");
if (offsetof<Tcb>("ipId") != TCB_IP_ID) ERROR("layout drift: ipId");
if (offsetof<Tcb>("hashNext") != TCB_HASH_NEXT) ERROR("layout drift: hashNext");
if (offsetof<Tcb>("outputNext") != TCB_OUTPUT_NEXT) ERROR("layout drift: outputNext");
if (offsetof<Tcb>("eventNext") != TCB_EVENT_NEXT) ERROR("layout drift: eventNext");
if (offsetof<Tcb>("acceptNext") != TCB_ACCEPT_NEXT) ERROR("layout drift: acceptNext");
if (offsetof<Tcb>("listener") != TCB_LISTENER) ERROR("layout drift: listener");
if (offsetof<Tcb>("inOutput") != TCB_IN_OUTPUT) ERROR("layout drift: inOutput");
if (offsetof<Tcb>("inEvents") != TCB_IN_EVENTS) ERROR("layout drift: inEvents");
if (offsetof<Tcb>("inAccept") != TCB_IN_ACCEPT) ERROR("layout drift: inAccept");
if (offsetof<Tcb>("passive") != TCB_PASSIVE) ERROR("layout drift: passive");
if (offsetof<Tcb>("events") != TCB_EVENTS) ERROR("layout drift: events");
if (offsetof<Tcb>("error") != TCB_ERROR) ERROR("layout drift: error");
if (offsetof<Tcb>("rtxAt") != TCB_RTX_AT) ERROR("layout drift: rtxAt");
if (offsetof<Tcb>("ackAt") != TCB_ACK_AT) ERROR("layout drift: ackAt");
if (offsetof<Tcb>("waitAt") != TCB_WAIT_AT) ERROR("layout drift: waitAt");
if (offsetof<Tcb>("armed") != TCB_ARMED) ERROR("layout drift: armed");
if (offsetof<Tcb>("iss") != TCB_ISS) ERROR("layout drift: iss");
if (offsetof<Tcb>("sndUna") != TCB_SND_UNA) ERROR("layout drift: sndUna");
if (offsetof<Tcb>("sndNxt") != TCB_SND_NXT) ERROR("layout drift: sndNxt");
if (offsetof<Tcb>("sndWnd") != TCB_SND_WND) ERROR("layout drift: sndWnd");
if (offsetof<Tcb>("sndWl1") != TCB_SND_WL1) ERROR("layout drift: sndWl1");
if (offsetof<Tcb>("sndWl2") != TCB_SND_WL2) ERROR("layout drift: sndWl2");
if (offsetof<Tcb>("maxSndWnd") != TCB_MAX_SND_WND) ERROR("layout drift: maxSndWnd");
if (offsetof<Tcb>("sndEnd") != TCB_SND_END) ERROR("layout drift: sndEnd");
if (offsetof<Tcb>("sndSml") != TCB_SND_SML) ERROR("layout drift: sndSml");
if (offsetof<Tcb>("finQueued") != TCB_FIN_QUEUED) ERROR("layout drift: finQueued");
if (offsetof<Tcb>("finSent") != TCB_FIN_SENT) ERROR("layout drift: finSent");
if (offsetof<Tcb>("synPending") != TCB_SYN_PENDING) ERROR("layout drift: synPending");
if (offsetof<Tcb>("noDelay") != TCB_NO_DELAY) ERROR("layout drift: noDelay");
if (offsetof<Tcb>("sndWscale") != TCB_SND_WSCALE) ERROR("layout drift: sndWscale");
if (offsetof<Tcb>("rcvWscale") != TCB_RCV_WSCALE) ERROR("layout drift: rcvWscale");
if (offsetof<Tcb>("windowScaling") != TCB_WINDOW_SCALING) ERROR("layout drift: windowScaling");
if (offsetof<Tcb>("blocked") != TCB_BLOCKED) ERROR("layout drift: blocked");
if (offsetof<Tcb>("sndMss") != TCB_SND_MSS) ERROR("layout drift: sndMss");
if (offsetof<Tcb>("advMss") != TCB_ADV_MSS) ERROR("layout drift: advMss");
if (offsetof<Tcb>("lastSentAt") != TCB_LAST_SENT_AT) ERROR("layout drift: lastSentAt");
if (offsetof<Tcb>("sndText0") != TCB_SND_TEXT) ERROR("layout drift: sndText");
if (offsetof<Tcb>("irs") != TCB_IRS) ERROR("layout drift: irs");
if (offsetof<Tcb>("rcvNxt") != TCB_RCV_NXT) ERROR("layout drift: rcvNxt");
if (offsetof<Tcb>("rcvAdv") != TCB_RCV_ADV) ERROR("layout drift: rcvAdv");
if (offsetof<Tcb>("rcvRead") != TCB_RCV_READ) ERROR("layout drift: rcvRead");
if (offsetof<Tcb>("rcvAcked") != TCB_RCV_ACKED) ERROR("layout drift: rcvAcked");
if (offsetof<Tcb>("rcvBuf") != TCB_RCV_BUF) ERROR("layout drift: rcvBuf");
if (offsetof<Tcb>("rcvMss") != TCB_RCV_MSS) ERROR("layout drift: rcvMss");
if (offsetof<Tcb>("finReceived") != TCB_FIN_RECEIVED) ERROR("layout drift: finReceived");
if (offsetof<Tcb>("finHeld") != TCB_FIN_HELD) ERROR("layout drift: finHeld");
if (offsetof<Tcb>("finAt") != TCB_FIN_AT) ERROR("layout drift: finAt");
if (offsetof<Tcb>("ackNow") != TCB_ACK_NOW) ERROR("layout drift: ackNow");
if (offsetof<Tcb>("quickAcks") != TCB_QUICK_ACKS) ERROR("layout drift: quickAcks");
if (offsetof<Tcb>("acksOwed") != TCB_ACKS_OWED) ERROR("layout drift: acksOwed");
if (offsetof<Tcb>("rcvText0") != TCB_RCV_TEXT) ERROR("layout drift: rcvText");
if (offsetof<Tcb>("rcvRuns0") != TCB_RCV_RUNS) ERROR("layout drift: rcvRuns");
if (offsetof<Tcb>("srtt") != TCB_SRTT) ERROR("layout drift: srtt");
if (offsetof<Tcb>("rttvar") != TCB_RTTVAR) ERROR("layout drift: rttvar");
if (offsetof<Tcb>("rto") != TCB_RTO) ERROR("layout drift: rto");
if (offsetof<Tcb>("backoff") != TCB_BACKOFF) ERROR("layout drift: backoff");
if (offsetof<Tcb>("retransmits") != TCB_RETRANSMITS) ERROR("layout drift: retransmits");
if (offsetof<Tcb>("probing") != TCB_PROBING) ERROR("layout drift: probing");
if (offsetof<Tcb>("synRetransmitted") != TCB_SYN_RETRANSMITTED) ERROR("layout drift: synRetransmitted");
if (offsetof<Tcb>("rttSeq") != TCB_RTT_SEQ) ERROR("layout drift: rttSeq");
if (offsetof<Tcb>("rttAt") != TCB_RTT_AT) ERROR("layout drift: rttAt");
if (offsetof<Tcb>("rttMin") != TCB_RTT_MIN) ERROR("layout drift: rttMin");
if (offsetof<Tcb>("caState") != TCB_CA_STATE) ERROR("layout drift: caState");
if (offsetof<Tcb>("rexmitOne") != TCB_REXMIT_ONE) ERROR("layout drift: rexmitOne");
if (offsetof<Tcb>("cwndLimited") != TCB_CWND_LIMITED) ERROR("layout drift: cwndLimited");
if (offsetof<Tcb>("probes") != TCB_PROBES) ERROR("layout drift: probes");
if (offsetof<Tcb>("dupAcks") != TCB_DUP_ACKS) ERROR("layout drift: dupAcks");
if (offsetof<Tcb>("recover") != TCB_RECOVER) ERROR("layout drift: recover");
if (offsetof<Tcb>("rexmitNxt") != TCB_REXMIT_NXT) ERROR("layout drift: rexmitNxt");
if (offsetof<Tcb>("cwnd") != TCB_CWND) ERROR("layout drift: cwnd");
if (offsetof<Tcb>("ssthresh") != TCB_SSTHRESH) ERROR("layout drift: ssthresh");
if (offsetof<Tcb>("bytesAckedCa") != TCB_BYTES_ACKED_CA) ERROR("layout drift: bytesAckedCa");
if (offsetof<Tcb>("challenges") != TCB_CHALLENGES) ERROR("layout drift: challenges");
if (offsetof<Tcb>("challengeAt") != TCB_CHALLENGE_AT) ERROR("layout drift: challengeAt");
if (offsetof<Tcb>("bytesSent") != TCB_BYTES_SENT) ERROR("layout drift: bytesSent");
if (offsetof<Tcb>("bytesAcked") != TCB_BYTES_ACKED) ERROR("layout drift: bytesAcked");
if (offsetof<Tcb>("bytesReceived") != TCB_BYTES_RECEIVED) ERROR("layout drift: bytesReceived");
if (offsetof<Tcb>("bytesRetrans") != TCB_BYTES_RETRANS) ERROR("layout drift: bytesRetrans");
if (offsetof<Tcb>("segsOut") != TCB_SEGS_OUT) ERROR("layout drift: segsOut");
if (offsetof<Tcb>("segsIn") != TCB_SEGS_IN) ERROR("layout drift: segsIn");
if (offsetof<Tcb>("dataSegsOut") != TCB_DATA_SEGS_OUT) ERROR("layout drift: dataSegsOut");
if (offsetof<Tcb>("dataSegsIn") != TCB_DATA_SEGS_IN) ERROR("layout drift: dataSegsIn");
if (offsetof<Tcb>("totalRetrans") != TCB_TOTAL_RETRANS) ERROR("layout drift: totalRetrans");
if (<i32>offsetof<Tcb>("memoryNext") != TCB_MEMORY_NEXT) ERROR("layout drift: memoryNext");
if (<i32>offsetof<Tcb>("memoryPrevious") != TCB_MEMORY_PREVIOUS) ERROR("layout drift: memoryPrevious");
if (<i32>offsetof<Tcb>("inMemory") != TCB_IN_MEMORY) ERROR("layout drift: inMemory");
if (offsetof<Tcb>("keepAt") != TCB_KEEP_AT) ERROR("layout drift: keepAt");
if (offsetof<Tcb>("heardAt") != TCB_HEARD_AT) ERROR("layout drift: heardAt");
if (offsetof<Tcb>("unackedSince") != TCB_UNACKED_SINCE) ERROR("layout drift: unackedSince");
if (offsetof<Tcb>("userTimeout") != TCB_USER_TIMEOUT) ERROR("layout drift: userTimeout");
if (offsetof<Tcb>("keepIdle") != TCB_KEEP_IDLE) ERROR("layout drift: keepIdle");
if (offsetof<Tcb>("keepInterval") != TCB_KEEP_INTERVAL) ERROR("layout drift: keepInterval");
if (offsetof<Tcb>("keepCount") != TCB_KEEP_COUNT) ERROR("layout drift: keepCount");
if (offsetof<Tcb>("keepAlive") != TCB_KEEP_ALIVE) ERROR("layout drift: keepAlive");
if (offsetof<Tcb>("keepProbes") != TCB_KEEP_PROBES) ERROR("layout drift: keepProbes");
if (offsetof<Tcb>("keepDue") != TCB_KEEP_DUE) ERROR("layout drift: keepDue");
if (<i32>offsetof<Tcb>("choices") != TCB_CHOICES) ERROR("layout drift: choices");
if (<i32>offsetof<Tcb>("ecn") != TCB_ECN) ERROR("layout drift: ecn");
if (offsetof<Tcb>("maxSegment") != TCB_MAX_SEGMENT) ERROR("layout drift: maxSegment");
if (<i32>offsetof<Tcb>("softError") != TCB_SOFT_ERROR) ERROR("layout drift: softError");
if (<i32>offsetof<Tcb>("pmtu") != TCB_PMTU) ERROR("layout drift: pmtu");
if (<i32>offsetof<Tcb>("peerMss") != TCB_PEER_MSS) ERROR("layout drift: peerMss");
if (<i32>offsetof<Tcb>("mayFragment") != TCB_MAY_FRAGMENT) ERROR("layout drift: mayFragment");
if (<i32>offsetof<Tcb>("hops") != TCB_HOPS) ERROR("layout drift: hops");
if (<i32>offsetof<Tcb>("pmtuUntil") != TCB_PMTU_UNTIL) ERROR("layout drift: pmtuUntil");
if (offsetof<Tcb>("tsAge") != TCB_TS_AGE) ERROR("layout drift: tsAge");
if (offsetof<Tcb>("tsRecent") != TCB_TS_RECENT) ERROR("layout drift: tsRecent");
if (offsetof<Tcb>("tsOffset") != TCB_TS_OFFSET) ERROR("layout drift: tsOffset");
if (offsetof<Tcb>("tsOk") != TCB_TS_OK) ERROR("layout drift: tsOk");
if (offsetof<Tcb>("mostInFlight") != TCB_MOST_IN_FLIGHT) ERROR("layout drift: mostInFlight");
if (offsetof<Tcb>("measuredTo") != TCB_MEASURED_TO) ERROR("layout drift: measuredTo");
if (<i32>offsetof<Tcb>("rcvUp") != TCB_RCV_UP) ERROR("layout drift: rcvUp");
if (<i32>offsetof<Tcb>("annex") != TCB_ANNEX) ERROR("layout drift: annex");
if (<i32>offsetof<Tcb>("advUto") != TCB_ADV_UTO) ERROR("layout drift: advUto");
if (<i32>offsetof<Tcb>("remoteUto") != TCB_REMOTE_UTO) ERROR("layout drift: remoteUto");
if (<i32>offsetof<Tcb>("urgent") != TCB_URGENT) ERROR("layout drift: urgent");
if (<i32>offsetof<Tcb>("ipOptions") != TCB_IP_OPTIONS) ERROR("layout drift: ipOptions");
if (<i32>offsetof<Tcb>("uto") != TCB_UTO) ERROR("layout drift: uto");
if (<i32>offsetof<Tcb>("sndUp") != TCB_SND_UP) ERROR("layout drift: sndUp");
if (<i32>offsetof<Tcb>("sackOk") != TCB_SACK_OK) ERROR("layout drift: sackOk");
if (<i32>offsetof<Tcb>("dsackLength") != TCB_DSACK_LENGTH) ERROR("layout drift: dsackLength");
if (<i32>offsetof<Tcb>("dsackStart") != TCB_DSACK_START) ERROR("layout drift: dsackStart");
if (<i32>offsetof<Tcb>() > TCB_END) ERROR("layout drift: end of Tcb");
if (TCB_END > SLOT_SIZE) ERROR("a TCB does not fit its slot");
