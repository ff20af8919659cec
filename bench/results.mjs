// What is kept of a run: figures, a table, and a picture of every ratio against its limit.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { markdown } from "./report.mjs";

const describe = ({ machine: { cpu, cpus, memory, system, load }, node, compiler, commit, date }) =>
  `${cpu}, ${cpus} CPUs, ${(memory / 2 ** 30).toFixed(0)} GiB, ${system}, load ${load[0].toFixed(1)}; Node ${node}; ${compiler}; ` +
  `commit ${commit}; ${date}.`;

/** How much of what is allowed each row with a limit uses: 1 is the limit. */
const shares = (rows) =>
  rows
    .filter(({ limit }) => limit > 0)
    .map(({ name, memory, reference, ratio, octets, times, limit, met }) => ({
      // One thing may have a row beside each of several references.
      name: `${name}${memory ? ` (${memory})` : ""}${reference ? `, beside ${reference}` : ""}`,
      share: (ratio ?? octets ?? times) / limit,
      met,
    }));

function picture(rows, text) {
  const { document } = parseHTML("<html><body></body></html>");
  const drawn = Plot.plot({
    document,
    width: 1160,
    height: 60 + 22 * rows.length,
    marginLeft: 620,
    marginRight: 60,
    style: { background: "white" },
    x: {
      domain: [0, Math.max(1.1, ...rows.map(({ share }) => share))],
      grid: true,
      label: "part of the limit",
    },
    y: { domain: rows.map(({ name }) => name), label: null },
    caption: text,
    marks: [
      Plot.barX(rows, { x: "share", y: "name", fill: ({ met }) => (met ? "#1f77b4" : "#d62728") }),
      Plot.text(rows, {
        x: "share",
        y: "name",
        text: ({ share }) => share.toFixed(2),
        textAnchor: "start",
        dx: 4,
      }),
      Plot.ruleX([1], { strokeDasharray: "4,3" }),
    ],
  });
  // With a caption it is a figure around the picture.
  const svg = drawn.localName === "svg" ? drawn : drawn.querySelector("svg");
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return svg.outerHTML;
}

/** Write bench.json, bench.md and bench.svg to `folder`. */
export function writeResults(folder, report) {
  const rows = Object.values(report.groups).flatMap((group) => group.rows);
  const notes = Object.values(report.groups).flatMap(({ note }) => (note ? [note] : []));
  const text = describe(report);
  mkdirSync(folder, { recursive: true });
  const write = (suffix, content) => writeFileSync(join(folder, `bench.${suffix}`), content);
  write("json", `${JSON.stringify(report)}\n`);
  write(
    "md",
    `${["# Benchmarks", text, "Medians of processor time; limits are explained in [the README](../README.md).", markdown(rows), ...notes].join("\n\n")}\n`,
  );
  const limited = shares(rows);
  if (limited.length > 0) write("svg", picture(limited, text));
}
