/**
 * The one error of this room: a model, a prompt or a setting that cannot run.
 * @module
 */

/**
 * One code per kind of refusal.
 *
 * ```ts
 * import { type RuntimeErrorCode } from "@mquant/mquant";
 *
 * const mine: RuntimeErrorCode[] = ["option", "prompt", "context"];
 * console.log(mine); // what a caller can mend
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
 * Why a model cannot run, or a request cannot be answered; `code` says which kind.
 *
 * ```ts
 * import { open, RuntimeError } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/flickr-mini/flickr-mini.w4a8.safetensors",
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
  /** Which kind of refusal. */
  readonly code: RuntimeErrorCode;

  /** Message in the grammar of std: what was attempted, the wish, the value, the next step. */
  constructor(code: RuntimeErrorCode, message: string) {
    super(message);
    this.name = "RuntimeError";
    this.code = code;
  }
}
