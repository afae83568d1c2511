/**
 * Whether work is faster shared or alone: on a busy machine threads wait for
 * each other longer than sharing saves. Any number of threads gives the same
 * bits, so one may change it at any time.
 * @module
 */

/** Slices between two tries of what was slower the last time. */
const TRY_EVERY = 64;

/** Weight of the newest measurement. */
const NEWEST = 0.2;

/** Chooses for one list of steps. */
export interface Pace {
  /** Whether the next slice is to be shared. */
  shared(): boolean;
  /** What a slice took. */
  note(shared: boolean, work: number, ms: number): void;
}

/** Begins shared, tries alone soon, then keeps to what is faster. */
export function pace(): Pace {
  const speed: (number | undefined)[] = [undefined, undefined]; // alone, shared
  let slices = 0;
  return {
    shared() {
      const [alone, together] = speed;
      slices++;
      if (together === undefined) return true;
      if (alone === undefined) return slices < TRY_EVERY / 8;
      const better = together >= alone;
      return slices % TRY_EVERY === 0 ? !better : better;
    },
    note(shared, work, ms) {
      const now = work / Math.max(ms, 1e-3), at = Number(shared);
      const before = speed[at];
      speed[at] = before === undefined ? now : before + NEWEST * (now - before);
    },
  };
}
