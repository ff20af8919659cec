import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import { type AddressInfo, createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { staticFiles } from "../../bindings/cli/static-files.ts";

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

let folder: string;
let root: string;
const servers: Server[] = [];
let readOnly: number;
let writable: number;

async function start(upload: boolean): Promise<number> {
  const server = createServer(staticFiles({ root, upload }));
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "synwave-files-"));
  root = join(folder, "root");
  await mkdir(join(root, "sub folder"), { recursive: true });
  await mkdir(join(folder, "outside"));
  await writeFile(join(folder, "secret.txt"), "secret");
  await writeFile(join(root, "hello.txt"), "hello, world\n");
  await writeFile(join(root, ".hidden"), "hidden");
  await writeFile(join(root, "sub folder", "<b>&.bin"), Buffer.from([1, 2, 3]));
  await symlink(join(folder, "outside"), join(root, "link"));
  readOnly = await start(false);
  writable = await start(true);
});

afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

/** `path` is sent as it is: no client of ours tidies it up first. */
function ask(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<Answer> {
  const length = { "content-length": String(body?.length ?? 0) };
  const options = { host: "127.0.0.1", port, method, path, headers: { ...length, ...headers }, agent: false };
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

describe("download", () => {
  test("a file, with its type and length", async () => {
    const { status, headers, body } = await ask(readOnly, "GET", "/hello.txt?version=1");
    expect([status, body.toString()]).toEqual([200, "hello, world\n"]);
    expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(headers["content-length"]).toBe("13");
    expect(headers["accept-ranges"]).toBe("bytes");
  });

  test("HEAD has the headers of GET and no body", async () => {
    const { status, headers, body } = await ask(readOnly, "HEAD", "/hello.txt");
    expect([status, headers["content-length"], body.length]).toEqual([200, "13", 0]);
  });

  test.each([
    ["bytes=0-4", 206, "hello", "bytes 0-4/13"],
    ["bytes=7-", 206, "world\n", "bytes 7-12/13"],
    ["bytes=-6", 206, "world\n", "bytes 7-12/13"],
  ])("the range %s", async (range, status, text, contentRange) => {
    const answer = await ask(readOnly, "GET", "/hello.txt", { range });
    expect([answer.status, answer.body.toString(), answer.headers["content-range"]]).toEqual([
      status,
      text,
      contentRange,
    ]);
  });

  test("a range past the end is refused with the length", async () => {
    const { status, headers } = await ask(readOnly, "GET", "/hello.txt", { range: "bytes=99-" });
    expect([status, headers["content-range"]]).toEqual([416, "bytes */13"]);
  });

  test("a file that has not changed is not sent again", async () => {
    const { headers } = await ask(readOnly, "GET", "/hello.txt");
    const again = await ask(readOnly, "GET", "/hello.txt", { "if-none-match": headers.etag as string });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  });

  test.each([
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/sub%20folder/../../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "//../secret.txt",
    "/hello.txt%00.html",
    "/%ff",
    "/.hidden",
    "/no-such-file",
  ])("nothing for %s", async (path) => {
    const { status, body } = await ask(readOnly, "GET", path);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(body.toString()).not.toMatch(/secret|hidden|hello, world/);
  });

  test("other methods are refused with those that are served", async () => {
    for (const method of ["POST", "DELETE", "PUT"]) {
      const { status, headers } = await ask(readOnly, method, "/hello.txt", {}, "text");
      expect([status, headers.allow]).toEqual([405, "GET, HEAD"]);
    }
    expect(await readFile(join(root, "hello.txt"), "utf8")).toBe("hello, world\n");
  });
});

describe("folders", () => {
  test("are listed with names that link, and without hidden ones", async () => {
    const { status, headers, body } = await ask(readOnly, "GET", "/");
    const page = body.toString();
    expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(page).toContain('<a href="./hello.txt">hello.txt</a>');
    expect(page).toContain('<a href="./sub%20folder/">sub folder/</a>');
    expect(page).not.toContain("hidden");
    expect(page).not.toContain("../");
  });

  test("names cannot smuggle markup into a listing", async () => {
    const page = (await ask(readOnly, "GET", "/sub%20folder/")).body.toString();
    expect(page).toContain('<a href="./%3Cb%3E%26.bin">&#60;b&#62;&#38;.bin</a>');
    expect(page).toContain('<a href="./../">../</a>');
    expect((await ask(readOnly, "GET", "/sub%20folder/%3Cb%3E%26.bin")).body).toEqual(Buffer.from([1, 2, 3]));
  });

  test("are redirected to their name with a slash, never to another host", async () => {
    const { status, headers } = await ask(readOnly, "GET", "/sub%20folder");
    expect([status, headers.location]).toEqual([301, "/sub%20folder/"]);
    expect((await ask(readOnly, "GET", "//sub%20folder")).headers.location).toBe("/sub%20folder/");
  });
});

describe("upload", () => {
  test("makes a file, then replaces it, and leaves nothing else", async () => {
    expect((await ask(writable, "PUT", "/sub%20folder/new.bin", {}, "one")).status).toBe(201);
    expect((await ask(writable, "PUT", "/sub%20folder/new.bin", {}, "two!")).status).toBe(204);
    expect(await readFile(join(root, "sub folder", "new.bin"), "utf8")).toBe("two!");
    expect((await readdir(join(root, "sub folder"))).sort()).toEqual(["<b>&.bin", "new.bin"]);
  });

  test.each([
    ["/../escaped", 403],
    ["/%2e%2e/escaped", 403],
    ["/..%2fescaped", 403],
    ["/link/escaped", 403],
    ["/.escaped", 403],
    ["/a%00b", 403],
    ["/%ff", 400],
    ["/no-such-folder/escaped", 409],
    ["/sub%20folder/", 409],
    ["/sub%20folder", 409],
    ["/", 409],
  ])("to %s is refused with %i", async (path, status) => {
    expect((await ask(writable, "PUT", path, {}, "text")).status).toBe(status);
    expect(await readdir(join(folder, "outside"))).toEqual([]);
    expect((await readdir(folder)).sort()).toEqual(["outside", "root", "secret.txt"]);
  });

  test("of a part of a file is refused", async () => {
    const headers = { "content-range": "bytes 0-3/13" };
    expect((await ask(writable, "PUT", "/hello.txt", headers, "HELL")).status).toBe(400);
    expect(await readFile(join(root, "hello.txt"), "utf8")).toBe("hello, world\n");
  });

  test("that breaks off leaves no file behind", async () => {
    const socket = createConnection({ host: "127.0.0.1", port: writable });
    socket.on("error", () => {});
    socket.write("PUT /broken.bin HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nonly this");
    const left = async () => (await readdir(root)).filter((name) => name.includes("broken"));
    await expect.poll(left, { timeout: 5000 }).toHaveLength(1);
    socket.destroy();
    await expect.poll(left, { timeout: 5000 }).toEqual([]);
  });
});
