import { statSync } from "node:fs";

const OTHERS_MAY_WRITE = 0o002;

/** What somebody without privileges is told of TUN device `name`: the driver's node may be closed to others, or open. */
export function refused(name: string): string {
  return statSync("/dev/net/tun").mode & OTHERS_MAY_WRITE
    ? `EPERM: no permission to use TUN device "${name}"`
    : `EACCES: no permission to open /dev/net/tun for TUN device "${name}"`;
}
