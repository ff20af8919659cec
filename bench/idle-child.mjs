// A process that holds very many established connections: what they take, and what they make dearer. Prints JSON.
// node bench/idle-child.mjs CONNECTIONS MEMORY PLAN
import { readFileSync } from "node:fs";
import { cpuTime } from "./cpu-time.mjs";
import { Crowd } from "./crowd.mjs";
import { heap } from "./heap.mjs";
import { asReference, measure } from "./measure.mjs";

const FEW = 1000;
const FEW_MEMORY = 16 * 2 ** 20;
/** Timers of the crowd that `advance` is compared with. */
const TEN = 10;

const [connections, memory] = process.argv.slice(2, 4).map(Number);
const plan = JSON.parse(process.argv[4]);

/** Octets in memory now, all of the process. */
function resident() {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(kibibytes) * 1024;
}

const begin = cpuTime();
const many = await Crowd.make(connections, memory);
const openNs = ((cpuTime() - begin) * 1e6) / connections;
await heap();
const octets = resident();

const few = (await Crowd.make(FEW, FEW_MEMORY)).benchmarks();
const ten = (await Crowd.make(TEN, FEW_MEMORY)).benchmarks();
const all = many.benchmarks();
const compare = (name, what, reference, referenceName, limit) => ({
  ...all[what],
  name,
  beside: asReference(referenceName, reference[what]),
  ...(limit && { limit }),
});
const rows = await measure(
  [
    compare("write to a random one", "write", few, "of 1,000", 1.5),
    compare("sending what was written", "send", few, "of 1,000"),
    compare("the ACK of it", "acknowledge", few, "of 1,000"),
    // "As much" to within what a measurement of a microsecond tells.
    compare("advance, timers armed and none due", "advance", ten, "ten timers", 1.1),
  ],
  plan,
  () => {},
);
// What holding them all has come to, with the above.
await heap();
console.log(JSON.stringify({ openNs, octets, after: resident(), ...rows }));
