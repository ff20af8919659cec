// One connection in one process, through the sans-IO API, with packets and buffers that are used again. To be run with
// --trace-gc --expose-gc: two forced collections stand where the transfer begins and where it ends.
// node --trace-gc --expose-gc bench/collections-child.mjs OCTETS
import { TwoEngines } from "./two-engines.mjs";

const CHUNK = 64 * 1024;
const BUFFER = 256 * 1024;
const WARM_UP = 256 * 2 ** 20;
const TICK = 0.05;

const hosts = await TwoEngines.make({
  settings: { tcpRmem: [4096, BUFFER, BUFFER], tcpWmem: [4096, BUFFER, BUFFER] },
});
const { near, far } = hosts.connect(9);
const chunk = new Uint8Array(CHUNK).map((_, i) => i * 7 + (i >> 8));
const into = new Uint8Array(CHUNK);

function move(octets) {
  let sent = 0;
  let received = 0;
  for (let idle = 0; received < octets; idle++) {
    if (idle > 1000) throw new Error(`nothing moves after ${received} octets`);
    while (sent < octets && near.writable >= CHUNK) sent += near.write(chunk);
    hosts.turn(TICK);
    hosts.client.poll();
    hosts.server.poll();
    for (let taken = far.read(into); taken > 0; taken = far.read(into)) {
      received += taken;
      idle = 0;
    }
  }
}

move(WARM_UP);
globalThis.gc();
move(Number(process.argv[2]));
globalThis.gc();
const { RetransSegs } = hosts.client.counters();
if (RetransSegs > 0) throw new Error(`${RetransSegs} segments were sent again though none was lost`);
