/**
 * The error for a model, a prompt or an option that is refused.
 * @module
 */

/**
 * Kind of a `RuntimeError`. "option", "prompt", "context", "image" and "schema" are
 * about the caller's input; "graph", "info", "bits", "tensors", "scale" and "values"
 * about the model file; "plan" and "memory" about the memory plan; "closed" and
 * "worker" about the session.
 *
 * ```ts
 * import { type RuntimeErrorCode } from "@mquant/mquant";
 *
 * const mine: RuntimeErrorCode[] = ["option", "prompt", "context"];
 * console.log(mine); // errors that the caller can fix
 * ```
 */
export type RuntimeErrorCode =
  | "graph"
  | "info"
  | "bits"
  | "tensors"
  | "scale"
  | "values"
  | "plan"
  | "memory"
  | "prompt"
  | "context"
  | "option"
  | "schema"
  | "image"
  | "closed"
  | "worker";

/**
 * A model cannot be loaded, or a request cannot be answered; `code` is the kind.
 *
 * ```ts
 * import { open, RuntimeError } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * try {
 *   await model.ask("Why?", [], { maxTokens: 0 });
 * } catch (error) {
 *   if (!(error instanceof RuntimeError)) throw error;
 *   console.log(error.code, error.message); // option Cannot answer: maxTokens …
 * }
 * ```
 */
export class RuntimeError extends Error {
  /** The kind of error. */
  readonly code: RuntimeErrorCode;

  /** The message says what was attempted, what is allowed, the current value and a next step. */
  constructor(code: RuntimeErrorCode, message: string) {
    super(message);
    this.name = "RuntimeError";
    this.code = code;
  }
}
