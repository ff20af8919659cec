import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FineClock, openClock } from "../../bindings/node/fine-clock.ts";
import { suiteRequirement } from "../support/requirements.ts";

const missing = suiteRequirement(
  "fine clock",
  () => (process.platform === "linux" ? undefined : `it needs Linux's timerfd, not ${process.platform}`),
  "run on Linux",
);

describe.skipIf(missing !== undefined)("a fine clock", () => {
  let clock: FineClock;
  beforeEach(async () => {
    clock = await openClock();
  });
  afterEach(() => clock.close());

  test("wakes within a fraction of a millisecond, and never early", async () => {
    const late: number[] = [];
    for (let i = 0; i < 100; i++) {
      const when = clock.now() + 0.3 + (i % 10) / 7;
      await new Promise<void>((resolve) => clock.at(when, resolve));
      late.push(clock.now() - when);
    }
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    // The best quarter: other programs may hold the processor.
    expect(late[25]).toBeLessThan(0.4);
  });

  test("wakes in the order of times, and those of one time in the order they were asked for", async () => {
    const now = clock.now();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      clock.at(now + 6, resolve);
      clock.at(now + 3, () => order.push("c"));
      clock.at(now + 1, () => order.push("a"));
      clock.at(now + 3, () => order.push("d"));
      clock.at(now + 2, () => order.push("b"));
      clock.at(now - 5, () => order.push("past"));
    });
    expect(order).toEqual(["past", "a", "b", "c", "d"]);
  });

  test("forgets what is cancelled, and everything when closed", async () => {
    let woken = 0;
    const wake = () => {
      woken++;
    };
    const now = clock.now();
    clock.cancel(clock.at(now + 1, wake));
    clock.at(now + 2, wake);
    const never = clock.at(now + 2, wake);
    clock.at(now + 2, () => clock.cancel(never));
    clock.at(now + 20, wake);
    await sleep(10);
    expect(woken).toBe(2);
    clock.close();
    clock.close();
    await sleep(20);
    expect(woken).toBe(2);
  });

  test("leaves a turn to others when a wake-up asks for one at once", async () => {
    let turns = 0;
    const again = () => {
      turns++;
      clock.at(clock.now(), again);
    };
    again();
    await sleep(5);
    expect(turns).toBeGreaterThan(1);
  });
});
