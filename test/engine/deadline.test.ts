import { expect, it } from "vitest";
import { makeEngine } from "../support/engine.ts";

it("nextDeadline settles on microseconds that are no exact fraction of a millisecond", async () => {
  // Those that come back from milliseconds a little less than they were: taken for deadlines that have moved, they would
  // be armed anew for ever.
  const uneven = Array.from({ length: 200_000 }, (_, i) => i).filter(
    (i) => ((i + 1e6) / 1000) * 1000 < i + 1e6,
  );
  expect(uneven.length).toBeGreaterThan(10);
  for (const micros of uneven.slice(0, 10)) {
    const engine = await makeEngine({ memory: 2 * 2 ** 20 });
    engine.connect({ remoteAddress: "192.0.2.2", remotePort: 80 });
    engine.transmit(micros / 1000);
    // The SYN's timer: one second (RFC 6298 §2.1).
    expect(engine.nextDeadline()).toBeCloseTo((micros + 1e6) / 1000, 6);
    engine.close();
  }
});
