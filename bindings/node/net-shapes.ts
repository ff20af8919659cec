import { isIPv6 } from "node:net";
import { constants } from "node:os";

export interface AddressInfo {
  address: string;
  family: "IPv4" | "IPv6";
  port: number;
}

export function familyOf(address: string): "IPv4" | "IPv6" {
  return isIPv6(address) ? "IPv6" : "IPv4";
}

/** The fields that Node's system errors have; code and message stay. */
export function asSystemError(error: unknown, syscall: string, address?: string, port?: number): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if ("syscall" in error || !("code" in error)) return error;
  const errno = constants.errno[error.code as keyof typeof constants.errno];
  return Object.assign(error, {
    syscall,
    ...(errno === undefined ? {} : { errno: -errno }),
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port }),
  });
}
