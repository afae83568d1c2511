/**
 * Adaptive threading: measures whether slices are faster on all threads or on
 * one. On a busy machine, waiting for other threads can cost more than sharing
 * saves. Every number of threads gives the same bits, so the choice may change
 * at any time.
 * @module
 */

/**
 * Index of the first slice that is tried on one thread; the slices before
 * measure all threads when warm.
 */
const FIRST_ALONE = 4;

/**
 * Slices between two tries of the slower choice; a try that takes twice the
 * time costs 1 %.
 */
const TRY_EVERY = 128;

/** Chooses for slices of one kind. */
export interface Pace {
  /** Whether the next slice runs on all threads. */
  shared(): boolean;
  /** Records the time of a slice. */
  note(shared: boolean, work: number, ms: number): void;
}

/**
 * Tries both and keeps the faster one, by the best of the last three slices of
 * each.
 */
export function pace(): Pace {
  const alone: number[] = [], together: number[] = [];
  let slices = 0;
  return {
    shared() {
      slices++;
      if (slices <= FIRST_ALONE) return slices < FIRST_ALONE;
      const better = Math.max(...together) >= Math.max(...alone);
      return slices % TRY_EVERY === 0 ? !better : better;
    },
    note(shared, work, ms) {
      const speeds = shared ? together : alone;
      speeds.push(work / Math.max(ms, 1e-3));
      if (speeds.length > 3) speeds.shift();
    },
  };
}
