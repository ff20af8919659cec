// A picture of the grid: goodput as a part of the rate, a panel for each rate and round trip. Triangles are queues of half a
// bandwidth-delay product, circles of a whole one.
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { nameOf, PAIRINGS } from "./results.mjs";

export function plot(rows) {
  const { document } = parseHTML("<html><body></body></html>");
  const points = rows.flatMap(({ cell, ...row }) =>
    PAIRINGS.map((pairing) => ({
      ...cell,
      rate: `${cell.rate} Mbit/s`,
      rtt: `${cell.rtt} ms`,
      lost: `${cell.loss} %`,
      who: nameOf(pairing),
      line: `${nameOf(pairing)} ${cell.queue}`,
      share: row[nameOf(pairing)].goodput / cell.rate,
    })),
  );
  const legend = PAIRINGS.map((pairing, i) => ({
    who: nameOf(pairing),
    rate: "1 Mbit/s",
    rtt: "200 ms",
    lost: "0 %",
    share: 0.25 - i * 0.08,
  }));
  const common = { x: "lost", y: "share", fx: "rtt", fy: "rate", stroke: "who" };
  const picture = Plot.plot({
    document,
    width: 960,
    height: 720,
    marginLeft: 50,
    marginRight: 70,
    style: { background: "white" },
    x: { type: "point", domain: ["0 %", "0.1 %", "1 %", "3 %"], label: "loss" },
    y: { domain: [0, 1], grid: true, label: "goodput / rate" },
    fx: { domain: ["5 ms", "40 ms", "200 ms"], label: "round trip" },
    fy: { domain: ["1 Mbit/s", "10 Mbit/s", "50 Mbit/s"], label: null },
    color: { domain: PAIRINGS.map(nameOf), range: ["#777777", "#d62728", "#1f77b4"] },
    marks: [
      Plot.frame(),
      Plot.line(points, { ...common, z: "line", strokeOpacity: 0.6 }),
      Plot.dot(points, { ...common, symbol: (point) => (point.queue < 1 ? "triangle" : "circle"), r: 3.5 }),
      Plot.text(legend, { ...common, stroke: undefined, fill: "who", text: "who", textAnchor: "start" }),
    ],
  });
  // A page knows what an svg element is; a file by itself has to say so.
  picture.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return picture.outerHTML;
}
