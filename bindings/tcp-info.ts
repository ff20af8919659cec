import * as annex from "../assembly/shared/annex-layout.ts";
import * as control from "../assembly/shared/control.ts";
import * as states from "../assembly/shared/states.ts";
import * as tcb from "../assembly/shared/tcb-layout.ts";
import type { Core } from "./core.ts";
import type { State, TcpInfo } from "./types.ts";

/** RFC 9293's names by the engine's numbers. */
export const STATES: readonly State[] = (() => {
  const names: State[] = [];
  names[states.FREE] = "CLOSED";
  names[states.CLOSED] = "CLOSED";
  names[states.LISTEN] = "LISTEN";
  names[states.SYN_SENT] = "SYN-SENT";
  names[states.SYN_RECEIVED] = "SYN-RECEIVED";
  names[states.ESTABLISHED] = "ESTABLISHED";
  names[states.FIN_WAIT_1] = "FIN-WAIT-1";
  names[states.FIN_WAIT_2] = "FIN-WAIT-2";
  names[states.CLOSE_WAIT] = "CLOSE-WAIT";
  names[states.CLOSING] = "CLOSING";
  names[states.LAST_ACK] = "LAST-ACK";
  names[states.TIME_WAIT] = "TIME-WAIT";
  return names;
})();

/** TCPI_OPT_TIMESTAMPS and the others. */
const OPTION_TIMESTAMPS = 1;
const OPTION_SACK = 2;
/** Linux's tcp_reordering: what it is before any was seen. */
const REORDERING = 3;
const OPTION_WINDOW_SCALE = 4;
const OPTION_ECN = 8;
const OPTION_ECN_SEEN = 16;
const OPTION_SYN_DATA = 32;

/** Read tcp_info from the TCB at `at`; all zero, state CLOSED, without one. */
export function readTcpInfo(core: Core, at: number | undefined): TcpInfo {
  const u8 = (field: number) => (at === undefined ? 0 : core.bytes[at + field]!);
  const u16 = (field: number) => u8(field) | (u8(field + 1) << 8);
  const u32 = (field: number) => (at === undefined ? 0 : core.words[(at + field) >> 2]! >>> 0);
  const f64 = (field: number) => (at === undefined ? 0 : core.doubles[(at + field) >> 3]!);
  const span = (to: number, from: number) => (u32(to) - u32(from)) >>> 0;
  const mss = Math.max(1, u16(tcb.TCB_SND_MSS));
  // What idle connections do without stands in a slot of its own.
  const beyond = u32(tcb.TCB_ANNEX) && u8(tcb.TCB_SACK_OK) ? u32(tcb.TCB_ANNEX) + annex.ANNEX_RECOVERY : 0;
  const tuning = u32(tcb.TCB_ANNEX) && u32(tcb.TCB_ANNEX) + annex.ANNEX_RECEIVE;
  const board = (field: number) => (beyond ? core.words[(beyond + field) >> 2]! >>> 0 : 0);
  const delivered = beyond ? core.doubles[(beyond + annex.SB_DELIVERED) >> 3]! : f64(tcb.TCB_BYTES_ACKED);
  const rate = beyond ? u32(tcb.TCB_ANNEX) + annex.ANNEX_RATE : 0;
  const took = rate && core.words[(rate + annex.RATE_INTERVAL) >> 2]! >>> 0;
  const cwnd = u32(tcb.TCB_CWND);
  const ssthresh = u32(tcb.TCB_SSTHRESH);
  const srtt = f64(tcb.TCB_SRTT);
  const pacing = u32(tcb.TCB_ANNEX) && u32(tcb.TCB_ANNEX) + annex.ANNEX_PACING;
  const paced = (pacing && core.doubles[(pacing + annex.PACING_RATE) >> 3]!) * 1e6;
  const most = pacing && core.words[(pacing + annex.PACING_MOST) >> 2]! >>> 0;
  // Linux's tcp_pacing_ss_ratio and tcp_pacing_ca_ratio.
  const wouldBe = srtt && (cwnd * (cwnd < ssthresh / 2 ? 2e6 : 1.2e6)) / srtt;
  const unsent = (u32(tcb.TCB_SND_END) - u32(tcb.TCB_SND_NXT)) | 0;
  return {
    state: STATES[u8(tcb.TCB_STATE)]!,
    options:
      (u8(tcb.TCB_TS_OK) ? OPTION_TIMESTAMPS : 0) |
      (u8(tcb.TCB_SACK_OK) ? OPTION_SACK : 0) |
      (u8(tcb.TCB_WINDOW_SCALING) ? OPTION_WINDOW_SCALE : 0) |
      (u8(tcb.TCB_ECN) & tcb.ECN_OK ? OPTION_ECN : 0) |
      (u8(tcb.TCB_ECN) & tcb.ECN_SEEN ? OPTION_ECN_SEEN : 0) |
      (u8(tcb.TCB_CHOICES) & tcb.CHOICE_SYN_DATA ? OPTION_SYN_DATA : 0),
    caState: u8(tcb.TCB_CA_STATE),
    sndWscale: u8(tcb.TCB_SND_WSCALE),
    rcvWscale: u8(tcb.TCB_RCV_WSCALE),
    rto: Math.min(
      u32(tcb.TCB_RTO) * 2 ** u8(tcb.TCB_BACKOFF),
      core.words[control.SET_RTO_MAX_MS >> 2]! * 1000,
    ),
    ato: core.words[control.SET_DELACK_MS >> 2]! * 1000,
    sndMss: u16(tcb.TCB_SND_MSS),
    rcvMss: u16(tcb.TCB_RCV_MSS),
    unacked: Math.ceil(span(tcb.TCB_SND_NXT, tcb.TCB_SND_UNA) / mss),
    sacked: Math.ceil(board(annex.SB_SACKED_OCTETS) / mss),
    lost: Math.ceil(board(annex.SB_LOST_OCTETS) / mss),
    retrans: Math.ceil(board(annex.SB_RESENT_OCTETS) / mss),
    reordering: board(annex.SB_REORDERING) || REORDERING,
    delivered: Math.ceil(delivered / mss),
    dsackDups: board(annex.SB_DSACK_DUPS),
    retransmits: u8(tcb.TCB_RETRANSMITS),
    totalRetrans: u32(tcb.TCB_TOTAL_RETRANS),
    backoff: u8(tcb.TCB_BACKOFF),
    probes: u8(tcb.TCB_PROBES),
    pmtu: at === undefined ? core.words[control.SET_MTU >> 2]! : u16(tcb.TCB_PMTU),
    rtt: srtt,
    rttvar: f64(tcb.TCB_RTTVAR),
    minRtt: u32(tcb.TCB_RTT_MIN),
    // Linux counts both in segments.
    sndSsthresh: ssthresh >= 0x7fffffff ? 0x7fffffff : Math.floor(ssthresh / mss),
    sndCwnd: Math.floor(cwnd / mss),
    advmss: u16(tcb.TCB_ADV_MSS),
    rcvSsthresh: u32(tcb.TCB_RCV_BUF),
    rcvRtt: tuning ? core.doubles[(tuning + annex.TUNE_RTT) >> 3]! : 0,
    rcvSpace: tuning ? core.words[(tuning + annex.TUNE_SPACE) >> 2]! : 0,
    bytesSent: f64(tcb.TCB_BYTES_SENT),
    bytesAcked: f64(tcb.TCB_BYTES_ACKED),
    bytesReceived: f64(tcb.TCB_BYTES_RECEIVED),
    bytesRetrans: f64(tcb.TCB_BYTES_RETRANS),
    segsOut: u32(tcb.TCB_SEGS_OUT),
    segsIn: u32(tcb.TCB_SEGS_IN),
    dataSegsOut: u32(tcb.TCB_DATA_SEGS_OUT),
    dataSegsIn: u32(tcb.TCB_DATA_SEGS_IN),
    notsentBytes: Math.max(0, unsent),
    sndWnd: u32(tcb.TCB_SND_WND),
    rcvWnd: span(tcb.TCB_RCV_ADV, tcb.TCB_RCV_NXT),
    deliveryRate: took && Math.floor(((core.words[(rate + annex.RATE_DELIVERED) >> 2]! >>> 0) * 1e6) / took),
    pacingRate: Math.floor(Math.min(paced || wouldBe, most || Infinity)),
    deliveryRateAppLimited: rate !== 0 && core.bytes[rate + annex.RATE_APP_LIMITED] !== 0,
  };
}
