import type { PacketBatch } from "./packet-batch.ts";
import type { CongestionControl, Settings } from "./settings.ts";

/** RFC 9293 §3.3.2. */
export type State =
  | "CLOSED"
  | "LISTEN"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT";

export interface EngineOptions {
  /** IPv4 and IPv6 addresses of this host, each with an optional `/prefix`, from which broadcast addresses follow. */
  addresses?: readonly string[];
  /** Answer for every destination address (transparent proxies). */
  anyAddress?: boolean;
  /** Largest IP packet, octets; 576 to 65535 (1280 and up once an IPv6 address is given). Default 1500. */
  mtu?: number;
  /**
   * "none": TCP and UDP packets are made with the sum over their pseudo-header only, and `PacketBatch.checksums` says so;
   * whoever carries them completes it, or marks what need not be verified. Packets that arrive without a mark are verified
   * either way. Default "full".
   */
  checksum?: "full" | "none";
  /**
   * Octets of the largest packet that may be made of several TCP segments, up to 65,535: `PacketBatch.segments` says how
   * whoever carries it is to cut it, and to complete the checksum of each. With this or `checksum: "none"` packets leave by `transmitBatch`
   * and `transmitTo` only. Default 0: none.
   */
  gso?: number;
  /** Octets of linear memory, fixed for life. Default 64 MiB; at least 2 MiB. */
  memory?: number;
  /** 32 octets. The first 16 are the secret of the initial sequence numbers (RFC 6528), the rest keys the hashes and
   * the choice of ports. Default: the platform's random generator. Same seed and same inputs give the same outputs. */
  seed?: Uint8Array;
  settings?: Partial<Settings>;
  /** A compiled module, its bytes, or where to fetch it, in place of the built-in copy. */
  wasm?: WebAssembly.Module | BufferSource | URL | string;
  /** Linear memory as a SharedArrayBuffer. Default: wherever the platform allows it. */
  shared?: boolean;
}

export interface ConnectOptions {
  remoteAddress: string;
  remotePort: number;
  /** Default: the first address of the remote address's family. */
  localAddress?: string;
  /** Default: chosen from `ipLocalPortRange` as RFC 6056 says. */
  localPort?: number;
  /** The first and the last port to choose from. Default: `ipLocalPortRange`. */
  localPortRange?: readonly [number, number];
  /** IPv4 addresses of up to nine routers that packets are to pass (RFC 791's loose source route). */
  sourceRoute?: readonly string[];
  /**
   * Fast Open (RFC 7413): where a cookie of the server's is known the SYN waits for the first `write` and carries of it what
   * it has room for, which is what that `write` takes (an empty one sends the SYN without); elsewhere it asks for a cookie.
   * Only for protocols whose server may be given the same text twice (§6.1): a SYN that was duplicated opens a second
   * connection once the first is over.
   */
  fastOpen?: boolean;
}

export interface WriteOptions {
  /** Everything written so far is urgent (RFC 9293 §3.8.5): the peer is told where it ends, and gets it in line. */
  urgent?: boolean;
  /**
   * What is written so far ends a record, as with Linux's MSG_EOR: no segment holds the end of one and the beginning of the
   * next. The peer sees no boundary in the stream; it only bears on how text is cut. Holds when all of `bytes` was taken;
   * 0 is taken where 2,048 records are unacknowledged already.
   */
  endOfRecord?: boolean;
}

export interface ListenOptions {
  port: number;
  /** Default: every address of this host. */
  address?: string;
  /** Most connections that wait for `accept`, bounded by `somaxconn`. Default `somaxconn`. */
  backlog?: number;
  /** As the listener option. */
  fastOpen?: number;
}

/** Linux tcp_info, camelCased; times in microseconds as there. */
export interface TcpInfo {
  state: State;
  options: number;
  /** TCP_CA_Open 0, Disorder 1, CWR 2, Recovery 3, Loss 4. */
  caState: number;
  sndWscale: number;
  rcvWscale: number;
  rto: number;
  ato: number;
  sndMss: number;
  rcvMss: number;
  unacked: number;
  /** Segments SACKed, taken for lost, and sent again and in flight; a peer without SACK tells of none. */
  sacked: number;
  lost: number;
  retrans: number;
  /** Segments by which one may be late before it counts as lost. */
  reordering: number;
  /** Segments that have arrived, by ACK or SACK, and copies that the peer told of. */
  delivered: number;
  dsackDups: number;
  /** Timeouts since the last new ACK. */
  retransmits: number;
  backoff: number;
  probes: number;
  pmtu: number;
  rtt: number;
  rttvar: number;
  /** The least of the last `tcpMinRttWlen`. */
  minRtt: number;
  sndSsthresh: number;
  sndCwnd: number;
  advmss: number;
  /** Receive buffer as it stands: what the window may open to, octets. */
  rcvSsthresh: number;
  /** Round trip by which the receive buffer is tuned, and the most octets read in one; 0 before the first. */
  rcvRtt: number;
  rcvSpace: number;
  totalRetrans: number;
  bytesSent: number;
  bytesAcked: number;
  bytesReceived: number;
  bytesRetrans: number;
  segsOut: number;
  segsIn: number;
  dataSegsOut: number;
  dataSegsIn: number;
  notsentBytes: number;
  sndWnd: number;
  rcvWnd: number;
  /** Octets a second at which text was delivered of late, and whether that is all there was to send; 0 for a peer
   * without SACK. */
  deliveryRate: number;
  deliveryRateAppLimited: boolean;
  /** Octets a second at which text may leave; where neither congestion control nor the user paces it, what Linux
   * would make of the window. */
  pacingRate: number;
}

export interface ConnectionOptions {
  /** Send small segments at once (RFC 9293 MUST-17). */
  noDelay: boolean;
  /** Hold back what does not fill a segment, for 200 ms at most (TCP_CORK). */
  cork: boolean;
  /** Ask a silent peer whether it is there (RFC 9293 §3.8.4). */
  keepAlive: boolean;
  /** Seconds of silence before the first probe, 1 to 32767. Default `tcpKeepaliveTime`. */
  keepAliveIdle: number;
  /** Seconds between probes, 1 to 32767. Default `tcpKeepaliveIntvl`. */
  keepAliveInterval: number;
  /** Unanswered probes that end the connection, 1 to 127. Default `tcpKeepaliveProbes`. */
  keepAliveCount: number;
  /** Milliseconds that sent text may stay unacknowledged before ETIMEDOUT; 0: as long as `tcpRetries2` allows. */
  userTimeout: number;
  /** Seconds of user timeout to tell the peer (RFC 5482), whose own is then taken too where `userTimeout` is not set;
   * 0: neither. 0 to 1966020; from 32768 in whole minutes. Default `tcpUserTimeoutOption`. */
  userTimeoutOption: number;
  /** Seconds as in SO_LINGER; 0 makes `close` reset the connection, undefined is the default. */
  linger: number | undefined;
  /** Octets of the largest segment to send and, when set before the SYN has gone, to ask for; 88 to 65535. */
  maxSegment: number;
  /** Differentiated services code point of the packets sent from now on, 0 to 63. */
  dscp: number;
  /** TTL or hop limit of the packets sent from now on, 1 to 255. Default `ipDefaultTtl`. */
  hopLimit: number;
  /** Octets of receive buffer (SO_RCVBUF), which is not tuned from then on; 1024 to 2^30. Set before the SYN has gone, or
   * on a listener, it says how far windows are scaled. Unlike Linux's it is not doubled: all of it is for text. */
  receiveBuffer: number;
  /** Octets of send buffer (SO_SNDBUF), which does not grow with the congestion window from then on; 1024 to 2^30. */
  sendBuffer: number;
  /** Octets that may wait to be sent (TCP_NOTSENT_LOWAT): `write` takes more while fewer do, and `writable` is told when
   * half are left; 1 to 2^32 - 1. 0 is the default, `tcpNotsentLowat`. */
  notsentLowat: number;
  /** Octets a second at which text leaves at most, retransmissions included; 0 to 4294967295, 0 for no bound
   * (SO_MAX_PACING_RATE). */
  maxPacingRate: number;
  /** "cubic", "bbr" or "newreno" ("reno" is the same), from now on. Default `tcpCongestionControl`. */
  congestionControl: CongestionControl;
}

export type ConnectionOption = keyof ConnectionOptions;

/** What a listener's connections begin with, and what is its own. */
export interface ListenerOptions extends ConnectionOptions {
  /**
   * Fast Open (RFC 7413), off at 0: connections that may be accepted, with what text came on their SYN, before their peer
   * has shown that it is where it says it is; 0 to 65535. Takes bit 2 of `tcpFastopen`. Only for protocols that may be given
   * the same text twice (§6.1). Default 0.
   */
  fastOpen: number;
  /** Its own keys of Fast Open cookies, as in `tcpFastopenKey`; "" for those of the engine. */
  fastOpenKey: string;
}

export type ListenerOption = keyof ListenerOptions;

export interface Connection {
  readonly state: State;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** What ended the connection, once something did: ECONNREFUSED, ECONNRESET, ETIMEDOUT, ECONNABORTED, EHOSTUNREACH,
   * ENETUNREACH, ENOPROTOOPT. */
  readonly error: Error | undefined;
  /** What ICMP says of a connection that goes on trying: EHOSTUNREACH, ENETUNREACH, ECONNREFUSED, ENOPROTOOPT. Gone as
   * soon as the peer acknowledges something; in place of ETIMEDOUT the `error` of a connection that times out. */
  readonly softError: Error | undefined;
  /** Whatever the holder hangs on it; the engine never looks. */
  context: unknown;
  /** Octets waiting to be read. */
  readonly readable: number;
  /** Octets `write` would take now. */
  readonly writable: number;
  /** Octets to read until the end of the urgent text the peer has told of (RFC 9293 MUST-33), arrived or not; 0: none. */
  readonly urgent: number;
  /** Octets written and not yet acknowledged by the peer. */
  readonly unacked: number;
  /** Octets taken, 0 when the send buffer is full (a `writable` event follows).
   * @throws SynwaveError EPIPE after `shutdown` or `close`; `error` once the connection has failed */
  write(bytes: Uint8Array, options?: WriteOptions): number;
  /** Octets copied; 0 = nothing yet, -1 = end of stream.
   * @throws `error` once the connection has failed and nothing is left to read */
  read(into: Uint8Array): number;
  /** No more to send: FIN after what is queued. Reading goes on. */
  shutdown(): void;
  /** Done with it: FIN after what is queued, RST if text is unread (RFC 2525 §2.17). The object is spent. */
  close(): void;
  /** RST, now (RFC 9293 §3.10.5). The object is spent. */
  abort(): void;
  info(): TcpInfo;
  /** @throws SynwaveError EINVAL for an option that is unknown or a value that cannot be, which it names */
  setOption<Name extends ConnectionOption>(name: Name, value: ConnectionOptions[Name]): void;
}

export interface Listener {
  readonly port: number;
  readonly address: string | undefined;
  readonly backlog: number;
  context: unknown;
  accept(): Connection | undefined;
  /** Set an option of the connections that begin from now on, their SYN,ACK included.
   * @throws SynwaveError EINVAL for an option that is unknown or a value that cannot be, which it names */
  setOption<Name extends ListenerOption>(name: Name, value: ListenerOptions[Name]): void;
  /** Stop listening; connections not yet accepted are reset. */
  close(): void;
}

export interface UdpOptions {
  /** 0: one nobody uses, from `ipLocalPortRange`. */
  port: number;
  /** Default: every address of this host, of both families. */
  address?: string;
}

export interface SendOptions {
  address: string;
  port: number;
  /** Default: the address the socket is bound to, else the first of the remote address's family. */
  localAddress?: string;
}

export interface Datagram {
  /** The caller's to keep. */
  bytes: Uint8Array;
  remoteAddress: string;
  remotePort: number;
  /** The address it was sent to: one of this host, or a broadcast address. */
  localAddress: string;
}

/** A UDP socket: datagrams from anybody and to anybody. */
export interface UdpSocket {
  readonly port: number;
  readonly address: string | undefined;
  context: unknown;
  /** Queue one datagram. What is larger than the path's MTU leaves in fragments.
   * @throws SynwaveError EMSGSIZE when longer than any packet; ENOBUFS when too much waits to be sent; EINVAL or
   * EADDRNOTAVAIL for an address there is none to send to, or from; EBADF after `close` */
  send(bytes: Uint8Array, options: SendOptions): void;
  /** The datagram that has waited longest; undefined when none waits.
   * @throws SynwaveError EBADF after `close` */
  receive(): Datagram | undefined;
  /** What waits to be read is lost. */
  close(): void;
}

export type EngineEvent =
  | { type: "established"; connection: Connection }
  /** Text, end of stream or an error waits for `read`. */
  | { type: "readable"; connection: Connection }
  /** The peer has told of urgent text, or of more: `connection.urgent` says how far it goes. */
  | { type: "urgent"; connection: Connection }
  /** `write` takes octets again, after it had taken fewer than it was given. */
  | { type: "writable"; connection: Connection }
  /** At least one connection waits for `accept`. */
  | { type: "accepted"; listener: Listener }
  /** Both directions are finished (or TIME-WAIT has begun); nothing more will happen. */
  | { type: "closed"; connection: Connection }
  /** The peer refused or reset it: `connection.error` says which. */
  | { type: "reset"; connection: Connection }
  /** At least one datagram waits for `receive`. */
  | { type: "datagram"; socket: UdpSocket }
  | { type: "timedOut"; connection: Connection }
  /** What was sent came to nothing `tcpRetries1` times in a row; retransmission goes on (RFC 9293 §3.8.3). */
  | { type: "retrying"; connection: Connection };

export interface Engine {
  readonly mtu: number;
  readonly memory: WebAssembly.Memory;
  /** Process packets that have arrived. `now` in milliseconds; never decreasing. */
  receive(packets: Iterable<Uint8Array>, now: number): void;
  receiveBatch(batch: PacketBatch, now: number): void;
  /** Fire every timer due at `now`. */
  advance(now: number): void;
  /** All packets to be sent: copies the caller owns. */
  transmit(now: number): Uint8Array[];
  /** Fill `batch` (cleared first) with packets to be sent; returns how many. Call until it returns 0. */
  transmitBatch(batch: PacketBatch, now: number): number;
  /**
   * Hand packets to be sent to `send` where they stand in the engine's memory, without a copy; returns how many. Call until it
   * returns 0. The batch is valid during the call only, until the engine is asked for packets again: whoever keeps packets
   * copies them. Its `bytes` are of shared memory where the engine's are, which not everything takes. What `send` throws is
   * thrown; the packets have left.
   */
  transmitTo(send: (batch: PacketBatch) => void, now: number): number;
  /** When `advance` next has something to do, in milliseconds; undefined when no timer is armed. */
  nextDeadline(): number | undefined;
  /** Events since the last poll, in order. */
  poll(): EngineEvent[];
  listen(options: ListenOptions): Listener;
  connect(options: ConnectOptions): Connection;
  /** A UDP socket.
   * @throws SynwaveError EADDRINUSE, EADDRNOTAVAIL, EINVAL */
  bindUdp(options: UdpOptions): UdpSocket;
  /** Change settings, for connections that begin from now on. Without bit 1 of `tcpFastopen` all cookies are forgotten.
   * @throws SynwaveError EINVAL for a setting that is unknown or cannot be, which it names; nothing is changed then */
  configure(settings: Partial<Settings>): void;
  /** Counters by their Linux SNMP and TcpExt names. */
  counters(): Record<string, number>;
  connections(): {
    localAddress: string;
    localPort: number;
    remoteAddress: string;
    remotePort: number;
    info: TcpInfo;
  }[];
  /** Drop everything without a word on the wire. */
  close(): void;
}
