/** Linux sysctl names in camelCase, Linux's units and defaults. */
export interface Settings {
  tcpMaxSynBacklog: number;
  somaxconn: number;
  /** First and last ephemeral port. */
  ipLocalPortRange: readonly [number, number];
  tcpSynRetries: number;
  tcpSynackRetries: number;
  tcpRetries2: number;
  tcpFinTimeout: number;
  /** Octets: minimum, default, maximum of a receive buffer. */
  tcpRmem: readonly [number, number, number];
  tcpWmem: readonly [number, number, number];
  tcpWindowScaling: number;
}
