/** What needs Node itself: TUN devices, and `node:net`'s shape on a stack. */
export { openTun, type TunDrops, type TunLink, type TunOptions } from "./tun.ts";
