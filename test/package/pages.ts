import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

export interface Pages {
  origin: string;
  /** Paths asked for since the last `forget`, in order. */
  readonly asked: string[];
  /** Pages made up by the test: path to content. */
  readonly made: Map<string, string>;
  forget(): void;
  close(): Promise<void>;
}

/** Serve a folder on the loopback address, with or without the headers that isolate a page from other origins. */
export async function servePages(folder: string, isolated: boolean): Promise<Pages> {
  const asked: string[] = [];
  const made = new Map<string, string>();
  const headers = isolated
    ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }
    : {};
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    asked.push(path);
    try {
      const content = made.get(path) ?? (await readFile(join(folder, normalize(path))));
      response.writeHead(200, { ...headers, "content-type": types[extname(path)] ?? "text/plain" });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    made,
    forget: () => {
      asked.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
