/** Codes as Node's own errors carry them. */
export type ErrorCode =
  | "EACCES"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "EBADF"
  | "EBUSY"
  | "ECONNABORTED"
  | "ECONNREFUSED"
  | "ECONNRESET"
  | "EHOSTUNREACH"
  | "EINVAL"
  | "EIO"
  | "EISCONN"
  | "EMSGSIZE"
  | "ENETUNREACH"
  | "ENOBUFS"
  | "ENODEV"
  | "ENOMEM"
  | "ENOPROTOOPT"
  | "ENOTCONN"
  | "ENOTSUP"
  | "EPERM"
  | "EPIPE"
  | "ETIMEDOUT"
  | "ABORT_ERR"
  | "ERR_ENGINE_CLOSED"
  | "ERR_ENGINE_POISONED"
  | "ERR_CAPTURE_FORMAT";

/** Every error the library throws on purpose: `code` for programs, a message that names the offending value for people. */
export class SynwaveError extends Error {
  override readonly name = "SynwaveError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}

/** A value in an error's message, cut to a readable length. */
export function show(value: unknown): string {
  const text = describe(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(describe).join(", ")}]`;
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}
