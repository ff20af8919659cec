import { describe, expect, test } from "vitest";
import { extras, grid, loadOf, QUICK, seedsOf, shared } from "../../bench/paths/grid.mjs";
import { plot } from "../../bench/paths/plot.mjs";
import { jain, rowsOf, summaryOf } from "../../bench/paths/results.mjs";

const flow = (goodput: number, retransmitted = 0) => ({ flows: [{ goodput, retransmitted }] });

describe("the comparison of paths", () => {
  test("has a cell for every rate, round trip, loss and queue, each with a name of its own", () => {
    expect(grid).toHaveLength(3 * 3 * 4 * 2);
    const names = [...grid, ...extras].map((cell: { name: string }) => cell.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(QUICK));
    for (const cell of [...grid, ...extras, ...shared]) {
      expect(cell.octets).toBeGreaterThanOrEqual(7500);
      expect(loadOf(cell, "cubic")).toBeLessThanOrEqual(cell.rate);
      expect(loadOf(cell, "bbr")).toBe(cell.rate);
    }
    // 50 Mbit/s for 200 ms.
    expect(grid.find(({ name }: { name: string }) => name === "50M-200ms-0%-1bdp")!.octets).toBe(1_250_000);
  });

  test("has more seeds where chance has its say", () => {
    expect([...grid, ...extras].map((cell) => [cell.name, seedsOf(cell, 3)])).toEqual(
      [...grid, ...extras].map(({ name }) => [name, /-0%-\d(\.5)?bdp(-ackLoss\d+)?$/.test(name) ? 3 : 5]),
    );
  });

  test("is drawn as a picture that stands by itself", () => {
    const linux = { goodput: 0.9 };
    const row = {
      cell: grid[0]!,
      "Linux→Linux": linux,
      "Synwave→Linux": { goodput: 0.95 },
      "Linux→Synwave": linux,
    };
    expect(plot([row])).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  });

  test("takes medians over seeds and ratios to Linux's own, and holds them to the targets", () => {
    const [one, two] = grid as [(typeof grid)[0], (typeof grid)[0]];
    const transfers = [one, two].flatMap((cell, i) =>
      [1, 2, 3].flatMap((seed) => [
        { cell, seed, from: "linux", to: "linux", result: flow(seed * 2, 0.01) },
        { cell, seed, from: "synwave", to: "linux", result: flow(seed * (i ? 4 : 1), 0.01) },
        { cell, seed, from: "linux", to: "synwave", result: flow(seed * 2, 0.02) },
      ]),
    );
    const rows = rowsOf([one, two, grid[5]!], transfers);
    expect(rows.map((row: { sending: number; receiving: number }) => [row.sending, row.receiving])).toEqual([
      [0.5, 1],
      [2, 1],
    ]);
    const summary = summaryOf(rows, [{ cell: one, index: 0.9 }], "cubic");
    expect(
      summary.filter(({ target }) => target !== undefined).map(({ value, met }) => [value, met]),
    ).toEqual([
      [1, true],
      [0.5, false],
      [1, true],
      [0.9, false],
    ]);
    expect(summaryOf(rows, [], "reno").every(({ target }) => target === undefined)).toBe(true);
  });

  test("[RFC 5166 §2.3] tells how fairly flows share", () => {
    expect(jain([5, 5])).toBe(1);
    expect(jain([7, 0])).toBe(0.5);
    expect(jain([1, 3])).toBeCloseTo(0.8);
  });
});
