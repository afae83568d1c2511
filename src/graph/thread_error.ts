/**
 * Errors that go from one thread to another. A message between threads keeps
 * neither the class nor the code of an error; both are put back here.
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
  /** Of errors that have one. */
  readonly code?: string;
}

/** Classes by name. */
type Classes = Readonly<Record<string, { readonly prototype: Error }>>;

/** Classes that callers tell apart. */
const CLASSES: Classes = {
  FormatError,
  ImageError,
  RuntimeError,
  TokenizerError,
  RangeError,
  ...(inDeno ? Deno.errors : {}),
};

/** `error` as plain data, for `postMessage`. */
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

/** The error that was packed: its class, message, stack and code. `more` names further classes. */
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
