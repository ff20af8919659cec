import type { Expr } from "./ast.ts";
import { fail, NotApplicable, type Outcome, ok } from "./outcome.ts";
import { exprText, numberOf, required } from "./values.ts";

/** A file of zeros, all that scripts have need of. */
interface PlainFile {
  kind: "file";
  size: number;
  /** Where the next octet is read. */
  at: number;
}

/** Both ends of it. */
interface Pipe {
  kind: "pipe";
  /** Octets in it. */
  held: number;
}

/** What a pipe holds at most, as in Linux. */
const PIPE_MOST = 65536;

/** Descriptors that are no sockets: files and pipes. */
export class PlainFiles {
  /** Octets of the files there are, by path. */
  private readonly sizes: ReadonlyMap<string, number>;
  private readonly table = new Map<number, PlainFile | Pipe>();

  constructor(sizes: ReadonlyMap<string, number>) {
    this.sizes = sizes;
  }

  /** @throws NotApplicable for a file that no command has made */
  open(path: Expr | undefined, result: Expr): Outcome {
    const size = path?.kind === "string" ? this.sizes.get(path.value) : undefined;
    if (size === undefined) throw new NotApplicable(`not applicable: open() of ${exprText(path)}`);
    const fd = required(result, "a file descriptor");
    this.table.set(fd, { kind: "file", size, at: 0 });
    return ok(fd);
  }

  pipe(ends: Expr | undefined): Outcome {
    const pipe: Pipe = { kind: "pipe", held: 0 };
    if (ends?.kind !== "list" || ends.items.length !== 2) return fail("EFAULT");
    for (const end of ends.items) this.table.set(required(end, "a file descriptor"), pipe);
    return ok();
  }

  /** Whether there was such a one. */
  close(fd: number): boolean {
    return this.table.delete(fd);
  }

  /** The pipe that `fd` is an end of. */
  pipeOf(fd: Expr | undefined): Pipe | undefined {
    const found = this.table.get(required(fd, "a file descriptor"));
    return found?.kind === "pipe" ? found : undefined;
  }

  /** How many of `length` octets a pipe has room for. */
  room({ held }: Pipe, length: number): number {
    return Math.min(length, PIPE_MOST - held);
  }

  /** Read up to `length` octets of a file, from `offset` or from where it stands; how many there were, undefined: no such file. */
  read(fd: Expr | undefined, offset: Expr | undefined, length: number): number | undefined {
    const file = this.table.get(required(fd, "a file descriptor"));
    if (file?.kind !== "file") return undefined;
    const from = offset?.kind === "list" ? numberOf(offset) : undefined;
    const count = Math.max(0, Math.min(length, file.size - (from ?? file.at)));
    if (from === undefined) file.at += count;
    return count;
  }
}
