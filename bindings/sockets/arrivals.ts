import type { SynwaveError } from "../errors.ts";
import { onAbort } from "./abort.ts";

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/**
 * What arrives at a listener or a UDP socket, each once, for whoever asked first. It waits in the engine until it is
 * asked for, so that there is no second queue here to fill up.
 */
export class Arrivals<T> {
  /** Resolves after an orderly end; rejects with what broke it. */
  readonly closed: Promise<void>;
  readonly #take: () => T | undefined;
  readonly #release: (error: SynwaveError | undefined) => void;
  readonly #waiters: Waiter<T>[] = [];
  #open = true;
  #error: SynwaveError | undefined;
  #settle!: { resolve(): void; reject(error: unknown): void };
  #stopSignal: (() => void) | undefined;

  /**
   * @param take what has waited longest, if anything waits
   * @param release called once, at the end
   */
  constructor(
    take: () => T | undefined,
    release: (error: SynwaveError | undefined) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#take = take;
    this.#release = release;
    this.closed = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.closed.catch(() => {});
    this.#stopSignal = onAbort(signal, (error) => this.end(error));
  }

  /** `done` after the end. Rejects once with what broke it. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (!this.#open) {
      const error = this.#error;
      this.#error = undefined;
      return error === undefined ? Promise.resolve(done()) : Promise.reject(error);
    }
    const value = this.#waiters.length === 0 ? this.#take() : undefined;
    if (value !== undefined) return Promise.resolve({ done: false, value });
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  /** What leaving a loop calls. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.end(undefined);
    return Promise.resolve(done());
  }

  /** Something waits to be taken. */
  wake(): void {
    while (this.#waiters.length > 0) {
      const value = this.#take();
      if (value === undefined) return;
      this.#waiters.shift()!.resolve({ done: false, value });
    }
  }

  end(error: SynwaveError | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stopSignal?.();
    this.#release(error);
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
    if (error !== undefined && this.#waiters.length === 0) this.#error = error;
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve(done());
      else waiter.reject(error);
    }
  }
}

/** A result of its own for everybody: whoever gets one may change it. */
function done(): IteratorReturnResult<undefined> {
  return { done: true, value: undefined };
}
