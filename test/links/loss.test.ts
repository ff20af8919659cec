import { describe, expect, test } from "vitest";
import { impair } from "../../bindings/links/impair.ts";
import { type GilbertElliott, Loss } from "../../bindings/links/loss.ts";
import { Prng } from "../../bindings/links/prng.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { notebook, send } from "../support/notebook.ts";

/** What became of `count` packets: how many were lost, and in how many bursts. */
function watch(loss: number | GilbertElliott, count: number, seed: number) {
  const model = new Loss(loss, new Prng(seed));
  const hits = Array.from({ length: count }, () => model.hits());
  const lost = hits.filter(Boolean).length;
  const bursts = hits.filter((hit, i) => hit && !hits[i - 1]).length;
  return { share: lost / count, burst: lost / bursts };
}

describe("loss", () => {
  // Bounds are five standard deviations of what is measured, or more.
  test.each([
    { goodToBad: 0.01, badToGood: 0.25 },
    { goodToBad: 0.002, badToGood: 0.1 },
    { goodToBad: 0.2, badToGood: 0.8 },
  ])("in bursts: $goodToBad to bad, $badToGood back", (loss) => {
    const { goodToBad: p, badToGood: r } = loss;
    const count = 400_000;
    const { share, burst } = watch(loss, count, 11);
    const bursts = (count * p * r) / (p + r);
    expect(Math.abs(burst * r - 1)).toBeLessThan(5 / Math.sqrt(bursts));
    expect(Math.abs(share / (p / (p + r)) - 1)).toBeLessThan(5 * Math.sqrt(2 / bursts));
  });

  test("in good and in bad times, as likely as each says", () => {
    const { share, burst } = watch(
      { goodToBad: 0.02, badToGood: 0.08, lossGood: 0.01, lossBad: 0.5 },
      400_000,
      3,
    );
    // A fifth of the time is bad.
    expect(share).toBeGreaterThan(0.8 * 0.01 + 0.2 * 0.5 - 0.006);
    expect(share).toBeLessThan(0.8 * 0.01 + 0.2 * 0.5 + 0.006);
    expect(burst).toBeGreaterThan(1.5);
  });

  test("at random comes alone", () => {
    const { share, burst } = watch(0.1, 400_000, 5);
    expect(share).toBeCloseTo(0.1, 2);
    expect(burst).toBeCloseTo(1 / 0.9, 1);
  });

  test("begins in good times, and nothing ends what never ends", () => {
    expect(watch({ goodToBad: 0, badToGood: 0 }, 1000, 1).share).toBe(0);
    expect(watch({ goodToBad: 1, badToGood: 0 }, 1000, 1).share).toBe(1);
    expect(watch({ goodToBad: 1, badToGood: 1 }, 1000, 1).share).toBe(0.5);
  });

  test("in bursts on a link", () => {
    const clock = new VirtualClock();
    const below = notebook(clock);
    const link = impair(below, { clock, seed: 2, loss: { goodToBad: 0.05, badToGood: 0.2 } });
    for (let i = 0; i < 20_000; i += 50) send(link, i, new Array(50).fill(40));
    const { sent, delivered, lost } = link.stats;
    expect(delivered + lost).toBe(sent);
    expect(lost / sent).toBeGreaterThan(0.17);
    expect(lost / sent).toBeLessThan(0.23);
    let bursts = 0;
    below.arrivals.forEach(({ number }, i) => {
      if (number > (below.arrivals[i - 1]?.number ?? -1) + 1) bursts++;
    });
    expect(lost / bursts).toBeGreaterThan(4.3);
    expect(lost / bursts).toBeLessThan(5.7);
  });
});
