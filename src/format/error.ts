/**
 * The error of file formats: a file that is not valid in its format.
 * @module
 */

/**
 * Kind of a `FormatError`.
 *
 * ```ts
 * import { type FormatErrorCode } from "@mquant/mquant";
 *
 * const damaged: FormatErrorCode[] = ["size_mismatch", "checksum"];
 * console.log(damaged);
 * ```
 */
export type FormatErrorCode =
  | "not_found"
  | "not_a_file"
  | "too_small"
  | "header_too_large"
  | "header_truncated"
  | "header_start"
  | "header_utf8"
  | "header_json"
  | "duplicate_key"
  | "header_entry"
  | "metadata"
  | "too_many_tensors"
  | "name"
  | "dtype"
  | "shape"
  | "overflow"
  | "offsets"
  | "size_mismatch"
  | "hole"
  | "overlap"
  | "truncated"
  | "trailing_bytes"
  | "short_read"
  | "missing_tensor"
  | "shard_index"
  | "not_mquant"
  | "version"
  | "asset"
  | "checksum";

/**
 * A file that is not valid in its format; `code` is the kind of problem.
 *
 * ```ts
 * import { FormatError, open } from "@mquant/mquant";
 *
 * try {
 *   await open(new TextEncoder().encode("no model"));
 * } catch (error) {
 *   if (!(error instanceof FormatError)) throw error;
 *   console.log(error.code);
 * }
 * ```
 */
export class FormatError extends Error {
  /** Which rule the file breaks. */
  readonly code: FormatErrorCode;

  /**
   * Creates the error.
   * @param problem the value, what is allowed, the next step
   */
  constructor(code: FormatErrorCode, file: string, problem: string) {
    super(`Cannot open ${JSON.stringify(file)}: ${problem}`);
    this.name = "FormatError";
    this.code = code;
  }
}

/** `text` quoted and shortened, for names from a file. */
export function quoted(text: string, most = 80): string {
  return JSON.stringify(text.length > most ? text.slice(0, most) + "…" : text);
}
