/**
 * Commands of the main thread to the workers: a few int32 words in shared memory. A
 * changed generation is a new command. Workers poll it briefly, then sleep.
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
  /** Threads on which a kernel failed. */
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

/** Polls before a worker sleeps, about 0.2 ms: longer than the sampling of a token. */
const POLLS = 20_000;

/** Waits for a command after generation `last`; returns its generation. */
export function receive(words: Int32Array, last: number): number {
  for (let i = 0; i < POLLS; i++) {
    const now = Atomics.load(words, COMMAND.generation);
    if (now !== last) return now;
  }
  Atomics.add(words, COMMAND.sleepers, 1);
  while (Atomics.load(words, COMMAND.generation) === last) {
    Atomics.wait(words, COMMAND.generation, last);
  }
  Atomics.sub(words, COMMAND.sleepers, 1);
  return Atomics.load(words, COMMAND.generation);
}
