import { describe, expect, it } from "vitest";
import {
  TCB_ANNEX,
  TCB_BYTES_SENT,
  TCB_CHOICES,
  TCB_CWND,
  TCB_SND_END,
  TCB_SND_MSS,
  TCB_SND_NXT,
  TCB_SND_UNA,
  TCB_SRTT,
  TCB_SSTHRESH,
} from "../../assembly/shared/tcb-layout.ts";
import { CONTROL_CUBIC, CONTROL_NEWRENO } from "../../assembly/shared/user-options.ts";
import { loadProbe } from "../support/probe.ts";

// RFC 9438 §4.9: what recovery calls when a loss proves spurious, on a TCB filled in by hand.

const MEMORY = 4 * 2 ** 20;
const MSS = 1000;
const RTT = 100_000;

async function control(number: number) {
  const { call, bytes } = await loadProbe(MEMORY);
  call.layOut!(MEMORY);
  const at = call.newTcb!();
  const view = new DataView(bytes.buffer);
  const field = (name: number) => view.getUint32(at + name, true);
  const set = (name: number, value: number) => view.setUint32(at + name, value, true);
  let micros = 1_000_000;
  call.setNow!(micros);
  view.setUint16(at + TCB_SND_MSS, MSS, true);
  view.setUint8(at + TCB_CHOICES, number << 2);
  view.setFloat64(at + TCB_SRTT, RTT, true);
  view.setFloat64(at + TCB_BYTES_SENT, 1, true);
  set(TCB_CWND, 100 * MSS);
  set(TCB_SSTHRESH, 100 * MSS);
  set(TCB_SND_END, 0x7fffffff);
  return {
    call,
    at,
    set,
    field,
    window: () => [field(TCB_CWND), field(TCB_SSTHRESH)],
    /** The window is full, and one round trip of ACKs comes. */
    round() {
      const una = field(TCB_SND_UNA);
      const flight = field(TCB_CWND);
      set(TCB_SND_NXT, una + flight);
      call.textSent!(at, 1);
      micros += RTT;
      call.setNow!(micros);
      for (let acked = 0; acked + MSS <= flight; acked += MSS) {
        set(TCB_SND_UNA, una + acked + MSS);
        call.windowAcked!(at, MSS);
      }
      set(TCB_SND_NXT, field(TCB_SND_UNA) + field(TCB_CWND));
    },
  };
}

describe.each([
  ["CUBIC", CONTROL_CUBIC],
  ["NewReno", CONTROL_NEWRENO],
] as const)("%s", (_, number) => {
  it.each(["reduceForLoss", "reduceForTimeout"])(
    "takes back what %s did, and grows on as if it had not been",
    async (name) => {
      const [undone, never] = await Promise.all([control(number), control(number)]);
      for (let i = 0; i < 20; i++) for (const side of [undone, never]) side.round();
      const before = undone.window();
      expect(before).toEqual(never.window());
      undone.call[name]!(undone.at);
      expect(undone.window()[1]).toBeLessThan(before[1]!);
      undone.set(TCB_CWND, undone.field(TCB_SSTHRESH));
      undone.call.restoreWindow!(undone.at);
      expect(undone.window()).toEqual(before);
      for (let i = 0; i < 40; i++) {
        for (const side of [undone, never]) side.round();
        // Half a segment is what a reduction forgets: octets counted, and the rest of one.
        expect(Math.abs(undone.window()[0]! - never.window()[0]!)).toBeLessThanOrEqual(MSS);
      }
    },
  );

  it("only once, and not where the window has grown beyond it since", async () => {
    const side = await control(number);
    side.round();
    side.call.reduceForLoss!(side.at);
    side.set(TCB_CWND, 20 * MSS);
    side.call.restoreWindow!(side.at);
    expect(side.window()[0]).toBeGreaterThanOrEqual(100 * MSS);
    side.set(TCB_CWND, 20 * MSS);
    side.call.restoreWindow!(side.at);
    expect(side.window()[0]).toBe(20 * MSS);
    side.call.reduceForLoss!(side.at);
    side.set(TCB_CWND, 30 * MSS);
    const window = side.window();
    side.call.restoreWindow!(side.at);
    expect(side.window()).toEqual(window);
  });
});

describe("memory", () => {
  it("is taken once text is sent, by CUBIC, and for what can be undone", async () => {
    const cubic = await control(CONTROL_CUBIC);
    expect(cubic.field(TCB_ANNEX)).toBe(0);
    cubic.call.textSent!(cubic.at, 0);
    expect(cubic.field(TCB_ANNEX)).not.toBe(0);
    const newreno = await control(CONTROL_NEWRENO);
    newreno.round();
    expect(newreno.field(TCB_ANNEX)).toBe(0);
    newreno.call.reduceForLoss!(newreno.at);
    expect(newreno.field(TCB_ANNEX)).not.toBe(0);
  });

  it("that has ended makes NewReno of CUBIC, and nothing can be undone", async () => {
    const sides = [];
    for (const number of [CONTROL_CUBIC, CONTROL_NEWRENO]) {
      const side = await control(number);
      while (side.call.newTcb!() !== 0) {
        // Until there is no slot left.
      }
      const windows = [];
      for (let i = 0; i < 30; i++) {
        side.round();
        if (i === 10) {
          side.call.reduceForLoss!(side.at);
          side.call.restoreWindow!(side.at);
          side.set(TCB_CWND, side.field(TCB_SSTHRESH));
        }
        windows.push(side.window());
      }
      expect(side.field(TCB_ANNEX)).toBe(0);
      sides.push(windows);
    }
    expect(sides[0]).toEqual(sides[1]);
  });
});
