import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VirtualClock } from "../../bindings/virtual-clock.ts";

describe("VirtualClock", () => {
  test("fires by time, then by order of arming, as a sorted list does", () => {
    const operations = fc.array(
      fc.record({ when: fc.integer({ min: 0, max: 20 }), cancels: fc.option(fc.nat(60)) }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(operations, (list) => {
        const clock = new VirtualClock();
        const fired: [number, number][] = [];
        const entries = list.map(({ when }, i) => clock.at(when, () => fired.push([clock.now(), i])));
        const live = new Set(list.keys());
        for (const { cancels } of list)
          if (cancels !== null && cancels < list.length) {
            clock.cancel(entries[cancels]);
            live.delete(cancels);
          }
        expect(clock.pending).toBe(live.size);
        clock.run();
        const wanted = [...live].map((i) => [list[i].when, i] as [number, number]);
        wanted.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(fired).toEqual(wanted);
        expect(clock.pending).toBe(0);
      }),
    );
  });

  test("run(time) fires what is due up to it and stands there", () => {
    const clock = new VirtualClock(100);
    const fired: number[] = [];
    for (const when of [110, 120.5, 120.6]) clock.at(when, () => fired.push(clock.now()));
    expect(clock.run(120.5)).toBe(true);
    expect(fired).toEqual([110, 120.5]);
    expect(clock.now()).toBe(120.5);
    clock.run(400);
    expect(clock.now()).toBe(400);
    expect(fired).toEqual([110, 120.5, 120.6]);
  });

  test("run(condition) stops as soon as it holds, and says when it never will", () => {
    const clock = new VirtualClock();
    let n = 0;
    const again = () => {
      if (++n < 10) clock.at(clock.now() + 1, again);
    };
    clock.at(1, again);
    expect(clock.run(() => n === 4)).toBe(true);
    expect(clock.now()).toBe(4);
    expect(clock.run(() => n === 99)).toBe(false);
    expect(n).toBe(10);
  });

  test("time never runs backwards; what is past fires next", () => {
    const clock = new VirtualClock(50);
    const fired: string[] = [];
    clock.at(60, () => fired.push(`later at ${clock.now()}`));
    clock.at(3, () => fired.push(`past at ${clock.now()}`));
    clock.run();
    expect(fired).toEqual(["past at 50", "later at 60"]);
    expect(() => clock.run(59)).toThrow("59");
    expect(() => clock.run(Number.POSITIVE_INFINITY)).toThrow("Infinity");
    expect(() => clock.at(Number.NaN, () => {})).toThrow("NaN");
    expect(() => new VirtualClock(Number.NaN)).toThrow("NaN");
  });

  test("a wake-up at Infinity never comes; cancelling twice or after firing is harmless", () => {
    const clock = new VirtualClock();
    const never = clock.at(Number.POSITIVE_INFINITY, () => expect.unreachable());
    const soon = clock.at(1, () => {});
    expect(clock.step()).toBe(true);
    expect(clock.step()).toBe(false);
    clock.cancel(soon);
    expect(clock.pending).toBe(1);
    clock.cancel(never);
    clock.cancel(never);
    expect(clock.pending).toBe(0);
  });

  test("runAsync lets promises settle between wake-ups", async () => {
    const clock = new VirtualClock();
    const sleep = (ms: number) => new Promise<void>((wake) => clock.at(clock.now() + ms, wake));
    const log: string[] = [];
    const worker = async (name: string, ms: number) => {
      for (let i = 0; i < 3; i++) {
        await sleep(ms);
        for (let deep = 0; deep < 20; deep++) await undefined;
        log.push(`${name}${clock.now()}`);
      }
    };
    const all = Promise.all([worker("a", 10), worker("b", 15)]);
    expect(await clock.runAsync(20)).toBe(true);
    expect(log).toEqual(["a10", "b15", "a20"]);
    expect(clock.now()).toBe(20);
    expect(await clock.runAsync(() => log.length === 6)).toBe(true);
    await all;
    expect(log).toEqual(["a10", "b15", "a20", "b30", "a30", "b45"]);
    expect(await clock.runAsync(() => false)).toBe(false);
  });
});
