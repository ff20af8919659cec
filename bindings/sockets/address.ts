import { SynwaveError } from "../errors.ts";

export interface SocketAddress {
  /** An IPv4 or IPv6 address, without brackets; or a name, where the stack has a `resolve` option. */
  hostname: string;
  port: number;
}

/**
 * Whether `hostname` is meant as an address rather than a name: digits and dots, or anything with a colon. Whether it
 * is a valid one is for the engine to say, which names what is wrong with it.
 */
export function isAddress(hostname: string): boolean {
  return hostname.includes(":") || /^[\d.]+$/.test(hostname);
}

/** @throws SynwaveError EINVAL unless `port` is an integer from `least` to 65535 */
export function checkPort(port: unknown, least = 1): number {
  const number = typeof port === "string" && /^\d+$/.test(port) ? Number(port) : port;
  if (typeof number !== "number" || !Number.isInteger(number) || number < least || number > 65535)
    throw new SynwaveError("EINVAL", `port must be an integer from ${least} to 65535, not ${String(port)}`);
  return number;
}

/**
 * `{ hostname, port }`, `"192.0.2.1:80"` or `"[2001:db8::1]:80"`.
 * @throws SynwaveError EINVAL naming what cannot be understood
 */
export function parseSocketAddress(address: SocketAddress | string): SocketAddress {
  if (typeof address === "string") {
    const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
    if (match === null)
      throw new SynwaveError(
        "EINVAL",
        `address must be "host:port", with brackets around an IPv6 address, not ${JSON.stringify(address)}`,
      );
    return { hostname: match[1] ?? match[2]!, port: checkPort(match[3]) };
  }
  if (typeof address !== "object" || address === null)
    throw new SynwaveError(
      "EINVAL",
      `address must be { hostname, port } or "host:port", not ${String(address)}`,
    );
  const { hostname, port } = address;
  if (typeof hostname !== "string" || hostname === "")
    throw new SynwaveError(
      "EINVAL",
      `hostname must be a string with something in it, not ${String(hostname)}`,
    );
  return { hostname: hostname.replace(/^\[(.*)\]$/, "$1"), port: checkPort(port) };
}
