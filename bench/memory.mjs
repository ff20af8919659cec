// What long use leaves behind.
import { loadLibrary } from "./dist.mjs";
import { heap } from "./heap.mjs";
import { longTransfer } from "./long-transfer.mjs";
import { manyConnections } from "./many-connections.mjs";

const MIB = 2 ** 20;

const sum = (values) => values.reduce((a, b) => a + b, 0);

function left(name, octets, limit) {
  return { name, memory: "shared", octets, limit, met: octets <= limit };
}

/** @param {boolean} quick a thousandth of the work */
export async function memory(quick, progress) {
  const library = await loadLibrary();
  const octets = quick ? MIB : 1024 * MIB;
  const connections = quick ? 20 : 10_000;
  const transfer = await longTransfer(library, octets, (done) => progress((done / octets) * 0.8));
  const { rounds, ...counts } = await manyConnections(library, connections, heap, (done) =>
    progress(0.8 + (done / connections) * 0.1),
  );
  const [first, second] = rounds;
  const open = first.open + second.open;
  if (open > 0) throw new Error(`${open} connections were still there after they were closed`);

  const { before, after } = transfer;
  const text = `${octets / MIB} MiB by sockets and pipe()`;
  const many = `${connections} connections more`;
  return {
    transfer,
    connections: { rounds, ...counts },
    rows: [
      { name: `${text}, hashed, each 1460 octets`, memory: "shared", ns: transfer.ns },
      left(`${text}: linear memory`, sum(after.linear) - sum(before.linear), 0),
      left(`${text}: JavaScript's memory`, after.heap.total - before.heap.total, 8 * MIB),
      left(`${many}: linear memory`, sum(first.room) - sum(second.room), 0),
      left(`${many}: JavaScript's memory`, second.heap.total - first.heap.total, MIB),
    ],
  };
}
