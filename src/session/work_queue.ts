/**
 * A queue that runs one job at a time, first come, first served.
 * @module
 */

/** A queue of work. */
export interface WorkQueue {
  /** Runs `work` after all earlier work; a job that is cancelled while it waits leaves the queue with `cancelled`. */
  enqueue<T>(
    work: () => Promise<T>,
    cancelled: () => T,
    signal: AbortSignal,
  ): Promise<T>;
  /** Resolves when the queue is empty. */
  empty(): Promise<void>;
}

/** An empty queue. */
export function workQueue(): WorkQueue {
  let queue: Promise<void> = Promise.resolve();
  return {
    empty: () => queue,
    enqueue(work, cancelled, signal) {
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
