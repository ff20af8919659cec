// Sends datagrams to an address and counts the echoes; run inside a namespace.
// Arguments: address, datagrams, octets. Prints how many came back whole.
import { createSocket } from "node:dgram";

const [, , address, count, size] = process.argv;
const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
const payload = (i) => Buffer.alloc(Number(size), `${i} `);
let next = 0;
let whole = 0;
let waiting;

socket.on("message", (message) => {
  if (message.equals(payload(next - 1))) whole++;
  step();
});

function step() {
  clearTimeout(waiting);
  if (next === Number(count)) {
    console.log(whole);
    socket.close();
    return;
  }
  socket.send(payload(next++), 7, address);
  waiting = setTimeout(step, 300);
}

step();
