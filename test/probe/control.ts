import {
  reduceForLoss,
  reduceForTimeout,
  restoreWindow,
  textSent,
  windowAcked,
} from "../../assembly/congestion/control.ts";
import { newTcb } from "../../assembly/lifecycle.ts";
import { layOut } from "../../assembly/pool.ts";
import { Tcb } from "../../assembly/tcb.ts";
import { setNow } from "../../assembly/time.ts";

// Congestion control of a TCB that a test fills in by itself.

export function probe_layOut(octets: u32): void {
  layOut(octets);
}

export function probe_newTcb(): u32 {
  return u32(newTcb());
}

export function probe_setNow(micros: f64): void {
  setNow(micros);
}

export function probe_textSent(tcb: u32, limited: bool): void {
  textSent(Tcb.at(tcb), limited);
}

export function probe_windowAcked(tcb: u32, acked: u32): void {
  windowAcked(Tcb.at(tcb), acked);
}

export function probe_reduceForLoss(tcb: u32): void {
  reduceForLoss(Tcb.at(tcb));
}

export function probe_reduceForTimeout(tcb: u32): void {
  reduceForTimeout(Tcb.at(tcb));
}

export function probe_restoreWindow(tcb: u32): void {
  restoreWindow(Tcb.at(tcb));
}
