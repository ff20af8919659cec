import { expect } from "vitest";
import type { Connection, Engine, EngineOptions, Listener } from "../../bindings/types.ts";
import { makeEngine } from "./engine.ts";
import { Peer } from "./peer.ts";

/** A connection in the row's state, and where both sequence spaces stand (relative numbers). */
export interface Scene {
  /** The state the row speaks of, should the event have to bring it about. */
  row: string;
  engine: Engine;
  listener: Listener;
  peer: Peer;
  connection: Connection | undefined;
  sndUna: number;
  sndNxt: number;
  rcvNxt: number;
  /** What follows from the event later, looked at once the row itself has been. */
  after?: () => void;
}

export interface SceneOptions {
  /** By our own OPEN, where a state can be reached both ways. */
  active?: boolean;
  /** Octets of text that came before anything was closed, and that nobody has read. */
  received?: number;
  engine?: EngineOptions;
}

/** Bring a connection to `state`, with four octets in flight where there can be any. */
export async function scene(state: string, options: SceneOptions = {}): Promise<Scene> {
  const engine = await makeEngine({ memory: 2 * 2 ** 20, ...options.engine });
  const listener = engine.listen({ port: 80 });
  const peer = new Peer(engine, { enginePort: state === "CLOSED" ? 81 : 80, iss: 0xfffffff0 });
  const at: Scene = {
    row: state,
    engine,
    listener,
    peer,
    connection: undefined,
    sndUna: 0,
    sndNxt: 1,
    rcvNxt: 1,
  };
  if (state === "CLOSED" || state === "LISTEN") return at;
  if (state === "SYN-SENT" || options.active) {
    at.connection = engine.connect({ remoteAddress: peer.peerAddress, remotePort: peer.peerPort });
    peer.enginePort = at.connection.localPort;
    peer.expect({ flags: "S" });
    if (state === "SYN-SENT") return at;
    peer.send({ flags: "S", seq: 0 });
    peer.expect({ flags: "SA" });
    return at;
  }
  peer.send({ flags: "S", seq: 0, options: { mss: 1460 } });
  peer.expect({ flags: "SA" });
  if (state === "SYN-RECEIVED") return at;
  peer.send({ seq: 1, ack: 1 });
  const connection = listener.accept()!;
  at.connection = connection;
  connection.write(Buffer.from("data"));
  at.sndUna = 1;
  at.sndNxt = 5;
  peer.take();
  receive(at, options.received ?? 0);
  if (state === "CLOSE-WAIT" || state === "LAST-ACK") peerCloses(at, 1);
  if (["FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK", "TIME-WAIT"].includes(state)) {
    connection.shutdown();
    at.sndNxt = 6;
  }
  peer.take();
  if (state === "CLOSING") peerCloses(at, 1);
  if (state === "FIN-WAIT-2" || state === "TIME-WAIT") {
    peer.send({ seq: at.rcvNxt, ack: 6 });
    at.sndUna = 6;
  }
  if (state === "TIME-WAIT") peerCloses(at, 6);
  peer.take();
  expect(stateOf(at)).toBe(state);
  return at;
}

function peerCloses(at: Scene, ack: number): void {
  at.peer.send({ flags: "FA", seq: at.rcvNxt, ack });
  at.rcvNxt++;
}

/** The peer sends so many octets of text, which stay unread. */
export function receive(at: Scene, octets: number): void {
  for (let left = octets; left > 0; ) {
    const text = "x".repeat(Math.min(left, 1000));
    at.peer.send({ seq: at.rcvNxt, ack: at.sndUna, text });
    at.rcvNxt += text.length;
    left -= text.length;
  }
  at.peer.take();
}

export function stateOf({ engine, connection }: Scene): string {
  return connection?.state ?? engine.connections()[0]?.info.state ?? "CLOSED";
}
