// Sends every UDP packet back to where it came from; run inside a namespace. Arguments: library, device, MTU or nothing.
const [, , library, name, mtu] = process.argv;
const { openTun } = await import(library);

try {
  const link = await openTun({ name, ...(mtu === undefined ? {} : { mtu: Number(mtu) }) });
  let packets = 0;
  link.onReceive((batch) => {
    // Swapped addresses and ports leave both checksums as they are.
    const { bytes, table } = batch;
    for (let i = 0; i < batch.count; i++) {
      const at = table[2 * i];
      const six = bytes[at] >> 4 === 6;
      if (bytes[at + (six ? 6 : 9)] !== 17) continue;
      swap(bytes, at + (six ? 8 : 12), six ? 16 : 4);
      swap(bytes, at + (six ? 40 : 20), 2);
      packets++;
    }
    link.send(batch);
  });
  link.closed.then(
    () => console.log(`closed after ${packets} packets, drops ${JSON.stringify(link.drops)}`),
    (error) => console.log(`broken: ${error.message}`),
  );
  process.once("SIGTERM", () => {
    link.close();
    link.close();
  });
  console.log(`open ${link.name} ${link.mtu}`);
} catch (error) {
  console.log(`${error.name} ${error.message}`);
}

function swap(bytes, at, length) {
  for (let i = 0; i < length; i++) {
    const octet = bytes[at + i];
    bytes[at + i] = bytes[at + length + i];
    bytes[at + length + i] = octet;
  }
}
