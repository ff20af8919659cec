import { describe, expect, it } from "vitest";
import type { ConnectionOption } from "../../bindings/types.ts";
import { connected } from "../support/connected.ts";
import { errorCode } from "../support/engine.ts";
import { randomOctets } from "../support/random.ts";

const HOUR = 3_600_000;

describe("keepalive", () => {
  it("[9293-MUST-24] [9293-MUST-25] is off unless asked for", async () => {
    const { peer } = await connected();
    peer.wait(24 * HOUR);
    peer.silence();
  });

  it("[9293-MUST-28] [9293-SHLD-12] asks after two hours, below what is acknowledged and without text", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    peer.wait(2 * HOUR - 1);
    peer.silence();
    const probe = peer.expectWithin(1, { flags: "A", seq: 0, ack: 1, text: 0 });
    expect(probe.at - 1000).toBe(2 * HOUR);
  });

  it("[9293-MUST-27] keeps to the time that is set, from the last segment on", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAliveIdle", 30);
    connection.setOption("keepAlive", true);
    peer.wait(29_000);
    // [9293-MUST-26] An ACK just before postpones the probe by the full time.
    peer.send({ seq: 1, ack: 1 });
    peer.wait(29_999);
    peer.silence();
    peer.expectWithin(1, { flags: "A", seq: 0 });
  });

  it("[9293-MUST-26] does not ask while text is in flight", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAliveIdle", 1);
    connection.setOption("keepAlive", true);
    connection.write(randomOctets(100, 1));
    peer.expect({ seq: 1, text: 100 });
    peer.wait(20_000);
    expect(peer.take().every(({ seq, text }) => seq === 1 && text.length === 100)).toBe(true);
  });

  it("[9293-MUST-29] lives on when the second probe is answered, and begins anew", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAliveIdle", 100);
    connection.setOption("keepAlive", true);
    peer.expectWithin(100_000, { seq: 0 });
    peer.expectWithin(75_000, { seq: 0 });
    peer.send({ seq: 1, ack: 1 });
    peer.wait(99_999);
    peer.silence();
    peer.expectWithin(1, { seq: 0 });
    expect(connection.state).toBe("ESTABLISHED");
  });

  it("ends a connection whose peer is gone after 2 h 11 min 15 s with ETIMEDOUT and a reset", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    const start = peer.now;
    for (let i = 0; i < 9; i++) {
      const { at } = peer.expectWithin(2 * HOUR, { seq: 0 });
      expect(at - start).toBe(2 * HOUR + i * 75_000);
    }
    const reset = peer.expectWithin(75_000, { flags: "RA" });
    expect(reset.at - start).toBe(((2 * 60 + 11) * 60 + 15) * 1000);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ETIMEDOUT");
    expect(peer.eventTypes()).toContain("timedOut");
  });

  it("ends a connection whose peer has rebooted with ECONNRESET", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    peer.expectWithin(2 * HOUR, { seq: 0 });
    peer.send({ seq: 1, flags: "R" });
    expect(errorCode(connection)).toBe("ECONNRESET");
  });

  it("stops when it is switched off", async () => {
    const { peer, connection } = await connected();
    connection.setOption("keepAlive", true);
    connection.setOption("keepAlive", false);
    peer.wait(24 * HOUR);
    peer.silence();
  });

  it("takes interval and count from the settings, unless the connection has its own", async () => {
    const settings = { tcpKeepaliveTime: 10, tcpKeepaliveIntvl: 5, tcpKeepaliveProbes: 2 };
    const { peer, connection } = await connected({ engine: { settings } });
    connection.setOption("keepAliveCount", 3);
    connection.setOption("keepAlive", true);
    const times = [];
    for (let i = 0; i < 3; i++) times.push(peer.expectWithin(11_000, { seq: 0 }).at - 1000);
    expect(times).toEqual([10_000, 15_000, 20_000]);
    peer.expectWithin(5000, { flags: "RA" });
  });
});

describe("user timeout", () => {
  it("ends a connection whose text stays unacknowledged for that long", async () => {
    const { peer, connection } = await connected();
    connection.setOption("userTimeout", 10_000);
    connection.write(randomOctets(10, 1));
    peer.expect({ seq: 1, text: 10 });
    peer.wait(9_999);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(1);
    expect(connection.state).toBe("CLOSED");
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("counts from the last progress", async () => {
    const { peer, connection } = await connected();
    connection.setOption("userTimeout", 10_000);
    connection.write(randomOctets(20, 1));
    peer.expect({ seq: 1, text: 20 });
    peer.wait(8_000);
    peer.send({ seq: 1, ack: 11 });
    peer.wait(8_000);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(2_000);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("ends the patience with a window that stays closed", async () => {
    const { peer, connection } = await connected({ window: 0 });
    connection.setOption("userTimeout", 5000);
    connection.write(randomOctets(20, 1));
    peer.silence();
    peer.wait(4_999);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(1);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });

  it("takes the place of the number of keepalive probes", async () => {
    const { peer, connection } = await connected();
    connection.setOption("userTimeout", 30_000);
    connection.setOption("keepAliveIdle", 10);
    connection.setOption("keepAliveInterval", 10);
    connection.setOption("keepAlive", true);
    peer.wait(29_999);
    expect(connection.state).toBe("ESTABLISHED");
    peer.wait(1);
    expect(errorCode(connection)).toBe("ETIMEDOUT");
  });
});

describe("linger", () => {
  it("of zero makes close a reset", async () => {
    const { peer, connection } = await connected();
    connection.setOption("linger", 0);
    connection.write(randomOctets(10, 1));
    connection.close();
    peer.expect({ flags: "RA" });
    expect(connection.state).toBe("CLOSED");
  });

  it("of more leaves close as it is", async () => {
    const { peer, connection } = await connected();
    connection.setOption("linger", 0);
    connection.setOption("linger", 5);
    connection.close();
    peer.expect({ flags: "FA" });
  });
});

describe("cork", () => {
  it("holds back what does not fill a segment until it is pulled", async () => {
    const { peer, connection } = await connected();
    connection.setOption("cork", true);
    connection.write(randomOctets(2000, 1));
    peer.expect({ seq: 1, text: 1460 });
    peer.send({ seq: 1, ack: 1461 });
    peer.silence();
    connection.setOption("cork", false);
    peer.expect({ seq: 1461, text: 540 });
  });

  it("holds nothing back for longer than 200 ms", async () => {
    const { peer, connection } = await connected();
    connection.setOption("cork", true);
    connection.write(randomOctets(100, 1));
    peer.silence();
    peer.expectWithin(200, { seq: 1, text: 100 });
  });
});

describe("largest segment", () => {
  it("bounds what is sent", async () => {
    const { peer, connection } = await connected();
    connection.setOption("maxSegment", 500);
    connection.write(randomOctets(1500, 1));
    expect(peer.take().map(({ text }) => text.length)).toEqual([500, 500, 500]);
  });
});

describe("options", () => {
  it.each([
    ["keepAlive", 1, "1"],
    ["keepAliveIdle", 0, "0"],
    ["keepAliveIdle", 40_000, "40000"],
    ["keepAliveCount", Number.NaN, "NaN"],
    ["userTimeout", -1, "-1"],
    ["maxSegment", 12, "12"],
    ["linger", "long", '"long"'],
    ["colour", true, "colour"],
  ])("%s cannot be %s, and the error says so", async (name, value, named) => {
    const { connection } = await connected();
    expect(() => connection.setOption(name as ConnectionOption, value as never)).toThrow(named);
  });
});
