import type { UdpSocket } from "../types.ts";
import { MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC } from "./constants.ts";
import { errnoOf, fail, type Outcome, ok, type Pending, Unsupported } from "./outcome.ts";
import type { ScriptSocket } from "./script-socket.ts";
import type { World } from "./sockets.ts";

// What socket calls are on a UDP socket.

/** The engine's socket, bound to a port of its choice where the program has bound none. */
function bound(socket: ScriptSocket, world: World): UdpSocket {
  socket.udp ??= world.engine.bindUdp({ port: socket.port ?? 0 });
  return socket.udp;
}

export function bindDatagrams(socket: ScriptSocket, world: World): Outcome {
  try {
    bound(socket, world);
  } catch (error) {
    return fail(errnoOf(error));
  }
  world.datagrams(undefined);
  return ok();
}

/** Whom to talk to by default. */
export function connectDatagrams(socket: ScriptSocket, world: World, port: number): Outcome {
  try {
    world.datagrams({ localPort: bound(socket, world).port, remotePort: port });
  } catch (error) {
    return fail(errnoOf(error));
  }
  socket.peerPort = port;
  return ok();
}

/** @param to the port a call names, where it does */
export function sendDatagram(socket: ScriptSocket, world: World, length: number, to?: number): Outcome {
  const port = to ?? socket.peerPort;
  if (port === undefined) return fail("EDESTADDRREQ");
  try {
    bound(socket, world).send(new Uint8Array(length), { address: world.remoteAddress, port });
  } catch (error) {
    return fail(errnoOf(error));
  }
  return ok(length);
}

export function receiveDatagram(socket: ScriptSocket, world: World, length: number, flags: number): Pending {
  if (flags & MSG_PEEK) throw new Unsupported("no MSG_PEEK on a UDP socket");
  const attempt = () => {
    let datagram: ReturnType<UdpSocket["receive"]>;
    do datagram = bound(socket, world).receive();
    while (datagram && socket.peerPort !== undefined && datagram.remotePort !== socket.peerPort);
    if (!datagram) return socket.nonblocking || flags & MSG_DONTWAIT ? fail("EAGAIN") : undefined;
    const size = datagram.bytes.length;
    return ok(flags & MSG_TRUNC ? size : Math.min(size, length));
  };
  return { attempt };
}
