// Answers a connection with the SHA-256 of what it got, once its peer has ended its stream; run inside a namespace.
// Arguments: address, port.
import { createHash } from "node:crypto";
import { createServer } from "node:net";

const [, , address, port] = process.argv;
const server = createServer({ allowHalfOpen: true }, async (socket) => {
  server.close();
  const hash = createHash("sha256");
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) hash.update(chunk);
  socket.end(hash.digest("hex"));
});
server.listen(Number(port), address, () => console.log("listening"));
