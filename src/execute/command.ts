/**
 * Commands from the main thread to the workers: a few words in shared memory. A
 * changed generation is a new command; workers spin briefly, then sleep.
 * @module
 */

/** Int32 words from the command address on. */
export const COMMAND = {
  /** Counter of commands. */
  generation: 0,
  /** Index of the list of steps; −1 ends the worker. */
  list: 1,
  /** First step. */
  from: 2,
  /** End of the steps, exclusive. */
  to: 3,
  /** Number of threads that sleep until the generation changes. */
  sleepers: 4,
  /** Number of threads whose walk failed. */
  failed: 5,
} as const;

/** Value of `list` that ends a worker. */
export const STOP = -1;

/** Publishes a command. */
export function send(
  words: Int32Array,
  list: number,
  from: number,
  to: number,
): void {
  words[COMMAND.list] = list;
  words[COMMAND.from] = from;
  words[COMMAND.to] = to;
  Atomics.add(words, COMMAND.generation, 1);
  if (Atomics.load(words, COMMAND.sleepers) > 0) {
    Atomics.notify(words, COMMAND.generation);
  }
}

/**
 * Spins before a worker sleeps, about 0.2 ms: longer than the sampling of a
 * token.
 */
const POLLS = 20_000;

/** Waits for a command other than `seen`; returns its generation. */
export function receive(words: Int32Array, seen: number): number {
  for (let i = 0; i < POLLS; i++) {
    const now = Atomics.load(words, COMMAND.generation);
    if (now !== seen) return now;
  }
  Atomics.add(words, COMMAND.sleepers, 1);
  while (Atomics.load(words, COMMAND.generation) === seen) {
    Atomics.wait(words, COMMAND.generation, seen);
  }
  Atomics.sub(words, COMMAND.sleepers, 1);
  return Atomics.load(words, COMMAND.generation);
}
