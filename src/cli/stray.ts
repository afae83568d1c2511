/**
 * Errors that nobody awaited, such as a worker's: a sentence, and the end of the
 * command; of a server, which has others to answer, a line of its log.
 * @module
 */
import { EXIT, sentence } from "./errors.ts";
import { harmless } from "./io.ts";

let heard: ((error: unknown) => void) | undefined;

/** Told of an error that nobody awaited. */
export function stray(error: unknown): void {
  if (heard) return heard(error);
  console.error(harmless(sentence(error, Deno.args[0] ?? "start")));
  Deno.exit(EXIT.failure);
}

/** From now on `hear` is told instead, and the process goes on. */
export function outlive(hear: (error: unknown) => void): void {
  heard = hear;
}
