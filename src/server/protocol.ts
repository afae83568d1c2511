/**
 * Messages between the sockets' thread and the model's thread.
 * @module
 */
import type { ThreadError } from "../graph/thread_error.ts";
import type { OpenOptions } from "../session/open.ts";
import type { Asked, BackendRules } from "./backend.ts";
import type { ApiErrorCode } from "./error.ts";
import type { Answering, Outcome } from "./job.ts";

/** A message to the model's thread. */
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

/** A message from the model's thread. */
export type News =
  | { readonly type: "open"; readonly info: Answering["info"] }
  | { readonly type: "failed"; readonly error: ThreadError }
  | { readonly type: "asked"; readonly id: number; readonly asked: Asked }
  | { readonly type: "checked" | "turn"; readonly id: number }
  | { readonly type: "piece"; readonly id: number; readonly text: string }
  | { readonly type: "done"; readonly id: number; readonly outcome: Outcome }
  | { readonly type: "fault"; readonly id: number; readonly fault: Fault }
  | { readonly type: "beat" }
  | { readonly type: "closed" };

/** The error for the client, and the error for the log. */
export interface Fault {
  readonly code: ApiErrorCode;
  readonly message: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly inner?: ThreadError;
}

/** Interval of the model thread's heartbeat, in milliseconds. */
export const BEAT_MS = 500;
