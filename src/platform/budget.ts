/**
 * Budgets for work whose size outsiders control: a number of steps, which is the same
 * on every machine, and a time limit for slow machines.
 * @module
 */

/** The bounds of a budget. */
export interface BudgetLimits {
  /** Most steps; the caller defines a step. */
  readonly steps: number;
  /** Most milliseconds, checked regularly; default: no limit. */
  readonly ms?: number;
}

/** Spends steps of a budget; throws where none are left. */
export type Spend = (steps: number) => void;

/** Steps between two checks of the clock. */
const STEPS_PER_LOOK = 4096;

/** A full budget; `over` is called with the exceeded bound and throws. */
export function budget(
  { steps: most, ms = Infinity }: BudgetLimits,
  over: (bound: "steps" | "ms") => never,
): Spend {
  let left = most, look = most - STEPS_PER_LOOK;
  const begun = performance.now();
  return (steps) => {
    left -= steps;
    if (!(left >= 0)) over("steps"); // NaN is too much as well
    if (left > look) return;
    look = left - STEPS_PER_LOOK;
    if (performance.now() - begun > ms) over("ms");
  };
}
