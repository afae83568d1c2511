/**
 * How many threads the float engine of a command works with.
 * @module
 */

/** `--threads`, as a command's table of options has it. */
export const THREADS_OPTION = {
  type: "integer",
  help: "threads; default: one per CPU, at most 4",
  min: 1,
  max: 64,
} as const;

/** Threads where nothing else is said: one per CPU, at most 4. */
export function defaultThreads(): number {
  return Math.min(navigator.hardwareConcurrency, 4);
}
