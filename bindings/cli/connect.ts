import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { SynwaveError } from "../errors.ts";
import { createNet } from "../node/net.ts";
import { addTunOptions, makeCommand, port, seconds, type TunChoice } from "./options.ts";
import { openTunStack } from "./tun-stack.ts";

interface ConnectChoice extends TunChoice {
  timeout: number;
}

/** Standard input to a connection, the connection to standard output. */
export function connectCommand(): Command {
  const command = makeCommand("connect", "standard input and output through a TCP connection, like nc", [
    "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | synwave connect --tun tun0 --address 10.0.0.2/24 10.0.0.1 80",
    "synwave connect --tun tun0 --address fd00::2/64 --timeout 3 fd00::1 22",
  ]);
  return addTunOptions(command)
    .argument("<host>", "address or name of the peer")
    .argument("<port>", "its port", port)
    .option("--timeout <seconds>", "give up when it takes longer to connect", seconds, 60)
    .action(connect);
}

async function connect(host: string, remotePort: number, choice: ConnectChoice): Promise<void> {
  const { stack } = await openTunStack(choice);
  try {
    const socket = createNet(stack).connect({ host, port: remotePort, allowHalfOpen: true });
    const limit = AbortSignal.timeout(choice.timeout * 1000);
    try {
      await once(socket, "connect", { signal: limit });
    } catch (error) {
      socket.destroy();
      if (!limit.aborted) throw error;
      throw new SynwaveError(
        "ETIMEDOUT",
        `no answer from ${host} port ${remotePort} within ${choice.timeout} seconds`,
      );
    }
    // The end of standard input ends our direction alone; the peer's goes on until it ends as well.
    await Promise.all([pipeline(process.stdin, socket), pipeline(socket, process.stdout, { end: false })]);
    await stack.close({ graceful: true });
  } finally {
    process.stdin.destroy();
    await stack.close();
  }
}
