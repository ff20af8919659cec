import type { EngineOptions } from "../../bindings/types.ts";
import { makeEngine } from "./engine.ts";
import { Peer, type PeerOptions, type Sent } from "./peer.ts";

/** A peer connected to a listener of a fresh engine's. */
export async function connected(
  options: { engine?: EngineOptions; peer?: PeerOptions; syn?: Sent; window?: number } = {},
) {
  const engine = await makeEngine(options.engine);
  const listener = engine.listen({ port: 80 });
  const peer = new Peer(engine, options.peer);
  const connection = peer.connect(listener, options.syn, options.window);
  return { engine, listener, peer, connection };
}
