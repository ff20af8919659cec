interface Hosts {
  setImmediate?: (callback: () => void) => unknown;
}

let channel: MessageChannel | undefined;
const waiting: (() => void)[] = [];

/**
 * Call `callback` in a later turn of the event loop, after every pending microtask and with no minimum delay. Keeps the
 * callbacks' order.
 */
export function nextTurn(callback: () => void): void {
  const host = globalThis as Hosts;
  if (host.setImmediate !== undefined) {
    host.setImmediate(callback);
    return;
  }
  // setTimeout would wait 4 ms once nested, which is what browsers do instead of setImmediate.
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  waiting.push(callback);
  channel.port2.postMessage(0);
}
