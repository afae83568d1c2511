/**
 * The lists of steps of a plan: per image, per chunk of tokens, per token.
 * @module
 */

/**
 * Name of a list of steps: per image, per chunk of tokens, per token.
 *
 * ```ts
 * import { type ListName } from "@mquant/mquant";
 *
 * const perToken: ListName = "decode";
 * console.log(perToken);
 * ```
 */
export type ListName = "vision" | "prefill" | "decode";

/** The lists of a plan; a command (execute/command.ts) has the index. */
export const LISTS: readonly ListName[] = ["vision", "prefill", "decode"];
