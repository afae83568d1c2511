/**
 * Unhandled errors, such as a worker's: a command ends with a message; a server
 * logs it and continues.
 * @module
 */
import { EXIT, sentence } from "./errors.ts";
import { harmless } from "./io.ts";

let installed: ((error: unknown) => void) | undefined;

/** Handles an unhandled error. */
export function stray(error: unknown): void {
  if (installed) return installed(error);
  console.error(harmless(sentence(error, Deno.args[0] ?? "start")));
  Deno.exit(EXIT.failure);
}

/** Calls `handler` for later unhandled errors, and lets the process continue. */
export function onUnhandled(handler: (error: unknown) => void): void {
  installed = handler;
}
