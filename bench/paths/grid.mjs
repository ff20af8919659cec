// The paths that are compared, and what a transfer over one of them costs the machine.

const PACKET = 1500;
const SEGMENT = 1448;
/** Packets that a queue holds in any case. */
const FEW = 5;

/** Mbit/s, milliseconds, per cent, bandwidth-delay products. */
function cell(rate, rtt, loss, queue, extra = {}) {
  const product = (rate * 1e6 * rtt) / 8000;
  const octets = Math.max(FEW * PACKET, Math.round(queue * product));
  const more = Object.entries(extra).map(([name, value]) => `-${name}${value}`);
  return {
    name: `${rate}M-${rtt}ms-${loss}%-${queue}bdp${more.join("")}`,
    rate,
    rtt,
    loss,
    queue,
    octets,
    ...extra,
  };
}

const over = (...lists) =>
  lists.reduce((all, list) => all.flatMap((head) => list.map((one) => [...head, one])), [[]]);

/** Every rate with every round trip, loss and queue. */
export const grid = over([1, 10, 50], [5, 40, 200], [0, 0.1, 1, 3], [0.5, 1]).map((words) => cell(...words));

/** Packets held back by up to a quarter of the round trip, and ACKs lost; per cent. */
export const extras = over(
  [10, 50],
  [40],
  [0],
  [1],
  [{ reorder: 1 }, { reorder: 5 }, { ackLoss: 10 }, { ackLoss: 30 }],
).map((words) => cell(...words));

/** Two flows at one bottleneck, one of them Linux's, one Synwave's. */
export const shared = over([10, 50], [20, 40], [0], [1]).map((words) => cell(...words));

export const QUICK = ["10M-40ms-0%-1bdp", "10M-40ms-1%-1bdp", "50M-40ms-0%-1bdp", "1M-40ms-0%-1bdp"];

/** Transfers of a cell and pairing: more where chance decides which packets are lost, and so what comes of it. */
export function seedsOf({ loss, reorder = 0 }, seeds) {
  return loss > 0 || reorder > 0 ? seeds + 2 : seeds;
}

/** Seconds of a transfer: long enough for what comes after slow start to weigh more. */
export function secondsOf({ rtt }, quick) {
  if (quick) return 4;
  return rtt < 20 ? 6 : rtt < 100 ? 10 : 16;
}

/** Mbit/s that a transfer may come to, after Mathis et al. (1997), with something for CUBIC; BBR is not held back by loss. */
export function loadOf({ rate, rtt, loss }, congestion) {
  if (loss === 0 || congestion === "bbr") return rate;
  return Math.min(rate, (2.5 * SEGMENT * 8) / (rtt * 1000 * Math.sqrt(loss / 100)));
}
