import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import type { Socket } from "../../bindings/sockets/socket.ts";
import { createStack } from "../../bindings/stack.ts";
import { drain, noise, type Pair, pair, pour, SERVER, sha256, sleep } from "./stacks.ts";

let net: Pair;
beforeEach(async () => {
  net = await pair();
});
afterEach(() => net.close());

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);

/** A connected pair of sockets. */
async function joined(options: { allowHalfOpen?: boolean } = {}): Promise<{ near: Socket; far: Socket }> {
  const listener = net.server.listen({ port: 0, ...options });
  const near = net.client.connect({ hostname: SERVER, port: listener.port }, options);
  const { value: far } = await listener.next();
  await near.opened;
  return { near, far: far! };
}

describe("connect and listen", () => {
  it("echoes, tells both ends' addresses and closes", async () => {
    const listener = net.server.listen({ port: 7 });
    const serving = (async () => {
      for await (const peer of listener) void peer.readable.pipeTo(peer.writable);
    })();
    const socket = net.client.connect(`${SERVER}:7`);
    const info = await socket.opened;
    expect(info).toMatchObject({
      remoteAddress: SERVER,
      remotePort: 7,
      localAddress: "10.0.0.1",
      alpn: null,
    });
    expect(info.localPort).toBeGreaterThan(0);
    await pour(socket.writable, bytes("hello"));
    expect(text(await drain(socket.readable))).toBe("hello");
    await socket.closed;
    listener.close();
    await serving;
    await listener.closed;
  });

  it("connects over IPv6", async () => {
    const listener = net.server.listen({ port: 7 });
    const socket = net.client.connect("[fd00::2]:7");
    const { value: peer } = await listener.next();
    expect((await socket.opened).remoteAddress).toBe("fd00::2");
    const [, received] = await Promise.all([pour(socket.writable, bytes("six")), drain(peer!.readable)]);
    expect(text(received)).toBe("six");
  });

  it("carries 16 MiB each way at once, intact", { timeout: 60_000 }, async () => {
    const { near, far } = await joined({ allowHalfOpen: true });
    const up = noise(16 * 2 ** 20);
    const down = noise(16 * 2 ** 20);
    const [, , atFar, atNear] = await Promise.all([
      pour(near.writable, up),
      pour(far.writable, down),
      drain(far.readable),
      drain(near.readable),
    ]);
    expect(sha256(atFar)).toBe(sha256(up));
    expect(sha256(atNear)).toBe(sha256(down));
    await Promise.all([near.closed, far.closed]);
  });

  it("reads into the consumer's own buffer", async () => {
    const { near, far } = await joined();
    const writing = pour(near.writable, bytes("bring your own"));
    const reader = far.readable.getReader({ mode: "byob" });
    let read = "";
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(4));
      if (done) break;
      expect(value!.length).toBeLessThanOrEqual(4);
      read += text(value!);
    }
    expect(read).toBe("bring your own");
    await writing;
  });

  it("keeps the other direction open after a half-close when allowed", async () => {
    const { near, far } = await joined({ allowHalfOpen: true });
    await pour(near.writable, bytes("question"));
    expect(text(await drain(far.readable))).toBe("question");
    await sleep(20);
    await pour(far.writable, bytes("answer"));
    expect(text(await drain(near.readable))).toBe("answer");
    await Promise.all([near.closed, far.closed]);
  });

  it("ends its side when the peer has ended, unless half-open is allowed", async () => {
    const { near, far } = await joined();
    await near.writable.close();
    expect(await drain(far.readable)).toHaveLength(0);
    expect(await drain(near.readable)).toHaveLength(0);
    await Promise.all([near.closed, far.closed]);
    await far.writable.getWriter().closed;
  });

  it("sees the peer's end although nobody reads", async () => {
    const { near, far } = await joined();
    await near.writable.close();
    await far.closed;
    await near.closed;
  });

  it("refuses what it should: a closed port with ECONNREFUSED, twice over", async () => {
    const socket = net.client.connect({ hostname: SERVER, port: 9 });
    await expect(socket.opened).rejects.toMatchObject({ name: "SynwaveError", code: "ECONNREFUSED" });
    await expect(socket.closed).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(socket.readable.getReader().read()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(socket.writable.getWriter().write(bytes("x"))).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
  });

  it("names what is wrong with an address", () => {
    const { client, server } = net;
    expect(() => client.connect("10.0.0.2")).toThrow(/"10\.0\.0\.2"/);
    expect(() => client.connect("10.0.0.2:0")).toThrow(/not 0/);
    expect(() => client.connect("10.0.0.2:65536")).toThrow(/65536/);
    expect(() => client.connect({ hostname: "10.0.0.2", port: 1.5 })).toThrow(/1\.5/);
    expect(() => client.connect({ hostname: "10.0.0.999", port: 1 })).toThrow(/10\.0\.0\.999/);
    expect(() => client.connect({ hostname: "example.org", port: 80 })).toThrow(
      expect.objectContaining({ code: "ENOTSUP", message: expect.stringContaining("example.org") }),
    );
    expect(() => server.listen({ port: 70000 })).toThrow(/70000/);
    server.listen({ port: 80 });
    expect(() => server.listen({ port: 80 })).toThrow(
      expect.objectContaining({ code: "EADDRINUSE", message: expect.stringContaining("80") }),
    );
  });

  it("asks the resolve option for names, and tells of its failure", async () => {
    const [left, right] = pipe();
    const named = await createStack({
      link: left,
      addresses: ["10.0.0.1/24"],
      resolve: async (hostname) => {
        if (hostname === "server") return SERVER;
        throw new SynwaveError("EHOSTUNREACH", `no such host as ${hostname}`);
      },
    });
    const server = await createStack({ link: right, addresses: [`${SERVER}/24`] });
    try {
      server.listen({ port: 80 });
      expect(await named.connect("server:80").opened).toMatchObject({ remoteAddress: SERVER });
      await expect(named.connect("elsewhere:80").opened).rejects.toThrow(/elsewhere/);
    } finally {
      await named.close();
      await server.close();
    }
  });

  it("serves 200 connections at once", { timeout: 30_000 }, async () => {
    const listener = net.server.listen({ port: 7, backlog: 256 });
    const serving = (async () => {
      for await (const peer of listener) void peer.readable.pipeTo(peer.writable);
    })();
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const socket = net.client.connect({ hostname: SERVER, port: 7 });
        const question = noise(10_000 + index);
        const [, answer] = await Promise.all([pour(socket.writable, question), drain(socket.readable)]);
        await socket.closed;
        return sha256(answer) === sha256(question);
      }),
    );
    expect(answers.filter(Boolean)).toHaveLength(200);
    await sleep(20);
    // Nothing is left of them but TIME-WAIT at the side that ended first.
    expect(net.server.engine.connections()).toEqual([]);
    expect(new Set(net.client.engine.connections().map(({ info }) => info.state))).toEqual(
      new Set(["TIME-WAIT"]),
    );
    listener.close();
    await serving;
  });

  it("takes turns with timers during a long transfer", { timeout: 60_000 }, async () => {
    const { near, far } = await joined();
    let ticks = 0;
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      ticks++;
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    const sent = noise(32 * 2 ** 20);
    const began = performance.now();
    const [, received] = await Promise.all([pour(near.writable, sent), drain(far.readable)]);
    const took = performance.now() - began;
    clearInterval(timer);
    expect(received.length).toBe(sent.length);
    expect(ticks).toBeGreaterThan(took / 100);
    expect(longest).toBeLessThan(500);
  });
});

describe("backpressure", () => {
  it("stops a writer whose reader does not read, and goes on when it does", { timeout: 30_000 }, async () => {
    const { near, far } = await joined();
    const writer = near.writable.getWriter();
    const block = noise(65536);
    let written = 0;
    let stopped = false;
    const writing = (async () => {
      while (!stopped && written < 256) {
        await writer.write(block);
        written++;
      }
    })();
    await sleep(300);
    const stalledAt = written;
    // What is between them fits into tcp_wmem's 4 MiB at one side and tcp_rmem's 6 MiB at the other.
    expect(stalledAt * block.length).toBeLessThan(11 * 2 ** 20);
    await sleep(200);
    expect(written).toBe(stalledAt);
    const reader = far.readable.getReader();
    let read = 0;
    while (read < 3 * stalledAt * block.length && read < 200 * block.length)
      read += (await reader.read()).value!.length;
    expect(written).toBeGreaterThan(stalledAt);
    stopped = true;
    const rest = (async () => {
      while (!(await reader.read()).done);
    })();
    await writing;
    await writer.close();
    await rest;
  });
});

describe("ending early", () => {
  it("rejects opened with ABORT_ERR when the signal aborts, before and during the attempt", async () => {
    const gone = net.client.connect({ hostname: SERVER, port: 80 }, { signal: AbortSignal.abort("no") });
    await expect(gone.opened).rejects.toMatchObject({ code: "ABORT_ERR", cause: "no" });
    const controller = new AbortController();
    const hopeless = net.client.connect({ hostname: "10.0.0.77", port: 80 }, { signal: controller.signal });
    setTimeout(() => controller.abort("enough"), 20);
    await expect(hopeless.opened).rejects.toMatchObject({ code: "ABORT_ERR", cause: "enough" });
    await expect(hopeless.closed).rejects.toMatchObject({ code: "ABORT_ERR" });
  });

  it("resets the peer when the signal aborts an open socket", async () => {
    const listener = net.server.listen({ port: 7 });
    const controller = new AbortController();
    const socket = net.client.connect({ hostname: SERVER, port: 7 }, { signal: controller.signal });
    const { value: peer } = await listener.next();
    await socket.opened;
    controller.abort();
    await expect(peer!.readable.getReader().read()).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect(peer!.closed).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect(socket.closed).rejects.toMatchObject({ code: "ABORT_ERR" });
  });

  it("close() sends what was written, ends the streams and resolves closed", async () => {
    const { near, far } = await joined();
    const writer = near.writable.getWriter();
    await writer.write(bytes("last words"));
    const reader = near.readable.getReader();
    const reading = reader.read();
    expect(await near.close("done here")).toBeUndefined();
    expect(await reading).toEqual({ done: true, value: undefined });
    await expect(writer.write(bytes("x"))).rejects.toBe("done here");
    await near.closed;
    expect(text(await drain(far.readable))).toBe("last words");
  });

  it("close() before the connection is open rejects opened with the reason", async () => {
    const socket = net.client.connect({ hostname: "10.0.0.77", port: 80 });
    const reason = new Error("changed my mind");
    await socket.close(reason);
    await expect(socket.opened).rejects.toBe(reason);
  });

  it("aborting the writable resets the connection, even behind a closed window", async () => {
    const { near, far } = await joined();
    const writer = near.writable.getWriter();
    const stuck = writer.write(noise(32 * 2 ** 20));
    stuck.catch(() => {});
    await sleep(100);
    void writer.abort("stop").catch(() => {});
    await expect(near.closed).rejects.toMatchObject({ code: "ECONNABORTED", cause: "stop" });
    await expect(stuck).rejects.toBeDefined();
    await expect(far.closed).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("cancelling the readable lets the peer go on and leaves the writable alone", async () => {
    const { near, far } = await joined({ allowHalfOpen: true });
    await near.readable.cancel();
    await pour(far.writable, noise(4 * 2 ** 20));
    await pour(near.writable, bytes("still here"));
    expect(text(await drain(far.readable))).toBe("still here");
    await Promise.all([near.closed, far.closed]);
  });

  it("gives the reader what came before a reset", async () => {
    const { near, far } = await joined();
    await near.writable.getWriter().write(bytes("before"));
    await sleep(20);
    const aborting = near.writable;
    expect(aborting.locked).toBe(true);
    await net.client.close();
    await expect(far.closed).rejects.toMatchObject({ code: "ECONNRESET" });
    const reader = far.readable.getReader();
    expect(text((await reader.read()).value!)).toBe("before");
    await expect(reader.read()).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("refuses what is not bytes, and says what it was", async () => {
    const { near } = await joined();
    const writer = (near.writable as WritableStream<unknown>).getWriter();
    await expect(writer.write("text")).rejects.toMatchObject({
      code: "EINVAL",
      message: expect.stringContaining("string"),
    });
  });

  it("has no TLS, and says so", async () => {
    const { near } = await joined();
    expect(near.secureTransport).toBe("off");
    expect(near.upgraded).toBe(false);
    expect(() => near.startTls()).toThrow(expect.objectContaining({ code: "ENOTSUP" }));
  });
});

describe("a listener", () => {
  it("ends its loop on close, resets who was not accepted, frees the port", async () => {
    const listener = net.server.listen({ port: 80 });
    const waiting = net.client.connect({ hostname: SERVER, port: 80 });
    await waiting.opened;
    listener.close();
    await expect(waiting.closed).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await listener.next()).toEqual({ done: true, value: undefined });
    net.server.listen({ port: 80 }).close();
  });

  it("closes when its loop is left", async () => {
    const listener = net.server.listen({ port: 80 });
    const socket = net.client.connect({ hostname: SERVER, port: 80 });
    for await (const peer of listener) {
      await peer.close();
      break;
    }
    await listener.closed;
    await socket.opened;
    await expect(net.client.connect({ hostname: SERVER, port: 80 }).opened).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
  });

  it("rejects a pending next when its signal aborts", async () => {
    const controller = new AbortController();
    const listener = net.server.listen({ port: 80, signal: controller.signal });
    const next = listener.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: "ABORT_ERR" });
    expect(await listener.next()).toEqual({ done: true, value: undefined });
  });

  it("chooses a port when asked for 0, and several nexts get one each", async () => {
    const listener = net.server.listen({ port: 0 });
    expect(listener.port).toBeGreaterThan(0);
    const nexts = [listener.next(), listener.next()];
    const clients = [1, 2].map(() => net.client.connect({ hostname: SERVER, port: listener.port }));
    const peers = await Promise.all(nexts);
    await Promise.all(clients.map((client) => client.opened));
    expect(new Set(peers.map(({ value }) => value)).size).toBe(2);
  });
});
