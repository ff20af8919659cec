/** What needs Node itself: TUN devices, and `node:net`'s shape on a stack. */
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
