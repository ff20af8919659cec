import nodeDgram from "node:dgram";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDgram, type Dgram, type RemoteInfo, type StackDgram } from "../../bindings/node/dgram.ts";
import { codeOf, type Pair, pair, SERVER, sleep } from "./stacks.ts";

let joined: Pair;
let client: Dgram;
let server: Dgram;
beforeEach(async () => {
  joined = await pair({
    resolve: (name) => (name === "server.test" ? SERVER : Promise.reject(new Error(name))),
  });
  client = createDgram(joined.client);
  server = createDgram(joined.server);
});
afterEach(() => joined.close());

/** Where a scenario runs: `node:dgram` over loopback, or ours over a pipe. */
interface World {
  client: Dgram;
  server: Dgram;
  host: string;
}

type Note = (who: string, what: string, ...values: unknown[]) => void;

/** Events that both worlds must agree on, each with what it carries. */
function watch(socket: StackDgram, who: string, note: Note): StackDgram {
  for (const event of ["listening", "connect", "close"] as const) socket.on(event, () => note(who, event));
  socket.on("error", (error) => note(who, "error", codeOf(error), (error as { syscall?: string }).syscall));
  socket.on("message", (message: Buffer, { family, size }: RemoteInfo) =>
    note(who, "message", message.toString(), Buffer.isBuffer(message), family, size),
  );
  return socket;
}

const once = (socket: StackDgram, event: "listening" | "connect" | "close" | "message"): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()));
const bound = async (socket: StackDgram, host: string): Promise<number> => {
  socket.bind(0, host);
  await once(socket, "listening");
  return socket.address().port;
};
const messages = (socket: StackDgram, count: number): Promise<void> =>
  new Promise((resolve) => {
    socket.on("message", () => {
      if (--count === 0) resolve();
    });
  });
/** Whether `call` throws; the codes of argument errors are Node's own. */
const throws = (call: () => unknown): boolean => {
  try {
    call();
    return false;
  } catch {
    return true;
  }
};

/**
 * Each plays the same way in both worlds. `note` writes the log that is compared, one log per speaker; what falls
 * differently between other things, for the way is shorter here or there, has a log of its own.
 */
const scenarios: Record<string, (world: World, note: Note) => Promise<void>> = {
  "an echo": async ({ client, server, host }, note) => {
    const echo = watch(server.createSocket("udp4"), "echo", note);
    echo.on("message", (message, { port, address }) => echo.send(message, port, address));
    const port = await bound(echo, host);
    note("echo", "address", echo.address().family, echo.address().address === host);
    const socket = watch(client.createSocket({ type: "udp4" }), "socket", note);
    const answer = new Promise<RemoteInfo>((resolve) => socket.once("message", (_, from) => resolve(from)));
    socket.send("hello", port, host, (error, octets) => note("socket, sending", "sent", error, octets));
    const from = await answer;
    note("socket", "from", from.address === host, from.port === port, Object.keys(from).sort().join());
    socket.close(() => note("socket", "close callback"));
    echo.close();
    await Promise.all([once(socket, "close"), once(echo, "close")]);
  },

  "every form of send": async ({ client, server, host }, note) => {
    const peer = watch(server.createSocket("udp4"), "peer", note);
    const port = await bound(peer, host);
    const socket = client.createSocket("udp4");
    await bound(socket, "0.0.0.0");
    const six = messages(peer, 8);
    const sent = (error: Error | null, octets: number): void => note("socket", "sent", error, octets);
    socket.send("text", port, host);
    socket.send(Buffer.from("a buffer"), port, host, sent);
    socket.send(new Uint16Array([0x4141, 0x4242]), port, host, sent);
    socket.send(new DataView(new Uint8Array([67, 68, 69]).buffer, 1), port, host, sent);
    socket.send(["in ", Buffer.from("pieces")], port, host, sent);
    socket.send([], port, host, sent);
    socket.send("not all of it", 4, 3, port, host, sent);
    socket.send("", port, host, sent);
    await six;
    await sleep(5);
    socket.close();
    peer.close();
    await once(peer, "close");
  },

  "a bind's life": async ({ client, host }, note) => {
    const socket = watch(client.createSocket("udp4"), "socket", note);
    note(
      "socket",
      "unbound",
      throws(() => socket.address()),
    );
    note("socket", "returns", socket.bind(() => note("socket", "bind callback")) === socket);
    note(
      "socket",
      "twice",
      throws(() => socket.bind()),
    );
    await once(socket, "listening");
    const { address, family, port } = socket.address();
    note("socket", "address", address, family, port > 0);
    note("socket", "refs", socket.ref() === socket, socket.unref() === socket);
    const foreign = watch(client.createSocket("udp4"), "foreign", note);
    foreign.bind({ address: "203.0.113.9" }, () => note("foreign", "bind callback"));
    await sleep(20);
    const busy = watch(client.createSocket("udp4"), "busy", note);
    busy.bind(port);
    await sleep(20);
    note("busy", "again", busy.bind(0) === busy);
    await once(busy, "listening");
    for (const one of [socket, foreign, busy]) one.close();
    await sleep(20);
    note(
      "socket",
      "closed",
      throws(() => socket.close()),
      throws(() => socket.address()),
    );
    note(
      "socket",
      "send",
      throws(() => socket.send("x", port, host)),
      throws(() => socket.bind()),
    );
  },

  "errors of send": async ({ client, host }, note) => {
    const socket = watch(client.createSocket("udp4"), "socket", note);
    const sent = (error: Error | null, octets: number): void =>
      note("socket", "sent", codeOf(error), (error as { syscall?: string } | null)?.syscall, octets);
    socket.send(Buffer.alloc(70_000), 9, host, sent);
    socket.send(Buffer.alloc(70_000), 9, host);
    await sleep(20);
    socket.send("to the other family", 9, "::1", sent);
    await sleep(20);
    for (const call of [
      () => socket.send("x", 0, host),
      () => socket.send("x", 70_000, host),
      () => socket.send("x", undefined as never),
      () => socket.send(5 as never, 9, host),
      () => socket.send([5] as never, 9, host),
      () => socket.send("x", 9, 5 as never),
      () => socket.send(Buffer.alloc(3), 2, 5, 9, host),
      () => client.createSocket("tcp" as never),
    ])
      note("socket", "throws", throws(call));
    socket.close();
    await once(socket, "close");
  },

  "a closed port": async ({ client, host }, note) => {
    const socket = watch(client.createSocket("udp4"), "socket", note);
    const gone = client.createSocket("udp4");
    const port = await bound(gone, "0.0.0.0");
    gone.close();
    await once(gone, "close");
    socket.send("anybody?", port, host, (error, octets) => note("socket", "sent", error, octets));
    await sleep(20);
    socket.close();
    await once(socket, "close");
  },

  "a connected socket": async ({ client, server, host }, note) => {
    const peer = watch(server.createSocket("udp4"), "peer", note);
    const port = await bound(peer, host);
    const other = server.createSocket("udp4");
    await bound(other, host);
    const socket = watch(client.createSocket("udp4"), "socket", note);
    note(
      "socket",
      "unconnected",
      throws(() => socket.remoteAddress()),
      throws(() => socket.disconnect()),
    );
    socket.connect(port, host, () => note("socket", "connect callback"));
    await once(socket, "connect");
    const to = socket.remoteAddress();
    note(
      "socket",
      "peer",
      to.address === host,
      to.family,
      to.port === port,
      throws(() => socket.connect(1)),
    );
    const all = messages(peer, 3);
    let back: RemoteInfo | undefined;
    peer.once("message", (_, from) => {
      back = from;
    });
    const sent = (error: Error | null, octets: number): void => note("socket", "sent", error, octets);
    socket.send("one", sent);
    socket.send("not all of it", 4, 3, sent);
    socket.send("three");
    note(
      "socket",
      "elsewhere",
      throws(() => socket.send("x", 0, 1, port, host)),
    );
    await all;
    other.send("not for you", back!.port, back!.address);
    await sleep(20);
    peer.send("for you", back!.port, back!.address);
    await once(socket, "message");
    socket.disconnect();
    note(
      "socket",
      "disconnected",
      throws(() => socket.remoteAddress()),
    );
    for (const one of [socket, peer, other]) one.close();
    await sleep(20);
  },

  "a signal that closes it": async ({ client, host }, note) => {
    const controller = new AbortController();
    const socket = watch(client.createSocket({ type: "udp4", signal: controller.signal }), "socket", note);
    await bound(socket, "0.0.0.0");
    controller.abort();
    note(
      "socket",
      "closed",
      throws(() => socket.send("x", 9, host)),
    );
    await once(socket, "close");
    const early = watch(client.createSocket({ type: "udp4", signal: AbortSignal.abort() }), "early", note);
    await once(early, "close");
  },

  "closing in the midst of it": async ({ client, server, host }, note) => {
    const hasty = watch(client.createSocket("udp4"), "hasty", note);
    hasty.bind(0);
    hasty.close();
    await once(hasty, "close");
    const peer = watch(server.createSocket("udp4"), "peer", note);
    const port = await bound(peer, host);
    peer.on("message", () => peer.close());
    const socket = client.createSocket("udp4");
    for (const word of ["one", "two", "three"]) socket.send(word, port, host);
    await once(peer, "close");
    await sleep(20);
    socket.close();
  },

  "a listener from the start": async ({ client, server, host }, note) => {
    const socket = new client.Socket("udp4");
    const heard = new Promise<void>((resolve) => {
      const peer: StackDgram = server.createSocket("udp4", function (this: unknown, message) {
        note("peer", "heard", message.toString(), this === peer);
        peer.close(resolve);
      });
      void bound(peer, host).then((port) => {
        socket.send("x", port, host);
      });
    });
    await heard;
    socket.close();
  },
};

describe("node:dgram", () => {
  for (const [name, scenario] of Object.entries(scenarios))
    it(`behaves like node:dgram: ${name}`, { timeout: 20_000 }, async () => {
      const play = async (world: World): Promise<Record<string, unknown[]>> => {
        const log: Record<string, unknown[]> = {};
        await scenario(world, (who, ...what) => {
          log[who] ??= [];
          log[who].push(what);
        });
        return log;
      };
      const reference = nodeDgram as unknown as Dgram;
      const theirs = await play({ client: reference, server: reference, host: "127.0.0.1" });
      const ours = await play({ client, server, host: SERVER });
      expect(ours).toEqual(theirs);
      expect(Object.keys(ours).length).toBeGreaterThan(0);
    });

  it("hears IPv4 at a udp6 socket, mapped, unless told not to, and only IPv4 at a udp4 one", async () => {
    const heard: Record<string, [string, string][]> = { both: [], six: [], four: [] };
    const listen = (name: string, options: Parameters<Dgram["createSocket"]>[0], port: number): void => {
      const socket = server.createSocket(options, (message, from) => {
        heard[name]!.push([message.toString(), `${from.address} ${from.family}`]);
        socket.send("back", from.port, from.address);
      });
      socket.bind(port);
    };
    listen("both", "udp6", 1);
    listen("six", { type: "udp6", ipv6Only: true }, 2);
    listen("four", "udp4", 3);
    const four = client.createSocket("udp4");
    const six = client.createSocket("udp6");
    const answered = { four: 0, six: 0 };
    four.on("message", () => answered.four++);
    six.on("message", () => answered.six++);
    for (const port of [1, 2, 3]) {
      four.send("4", port, SERVER);
      six.send("6", port, "fd00::2");
    }
    await sleep(30);
    expect(heard).toEqual({
      both: [
        ["4", "::ffff:10.0.0.1 IPv6"],
        ["6", "fd00::1 IPv6"],
      ],
      six: [["6", "fd00::1 IPv6"]],
      four: [["4", "10.0.0.1 IPv4"]],
    });
    expect(answered).toEqual({ four: 2, six: 2 });
  });

  it("goes to names that the stack resolves, and tells of others", async () => {
    const peer = server.createSocket("udp4").bind(7, "server.test");
    await once(peer, "listening");
    expect(peer.address()).toEqual({ address: SERVER, family: "IPv4", port: 7 });
    const socket = client.createSocket("udp4");
    const heard = messages(peer, 2);
    socket.send("by name", 7, "server.test");
    socket.connect(7, "server.test", () => socket.send("connected"));
    await heard;
    expect(socket.remoteAddress()).toEqual({ address: SERVER, family: "IPv4", port: 7 });
    socket.disconnect();
    const failed = new Promise((resolve) => socket.once("error", resolve));
    socket.send("x", 7, "nobody.test");
    expect(await failed).toMatchObject({ message: "nobody.test" });
    const told = new Promise((resolve) => socket.send("x", 7, "nobody.test", resolve));
    expect(await told).toMatchObject({ message: "nobody.test" });
    const early = client.createSocket("udp4");
    const done = new Promise((resolve) => early.bind(0, "nobody.test").once("error", resolve));
    expect(await done).toMatchObject({ message: "nobody.test" });
  });

  it("names bad arguments", () => {
    const socket = client.createSocket("udp4");
    expect(() => socket.send("x", 70_000, SERVER)).toThrow(/70000/);
    expect(() => socket.send("x", 2, 9, 7, SERVER)).toThrow(/offset 2 and length 9/);
    expect(() => client.createSocket("tcp" as never)).toThrow(/tcp/);
    expect(() => socket.bind({ fd: 3 } as never)).toThrow(/descriptor/);
  });

  it("a listener's fault is told, and the next message comes", async () => {
    const caught: unknown[] = [];
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => caught.push(error));
    const peer = server.createSocket("udp4").bind(7);
    const seen: string[] = [];
    peer.on("message", (message) => {
      seen.push(message.toString());
      if (seen.length === 1) throw new Error("mine");
    });
    const socket = client.createSocket("udp4");
    socket.send("one", 7, SERVER);
    socket.send("two", 7, SERVER);
    await sleep(20);
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
    expect(seen).toEqual(["one", "two"]);
    expect(caught).toMatchObject([{ message: "mine" }]);
  });

  it("lets timers run between many messages", async () => {
    const peer = server.createSocket("udp4").bind(7);
    let turns = 0;
    let most = 0;
    let row = 0;
    const timer = setInterval(() => {
      turns++;
      row = 0;
    }, 0);
    peer.on("message", () => {
      most = Math.max(most, ++row);
      const until = performance.now() + 0.5;
      while (performance.now() < until);
    });
    const socket = client.createSocket("udp4");
    for (let i = 0; i < 500; i++) socket.send("x", 7, SERVER);
    await sleep(400);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
    expect(most).toBeLessThanOrEqual(96);
  });

  it("closing the stack closes its sockets without an error; a stack that breaks is told", async () => {
    const events: unknown[] = [];
    const socket = client.createSocket("udp4").bind(7);
    socket.on("close", () => events.push("close")).on("error", (error) => events.push(codeOf(error)));
    await once(socket, "listening");
    await joined.client.close();
    await sleep(5);
    expect(events).toEqual(["close"]);
    const other = server.createSocket("udp4").bind(7);
    other.on("close", () => events.push("close")).on("error", (error) => events.push(codeOf(error)));
    await once(other, "listening");
    joined.server.engine.poll = () => {
      throw new Error("broken");
    };
    other.send("x", 7, "10.0.0.1");
    await sleep(5);
    expect(events).toEqual(["close", "ECONNABORTED", "close"]);
  });
});
