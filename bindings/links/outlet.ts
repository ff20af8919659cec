/** Takes a capture's bytes in order. `write` owns its chunk; a promise it returns is waited for before the next call. */
export interface ByteSink {
  write(chunk: Uint8Array): unknown;
  close?(): unknown;
}

function isStream(sink: ByteSink | WritableStream<Uint8Array>): sink is WritableStream<Uint8Array> {
  return "getWriter" in sink;
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}

/** Feeds a sink one chunk at a time and holds a bounded amount for it when it is slow. */
export class Outlet {
  readonly #sink: ByteSink;
  readonly #limit: number;
  readonly #queue: Uint8Array[] = [];
  #octets = 0;
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;

  /** @param limit octets held while a write is under way */
  constructor(sink: ByteSink | WritableStream<Uint8Array>, limit: number) {
    this.#sink = isStream(sink) ? sink.getWriter() : sink;
    this.#limit = limit;
  }

  /** What the sink failed with; from then on everything is refused. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Whether `octets` more would be taken. */
  takes(octets: number): boolean {
    return (
      this.#failure === undefined && (this.#writing === undefined || this.#octets + octets <= this.#limit)
    );
  }

  write(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return;
    if (this.#writing !== undefined) {
      this.#queue.push(chunk);
      this.#octets += chunk.length;
      return;
    }
    try {
      const result = this.#sink.write(chunk);
      if (isPromise(result)) this.#writing = this.#drain(result);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #drain(first: PromiseLike<unknown>): Promise<void> {
    try {
      await first;
      for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
        this.#octets -= chunk.length;
        await this.#sink.write(chunk);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = undefined;
  }

  #fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error(String(error));
    this.#queue.length = 0;
    this.#octets = 0;
  }

  /** Wait for what is held, then close the sink. Rejects with what the sink failed with. */
  async close(): Promise<void> {
    await this.#writing;
    if (this.#failure === undefined) await this.#sink.close?.();
    else throw this.#failure;
  }
}
