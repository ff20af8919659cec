// Linux's numbers behind the names scripts use.

export const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  EEXIST: 17,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  EPIPE: 32,
  ENOMSG: 42,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ECANCELED: 125,
};

export const AF_UNSPEC = 0;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
export const MSG_OOB = 1;
export const MSG_PEEK = 2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_ZEROCOPY = 0x4000000;
export const MSG_FASTOPEN = 0x20000000;
export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 0x10;
export const POLLRDNORM = 0x40;
export const POLLWRNORM = 0x100;
export const POLLRDHUP = 0x2000;
export const EPOLLONESHOT = 0x40000000;
export const EPOLLET = 0x80000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const SPLICE_F_NONBLOCK = 2;
export const SIOCINQ = 0x541b;
export const SIOCOUTQ = 0x5411;
export const SIOCOUTQNSD = 0x894b;
export const SIOCATMARK = 0x8905;
export const TCP_CM_INQ = 36;
export const IP_RECVERR = 11;
export const IPV6_RECVERR = 25;
export const SO_EE_ORIGIN_TIMESTAMPING = 4;
export const SO_EE_ORIGIN_ZEROCOPY = 5;
export const SO_EE_CODE_ZEROCOPY_COPIED = 1;
export const SCM_TIMESTAMPING = 37;
export const SCM_TSTAMP_SND = 0;
export const SCM_TSTAMP_SCHED = 1;
export const SCM_TSTAMP_ACK = 2;
/** SOF_TIMESTAMPING_ flags. */
export const TX_SOFTWARE = 2;
export const OPT_ID = 0x80;
export const TX_SCHED = 0x100;
export const TX_ACK = 0x200;
export const OPT_TSONLY = 0x800;
export const SOL_SOCKET = 1;
export const SOL_TCP = 6;
export const SOL_UDP = 17;
export const SOL_IP = 0;
export const SOL_IPV6 = 41;

const NAMES: Readonly<Record<string, number>> = {
  AF_UNSPEC,
  AF_INET: 2,
  PF_INET: 2,
  AF_INET6: 10,
  PF_INET6: 10,
  SOCK_STREAM,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_CLOEXEC,
  IPPROTO_IP: 0,
  IPPROTO_ICMP: 1,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  IPPROTO_IPV6: 41,
  IPPROTO_MPTCP: 262,
  SOL_SOCKET,
  SOL_IP,
  SOL_TCP,
  SOL_IPV6,
  SOL_UDP,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR,
  O_NONBLOCK,
  F_GETFL,
  F_SETFL,
  SHUT_RD,
  SHUT_WR,
  SHUT_RDWR,
  MSG_OOB,
  MSG_PEEK,
  SPLICE_F_MOVE: 1,
  SPLICE_F_NONBLOCK,
  SPLICE_F_MORE: 4,
  MSG_DONTROUTE: 4,
  MSG_CTRUNC: 8,
  MSG_TRUNC,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_WAITALL,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_MORE,
  MSG_ZEROCOPY,
  MSG_FASTOPEN,
  MSG_CMSG_CLOEXEC: 0x40000000,
  POLLIN,
  POLLPRI,
  POLLOUT,
  POLLERR,
  POLLHUP,
  POLLNVAL: 0x20,
  POLLRDNORM,
  POLLRDBAND: 0x80,
  POLLWRNORM,
  POLLWRBAND: 0x200,
  POLLRDHUP,
  EPOLLIN: POLLIN,
  EPOLLPRI: POLLPRI,
  EPOLLOUT: POLLOUT,
  EPOLLERR: POLLERR,
  EPOLLHUP: POLLHUP,
  EPOLLRDHUP: POLLRDHUP,
  EPOLLEXCLUSIVE: 0x10000000,
  EPOLLONESHOT,
  EPOLLET,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD: 3,
  FIONREAD: SIOCINQ,
  SIOCINQ,
  SIOCOUTQ,
  SIOCOUTQNSD,
  SIOCATMARK,
  SO_DEBUG: 1,
  SO_REUSEADDR: 2,
  SO_TYPE: 3,
  SO_ERROR: 4,
  SO_DONTROUTE: 5,
  SO_BROADCAST: 6,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_KEEPALIVE: 9,
  SO_OOBINLINE: 10,
  SO_PRIORITY: 12,
  SO_LINGER: 13,
  SO_REUSEPORT: 15,
  SO_RCVLOWAT: 18,
  SO_SNDLOWAT: 19,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_BINDTODEVICE: 25,
  SO_TIMESTAMP: 29,
  SO_ACCEPTCONN: 30,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  SO_TIMESTAMPNS: 35,
  SO_MARK: 36,
  SO_TIMESTAMPING: 37,
  SO_PROTOCOL: 38,
  SO_DOMAIN: 39,
  SO_BUSY_POLL: 46,
  SO_MAX_PACING_RATE: 47,
  SO_INCOMING_CPU: 49,
  SO_ZEROCOPY: 60,
  TCP_NODELAY: 1,
  TCP_MAXSEG: 2,
  TCP_CORK: 3,
  TCP_NOPUSH: 3,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_SYNCNT: 7,
  TCP_LINGER2: 8,
  TCP_DEFER_ACCEPT: 9,
  TCP_WINDOW_CLAMP: 10,
  TCP_INFO: 11,
  TCP_QUICKACK: 12,
  TCP_CONGESTION: 13,
  TCP_MD5SIG: 14,
  TCP_THIN_LINEAR_TIMEOUTS: 16,
  TCP_THIN_DUPACK: 17,
  TCP_USER_TIMEOUT: 18,
  TCP_REPAIR: 19,
  TCP_FASTOPEN: 23,
  TCP_TIMESTAMP: 24,
  TCP_NOTSENT_LOWAT: 25,
  TCP_CC_INFO: 26,
  TCP_SAVE_SYN: 27,
  TCP_SAVED_SYN: 28,
  TCP_FASTOPEN_CONNECT: 30,
  TCP_FASTOPEN_KEY: 33,
  TCP_FASTOPEN_NO_COOKIE: 34,
  TCP_INQ: 36,
  TCP_CM_INQ,
  TCP_TX_DELAY: 37,
  IP_TOS: 1,
  IP_TTL: 2,
  IP_RECVTOS: 13,
  IP_MTU_DISCOVER: 10,
  IP_RECVERR,
  IP_MTU: 14,
  IP_FREEBIND: 15,
  IP_MINTTL: 21,
  IP_PMTUDISC_DONT: 0,
  IP_PMTUDISC_WANT: 1,
  IP_PMTUDISC_DO: 2,
  IP_PMTUDISC_PROBE: 3,
  IP_BIND_ADDRESS_NO_PORT: 24,
  IP_LOCAL_PORT_RANGE: 51,
  IPV6_MTU_DISCOVER: 23,
  IPV6_V6ONLY: 26,
  IPV6_RECVERR,
  SO_EE_ORIGIN_TIMESTAMPING,
  SO_EE_ORIGIN_ZEROCOPY,
  SCM_TIMESTAMPING,
  SCM_TSTAMP_SND,
  SCM_TSTAMP_SCHED,
  SCM_TSTAMP_ACK,
  SOF_TIMESTAMPING_TX_HARDWARE: 1,
  SOF_TIMESTAMPING_TX_SOFTWARE: TX_SOFTWARE,
  SOF_TIMESTAMPING_RX_HARDWARE: 4,
  SOF_TIMESTAMPING_RX_SOFTWARE: 8,
  SOF_TIMESTAMPING_SOFTWARE: 0x10,
  SOF_TIMESTAMPING_SYS_HARDWARE: 0x20,
  SOF_TIMESTAMPING_RAW_HARDWARE: 0x40,
  SOF_TIMESTAMPING_OPT_ID: OPT_ID,
  SOF_TIMESTAMPING_TX_SCHED: TX_SCHED,
  SOF_TIMESTAMPING_TX_ACK: TX_ACK,
  SOF_TIMESTAMPING_OPT_CMSG: 0x400,
  SOF_TIMESTAMPING_OPT_TSONLY: OPT_TSONLY,
  SO_EE_CODE_ZEROCOPY_COPIED,
  IPV6_TCLASS: 67,
  IPV6_UNICAST_HOPS: 16,
  TCP_FO_COOKIE: 1,
  IPTOS_LOWDELAY: 0x10,
  IPTOS_THROUGHPUT: 8,
  IPTOS_RELIABILITY: 4,
  IPTOS_ECN_NOT_ECT: 0,
  IPTOS_ECN_ECT1: 1,
  IPTOS_ECN_ECT0: 2,
  IPTOS_ECN_CE: 3,
  // Names of the other dialect, with numbers that Linux has no use for.
  TCP_NOOPT: 1008,
  TCP_KEEPINIT: 1128,
};

/** Code points of differentiated services, as the TOS octet has them. */
function codePoint(name: string): number | undefined {
  const found = /^IPTOS_DSCP_(?:CS([0-7])|AF([1-4])([1-3])|(EF|VA))$/.exec(name);
  if (!found) return undefined;
  const [, selector, forwarding, precedence, single] = found;
  if (single) return single === "EF" ? 0xb8 : 0xb0;
  return selector ? Number(selector) << 5 : (Number(forwarding) << 5) | (Number(precedence) << 3);
}

/** The number behind a name, undefined when nobody knows it. */
export function constant(name: string): number | undefined {
  return NAMES[name] ?? ERRNO[name] ?? codePoint(name);
}

/** The name of an option of a level, for messages. */
export function optionName(level: number, option: number): string {
  const prefix = { [SOL_SOCKET]: "SO_", [SOL_TCP]: "TCP_", [SOL_IP]: "IP_", [SOL_IPV6]: "IPV6_" }[level];
  for (const [name, value] of Object.entries(NAMES))
    if (value === option && prefix && name.startsWith(prefix)) return name;
  return `option ${option} of level ${level}`;
}
