/**
 * Work in the order in which it was asked for, one piece at a time.
 * @module
 */

/** A queue of work. */
export interface Turns {
  /** Runs `work` behind all that was asked for before; who is cancelled while waiting leaves the queue. */
  inTurn<T>(
    work: () => Promise<T>,
    cancelled: () => T,
    signal: AbortSignal,
  ): Promise<T>;
  /** Resolves when all is done. */
  empty(): Promise<void>;
}

/** An empty queue. */
export function turns(): Turns {
  let queue: Promise<void> = Promise.resolve();
  return {
    empty: () => queue,
    inTurn(work, cancelled, signal) {
      return new Promise((done, refuse) => {
        if (signal.aborted) return done(cancelled());
        let begun = false;
        const leave = () => begun || done(cancelled());
        signal.addEventListener("abort", leave, { once: true });
        queue = queue.then(async () => {
          begun = true;
          try {
            done(signal.aborted ? cancelled() : await work());
          } catch (error) {
            refuse(error);
          } finally {
            signal.removeEventListener("abort", leave);
          }
        });
      });
    },
  };
}
