/** What becomes of a packet: it passes, is marked or else dropped, or dropped in any case. */
export const PASS = 0;
export const HIT = 1;
export const DROP = 2;

/** Who drops packets, or marks them, before the queue is full. */
export interface Discipline {
  /**
   * What becomes of a packet that comes: PASS, HIT or DROP.
   * @param backlog octets it finds waiting, those of the packet on the line included
   * @param idle milliseconds the line has had nothing to do
   */
  arrives?(backlog: number, idle: number): number;
  /** Whether the packet that is next for the line is hit. */
  leaves?(now: number, waited: number, backlog: number): boolean;
}
