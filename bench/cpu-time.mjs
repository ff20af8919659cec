/**
 * Milliseconds of processor time this process has used, all its threads together: collecting garbage and compiling
 * count, waiting for a processor that others use does not. The C reference is timed by the same account.
 */
export function cpuTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
