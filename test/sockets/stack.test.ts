import { describe, expect, it } from "vitest";
import { SynwaveError } from "../../bindings/errors.ts";
import { impair } from "../../bindings/links/impair.ts";
import type { Link, PacketSink } from "../../bindings/links/link.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import type { PacketBatch } from "../../bindings/packet-batch.ts";
import { createStack } from "../../bindings/stack.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { CLIENT, drain, noise, pair, pour, SERVER, sha256, sleep } from "./stacks.ts";

/** Two links whose `send` calls the other end's taker before it returns. */
function hasty(): [Link, Link] {
  const sinks: [PacketSink | undefined, PacketSink | undefined] = [undefined, undefined];
  const end = (index: 0 | 1): Link => {
    let closed!: () => void;
    return {
      mtu: 1500,
      checksum: "full",
      gso: 0,
      closed: new Promise((resolve) => {
        closed = resolve;
      }),
      send: (batch: PacketBatch) => sinks[1 - index]?.(batch),
      onReceive: (sink) => {
        sinks[index] = sink;
      },
      close: () => closed(),
    };
  };
  return [end(0), end(1)];
}

describe("a stack", () => {
  it("works over a link that delivers within send", { timeout: 30_000 }, async () => {
    const [left, right] = hasty();
    const client = await createStack({ link: left, addresses: [CLIENT] });
    const server = await createStack({ link: right, addresses: [SERVER] });
    const listener = server.listen({ port: 7 });
    const socket = client.connect(`${SERVER}:7`);
    const { value: peer } = await listener.next();
    const echoing = peer!.readable.pipeTo(peer!.writable);
    const sent = noise(8 * 2 ** 20);
    const [, received] = await Promise.all([pour(socket.writable, sent), drain(socket.readable)]);
    expect(sha256(received)).toBe(sha256(sent));
    await echoing;
    await client.close();
    await server.close();
  });

  it("lends its packets to a link that borrows, and copies them for one that does not", async () => {
    for (const borrows of [true, undefined]) {
      const [left, right] = pipe();
      const buffers = new Set<unknown>();
      const link: Link = {
        mtu: 1500,
        borrows,
        closed: left.closed,
        send: (batch) => {
          buffers.add(batch.bytes.buffer);
          left.send(batch);
        },
        onReceive: (sink) => left.onReceive(sink),
        close: () => left.close(),
      };
      const client = await createStack({ link, addresses: [CLIENT] });
      const server = await createStack({ link: right, addresses: [SERVER] });
      const listener = server.listen({ port: 7 });
      const socket = client.connect(`${SERVER}:7`);
      const { value: peer } = await listener.next();
      const sent = noise(200_000);
      const [, received] = await Promise.all([pour(socket.writable, sent), drain(peer!.readable)]);
      expect(sha256(received)).toBe(sha256(sent));
      expect([...buffers].includes(client.engine.memory.buffer)).toBe(borrows === true);
      expect(buffers.size).toBe(1);
      await client.close();
      await server.close();
    }
  });

  it("ends every socket and listener with an error when the link breaks", async () => {
    let breakLink!: (error: Error) => void;
    const [left, right] = pipe();
    const brittle: Link = {
      mtu: left.mtu,
      checksum: left.checksum,
      gso: left.gso,
      send: (batch) => left.send(batch),
      onReceive: (sink) => left.onReceive(sink),
      close: () => left.close(),
      closed: new Promise((_, reject) => {
        breakLink = reject;
      }),
    };
    const client = await createStack({ link: brittle, addresses: [CLIENT] });
    const server = await createStack({ link: right, addresses: [SERVER] });
    server.listen({ port: 80 });
    const socket = client.connect(`${SERVER}:80`);
    await socket.opened;
    const listener = client.listen({ port: 80 });
    const next = listener.next();
    next.catch(() => {});
    breakLink(new Error("the cable is cut"));
    await expect(socket.closed).rejects.toMatchObject({ code: "ECONNABORTED", message: /the cable is cut/ });
    await expect(next).rejects.toMatchObject({ code: "ECONNABORTED" });
    await expect(client.closed).rejects.toMatchObject({ code: "ECONNABORTED" });
    expect(() => client.connect(`${SERVER}:80`)).toThrow(
      expect.objectContaining({ code: "ERR_ENGINE_CLOSED" }),
    );
    expect(() => client.listen({ port: 81 })).toThrow(expect.objectContaining({ code: "ERR_ENGINE_CLOSED" }));
    await client.close();
    await server.close();
  });

  it("ends every socket when the engine traps, and does not touch the engine again", async () => {
    const { client, server, close } = await pair();
    server.listen({ port: 80 });
    const socket = client.connect(`${SERVER}:80`);
    await socket.opened;
    const trap = new SynwaveError("ERR_ENGINE_POISONED", "a broken invariant");
    for (const method of ["receiveBatch", "transmitBatch", "advance", "poll"] as const)
      client.engine[method] = () => {
        throw trap;
      };
    await socket.writable.getWriter().write(noise(10));
    await expect(socket.closed).rejects.toBe(trap);
    await expect(socket.readable.getReader().read()).rejects.toBe(trap);
    await expect(client.closed).rejects.toBe(trap);
    await close();
  });

  it("repairs what a lossy link does, by timers in real time", { timeout: 60_000 }, async () => {
    const [left, right] = pipe();
    const lossy = impair(left, { seed: 5, loss: 0.02, reorder: 0.01, duplicate: 0.01 });
    const client = await createStack({ link: lossy, addresses: [CLIENT] });
    const server = await createStack({ link: right, addresses: [SERVER] });
    const listener = server.listen({ port: 7 });
    const socket = client.connect(`${SERVER}:7`, { allowHalfOpen: true });
    const { value: peer } = await listener.next();
    const sent = noise(2 * 2 ** 20);
    const echoing = peer!.readable.pipeTo(peer!.writable);
    const [, received] = await Promise.all([pour(socket.writable, sent), drain(socket.readable)]);
    expect(sha256(received)).toBe(sha256(sent));
    expect(client.counters().RetransSegs).toBeGreaterThan(0);
    await echoing;
    await client.close();
    await server.close();
  });

  it("leaves no rejection unhandled when nobody looks", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): unknown => unhandled.push(error);
    process.on("unhandledRejection", note);
    const { client, server, close } = await pair();
    client.connect(`${SERVER}:1`);
    client.connect({ hostname: "10.0.0.77", port: 1 }, { signal: AbortSignal.timeout(5) });
    const listener = server.listen({ port: 80, signal: AbortSignal.timeout(30) });
    const socket = client.connect(`${SERVER}:80`);
    const { value: peer } = await listener.next();
    await socket.opened;
    await sleep(40);
    void peer!.close("done");
    await close();
    await sleep(10);
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });

  it("close() resets what is open, ends loops, and is idempotent", async () => {
    const { client, server, close } = await pair();
    const listener = server.listen({ port: 80 });
    const socket = client.connect(`${SERVER}:80`);
    const { value: peer } = await listener.next();
    await socket.opened;
    const next = listener.next();
    await Promise.all([server.close(), server.close()]);
    expect(await next).toEqual({ done: true, value: undefined });
    await expect(peer!.closed).rejects.toMatchObject({ code: "ECONNABORTED" });
    await expect(socket.closed).rejects.toMatchObject({ code: "ECONNRESET" });
    await server.closed;
    await close();
  });

  it("close({ graceful }) waits for connections to finish, or for its signal", async () => {
    const { client, server, close } = await pair();
    const listener = server.listen({ port: 80 });
    const socket = client.connect(`${SERVER}:80`);
    const { value: peer } = await listener.next();
    const closing = server.close({ graceful: true });
    let done = false;
    void closing.then(() => {
      done = true;
    });
    await sleep(30);
    expect(done).toBe(false);
    const bytes = noise(500_000);
    const [, received] = await Promise.all([pour(peer!.writable, bytes), drain(socket.readable)]);
    expect(sha256(received)).toBe(sha256(bytes));
    await closing;
    await close();

    const again = await pair();
    const other = again.server.listen({ port: 80 });
    again.client.connect(`${SERVER}:80`);
    const { value: held } = await other.next();
    await again.server.close({ graceful: true, signal: AbortSignal.timeout(30) });
    await expect(held!.closed).rejects.toMatchObject({ code: "ECONNABORTED" });
    await again.close();
  });

  it("has one wake-up at a time and leaves none behind", async () => {
    const clock = new VirtualClock();
    let armed = 0;
    let most = 0;
    const [link] = pipe({ clock });
    const stack = await createStack({
      link,
      addresses: [CLIENT],
      clock: {
        now: () => clock.now(),
        at: (when, wake) => {
          armed++;
          most = Math.max(most, armed);
          return clock.at(when, () => {
            armed--;
            wake();
          });
        },
        cancel: (entry) => {
          armed--;
          clock.cancel(entry);
        },
      },
    });
    const sockets = [1, 2, 3].map((port) => stack.connect({ hostname: SERVER, port }));
    await sleep(0);
    expect(armed).toBe(1);
    clock.run(3_600_000);
    await Promise.all(
      sockets.map((socket) => expect(socket.opened).rejects.toMatchObject({ code: "ETIMEDOUT" })),
    );
    await stack.close();
    expect({ armed, most }).toEqual({ armed: 0, most: 1 });
  });

  it("lives in virtual time, the same way every time", async () => {
    const run = async (): Promise<unknown> => {
      const clock = new VirtualClock();
      const [left, right] = pipe({ clock });
      const seed = new Uint8Array(32).fill(7);
      const client = await createStack({ link: left, addresses: [CLIENT], clock, seed });
      const server = await createStack({ link: right, addresses: [SERVER], clock, seed });
      const listener = server.listen({ port: 7 });
      const socket = client.connect(`${SERVER}:7`);
      let received = 0;
      const serving = listener.next().then(async ({ value: peer }) => {
        received = (await drain(peer!.readable)).length;
        await peer!.closed;
      });
      const sending = pour(socket.writable, new Uint8Array(300_000));
      const done = Promise.all([sending, serving, socket.closed]);
      let settled = false;
      void done.then(() => {
        settled = true;
      });
      expect(await clock.runAsync(() => settled)).toBe(true);
      const result = [clock.now(), received, left.stats, right.stats, client.counters()];
      await client.close();
      await server.close();
      return result;
    };
    expect(await run()).toEqual(await run());
  });

  it("refuses a link that is none and an mtu the link does not carry", async () => {
    const [link] = pipe();
    await expect(createStack({ link: undefined as unknown as Link })).rejects.toMatchObject({
      code: "EINVAL",
    });
    await expect(createStack({ link, mtu: 9000 })).rejects.toMatchObject({ code: "EINVAL", message: /9000/ });
    link.close();
  });
});
