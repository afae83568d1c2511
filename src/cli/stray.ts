/**
 * Unhandled errors, such as a worker's: a command ends with a message; a server
 * logs it and continues.
 * @module
 */
import { EXIT, sentence } from "./errors.ts";
import { harmless } from "./io.ts";

let heard: ((error: unknown) => void) | undefined;

/** Handles an unhandled error. */
export function stray(error: unknown): void {
  if (heard) return heard(error);
  console.error(harmless(sentence(error, Deno.args[0] ?? "start")));
  Deno.exit(EXIT.failure);
}

/** Installs `hear` for unhandled errors; the process continues. */
export function outlive(hear: (error: unknown) => void): void {
  heard = hear;
}
