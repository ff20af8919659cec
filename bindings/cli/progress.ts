import { SingleBar } from "cli-progress";

export interface Progress {
  /** @param value of the total; @param note what else to say */
  update(value: number, note?: string): void;
  stop(): void;
}

const silent: Progress = { update() {}, stop() {} };

/**
 * A progress bar on stderr where that is a terminal, and nothing elsewhere.
 * @param title what is under way
 */
export function startProgress(title: string, total: number): Progress {
  if (process.stderr.isTTY !== true) return silent;
  const bar = new SingleBar({
    format: `${title} [{bar}] {percentage}% | {note} | {eta_formatted} left`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    stream: process.stderr,
    etaBuffer: 50,
    // Ctrl-C is to end the program, not the bar; so leave the terminal's settings as they are.
    gracefulExit: false,
    linewrap: null,
  });
  bar.start(total, 0, { note: "starting" });
  return {
    update: (value, note) => bar.update(value, note === undefined ? {} : { note }),
    stop: () => bar.stop(),
  };
}
