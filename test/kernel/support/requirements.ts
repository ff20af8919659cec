import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { suiteRequirement } from "../../support/requirements.ts";
import { CLI } from "./cli.ts";

const COMMANDS = [
  "ip",
  "nft",
  "curl",
  "nginx",
  "tshark",
  "dumpcap",
  "nc",
  "nmap",
  "hping3",
  "setpriv",
  "unshare",
  "sysctl",
] as const;

/** Why the kernel suite cannot run here, or undefined. */
export const missing = suiteRequirement(
  "kernel",
  check,
  "run as root after: apt-get install --yes iproute2 nftables curl nginx-light tshark netcat-openbsd nmap hping3 util-linux procps",
);

function check(): string | undefined {
  if (process.platform !== "linux") return `it needs Linux, not ${process.platform}`;
  if (process.getuid?.() !== 0) return "it needs root, for network namespaces";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "it needs /dev/net/tun";
  }
  const absent = COMMANDS.filter((command) => !onPath(command));
  if (absent.length > 0) return `it needs ${absent.join(", ")}`;
  const made = spawnSync("unshare", ["--net", "true"], { encoding: "utf8" });
  if (made.status !== 0) return `it may not make network namespaces (${(made.stderr ?? "").trim()})`;
  if (!existsSync(CLI)) return "it needs the built command line: npm run build";
  return undefined;
}

function onPath(command: string): boolean {
  const folders = `${process.env.PATH ?? ""}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.some((folder) => existsSync(join(folder, command)));
}
