import { describe, expect, it } from "vitest";
import { connected } from "../support/connected.ts";
import { loadProbe } from "../support/probe.ts";
import { vectors } from "../support/vectors.ts";

describe("round-trip time", () => {
  it.each(vectors.rto.map((vector) => [vector.id, vector] as const))(
    "[6298-2] [6298-3] %s: SRTT, RTTVAR and RTO as computed by hand",
    async (_, { steps }) => {
      const { call } = await loadProbe();
      let srtt = 0;
      let rttvar = 0;
      steps.forEach((step, i) => {
        const sample = step.sampleS * 1e6;
        rttvar = call.nextRttvar!(rttvar, srtt, Number(i === 0), sample);
        srtt = call.nextSrtt!(srtt, Number(i === 0), sample);
        // The vectors are rounded to nanoseconds.
        expect(srtt / 1e6).toBeCloseTo(step.srtt, 8);
        expect(rttvar / 1e6).toBeCloseTo(step.rttvar, 8);
        expect(call.unclampedRto!(srtt, rttvar) / 1e6).toBeCloseTo(step.rtoUnclamped, 8);
      });
    },
  );

  it.each(vectors.rto.map((vector) => [vector.id, vector] as const))(
    "[6298-2] [6298-3] %s: the same through a connection, as tcp_info tells",
    async (_, { steps }) => {
      const { peer, connection } = await connected({
        engine: { settings: { tcpRmem: [4096, 65536, 65536] } },
      });
      // The handshake has been measured already, in no time: the first sample is not the first.
      let { rtt: srtt, rttvar } = connection.info();
      let end = 1;
      for (const { sampleS } of steps) {
        connection.write(Buffer.from("x"));
        peer.expect({ seq: end, text: "x" });
        const rto = connection.info().rto / 1000;
        // A sample longer than the RTO would be one of a segment sent twice.
        const sample = Math.min(sampleS * 1000, rto - 1);
        peer.wait(sample);
        end++;
        peer.send({ seq: 1, ack: end });
        rttvar = rttvar * 0.75 + Math.abs(srtt - sample * 1000) * 0.25;
        srtt = srtt * 0.875 + sample * 1000 * 0.125;
        const info = connection.info();
        expect(Math.abs(info.rtt - srtt)).toBeLessThanOrEqual(2);
        expect(Math.abs(info.rttvar - rttvar)).toBeLessThanOrEqual(2);
        ({ rtt: srtt, rttvar } = info);
        expect(info.rto).toBeGreaterThanOrEqual(200_000);
      }
    },
  );

  it("an RTO is longer by what is set, as FreeBSD's are", async () => {
    const { peer, connection } = await connected({
      engine: { settings: { tcpRtoMinUs: 30_000, tcpRexmitSlop: 200 } },
    });
    // In no time, at first: only the least margin and the slop.
    expect(connection.info().rto).toBe(230_000);
    connection.write(Buffer.from("x"));
    peer.expect({ text: "x" });
    peer.wait(100);
    peer.send({ seq: 1, ack: 2 });
    const { rtt, rttvar, rto } = connection.info();
    expect(rto).toBe(Math.floor((rtt + 4 * rttvar) / 1000) * 1000 + 200_000);
    expect(rttvar).toBeGreaterThan(10_000);
  });
});
