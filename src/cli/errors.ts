/**
 * Errors of the command line as one sentence and an exit code.
 * @module
 */
import { FormatError } from "../format/error.ts";
import type { FormatErrorCode } from "../format/error.ts";
import { ImageError } from "../image/image.ts";
import type { ImageErrorCode } from "../image/image.ts";

/** Exit codes of every command. */
export const EXIT = {
  /** Success. */
  ok: 0,
  /** Failure. */
  failure: 1,
  /** Wrong usage; nothing was started. */
  usage: 2,
  /** Some files of a batch failed. */
  partial: 3,
  /** The model's thread hung; a supervisor restarts the server. */
  stuck: 70,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** A wrong command line. */
export class UsageError extends Error {
  /**
   * Creates the error.
   * @param message what was attempted, the value, what is allowed, the next
   * step
   */
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** The next step for errors that leave it to the caller. */
const FILE_NEXT: Partial<Record<FormatErrorCode, string>> = {
  not_found: "check the path",
  not_a_file: "give the path of a file",
  too_small: "is it the right file? copy it again",
  size_mismatch: "the file is damaged, copy it again",
  checksum: "the file is damaged, copy it again",
};
const IMAGE_NEXT: Record<ImageErrorCode, string> = {
  unknown_kind: "give a JPEG, PNG or WebP",
  unsupported: "save it as an ordinary JPEG or PNG",
  too_large: "make it smaller first",
  truncated: "copy it again",
  damaged: "copy it again, or save it anew",
  settings: "correct preprocessor_config.json",
};

function nextStep(error: Error): string | undefined {
  if (error instanceof FormatError) return FILE_NEXT[error.code];
  return error instanceof ImageError ? IMAGE_NEXT[error.code] : undefined;
}

/**
 * `error` as one sentence.
 * @param attempt what was attempted, such as `caption "a.jpg"`
 */
export function sentence(error: unknown, attempt: string): string {
  if (!(error instanceof Error)) return `Cannot ${attempt}: ${String(error)}`;
  const known = system(error);
  if (known) return `Cannot ${attempt}: ${known}`;
  const text = error.message.split("\n")[0].trim();
  const next = text.includes(";") ? undefined : nextStep(error);
  if (next) return `${text}; ${next}`;
  if (text.startsWith("Cannot ")) return text;
  const kind = error.name === "Error" ? "" : `${error.name}: `;
  return `Cannot ${attempt}: ${kind}${text}; \`--debug\` prints where`;
}

/** Errors of the system in plain words. */
function system(error: Error): string | undefined {
  if (error instanceof Deno.errors.NotFound) {
    return "there is no such file; check the path";
  }
  if (error instanceof Deno.errors.NotCapable) {
    const [, access, flag] = error.message.match(
      /^Requires (.*), run again with the (--[\w-]+) flag/,
    ) ?? [, error.message, "--allow-read"];
    return `Deno was started without ${access}; run again with ${flag}`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "the system denies access; check the file's permissions";
  }
  if ((error as { code?: unknown }).code === "ENOSPC") {
    return "the disk is full; make room and run it again";
  }
  if (error instanceof Deno.errors.IsADirectory) {
    return "it is a folder; give the files in it";
  }
  if (error instanceof RangeError && /allocation|memory/i.test(error.message)) {
    return "there is not enough memory; close other programs or use a smaller model";
  }
  return undefined;
}
