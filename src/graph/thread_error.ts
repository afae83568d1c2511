/**
 * Errors between threads. postMessage drops the class and the code of an error; these
 * functions restore both.
 * @module
 */
import { FormatError } from "../format/error.ts";
import { ImageError } from "../image/image.ts";
import { inDeno } from "../platform/platform.ts";
import { TokenizerError } from "../tokenizer/error.ts";
import { RuntimeError } from "./error.ts";

/** An error as plain data. */
export interface ThreadError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** `code` of a `RuntimeError`, `FormatError` and others. */
  readonly code?: string;
}

/** Classes by name. */
type Classes = Readonly<Record<string, { readonly prototype: Error }>>;

/** Error classes that callers distinguish. */
const CLASSES: Classes = {
  FormatError,
  ImageError,
  RuntimeError,
  TokenizerError,
  RangeError,
  ...(inDeno ? Deno.errors : {}),
};

/** Converts an error to plain data, for `postMessage`. */
export function packError(error: unknown): ThreadError {
  if (!(error instanceof Error)) return { name: "Error", message: `${error}` };
  const { name, message, stack } = error;
  const { code } = error as { code?: unknown };
  return {
    name,
    message,
    ...(stack === undefined ? {} : { stack }),
    ...(typeof code === "string" ? { code } : {}),
  };
}

/** Restores a packed error: its class, message, stack and code. `more` are further classes by name. */
export function unpackError(
  { name, message, stack, code }: ThreadError,
  more: Classes = {},
): Error {
  const error = new Error(message), classes = { ...CLASSES, ...more };
  if (Object.hasOwn(classes, name)) {
    Object.setPrototypeOf(error, classes[name].prototype);
  }
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
