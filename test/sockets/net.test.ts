import http from "node:http";
import nodeNet from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createNet, type Net, type StackServer, type StackSocket } from "../../bindings/node/net.ts";
import { codeOf, noise, type Pair, pair, SERVER, sha256, sleep } from "./stacks.ts";

let joined: Pair;
let client: Net;
let server: Net;
beforeEach(async () => {
  joined = await pair();
  client = createNet(joined.client);
  server = createNet(joined.server);
});
afterEach(() => joined.close());

/** Where a scenario runs: `node:net` over loopback, or ours over a pipe. */
interface World {
  client: Net;
  server: Net;
  host: string;
}

type Note = (who: string, what: string, ...values: unknown[]) => void;

/**
 * Events that both worlds must agree on, each with what it carries. 'finish' goes to a log of its own: how it falls
 * between what the other direction brings depends on how long the way is.
 */
function watch(socket: StackSocket, who: string, note: Note): StackSocket {
  for (const event of ["connect", "ready", "end", "timeout"]) socket.on(event, () => note(who, event));
  for (const event of ["connect", "finish", "close"]) socket.on(event, () => note(`${who}, writing`, event));
  socket.on("data", (data: Buffer) => note(who, "data", data.toString()));
  socket.on("error", (error) => note(who, "error", codeOf(error), (error as { syscall?: string }).syscall));
  socket.on("close", (hadError: boolean) => note(who, "close", hadError));
  return socket;
}

const closed = (emitter: { once(event: "close", listener: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => emitter.once("close", () => resolve()));
const listening = (listener: StackServer, host: string): Promise<number> =>
  new Promise((resolve) =>
    listener.listen(0, host, () => resolve((listener.address() as { port: number }).port)),
  );

/** Each plays the same way in both worlds. `note` writes the log that is compared, one log per speaker. */
const scenarios: Record<string, (world: World, note: Note) => Promise<void>> = {
  "an exchange that the client ends": async ({ client, server, host }, note) => {
    const listener = server.createServer((peer) => {
      watch(peer, "peer", note);
      peer.on("data", (data: Buffer) => peer.write(data));
    });
    const port = await listening(listener, host);
    const socket = watch(client.connect(port, host), "socket", note);
    note("socket", "state", socket.connecting, socket.pending, socket.readyState);
    socket.on("connect", () => {
      note("socket", "state", socket.connecting, socket.pending, socket.readyState);
      note(
        "socket",
        "address",
        socket.remoteAddress === host,
        socket.remotePort === port,
        socket.remoteFamily,
      );
      note("socket", "local", typeof socket.localPort, Object.keys(socket.address()).sort().join());
      socket.write("one");
    });
    socket.once("data", () => socket.end("two"));
    await closed(socket);
    note("socket", "state", socket.connecting, socket.pending, socket.readyState, socket.destroyed);
    note("socket", "bytes", socket.bytesRead, socket.bytesWritten);
    listener.close();
    await closed(listener);
  },

  "an exchange that the server ends": async ({ client, server, host }, note) => {
    const listener = server.createServer((peer) => {
      watch(peer, "peer", note);
      peer.end("goodbye");
    });
    const port = await listening(listener, host);
    const socket = watch(client.connect({ port, host }), "socket", note);
    await closed(socket);
    note("socket", "bytes", socket.bytesRead, socket.bytesWritten);
    listener.close();
    await closed(listener);
  },

  "a half-open server that answers after the end": async ({ client, server, host }, note) => {
    const listener = server.createServer({ allowHalfOpen: true }, (peer) => {
      watch(peer, "peer", note);
      peer.on("end", () => {
        note("peer", "state", peer.readyState);
        setTimeout(() => peer.end("answer"), 20);
      });
    });
    const port = await listening(listener, host);
    const socket = watch(client.connect({ port, host, allowHalfOpen: true }), "socket", note);
    socket.end("question");
    await closed(socket);
    listener.close();
    await closed(listener);
  },

  "writing before the connection is there": async ({ client, server, host }, note) => {
    const listener = server.createServer((peer) => void watch(peer, "peer", note));
    const port = await listening(listener, host);
    const socket = watch(client.connect(port, host), "socket", note);
    socket.cork();
    socket.write("a");
    socket.write("b");
    socket.write(Buffer.from("c"));
    note("socket", "bytes", socket.bytesWritten);
    socket.uncork();
    socket.end("d", () => note("socket", "ended", socket.bytesWritten));
    await closed(socket);
    listener.close();
    await closed(listener);
  },

  "a port nobody listens on": async ({ client, server, host }, note) => {
    const listener = server.createServer();
    const port = await listening(listener, host);
    listener.close();
    await closed(listener);
    const socket = watch(client.connect(port, host), "socket", note);
    socket.on("error", (error) => {
      const { address, port: named } = error as { address?: string; port?: number };
      note("socket", "names", address === host, named === port, socket.connecting);
    });
    await closed(socket);
    note("socket", "state", socket.readyState, socket.destroyed);
  },

  "a reset": async ({ client, server, host }, note) => {
    const listener = server.createServer((peer) => {
      watch(peer, "peer", note);
      peer.once("data", () => peer.resetAndDestroy());
    });
    const port = await listening(listener, host);
    const socket = watch(client.connect(port, host), "socket", note);
    socket.write("reset me");
    await closed(socket);
    listener.close();
    await closed(listener);
  },

  "destroy with and without an error": async ({ client, server, host }, note) => {
    const peers: StackSocket[] = [];
    const listener = server.createServer((peer) => {
      peer.on("error", () => {});
      peers.push(peer);
    });
    const port = await listening(listener, host);
    const plain = watch(client.connect(port, host), "plain", note);
    plain.on("connect", () => plain.destroy());
    await closed(plain);
    const angry = watch(client.connect(port, host), "angry", note);
    angry.on("connect", () => angry.destroy(Object.assign(new Error("no"), { code: "EMINE" })));
    await closed(angry);
    const early = watch(client.connect(port, host), "early", note);
    early.destroy();
    note("early", "state", early.connecting, early.destroyed);
    await closed(early);
    for (const peer of peers) peer.destroy();
    listener.close();
    await closed(listener);
  },

  "a timeout that ends it": async ({ client, server, host }, note) => {
    const listener = server.createServer((peer) => void watch(peer, "peer", note));
    const port = await listening(listener, host);
    const socket = watch(client.connect(port, host), "socket", note);
    note("socket", "timeout", socket.timeout);
    socket.setTimeout(60, () => {
      note("socket", "timeout", socket.timeout);
      socket.end();
    });
    await closed(socket);
    listener.close();
    await closed(listener);
  },

  "a signal that ends it": async ({ client, server, host }, note) => {
    const listener = server.createServer((peer) => {
      peer.on("error", () => {});
    });
    const port = await listening(listener, host);
    const controller = new AbortController();
    const socket = watch(new client.Socket({ signal: controller.signal }), "socket", note);
    socket.connect(port, host, () => controller.abort());
    await closed(socket);
    listener.close();
    await closed(listener);
  },

  "a paused connection": async ({ client, server, host }, note) => {
    const listener = server.createServer({ pauseOnConnect: true }, (peer) => {
      watch(peer, "peer", note);
      note("peer", "paused", peer.isPaused());
      setTimeout(() => {
        note("peer", "bytes", peer.bytesRead);
        peer.resume();
      }, 40);
    });
    const port = await listening(listener, host);
    const socket = watch(client.connect(port, host), "socket", note);
    socket.end("patience");
    await closed(socket);
    listener.close();
    await closed(listener);
  },

  "a server's life": async ({ client, server, host }, note) => {
    const listener = server.createServer();
    for (const event of ["listening", "close"] as const) listener.on(event, () => note("server", event));
    listener.on("drop", (data: object) => note("server", "drop", Object.keys(data).sort().join()));
    note("server", "state", listener.listening, listener.address());
    const port = await listening(listener, host);
    note("server", "address", (listener.address() as { family: string }).family);
    const busy = server.createServer();
    busy.on("error", (error) =>
      note("busy", "error", codeOf(error), (error as { port?: number }).port === port),
    );
    busy.listen(port, host);
    await sleep(20);
    note("busy", "listening", busy.listening);
    listener.maxConnections = 1;
    const accepted = new Promise<StackSocket>((resolve) => listener.once("connection", resolve));
    const first = client.connect(port, host);
    const peer = await accepted;
    note("server", "peer's server", (peer as { server?: unknown }).server === listener);
    const dropped = client.connect(port, host);
    dropped.on("error", () => {});
    await closed(dropped);
    await new Promise<void>((resolve) =>
      listener.getConnections((error, count) => {
        note("server", "connections", error, count);
        resolve();
      }),
    );
    listener.close(() => note("server", "close callback"));
    await sleep(20);
    note("server", "still", listener.listening);
    first.end();
    peer.resume();
    await closed(listener);
    const again = server.createServer();
    await new Promise<void>((resolve) =>
      again.close((error) => {
        note("again", "close", error !== undefined);
        resolve();
      }),
    );
  },

  "a write that has to wait": async ({ client, server, host }, note) => {
    let received = 0;
    const listener = server.createServer((peer) => {
      peer.pause();
      setTimeout(() => peer.resume(), 60);
      peer.on("data", (data: Buffer) => {
        received += data.length;
      });
    });
    const port = await listening(listener, host);
    const socket = client.connect(port, host);
    const block = Buffer.alloc(24 * 2 ** 20, 1);
    note("socket", "write", socket.write(block), socket.writableNeedDrain);
    await new Promise<void>((resolve) => socket.once("drain", () => resolve()));
    note("socket", "drain", socket.writableLength, socket.bytesWritten);
    socket.end();
    await closed(socket);
    note("socket", "received", received);
    listener.close();
    await closed(listener);
  },
};

describe("node:net", () => {
  for (const [name, scenario] of Object.entries(scenarios))
    it(`behaves like node:net: ${name}`, { timeout: 20_000 }, async () => {
      const play = async (world: World): Promise<Record<string, unknown[]>> => {
        const log: Record<string, unknown[]> = {};
        await scenario(world, (who, ...what) => {
          log[who] ??= [];
          log[who].push(what);
        });
        return log;
      };
      const reference = nodeNet as unknown as Net;
      const theirs = await play({ client: reference, server: reference, host: "127.0.0.1" });
      const ours = await play({ client, server, host: SERVER });
      expect(ours).toEqual(theirs);
      expect(Object.keys(ours).length).toBeGreaterThan(0);
    });

  it("carries 16 MiB each way at once, intact", { timeout: 60_000 }, async () => {
    const up = Buffer.from(noise(16 * 2 ** 20));
    const down = Buffer.from(noise(16 * 2 ** 20));
    const collect = (socket: StackSocket): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        socket.on("data", (chunk: Buffer) => chunks.push(chunk));
        socket.on("end", () => resolve(Buffer.concat(chunks)));
        socket.on("error", reject);
      });
    const atServer = new Promise<Buffer>((resolve, reject) => {
      server
        .createServer({ allowHalfOpen: true }, (peer) => {
          collect(peer).then(resolve, reject);
          peer.end(down);
        })
        .listen(7);
    });
    const socket = client.connect({ port: 7, host: SERVER, allowHalfOpen: true });
    const atClient = collect(socket);
    socket.end(up);
    expect(sha256(await atServer)).toBe(sha256(up));
    expect(sha256(await atClient)).toBe(sha256(down));
    expect(socket.bytesRead).toBe(down.length);
    expect(socket.bytesWritten).toBe(up.length);
  });

  it("names bad arguments", async () => {
    expect(() => client.connect({ port: 70000, host: SERVER })).toThrow(/70000/);
    expect(() => client.connect({ path: "/tmp/x" } as never)).toThrow(/\/tmp\/x/);
    expect(() => server.createServer().listen(-1)).toThrow(/-1/);
    expect(() => new client.Socket().setTimeout(-5)).toThrow(/-5/);
    const socket = client.connect({ port: 80, host: "example.org" });
    const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ code: "ENOTSUP", message: expect.stringContaining("example.org") });
  });

  it("closing the stack destroys its sockets without an error nobody awaits", async () => {
    const listener = server.createServer((peer) => void peer.on("error", () => {})).listen(7);
    const socket = client.connect(7, SERVER);
    await new Promise((resolve) => socket.once("connect", resolve));
    const events: unknown[] = [];
    socket.on("close", (hadError: boolean) => events.push(hadError));
    await joined.client.close();
    await sleep(5);
    expect(events).toEqual([false]);
    expect(socket.destroyed).toBe(true);
    listener.close();
  });
});

describe("node:http", () => {
  let listener: StackServer;
  let httpServer: http.Server;
  let connections = 0;

  /** `http.Server` over ours: answers with the body's hash, or with as many octets as the path asks for. */
  const serve = (handler: http.RequestListener): void => {
    connections = 0;
    httpServer = http.createServer(handler);
    listener = server.createServer((socket) => {
      connections++;
      httpServer.emit("connection", socket);
    });
    listener.listen(80);
  };
  const agent = (): http.Agent => {
    const made = new http.Agent({ keepAlive: true, maxSockets: 1 });
    (made as unknown as { createConnection: unknown }).createConnection = client.createConnection;
    return made;
  };
  const request = (
    options: http.RequestOptions,
    body?: Buffer | Buffer[],
  ): Promise<{ response: http.IncomingMessage; body: Buffer }> =>
    new Promise((resolve, reject) => {
      const asked = http.request({ host: SERVER, port: 80, ...options }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ response, body: Buffer.concat(chunks) }));
        response.on("error", reject);
      });
      asked.on("error", reject);
      if (Array.isArray(body)) for (const part of body) asked.write(part);
      else if (body !== undefined) asked.write(body);
      asked.end();
    });

  it("keeps a connection alive over many requests", async () => {
    serve((asked, answer) => answer.end(`you asked for ${asked.url}`));
    const keeping = agent();
    for (let i = 0; i < 20; i++) {
      const { response, body } = await request({ path: `/${i}`, agent: keeping });
      expect(response.statusCode).toBe(200);
      expect(body.toString()).toBe(`you asked for /${i}`);
    }
    expect(connections).toBe(1);
    keeping.destroy();
    await new Promise((resolve) => httpServer.close(resolve));
  });

  it("uploads and downloads 8 MiB, with a length and in chunks", { timeout: 30_000 }, async () => {
    const blob = Buffer.from(noise(8 * 2 ** 20));
    serve((asked, answer) => {
      const chunks: Buffer[] = [];
      asked.on("data", (chunk: Buffer) => chunks.push(chunk));
      asked.on("end", () => {
        answer.setHeader("x-hash", sha256(...chunks));
        answer.setHeader("x-encoding", asked.headers["transfer-encoding"] ?? "none");
        if (asked.url === "/chunked") {
          for (let at = 0; at < blob.length; at += 100_000) answer.write(blob.subarray(at, at + 100_000));
          answer.end();
        } else answer.setHeader("content-length", blob.length).end(blob);
      });
    });
    const createConnection = client.createConnection as unknown as () => nodeNet.Socket;
    const plain = await request(
      { method: "POST", path: "/", headers: { "content-length": blob.length }, createConnection },
      blob,
    );
    expect(plain.response.headers["x-hash"]).toBe(sha256(blob));
    expect(plain.response.headers["x-encoding"]).toBe("none");
    expect(sha256(plain.body)).toBe(sha256(blob));
    const parts: Buffer[] = [];
    for (let at = 0; at < blob.length; at += 70_000) parts.push(blob.subarray(at, at + 70_000));
    const chunked = await request({ method: "POST", path: "/chunked", createConnection }, parts);
    expect(chunked.response.headers["x-hash"]).toBe(sha256(blob));
    expect(chunked.response.headers["x-encoding"]).toBe("chunked");
    expect(chunked.response.headers["transfer-encoding"]).toBe("chunked");
    expect(sha256(chunked.body)).toBe(sha256(blob));
  });

  it("ends idle connections after the server's keep-alive time", async () => {
    serve((_asked, answer) => answer.end("once"));
    httpServer.keepAliveTimeout = 50;
    const keeping = agent();
    await request({ agent: keeping });
    await sleep(1500); // the server adds a second of its own
    let open = -1;
    listener.getConnections((_error, count) => {
      open = count;
    });
    await sleep(5);
    expect(open).toBe(0);
    keeping.destroy();
  });

  it("tells a client whose server vanished", async () => {
    serve((asked) => asked.socket.destroy());
    await expect(
      request({ createConnection: client.createConnection as unknown as () => nodeNet.Socket }),
    ).rejects.toMatchObject({ code: "ECONNRESET" });
  });
});
