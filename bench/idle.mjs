// A million connections that are established and say nothing, each accepted and held by a handle.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const child = fileURLToPath(new URL("idle-child.mjs", import.meta.url));
const CONNECTIONS = 1_000_000;
/** Linear memory for each of them. */
const OCTETS = 600;
const RESIDENT_LIMIT = 1.2 * 2 ** 30;
const MOST_SECONDS = 300;

export async function idle(plan, progress) {
  const connections = plan.quick ? 10_000 : CONNECTIONS;
  // The areas of fixed size are a megabyte, whoever is there.
  const memory = connections * OCTETS + (plan.quick ? 4 * 2 ** 20 : 0);
  progress(0);
  const words = [child, connections, memory, JSON.stringify(plan)].map(String);
  const { stdout } = await execute(process.execPath, words, {
    timeout: MOST_SECONDS * 1000,
    maxBuffer: 2 ** 26,
  });
  const { openNs, octets, after, rounds, rows } = JSON.parse(stdout);
  const text = `${connections.toLocaleString("en")} connections`;
  const name = (row) => ({ ...row, name: `${text}: ${row.name}` });
  const most = (what, value, limit) =>
    name({ name: what, memory: "shared", octets: value, limit, met: value <= limit });
  return {
    rounds,
    after,
    rows: [
      most("linear memory of each", memory / connections, plan.quick ? 1100 : OCTETS),
      most("memory of the process", octets, RESIDENT_LIMIT),
      name({ name: "opening and accepting each", memory: "shared", ns: openNs }),
      ...rows.map(name),
    ],
  };
}
