/**
 * The one error of this room: a model, a prompt or a setting that cannot run.
 * @module
 */

/** One code per kind of refusal. */
export type RuntimeErrorCode =
  | "graph"
  | "info"
  | "bits"
  | "tensors"
  | "scale"
  | "codes"
  | "plan"
  | "memory"
  | "prompt"
  | "context"
  | "option"
  | "schema"
  | "image"
  | "closed"
  | "worker";

/** Why a model cannot run, or a request cannot be answered; `code` says which kind. */
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
