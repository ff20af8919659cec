import { stat } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { SynwaveError } from "../errors.ts";
import { createNet } from "../node/net.ts";
import { addTunOptions, makeCommand, port, type TunChoice } from "./options.ts";
import { staticFiles } from "./static-files.ts";
import { openTunStack } from "./tun-stack.ts";

interface ServeChoice extends TunChoice {
  port: number;
  root: string;
  upload?: boolean;
  echo?: boolean;
  discard?: boolean;
  json?: boolean;
}

/** What is done with a connection, and what is left to do when the server is to end. */
interface Service {
  take(socket: Socket): void;
  retire(): void;
}

/** Milliseconds that connections have to finish after a request to end. */
const GRACE = 1000;
/** Milliseconds without a word after which a connection for HTTP is dropped. */
const IDLE = 120_000;

export function serveCommand(): Command {
  const command = makeCommand("serve", "an HTTP file server on a TUN device", [
    "synwave serve --tun tun0 --address 10.0.0.2/24",
    "synwave serve --tun tun0 --address 10.0.0.2/24 --address fd00::2/64 --port 8080 --root public --upload",
    "synwave serve --tun tun0 --address 10.0.0.2/24 --port 7 --echo",
  ]);
  return addTunOptions(command)
    .option("--port <port>", "port to listen on", port, 80)
    .option("--root <folder>", "folder that is served", ".")
    .option("--upload", "take files by PUT as well")
    .addOption(new Option("--echo", "no HTTP: send back whatever arrives").conflicts(["discard", "upload"]))
    .addOption(new Option("--discard", "no HTTP: take whatever arrives").conflicts(["echo", "upload"]))
    .option("--json", "print what happens as lines of JSON, the counters at the end among them")
    .action(serve);
}

async function serve(choice: ServeChoice): Promise<void> {
  const service = await makeService(choice);
  const { stack } = await openTunStack(choice);
  try {
    const server = createNet(stack).createServer({ allowHalfOpen: true }, (socket) =>
      service.take(socket as unknown as Socket),
    );
    await new Promise<void>((listening, failed) => {
      server.once("error", failed);
      server.listen({ port: choice.port }, listening);
    });
    const places = choice.address.map((address) => {
      const [host] = address.split("/");
      return `${host!.includes(":") ? `[${host}]` : host}:${choice.port}`;
    });
    const ready = choice.json
      ? JSON.stringify({ listening: places })
      : `listening on ${places.join(" and ")}`;
    process.stdout.write(`${ready}\n`);
    await Promise.race([endRequested(), stack.closed]);
    service.retire();
    if (choice.json) {
      const memory = stack.engine.memory.buffer.byteLength;
      process.stdout.write(`${JSON.stringify({ counters: stack.counters(), memory })}\n`);
    }
    await stack.close({ graceful: true, signal: AbortSignal.timeout(GRACE) });
  } finally {
    await stack.close();
  }
}

async function makeService({ echo, discard, root, upload = false }: ServeChoice): Promise<Service> {
  if (echo || discard)
    return {
      take(socket) {
        // A peer that resets its connection is no fault of the server.
        socket.on("error", () => {});
        if (echo) socket.pipe(socket);
        else socket.on("end", () => socket.end()).resume();
      },
      retire() {},
    };
  const folder = resolve(root);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new SynwaveError("EINVAL", `--root ${root} is not a folder`);
  const http = createHttpServer(staticFiles({ root: folder, upload }));
  // A server that does not listen by itself does not check its other limits.
  http.setTimeout(IDLE);
  return {
    take: (socket) => http.emit("connection", socket),
    retire: () => http.closeIdleConnections(),
  };
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process as if nobody listened. */
function endRequested(): Promise<void> {
  return new Promise((requested) => {
    const ask = (): void => {
      process.off("SIGINT", ask);
      process.off("SIGTERM", ask);
      requested();
    };
    process.on("SIGINT", ask);
    process.on("SIGTERM", ask);
  });
}
