/** A column: its heading, and whether numbers stand in it. */
export interface Column {
  name: string;
  right?: boolean;
}

/** Rows under headings, each column as wide as its widest cell, two spaces between. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ name }, i) =>
    rows.reduce((w, row) => Math.max(w, row[i]!.length), name.length),
  );
  const lines = [columns.map(({ name }) => name), ...rows].map((row) =>
    row
      .map((cell, i) => (columns[i]!.right ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

const OCTETS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of octets in three digits or so: "999 B", "1.4 MiB". */
export function octets(count: number): string {
  let unit = 0;
  let value = count;
  // What would be rounded up to 1,000 or more is shown in the next unit.
  while (value >= 999.5 && unit < OCTETS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${OCTETS[unit]}`;
}

/** Milliseconds as people read them: "0.25 ms", "15.5 ms", "1.2 s", "3 min 20 s", "5 h 12 min". */
export function duration(ms: number): string {
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 999.5) return `${ms < 99.95 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  if (ms < 99_950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
