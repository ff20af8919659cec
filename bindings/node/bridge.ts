import type { Link } from "../links/link.ts";
import { Uncut } from "../links/uncut.ts";

export interface Bridge {
  /** Resolves once both links have closed; rejects with what broke either. */
  readonly closed: Promise<void>;
  /** Close both links. Idempotent. */
  close(): Promise<void>;
}

/**
 * Join two links of any kind: what arrives at one is sent on the other, as it is, but for packets of several segments, and
 * checksums, that only one of them does itself. When one of them closes or breaks, the
 * other is closed. Two TUN devices, each behind `impair`, make a path between two network namespaces; packets longer
 * than the other link's MTU are that link's to drop.
 */
export function bridge(left: Link, right: Link): Bridge {
  const toLeft = new Uncut(left);
  const toRight = new Uncut(right);
  left.onReceive((batch) => toRight.send(batch));
  right.onReceive((batch) => toLeft.send(batch));
  const close = async (): Promise<void> => {
    await Promise.all([left.close(), right.close()]);
  };
  const over = (link: Link): Promise<void> =>
    link.closed.finally(() => {
      close().catch(() => {}); // `closed` of the other link tells of it
    });
  const closed = Promise.all([over(left), over(right)]).then(() => {});
  // Whoever made the bridge may not look; that must not end their process.
  closed.catch(() => {});
  return { closed, close };
}
