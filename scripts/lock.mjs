// One process at a time, across processes: a lock file that names its holder, so that a holder's crash frees it.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** The holder's pid, or undefined when the lock is free or its file is gone by now. */
function holder(path) {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function take(path) {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    linkSync(mine, path); // unlike an exclusive create, the file appears with its content
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

function breakDeadLock(path, pid) {
  const grave = `${path}.dead.${process.pid}`;
  try {
    renameSync(path, grave);
    // Another waiter may have broken it and taken it in between: then what was moved is a live lock, to be put back.
    if (holder(grave) !== pid) linkSync(grave, path);
  } catch {
    // Somebody else was faster.
  } finally {
    rmSync(grave, { force: true });
  }
}

/** Run `work` while holding the lock file at `path`, waiting for its holder first. */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  while (!take(path)) {
    const pid = holder(path);
    if (pid !== undefined && !alive(pid)) breakDeadLock(path, pid);
    else await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}
