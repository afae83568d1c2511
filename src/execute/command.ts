/**
 * How the main thread tells the others what to do: a few words in shared
 * memory. A generation that changes is a new command; nobody polls for long.
 * @module
 */

/** Int32 words from the command address on. */
export const COMMAND = {
  /** Changes with every command. */
  generation: 0,
  /** Which list of steps; −1: stop for ever. */
  list: 1,
  /** First step. */
  from: 2,
  /** End of steps. */
  to: 3,
  /** Threads asleep on the generation. */
  sleepers: 4,
  /** Threads whose walk failed. */
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

/** Polls before a worker goes to sleep, about 0.2 ms: longer than a token's sampling. */
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
