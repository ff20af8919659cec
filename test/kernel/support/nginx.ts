import { writeFile } from "node:fs/promises";
import type { Folder } from "./files.ts";
import type { Namespace } from "./namespace.ts";
import { KERNEL } from "./network.ts";
import type { Program } from "./program.ts";

export const NGINX_PORT = 8080;

/** nginx on the kernel's side, serving a folder. */
export async function startNginx(space: Namespace, folder: Folder): Promise<Program> {
  const config = `
    user root;
    worker_processes 1;
    daemon off;
    pid ${folder.path("nginx.pid")};
    error_log stderr;
    events { }
    http {
      access_log off;
      sendfile on;
      client_body_temp_path ${folder.path("body")};
      proxy_temp_path ${folder.path("proxy")};
      fastcgi_temp_path ${folder.path("fastcgi")};
      uwsgi_temp_path ${folder.path("uwsgi")};
      scgi_temp_path ${folder.path("scgi")};
      server {
        listen ${KERNEL.v4}:${NGINX_PORT};
        listen [${KERNEL.v6}]:${NGINX_PORT};
        root ${folder.path("")};
      }
    }`;
  await writeFile(folder.path("nginx.conf"), config);
  const nginx = space.start("nginx", "-e", "stderr", "-c", folder.path("nginx.conf"));
  const url = `http://${KERNEL.v4}:${NGINX_PORT}/nginx.conf`;
  await space.must("curl", [
    "-sSf",
    "-o",
    "/dev/null",
    "--retry",
    "50",
    "--retry-delay",
    "0",
    "--retry-all-errors",
    url,
  ]);
  return nginx;
}
