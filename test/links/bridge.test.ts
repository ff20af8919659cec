import { expect, test } from "vitest";
import { impair } from "../../bindings/links/impair.ts";
import type { Link } from "../../bindings/links/link.ts";
import { type PipeEnd, pipe } from "../../bindings/links/pipe.ts";
import { bridge } from "../../bindings/node/bridge.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { notebook, send } from "../support/notebook.ts";

/** What `end` hears, packet numbers with their times. */
function listen(end: PipeEnd, clock: VirtualClock) {
  const book = notebook(clock);
  end.onReceive((batch) => book.send(batch));
  return book.arrivals;
}

test("a bridge carries what arrives at either link to the other", () => {
  const clock = new VirtualClock();
  const [a, nearA] = pipe({ clock });
  const [b, nearB] = pipe({ clock });
  bridge(impair(nearA, { clock, delay: 20 }), impair(nearB, { clock, delay: 5, rate: 8e6, loss: 0 }));
  const [atA, atB] = [listen(a, clock), listen(b, clock)];
  send(a, 1, [1000, 1000]);
  send(b, 7, [100]);
  clock.run();
  expect(atB.map(({ number, time }) => [number, time])).toEqual([
    [1, 6],
    [2, 7],
  ]);
  expect(atA.map(({ number, time }) => [number, time])).toEqual([[7, 20]]);
});

test("closing a bridge closes both links", async () => {
  const [, nearA] = pipe();
  const [, nearB] = pipe();
  const joined = bridge(nearA, nearB);
  await joined.close();
  await Promise.all([joined.closed, nearA.closed, nearB.closed]);
});

test("a link that closes takes the other with it", async () => {
  const [, nearA] = pipe();
  const [, nearB] = pipe();
  const joined = bridge(nearA, nearB);
  nearA.close();
  await joined.closed;
  await nearB.closed;
});

test("a link that breaks takes the other with it, and is why the bridge did", async () => {
  const [, nearA] = pipe();
  let fail: (error: Error) => void = () => {};
  const broken: Link = {
    mtu: 1500,
    checksum: "full",
    gso: 0,
    send: () => {},
    onReceive: () => {},
    close: () => {},
    closed: new Promise((_, reject) => {
      fail = reject;
    }),
  };
  const joined = bridge(nearA, broken);
  fail(new Error("the cable"));
  await expect(joined.closed).rejects.toThrow("the cable");
  await nearA.closed;
});
