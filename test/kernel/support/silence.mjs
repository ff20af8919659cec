// Connects with keepalive on and tells how the connection ended; run inside a namespace. Arguments: the library and its
// part for Node, the device, our address with prefix, the peer's address and port.
const [, , library, part, name, address, host, port] = process.argv;
const { createStack } = await import(library);
const { createNet, openTun } = await import(part);

const stack = await createStack({
  link: await openTun({ name }),
  addresses: [address],
  settings: { tcpKeepaliveIntvl: 1, tcpKeepaliveProbes: 3 },
});
const socket = createNet(stack).connect({ host, port: Number(port) });
socket.setKeepAlive(true, 1000);
socket.once("connect", () => console.log("connected"));
socket.resume();
socket.once("error", (error) =>
  console.log(`ended by ${error.code} after ${stack.counters().TCPKeepAlive} probes`),
);
socket.once("close", (failed) => {
  if (!failed) console.log("ended well");
  stack.close();
});
