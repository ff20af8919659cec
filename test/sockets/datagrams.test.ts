import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { impair } from "../../bindings/links/impair.ts";
import type { Link } from "../../bindings/links/link.ts";
import { pipe } from "../../bindings/links/pipe.ts";
import type { DatagramSocket } from "../../bindings/sockets/datagrams.ts";
import { createStack, type Stack } from "../../bindings/stack.ts";
import { VirtualClock } from "../../bindings/virtual-clock.ts";
import { CLIENT, codeOf, noise, pair, SERVER, sha256 } from "./stacks.ts";

const seed = new Uint8Array(32).fill(7);
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);

let clock: VirtualClock;
let client: Stack;
let server: Stack;

/** Two stacks in virtual time; `bad` stands between the client and the wire. */
async function join(bad: (link: Link) => Link = (link) => link): Promise<void> {
  clock = new VirtualClock();
  const [left, right] = pipe({ clock });
  const resolve = async (name: string): Promise<string> => {
    if (name !== "server.test") throw new Error(`who is ${name}?`);
    return SERVER;
  };
  client = await createStack({
    ...{ link: bad(left), addresses: [`${CLIENT}/24`, "fd00::1/64"], clock, seed, resolve },
  });
  server = await createStack({ link: right, addresses: [`${SERVER}/24`, "fd00::2/64"], clock, seed });
}

beforeEach(() => join());
afterEach(async () => {
  await client.close();
  await server.close();
});

/** All that comes within a second. The socket is not to be read after that: the last `receive` still waits. */
async function taken(socket: DatagramSocket): Promise<Uint8Array[]> {
  const list: Uint8Array[] = [];
  await clock.runAsync(clock.now() + 1000);
  for (;;) {
    let result: Uint8Array | undefined;
    const next = socket.receive().then((datagram) => {
      result = datagram?.bytes;
    });
    await Promise.race([next, new Promise((resolve) => setImmediate(resolve))]);
    if (result === undefined) return list;
    list.push(result);
  }
}

/** `promise`, with time passing for as long as it takes. */
async function passing<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  promise
    .catch(() => {})
    .finally(() => {
      settled = true;
    });
  await clock.runAsync(() => settled);
  return promise;
}

describe("a UDP socket on a stack", () => {
  it.each([
    ["IPv4", CLIENT, SERVER],
    ["IPv6", "fd00::1", "fd00::2"],
  ])("echoes over %s and says whom a datagram is from", async (_, near, far) => {
    const echo = server.bindUdp({ port: 7 });
    const serving = (async () => {
      for await (const { bytes, remoteAddress, remotePort, localAddress } of echo)
        await echo.send(bytes, { address: remoteAddress, port: remotePort, localAddress });
    })();
    const socket = client.bindUdp({ port: 0 });
    expect(socket.port).toBeGreaterThan(0);
    expect(socket.address).toBeUndefined();
    await socket.send(bytes("hello"), { address: far, port: 7 });
    const { value } = await passing(socket.next());
    expect(text(value!.bytes)).toBe("hello");
    expect(value).toMatchObject({ remoteAddress: far, remotePort: 7, localAddress: near });
    echo.close();
    await serving;
    await echo.closed;
    server.bindUdp({ port: 7, address: far }).close();
  });

  it("keeps boundaries and order, empty datagrams too, until it is asked for them", async () => {
    const socket = client.bindUdp({ port: 0 });
    const peer = server.bindUdp({ port: 7 });
    for (const word of ["one", "", "three", "4"])
      await socket.send(bytes(word), { address: SERVER, port: 7 });
    expect((await taken(peer)).map(text)).toEqual(["one", "", "three", "4"]);
  });

  it("gives datagrams to those who wait, in the order in which they asked", async () => {
    const socket = client.bindUdp({ port: 0 });
    const peer = server.bindUdp({ port: 7 });
    const asked = [peer.next(), peer.receive(), peer.receive()];
    for (const word of ["a", "b", "c"]) void socket.send(bytes(word), { address: SERVER, port: 7 });
    const [first, second, third] = await passing(Promise.all(asked));
    expect(text((first as IteratorResult<{ bytes: Uint8Array }>).value.bytes)).toBe("a");
    expect([second, third].map((one) => text((one as { bytes: Uint8Array }).bytes))).toEqual(["b", "c"]);
  });

  it("loses what a bad link loses, silently; what comes is whole", async () => {
    await join((link) => impair(link, { clock, seed: 3, loss: 0.2, corrupt: 0.1, reorder: 0.1 }));
    const socket = client.bindUdp({ port: 0 });
    const peer = server.bindUdp({ port: 7 });
    const sent = Array.from({ length: 500 }, (_, i) => Uint8Array.from({ length: i }, () => i));
    for (const one of sent) await socket.send(one, { address: SERVER, port: 7 });
    const got = await taken(peer);
    expect(got.length).toBeGreaterThan(250);
    expect(got.length).toBeLessThan(450);
    for (const one of got) expect(one).toEqual(sent[one.length]);
    expect(server.counters().UdpInErrors).toBeGreaterThan(0);
  });

  it("sends what no packet holds in fragments, and refuses what no datagram holds", async () => {
    const socket = client.bindUdp({ port: 0 });
    const peer = server.bindUdp({ port: 7 });
    const most = noise(65_507);
    await socket.send(most, { address: SERVER, port: 7 });
    await expect(socket.send(noise(65_508), { address: SERVER, port: 7 })).rejects.toMatchObject({
      code: "EMSGSIZE",
      message: /65508/,
    });
    const got = await taken(peer);
    expect(got.map((one) => sha256(one))).toEqual([sha256(most)]);
    expect(client.counters().FragCreates).toBe(45);
  });

  it("hears nothing of a port nobody has, as an unconnected socket elsewhere", async () => {
    const socket = client.bindUdp({ port: 0 });
    await socket.send(bytes("anybody?"), { address: SERVER, port: 9 });
    expect(await taken(socket)).toEqual([]);
    expect(server.counters()).toMatchObject({ UdpNoPorts: 1 });
    expect(client.counters()).toMatchObject({ IcmpInDestUnreachs: 1 });
    await socket.send(bytes("still there"), { address: SERVER, port: 9 });
  });

  it("resolves a name, and says whose it cannot", async () => {
    const socket = client.bindUdp({ port: 0 });
    const peer = server.bindUdp({ port: 7 });
    await socket.send(bytes("by name"), { hostname: "server.test", port: 7 });
    await socket.send(bytes("by address"), { hostname: SERVER, port: 7 });
    expect((await taken(peer)).map(text)).toEqual(["by name", "by address"]);
    await expect(socket.send(bytes("x"), { hostname: "nobody.test", port: 7 })).rejects.toThrow(
      "nobody.test",
    );
    const without = server.bindUdp({ port: 0 });
    await expect(without.send(bytes("x"), { hostname: "nobody.test", port: 7 })).rejects.toMatchObject({
      code: "ENOTSUP",
      message: /nobody\.test/,
    });
  });

  it("refuses what cannot be, by name", async () => {
    const socket = client.bindUdp({ port: 53 });
    expect(() => client.bindUdp({ port: 53 })).toThrow("EADDRINUSE");
    expect(() => client.bindUdp({ port: 70_000 })).toThrow("70000");
    expect(() => client.bindUdp({ port: 54, address: SERVER })).toThrow("EADDRNOTAVAIL");
    const to = { address: SERVER, port: 7 };
    for (const [send, code, named] of [
      [socket.send("x" as never, to), "EINVAL", /x/],
      [socket.send(bytes("x"), { ...to, port: 0 }), "EINVAL", /0/],
      [socket.send(bytes("x"), { ...to, address: "here" }), "EINVAL", /here/],
      [socket.send(bytes("x"), { ...to, localAddress: SERVER }), "EADDRNOTAVAIL", /10\.0\.0\.2/],
      [socket.send(bytes("x"), { port: 7 } as never), "EINVAL", /hostname/],
    ] as const)
      await expect(send).rejects.toMatchObject({ code, message: named });
  });
});

describe("a full queue", () => {
  it("makes sends wait for room, in order, and loses none of them", async () => {
    const [left, right] = pipe({ clock, capacity: 16 * 2 ** 20 });
    const near = await createStack({ link: left, addresses: [CLIENT], clock });
    const far = await createStack({ link: right, addresses: [SERVER], clock });
    const socket = near.bindUdp({ port: 0 });
    const seen: number[] = [];
    const peer = far.bindUdp({ port: 7 });
    const listening = (async () => {
      for await (const one of peer) seen.push(one.bytes[0]! * 256 + one.bytes[1]!);
    })();
    const to = { address: SERVER, port: 7 };
    const sends = Array.from({ length: 1000 }, (_, i) => {
      const message = new Uint8Array(1000);
      message.set([i >> 8, i & 255]);
      return socket.send(message, to);
    });
    // More than waits in the engine: 212,992 octets.
    expect(near.counters().UdpSndbufErrors).toBeGreaterThan(0);
    await Promise.all(sends);
    expect(near.counters().UdpOutDatagrams).toBe(1000);
    await clock.runAsync(1000);
    // They arrive all at once, and the receiver's queue holds as much as the sender's: the rest is lost, as UDP's may be.
    expect(seen.length).toBeGreaterThan(100);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    peer.close();
    await listening;
    await near.close();
    await far.close();
  });

  it("lets no datagram overtake one of its socket's that waits, though it would fit", async () => {
    const socket = client.bindUdp({ port: 0 });
    const done: number[] = [];
    const sizes = [60_000, 60_000, 60_000, 60_000, 1];
    await Promise.all(
      sizes.map((size) => socket.send(noise(size), { address: SERVER, port: 9 }).then(() => done.push(size))),
    );
    expect(done).toEqual(sizes);
  });

  it("lets each socket have its turn", async () => {
    const greedy = client.bindUdp({ port: 0 });
    const modest = client.bindUdp({ port: 0 });
    const to = { address: SERVER, port: 9 };
    let before = 0;
    const done: Promise<void>[] = [];
    for (let i = 0; i < 1000; i++)
      done.push(
        greedy.send(noise(20_000), to).then(() => {
          before++;
        }),
      );
    let ahead = -1;
    done.push(
      modest.send(noise(20_000), to).then(() => {
        ahead = before;
      }),
    );
    await Promise.all(done);
    expect(before).toBe(1000);
    expect(ahead).toBeLessThan(30);
  });

  it("refuses the send that would be one too many, and takes more afterwards", async () => {
    const socket = client.bindUdp({ port: 0 });
    const message = noise(60_000);
    const to = { address: SERVER, port: 9 };
    const sends = Array.from({ length: 1100 }, () => socket.send(message, to).catch(codeOf));
    const results = await Promise.all(sends);
    const refused = results.filter((result) => result === "ENOBUFS").length;
    expect(refused).toBe(1100 - 1024 - 3);
    expect(results.every((result) => result === undefined || result === "ENOBUFS")).toBe(true);
    await socket.send(message, to);
  });

  it("says so when it is memory that has ended, not room", async () => {
    const tiny = await createStack({ link: pipe()[0], addresses: [CLIENT], memory: 2 * 2 ** 20 });
    const hoards = Array.from({ length: 40 }, (_, i) => tiny.bindUdp({ port: 1000 + i }));
    // Datagrams that nobody takes fill the pool.
    const filler = await createStack({ link: pipe()[0], addresses: [SERVER] });
    const from = filler.engine.bindUdp({ port: 5000 });
    for (const { port } of hoards)
      for (let i = 0; i < 4; i++) {
        from.send(noise(50_000), { address: CLIENT, port });
        tiny.engine.receive(filler.engine.transmit(0), 0);
      }
    const socket = tiny.bindUdp({ port: 0 });
    const results = await Promise.all(
      Array.from({ length: 3 }, () => socket.send(noise(60_000), { address: SERVER, port: 9 }).catch(codeOf)),
    );
    expect(results).toContain("ENOBUFS");
    await tiny.close();
    await filler.close();
  });

  it("does not stop the event loop", async () => {
    const joined = await pair();
    const socket = joined.client.bindUdp({ port: 0 });
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const message = noise(1400);
    const until = performance.now() + 200;
    while (performance.now() < until) await socket.send(message, { address: SERVER, port: 9 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    await joined.close();
  });
});

describe("the end of a UDP socket", () => {
  it("close() ends whoever waits, and frees the port", async () => {
    const socket = client.bindUdp({ port: 53 });
    const waiting = [socket.next(), socket.receive()];
    socket.close();
    socket.close();
    expect(await Promise.all(waiting)).toEqual([{ done: true, value: undefined }, undefined]);
    expect(await socket.next()).toEqual({ done: true, value: undefined });
    await socket.closed;
    await expect(socket.send(bytes("x"), { address: SERVER, port: 7 })).rejects.toMatchObject({
      code: "EBADF",
      message: /53/,
    });
    client.bindUdp({ port: 53 });
  });

  it("what was sent before close() still goes, what waits for room or a name does not", async () => {
    const peer = server.bindUdp({ port: 7 });
    const socket = client.bindUdp({ port: 0 });
    const to = { address: SERVER, port: 7 };
    const sends = Array.from({ length: 5 }, () => socket.send(noise(50_000), to).catch(codeOf));
    const named = socket.send(bytes("x"), { hostname: "server.test", port: 7 });
    socket.close();
    expect(await Promise.all(sends)).toEqual([undefined, undefined, undefined, undefined, "EBADF"]);
    await expect(named).rejects.toMatchObject({ code: "EBADF" });
    expect((await taken(peer)).length).toBe(4);
  });

  it("leaving the loop closes it", async () => {
    const socket = client.bindUdp({ port: 0 });
    const peer = server.bindUdp({ port: 7 });
    await socket.send(bytes("once"), { address: SERVER, port: 7 });
    await clock.runAsync(100);
    for await (const one of peer) {
      expect(text(one.bytes)).toBe("once");
      break;
    }
    await peer.closed;
    server.bindUdp({ port: 7 });
  });

  it("a signal ends it with ABORT_ERR, at once where it has been given already", async () => {
    const controller = new AbortController();
    const socket = client.bindUdp({ port: 53, signal: controller.signal });
    const next = socket.next();
    const sends = Array.from({ length: 5 }, () => socket.send(noise(50_000), { address: SERVER, port: 7 }));
    controller.abort("enough");
    await expect(sends[4]).rejects.toMatchObject({ code: "ABORT_ERR" });
    await expect(next).rejects.toMatchObject({ code: "ABORT_ERR", cause: "enough" });
    await expect(socket.closed).rejects.toMatchObject({ code: "ABORT_ERR" });
    expect(await socket.receive()).toBeUndefined();
    const stillborn = client.bindUdp({ port: 53, signal: AbortSignal.abort() });
    await expect(stillborn.closed).rejects.toMatchObject({ code: "ABORT_ERR" });
    await expect(stillborn.receive()).rejects.toMatchObject({ code: "ABORT_ERR" });
    expect(await stillborn.next()).toEqual({ done: true, value: undefined });
    client.bindUdp({ port: 53 });
  });

  it("closing the stack ends it orderly; what was sent leaves first", async () => {
    const peer = server.bindUdp({ port: 7 });
    const socket = client.bindUdp({ port: 0 });
    const next = socket.next();
    void socket.send(bytes("last words"), { address: SERVER, port: 7 });
    await client.close();
    expect(await next).toEqual({ done: true, value: undefined });
    await socket.closed;
    await expect(socket.send(bytes("x"), { address: SERVER, port: 7 })).rejects.toMatchObject({
      code: "ERR_ENGINE_CLOSED",
    });
    expect(() => client.bindUdp({ port: 0 })).toThrow("ERR_ENGINE_CLOSED");
    expect((await taken(peer)).map(text)).toEqual(["last words"]);
  });

  it("a graceful close leaves it to the connections that finish", async () => {
    const listener = server.listen({ port: 80 });
    const tcp = client.connect(`${SERVER}:80`);
    const { value: accepted } = await passing(listener.next());
    await passing(tcp.opened);
    const peer = server.bindUdp({ port: 7 });
    const socket = client.bindUdp({ port: 0 });
    const closing = server.close({ graceful: true });
    await socket.send(bytes("meanwhile"), { address: SERVER, port: 7 });
    expect((await taken(peer)).map(text)).toEqual(["meanwhile"]);
    await Promise.all([accepted!.close(), tcp.close()]);
    await passing(closing);
    await peer.closed;
  });

  it("a link that breaks ends it with the reason", async () => {
    let breakLink!: (error: Error) => void;
    await join((link) => ({
      mtu: link.mtu,
      checksum: link.checksum,
      gso: link.gso,
      send: (batch) => link.send(batch),
      onReceive: (sink) => link.onReceive(sink),
      close: () => link.close(),
      closed: new Promise((_, reject) => {
        breakLink = reject;
      }),
    }));
    const socket = client.bindUdp({ port: 0 });
    const next = socket.next();
    breakLink(new Error("the cable is cut"));
    await expect(next).rejects.toMatchObject({ code: "ECONNABORTED", message: /the cable is cut/ });
    await expect(socket.closed).rejects.toMatchObject({ code: "ECONNABORTED" });
    await expect(socket.send(bytes("x"), { address: SERVER, port: 7 })).rejects.toMatchObject({
      code: "ERR_ENGINE_CLOSED",
    });
  });

  it("leaves no rejection unhandled when nobody looks", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): unknown => unhandled.push(error);
    process.on("unhandledRejection", note);
    const controller = new AbortController();
    client.bindUdp({ port: 0, signal: controller.signal });
    controller.abort();
    client.bindUdp({ port: 0 });
    await client.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });
});
