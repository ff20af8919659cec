// Joins two TUN devices by a path of 20 Mbit/s and 10 ms each way: node bridge.mjs LIBRARY INDEX DEVICE DEVICE
const [library, index, ...names] = process.argv.slice(2);
const { bridge, openTun } = await import(library);
const { impair } = await import(index);

const ends = await Promise.all(names.map((name) => openTun({ name })));
const path = (link) => impair(link, { rate: 20e6, delay: 10, queue: 256 * 1024 });
const joined = bridge(path(ends[0]), path(ends[1]));
console.log("joined");
process.on("SIGTERM", () => joined.close());
await joined.closed;
