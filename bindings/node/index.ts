/** What needs Node itself: TUN devices, what joins them, a clock for it, and the shapes of `node:net` and `node:dgram` on a stack. */
export { type Bridge, bridge } from "./bridge.ts";
export {
  type BindOptions,
  createDgram,
  type Dgram,
  type DgramOptions,
  type RemoteInfo,
  StackDgram,
} from "./dgram.ts";
export { type FineClock, openClock } from "./fine-clock.ts";
export {
  type AddressInfo,
  type Connect,
  type ConnectOptions,
  createNet,
  type Net,
  type ServerListenOptions,
  type ServerOptions,
  type SocketConstructorOptions,
  StackServer,
  StackSocket,
} from "./net.ts";
export { openTun, type TunDrops, type TunLink, type TunOptions } from "./tun.ts";
