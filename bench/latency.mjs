// One octet there and back, again and again: between two engines, and between two Linux hosts for scale.
import { cpuTime } from "./cpu-time.mjs";
import { LinuxHosts, whyNoHosts } from "./linux-hosts.mjs";
import { median, quantile } from "./statistics.mjs";
import { TwoEngines } from "./two-engines.mjs";

const PORT = 7;
const WARM_UP = 20_000;
/** Milliseconds of virtual time for each way. */
const TICK = 0.01;

/** @returns {Promise<() => void>} one octet there and back */
async function pingPong(shared) {
  const hosts = await TwoEngines.make({ shared });
  const { near, far } = hosts.connect(PORT);
  near.setOption("noDelay", true);
  far.setOption("noDelay", true);
  const octet = new Uint8Array(1);
  const into = new Uint8Array(16);
  const way = (from, to, sender, receiver) => {
    hosts.now += TICK;
    sender.write(octet);
    hosts.carry(from, to);
    to.poll();
    if (receiver.read(into) !== 1 || into[0] !== octet[0]) throw new Error("an octet did not come");
  };
  const { client, server } = hosts;
  return () => {
    octet[0]++;
    way(client, server, near, far);
    way(server, client, far, near);
    hosts.turn(0);
  };
}

function rows(name, memory, times, ns, samples) {
  return [
    { name: `${name}: median`, memory, ns: quantile(times, 0.5), samples },
    { name: `${name}: 99 of 100 within`, memory, ns: quantile(times, 0.99), samples },
    { name: `${name}: processor time`, memory, ns, samples },
  ];
}

/** Real time, and processor time, of `count` round trips in each of five rounds. */
export async function latency(quick, progress) {
  const count = quick ? 100 : 20_000;
  const rounds = quick ? 1 : 5;
  const why = whyNoHosts();
  const hosts = why === undefined ? await LinuxHosts.start() : undefined;
  const ours = { shared: await pingPong(true), unshared: await pingPong(false) };
  const samples = { shared: [], unshared: [], linux: [] };
  try {
    for (const go of Object.values(ours)) for (let i = 0; i < (quick ? 100 : WARM_UP); i++) go();
    for (let round = 0; round < rounds; round++) {
      for (const [memory, go] of Object.entries(ours)) {
        const times = new Float64Array(count);
        const begin = cpuTime();
        for (let i = 0; i < count; i++) {
          const start = performance.now();
          go();
          times[i] = (performance.now() - start) * 1e6;
        }
        samples[memory].push({ ns: ((cpuTime() - begin) * 1e6) / count, times: times.sort() });
      }
      if (hosts) samples.linux.push(await hosts.ping(count));
      progress((round + 1) / rounds);
    }
  } finally {
    await hosts?.stop();
  }
  const summary = (name, memory, each) => {
    const all = each.flatMap(({ times }) => [...times]);
    const kept = each.map(({ ns, times }) => ({ ns, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }));
    return rows(name, memory, all, median(each.map(({ ns }) => ns)), kept);
  };
  return {
    rounds,
    note: why && `Linux's latency is not measured: ${why}`,
    rows: [
      ...summary("octet there and back", "shared", samples.shared),
      ...summary("octet there and back", "unshared", samples.unshared),
      ...(hosts ? summary("octet there and back, Linux over veth", "", samples.linux) : []),
    ],
  };
}
