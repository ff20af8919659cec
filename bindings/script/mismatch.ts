/** What happened is not what the script says. */
export class Mismatch extends Error {
  /** Of the event, where it is not the one being run. */
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

const seconds = (micros: number) => (micros / 1e6).toFixed(6);

/** Times within a tolerance. */
export const Tolerance = {
  /**
   * @param actual microseconds, like all the rest
   * @throws Mismatch when `actual` is not from `from` to `to`, give or take `tolerance`
   */
  check(
    what: string,
    verb: string,
    actual: number,
    from: number,
    to: number,
    tolerance: number,
    line?: number,
  ): void {
    if (actual >= from - tolerance && actual <= to + tolerance) return;
    const wanted = from === to ? seconds(from) : `${seconds(from)}~${seconds(to)}`;
    throw new Mismatch(
      `expected ${what} at ${wanted} s, got it ${verb} at ${seconds(actual)} s (tolerance ${seconds(tolerance)} s)`,
      line,
    );
  },
};
