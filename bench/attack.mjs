// What an ACK costs, and the worst that a peer can make of one by its SACK blocks.
import assert from "node:assert/strict";
import { loadProbe } from "./probe.mjs";

const PAGES = 1024;
const MSS = 48;
/** In flight: an ordinary sender's, and what a window of 6 MiB comes to in the smallest segments there are. */
const FEW = 64;
const MANY = 2 ** 17;
const TIMES = 4000;
const HOLES = 1000;

/** A sender with `segments` in flight, of the newest of which every other one was SACKed, as long as `holes` are left. */
function sender({ exports }, segments, holes) {
  exports.probe_layOut(PAGES * 65536);
  exports.probe_setNow(1e6);
  const at = exports.probe_newSender(MSS);
  assert.equal(exports.probe_fly(at, segments), 1);
  for (let i = 0; i < holes; i++) {
    const seq = (segments - 2 * i - 1) * MSS;
    exports.probe_block(0, seq, seq + MSS);
    exports.probe_ackScored(at, 0, 1);
  }
  assert.equal(exports.probe_sackedRuns(at), holes);
  return at;
}

/** @returns {Promise<import("./measure.mjs").Benchmark[]>} */
export async function attack() {
  const probe = await loadProbe(true, PAGES);
  const benchmark = (name, segments, holes, acks, segmentsEach, repeat) => {
    let at = 0;
    const prepare = () => {
      at = sender(probe, segments, holes);
    };
    return {
      name,
      memory: "shared",
      count: TIMES * acks,
      prepare,
      check() {
        prepare();
        assert.equal(repeat(at, 10), 10 * segmentsEach * MSS);
      },
      run: () => repeat(at, TIMES),
    };
  };
  const { probe_repeatAcks, probe_repeatHoles } = probe.exports;
  return [
    benchmark("ACK, 64 segments in flight", FEW, 0, 1, 1, probe_repeatAcks),
    benchmark("ACK, 131,072 segments in flight", MANY, 0, 1, 1, probe_repeatAcks),
    benchmark("SACK, holes of one segment, 64 in flight", FEW, 0, 2, 8, probe_repeatHoles),
    benchmark("SACK, the same below 1,000 more, 131,072", MANY, HOLES, 2, 8, probe_repeatHoles),
  ];
}
