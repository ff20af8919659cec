import { layOut } from "../../assembly/pool.ts";
import { Reassembly, RUNS_MAX } from "../../assembly/reassembly.ts";
import { Seq } from "../../assembly/seq.ts";

const runs = changetype<Reassembly>(memory.data(offsetof<Reassembly>(), 8));

/** Begin anew with a pool in `octets` of linear memory. */
export function probe_runsInit(octets: u32): void {
  layOut(octets);
  memory.fill(changetype<usize>(runs), 0, offsetof<Reassembly>());
}

export function probe_runsMax(): u32 {
  return RUNS_MAX;
}

export function probe_runsHasRoom(): bool {
  return runs.hasRoom();
}

export function probe_runsInsert(base: u32, start: u32, end: u32): void {
  runs.insert(Seq.of(base), Seq.of(start), Seq.of(end));
}

export function probe_runsCovers(base: u32, start: u32, end: u32): bool {
  return runs.covers(Seq.of(base), Seq.of(start), Seq.of(end));
}

export function probe_runsTake(base: u32, next: u32): u32 {
  return runs.take(Seq.of(base), Seq.of(next)).u32;
}

export function probe_runsClear(): void {
  runs.clear();
}

export function probe_runsCount(): u32 {
  return runs.count;
}

export function probe_runsStart(index: u32): u32 {
  return runs.start(index).u32;
}

export function probe_runsEnd(index: u32): u32 {
  return runs.end(index).u32;
}

export function probe_runsLatest(base: u32): u32 {
  return runs.start(runs.recent(Seq.of(base), 0)).u32;
}

export function probe_runsRecent(base: u32, turn: u32): u32 {
  return runs.start(runs.recent(Seq.of(base), turn)).u32;
}
