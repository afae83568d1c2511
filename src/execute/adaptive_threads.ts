/**
 * Adaptive threading: chooses between one thread and all threads by measurement. On
 * a busy machine threads may wait for each other longer than parallel work saves.
 * Results do not depend on the number of threads, so it may change at any time.
 * @module
 */

/** The first slice that runs on one thread; those before it warm up all threads. */
const FIRST_SINGLE = 4;

/** Slices between two tries of the slower choice: a try that takes twice the time costs 1 %. */
const TRY_EVERY = 128;

/** Chooses the number of threads for slices of similar work. */
export interface AdaptiveThreads {
  /** Whether the next slice runs on all threads. */
  useAll(): boolean;
  /** Records the time of a slice: its multiply–adds and milliseconds. */
  record(all: boolean, work: number, ms: number): void;
}

/** Tries both, then keeps the faster choice, by the best of the last three slices of each. */
export function adaptiveThreads(): AdaptiveThreads {
  const single: number[] = [], multi: number[] = [];
  let slices = 0;
  return {
    useAll() {
      slices++;
      if (slices <= FIRST_SINGLE) return slices < FIRST_SINGLE;
      const better = Math.max(...multi) >= Math.max(...single);
      return slices % TRY_EVERY === 0 ? !better : better;
    },
    record(all, work, ms) {
      const speeds = all ? multi : single;
      speeds.push(work / Math.max(ms, 1e-3));
      if (speeds.length > 3) speeds.shift();
    },
  };
}
