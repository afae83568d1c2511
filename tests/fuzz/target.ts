/**
 * A fuzz target: a reader, valid input, and the errors that it may throw.
 * @module
 */
import type { Bytes, Draw } from "./mutate.ts";

/** A reader under attack. */
export interface Target {
  /** Its name, such as "safetensors". */
  readonly name: string;
  /** Valid input of every kind. */
  readonly seeds: readonly Uint8Array[];
  /** A damaged copy of a seed. */
  readonly mutate: (draw: Draw, seed: Uint8Array) => Bytes;
  /** Reads; what it returns does not matter. */
  readonly read: (bytes: Uint8Array) => unknown;
  /** Names of the errors it may throw. */
  readonly errors: readonly string[];
  /** Tried once for so many tries of the others; 1 where not given. */
  readonly rarity?: number;
  /** Longest time for one input, in milliseconds, where it is not `MOST_MS`. */
  readonly mostMs?: number;
}

/** What is wrong with `error`, thrown by `target`; undefined where it is one of its own. */
export function objection(target: Target, error: unknown): string | undefined {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const { name, message } = error;
  if (!target.errors.includes(name)) return `threw ${error.stack ?? name}`;
  // An allocation that failed is a RangeError, too.
  if (!message.startsWith("Cannot ")) return `says ${message.slice(0, 200)}`;
  return message.length > 700 ? `says ${message.length} characters` : undefined;
}

/** The error's `code` where it has one, its name otherwise. */
export function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === "string" ? code : String(name);
}
