import { afterAll, expect, test } from "vitest";
import { bulk } from "../support/bottleneck.ts";

const MIB = 2 ** 20;
const SECOND = 1000;
/** Of the bottleneck's octets those that are text: packets of 1500 octets have 52 of headers. */
const TEXT_SHARE = 1448 / 1500;

/** What was measured, for whoever reads the log. */
const figures: string[] = [];
afterAll(() => console.log(figures.join("\n")));

/** Shares of the bottleneck that `seconds` fill, all of them and those from the tenth on. */
async function shares(megabits: number, rtt: number, seconds: number) {
  const bdp = (megabits * 1e6 * rtt) / 8000;
  const path = await bulk({ rate: megabits * 1e6, delay: rtt / 2, queue: bdp });
  const rates = Array.from({ length: seconds }, () => path.run(SECOND) / TEXT_SHARE / megabits);
  const mean = (of: number[]) => of.reduce((sum, rate) => sum + rate, 0) / of.length;
  const [overall, steady] = [mean(rates), mean(rates.slice(10))];
  const { totalRetrans } = path.sender.info();
  const { rcvSsthresh } = path.receiver.info();
  figures.push(
    `${megabits} Mbit/s, ${rtt} ms: ${(100 * overall).toFixed(1)} % of the bottleneck in ${seconds} s, ` +
      `${(100 * steady).toFixed(1)} % from the tenth on; receive buffer ${rcvSsthresh}, ${totalRetrans} sent again`,
  );
  return { overall, steady, info: path.sender.info() };
}

test("default settings fill 100 Mbit/s over 200 ms to nine tenths and more, slow start included", async () => {
  const { overall, steady, info } = await shares(100, 200, 40);
  expect(overall).toBeGreaterThan(0.9);
  expect(steady).toBeGreaterThan(0.98);
  expect(info.sndWscale).toBe(7);
});

test("default settings fill shorter and slower paths as well", async () => {
  for (const [megabits, rtt] of [
    [100, 20],
    [10, 200],
    [1, 600],
  ] as const)
    expect((await shares(megabits, rtt, 30)).steady).toBeGreaterThan(0.9);
});

test("[7323-4] [9293-REC-1] 64 MiB and more are in flight where buffers and memory let them, and nothing is lost", async () => {
  const buffers = [4096, 128 * MIB, 128 * MIB] as const;
  const engine = {
    memory: 1024 * MIB,
    settings: { tcpRmem: buffers, tcpWmem: buffers, netdevMaxBacklog: 100_000 },
  };
  const path = await bulk({ rate: 1.2e9, delay: 250, capacity: 256 * MIB, engines: [engine, engine] });
  path.run(12 * SECOND);
  const { sndWnd, sndWscale, totalRetrans, unacked, sndMss } = path.sender.info();
  figures.push(`window of ${sndWnd} octets, ${unacked * sndMss} in flight`);
  expect(sndWscale).toBe(12);
  expect(sndWnd).toBeGreaterThan(100 * MIB);
  expect(unacked * sndMss).toBeGreaterThan(64 * MIB);
  expect(totalRetrans).toBe(0);
  // Line rate.
  expect(path.run(SECOND)).toBeGreaterThan(1100);
});
