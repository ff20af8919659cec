// Transfers from application to application, beside plain C and beside Linux over veth.
import { buildFloor, runFloor } from "./floor.mjs";
import { chunksInTurn, Flows, HEADERS } from "./flows.mjs";
import { LinuxBulk } from "./linux-bulk.mjs";
import { whyNoHosts } from "./linux-hosts.mjs";
import { asReference, measure } from "./measure.mjs";

const MTUS = [1500, 9000, 65535];
const FLOWS = [1, 10, 1000];
/** As the C reference's samples. */
const TIMED = 32 * 2 ** 20;
const CHUNK = 64 * 1024;

/** What may be used of C's time: of one connection's text, one way. */
const FLOOR_LIMITS = { 1500: { shared: 1.8, unshared: 1.5 }, 65535: { shared: 1.3, unshared: 1.3 } };
/** 1.7 times Linux's throughput without offloads, there. */
const LINUX_LIMIT = 1 / 1.7;
/** What a thousand connections may cost beside one. */
const CROWD_LIMIT = 1.25;

const plural = (flows) => (flows === 1 ? "1 flow" : `${flows.toLocaleString("en")} flows`);

/** A transfer, to be timed beside others. */
async function transfer(what, linux, one) {
  const { mtu, flows, both, shared, octets } = what;
  const memory = shared ? "shared" : "unshared";
  const size = mtu - HEADERS;
  const inTurn = chunksInTurn(size);
  const it = await Flows.make(what);
  const chunk = Uint8Array.from({ length: CHUNK }, (_, i) => i * 7 + (i >> 8));
  const plain = flows === 1 && !both;
  const besides = [
    {
      name: `segment of ${size}`,
      sample: (time) => runFloor("segment", time, size),
      limit: plain ? FLOOR_LIMITS[mtu]?.[memory] : undefined,
    },
  ];
  const benchmark = {
    name: `bulk, MTU ${mtu}, ${plural(flows)}, ${both ? "both ways" : "one way"}: each ${size} octets`,
    memory,
    count: (octets * (both ? 2 : 1)) / size,
    besides,
    check: () => it.check(Math.max(octets / 2, flows * inTurn * CHUNK)),
    run: () => it.move(octets, chunk),
  };
  if (one) besides.push({ ...asReference(plural(1), one), limit: CROWD_LIMIT });
  for (const offloads of linux ? [false, true] : [])
    besides.push({
      name: `Linux, offloads ${offloads ? "on" : "off"}`,
      sample: async (time) => (await linux.move({ mtu, flows, both, offloads, inTurn }, octets, time)) * size,
      limit: plain && mtu === 1500 && !offloads ? LINUX_LIMIT : undefined,
    });
  return benchmark;
}

/** Those of one MTU: all in shared memory, and in unshared what has a limit. */
async function transfers(mtu, octets, linux) {
  const benchmarks = [];
  for (const shared of [true, false])
    for (const both of shared ? [false, true] : [false]) {
      let one;
      for (const flows of FLOWS) {
        if (!shared && flows === 10) continue;
        const last = flows === FLOWS.at(-1);
        const benchmark = await transfer({ mtu, flows, both, shared, octets }, linux, last ? one : undefined);
        one ??= benchmark;
        benchmarks.push(benchmark);
      }
    }
  return benchmarks;
}

/** @returns {Promise<{ rounds: number, rows: object[], note?: string }>} */
export async function bulk(plan, progress) {
  const octets = plan.quick ? TIMED / 8 : TIMED;
  const why = whyNoHosts();
  for (const mtu of MTUS) await buildFloor(mtu - HEADERS);
  const linux = why === undefined ? await LinuxBulk.start(MTUS, FLOWS.at(-1)) : undefined;
  const rows = [];
  let rounds = 0;
  try {
    for (const [i, mtu] of MTUS.entries()) {
      const share = (done) => progress((i + done) / MTUS.length);
      const measured = await measure(await transfers(mtu, octets, linux), plan, share);
      rows.push(...measured.rows);
      rounds = Math.max(rounds, measured.rounds);
    }
  } finally {
    await linux?.stop();
  }
  return { rounds, rows, note: why && `Linux's transfers are not measured: ${why}` };
}
