import { createWriteStream } from "node:fs";
import { readdir, realpath, rename, rm, stat } from "node:fs/promises";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { basename, dirname, join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import send from "send";

export interface StaticFilesOptions {
  /** Served folder. Names that begin with a dot are neither shown nor taken. */
  root: string;
  /** Take PUT requests. */
  upload: boolean;
}

/** A request that cannot be served, with the status that says why. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** GET and HEAD with ranges and conditions, listings of folders, and PUT when uploads are allowed. */
export function staticFiles({ root, upload }: StaticFilesOptions): RequestListener {
  return (request, response) => {
    const answer = (): Promise<void> | void => {
      if (request.method === "GET" || request.method === "HEAD") return download(root, request, response);
      if (request.method === "PUT" && upload) return store(root, request, response);
      response.setHeader("Allow", upload ? "GET, HEAD, PUT" : "GET, HEAD");
      throw new Refusal(405, `${request.method} is not served here`);
    };
    Promise.resolve()
      .then(answer)
      .catch((error: unknown) => refuse(request, response, error));
  };
}

function download(root: string, request: IncomingMessage, response: ServerResponse): void {
  const path = pathOf(request);
  send(request, path, { root, index: false, dotfiles: "ignore" })
    .on("directory", (_response: ServerResponse, folder: string) => {
      const work = path.endsWith("/")
        ? list(folder, path, request, response)
        : redirect(`${path.replace(/^\/+/, "/")}/`, response);
      Promise.resolve(work).catch((error: unknown) => refuse(request, response, error));
    })
    .on("error", (error: Error & { status?: number }) => {
      const status = error.status ?? 500;
      const range = (error as { headers?: Record<string, string> }).headers?.["Content-Range"];
      if (range !== undefined) response.setHeader("Content-Range", range);
      refuse(request, response, new Refusal(status, status === 404 ? "not found" : error.message));
    })
    .pipe(response);
}

function redirect(location: string, response: ServerResponse): void {
  response.writeHead(301, { Location: location, "Content-Length": 0 }).end();
}

async function list(
  folder: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries
    .filter(({ name }) => !name.startsWith("."))
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort();
  if (path !== "/") names.unshift("../");
  const items = names
    .map((name) => `<li><a href="./${encode(name)}">${escapeHtml(name)}</a></li>\n`)
    .join("");
  const title = escapeHtml(decodeURIComponent(path));
  const page = Buffer.from(
    `<!doctype html>\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${items}</ul>\n`,
  );
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Length": page.length });
  response.end(request.method === "HEAD" ? undefined : page);
}

/** The file appears under its name once it is whole. */
async function store(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const target = await placeFor(root, pathOf(request));
  if (request.headers["content-range"] !== undefined) throw new Refusal(400, "a file is taken whole only");
  const before = await stat(target).catch(() => undefined);
  if (before !== undefined && !before.isFile())
    throw new Refusal(409, "there is something else by that name");
  const partial = join(dirname(target), `.${basename(target)}.${process.pid}.${uploads++}.part`);
  try {
    await pipeline(request, createWriteStream(partial, { flags: "wx" }));
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  response.writeHead(before === undefined ? 201 : 204, { "Content-Length": 0 }).end();
}

let uploads = 0;

/** Where an uploaded file goes: into a folder that is there, below the root even when links are followed. */
async function placeFor(root: string, path: string): Promise<string> {
  const parts = decode(path).split("/").slice(1);
  if (
    parts.some((part) => part.startsWith(".") || part.includes("\0") || (sep === "\\" && /[\\:]/.test(part)))
  )
    throw new Refusal(403, "no file may have that name");
  const name = parts.pop();
  if (name === undefined || name === "") throw new Refusal(409, "a file needs a name");
  const home = await realpath(root);
  const folder = await realpath(join(home, ...parts)).catch(() => {
    throw new Refusal(409, "there is no such folder");
  });
  if (folder !== home && !folder.startsWith(home.endsWith(sep) ? home : home + sep))
    throw new Refusal(403, "that folder is outside");
  return join(folder, name);
}

/** The path of a request, still percent-encoded. */
function pathOf({ url = "/" }: IncomingMessage): string {
  const path = url.split(/[?#]/, 1)[0]!;
  if (!path.startsWith("/")) throw new Refusal(400, "the request names no path");
  return path;
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new Refusal(400, "the path is not properly encoded");
  }
}

function encode(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (request.destroyed && !request.complete) {
    response.destroy();
    return;
  }
  const status = error instanceof Refusal ? error.status : 500;
  if (!(error instanceof Refusal))
    process.stderr.write(`synwave: ${request.method} ${request.url}: ${error}\n`);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const text = Buffer.from(`${error instanceof Refusal ? error.message : "the server failed"}\n`);
  // A body that was refused is still on its way: the connection is of no more use once the answer is out.
  if (!request.complete) response.setHeader("Connection", "close");
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": text.length });
  response.end(request.method === "HEAD" ? undefined : text);
}
