/**
 * Whether work is faster shared or alone: on a busy machine threads wait for
 * each other longer than sharing saves. Any number of threads gives the same
 * bits, so one may change it at any time.
 * @module
 */

/** The first slice tried alone; those before show what sharing gives, warm. */
const FIRST_ALONE = 4;

/** Slices from then on between two tries of what was slower: a try of twice the time costs 1 %. */
const TRY_EVERY = 128;

/** Chooses for slices that are alike. */
export interface Pace {
  /** Whether the next slice is to be shared. */
  shared(): boolean;
  /** What a slice took. */
  note(shared: boolean, work: number, ms: number): void;
}

/** Tries both, then keeps to what is faster, by the best of each one's last three slices. */
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
