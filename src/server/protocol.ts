/**
 * What the thread of the sockets and the thread of the model say to each other.
 * @module
 */
import { FormatError } from "../format/error.ts";
import { RuntimeError } from "../graph/error.ts";
import { inDeno } from "../platform/platform.ts";
import { TokenizerError } from "../tokenizer/error.ts";
import type { OpenOptions } from "../session/open.ts";
import type { Asked, BackendRules } from "./backend.ts";
import type { ApiErrorCode } from "./error.ts";
import type { Answering, Outcome } from "./job.ts";

/** To the model. */
export type Order =
  | {
    readonly type: "open";
    readonly path: string;
    readonly options: Omit<OpenOptions, "signal">;
    readonly rules: BackendRules;
  }
  | {
    readonly type: "begin";
    readonly id: number;
    readonly body: Uint8Array<ArrayBuffer>;
  }
  | { readonly type: "cancel" | "cut"; readonly id: number }
  | { readonly type: "close" };

/** From the model. */
export type News =
  | { readonly type: "open"; readonly info: Answering["info"] }
  | { readonly type: "failed"; readonly error: Inner }
  | { readonly type: "asked"; readonly id: number; readonly asked: Asked }
  | { readonly type: "checked" | "turn"; readonly id: number }
  | { readonly type: "piece"; readonly id: number; readonly text: string }
  | { readonly type: "done"; readonly id: number; readonly outcome: Outcome }
  | { readonly type: "fault"; readonly id: number; readonly fault: Fault }
  | { readonly type: "beat" }
  | { readonly type: "closed" };

/** An error as it crosses. */
export interface Inner {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** Of errors that have one. */
  readonly code?: string;
}

/** What a client is told, and what the log is. */
export interface Fault {
  readonly code: ApiErrorCode;
  readonly message: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly inner?: Inner;
}

/** The model's thread shows that it lives so often, in milliseconds. */
export const BEAT_MS = 500;

/** An error ready to cross. */
export function innerOf(error: unknown): Inner {
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

/** Classes that are told apart by those who explain errors. */
const CLASSES: Readonly<Record<string, { prototype: Error }>> = {
  FormatError,
  RuntimeError,
  TokenizerError,
  RangeError,
  ...(inDeno ? Deno.errors : {}),
};

/** An error that has crossed, of its class, with its text and code. */
export function errorOf({ name, message, stack, code }: Inner): Error {
  const error = new Error(message);
  if (Object.hasOwn(CLASSES, name)) {
    Object.setPrototypeOf(error, CLASSES[name].prototype);
  }
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
