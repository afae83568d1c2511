/**
 * What a piece of work may take. Work that outsiders can make long spends as it
 * goes: so many steps, which are the same on every machine, and a time, for
 * machines that are slower than the steps assume.
 * @module
 */

/** The bounds of a budget. */
export interface BudgetLimits {
  /** Most steps. What a step is, the work says. */
  readonly steps: number;
  /** Most milliseconds, looked at every so many steps; default: any. */
  readonly ms?: number;
}

/** Takes steps from a budget; throws where there are none left. */
export type Spend = (steps: number) => void;

/** The clock is read once for so many steps. */
const STEPS_PER_LOOK = 4096;

/** A full budget; `over` throws, told which bound was met. */
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
