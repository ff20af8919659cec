// From transfers to what they say.
import { median } from "../statistics.mjs";

export const PAIRINGS = [
  ["linux", "linux"],
  ["synwave", "linux"],
  ["linux", "synwave"],
];

export const nameOf = ([from, to]) =>
  `${from}→${to}`.replaceAll("linux", "Linux").replaceAll("synwave", "Synwave");

const geometricMean = (values) =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Of two or more goodputs: 1 when all are the same, 1 / n when one has everything (Jain, Chiu and Hawe 1984). */
export function jain(values) {
  const sum = values.reduce((a, b) => a + b);
  return sum ** 2 / (values.length * values.reduce((all, value) => all + value ** 2, 0));
}

/** A row for each cell: medians over the seeds of each pairing, and ratios to Linux's own. */
export function rowsOf(cells, transfers) {
  return cells.flatMap((cell) => {
    const row = { cell };
    for (const pairing of PAIRINGS) {
      const flows = transfers
        .filter((t) => t.cell.name === cell.name && t.from === pairing[0] && t.to === pairing[1])
        .map(({ result }) => result.flows[0]);
      if (flows.length === 0) return [];
      row[nameOf(pairing)] = {
        goodput: median(flows.map(({ goodput }) => goodput)),
        retransmitted: median(flows.map(({ retransmitted }) => retransmitted)),
      };
    }
    const [own, ours, theirs] = PAIRINGS.map((pairing) => row[nameOf(pairing)]);
    row.sending = ours.goodput / own.goodput;
    row.receiving = theirs.goodput / own.goodput;
    return [row];
  });
}

/** What is promised of a congestion control; where none is, nothing. */
const TARGETS = {
  cubic: { mean: 1, worst: 0.9, retransmitted: 1.1, jain: 0.95 },
  bbr: { mean: 0.95 },
};

export function summaryOf(rows, fairness, congestion) {
  const targets = TARGETS[congestion] ?? {};
  // BBR's target leaves out the rows that lose most.
  const counted = congestion === "bbr" ? rows.filter(({ cell }) => cell.loss < 3) : rows;
  const share = (name) => counted.reduce((sum, row) => sum + row[name].retransmitted, 0) / counted.length;
  const own = nameOf(PAIRINGS[0]);
  const lines = [];
  const line = (what, value, target, met) => lines.push({ what, value, target, met });
  for (const [name, what] of [
    ["sending", nameOf(PAIRINGS[1])],
    ["receiving", nameOf(PAIRINGS[2])],
  ]) {
    if (counted.length === 0) continue;
    const ratios = counted.map((row) => row[name]);
    const worst = counted[ratios.indexOf(Math.min(...ratios))];
    const { mean, worst: least } = name === "sending" ? targets : {};
    line(`${what} / ${own}, geometric mean`, geometricMean(ratios), mean, geometricMean(ratios) >= mean);
    line(`${what} / ${own}, worst: ${worst.cell.name}`, worst[name], least, worst[name] >= least);
    const { retransmitted } = name === "sending" ? targets : {};
    const ratio = share(what) / share(own);
    line(`retransmitted share, ${what} / ${own}`, ratio, retransmitted, ratio <= retransmitted);
  }
  for (const { cell, index } of fairness)
    line(`Jain index, Linux and Synwave, ${cell.name}`, index, targets.jain, index >= targets.jain);
  return lines.map(({ target, met, ...rest }) => (target === undefined ? rest : { ...rest, target, met }));
}
