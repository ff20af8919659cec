/** What needs Node itself: TUN devices, and the shapes of `node:net` and `node:dgram` on a stack. */
export {
  type BindOptions,
  createDgram,
  type Dgram,
  type DgramOptions,
  type RemoteInfo,
  StackDgram,
} from "./dgram.ts";
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
